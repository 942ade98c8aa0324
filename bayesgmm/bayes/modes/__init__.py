"""The modes of a log posterior: finding them, their curvature, and how much of the posterior each holds.

It takes densities and draws as arrays, and starts no sampler.
"""
