"""Gaussian mixtures as values: parameters, covariance structures, sets of draws, and matching of components.

This package holds no estimation method and needs NumPy and SciPy only.
"""
