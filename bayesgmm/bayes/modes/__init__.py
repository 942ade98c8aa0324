"""The modes of a log posterior: finding them, their curvature, and the share of the posterior around each.

It takes densities and draws as arrays, and starts no sampler.
"""
