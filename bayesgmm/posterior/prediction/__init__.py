"""Predictions of a posterior: densities and responsibilities of rows, replicated data, cross-validation.

Every function averages over draws; only `predict` depends on labels.
"""
