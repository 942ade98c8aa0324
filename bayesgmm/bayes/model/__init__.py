"""The model: priors, log posterior density and gradient, and the same model in PyMC.

It knows nothing of modes and draws.
"""
