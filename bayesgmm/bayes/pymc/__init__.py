"""The mixture in PyMC: the model, the compiled kernel as a PyTensor Op, and the whitening of any PyMC model.

This is the only folder that imports PyMC and PyTensor. It knows nothing of modes and draws.
"""
