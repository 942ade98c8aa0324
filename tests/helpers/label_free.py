"""Quantities of a mixture that do not depend on the order of its components, in NumPy."""

import numpy as np


def log_densities(X, weights, means, stds, correlations):
    """(..., N) log density of rows X (N, D) under mixtures weights (..., K), means, stds (..., K, D), correlations."""
    D = X.shape[1]
    inverses, log_determinants = np.linalg.inv(correlations), np.linalg.slogdet(correlations)[1]
    constants = np.log(weights) - 0.5 * log_determinants - np.log(stds).sum(axis=-1) - 0.5 * D * np.log(2 * np.pi)
    y = (X - means[..., np.newaxis, :]) / stds[..., np.newaxis, :]  # (..., K, N, D)
    terms = constants[..., np.newaxis] - 0.5 * ((y @ inverses) * y).sum(axis=-1)
    largest = terms.max(axis=-2, keepdims=True)
    return largest[..., 0, :] + np.log(np.exp(terms - largest).sum(axis=-2))


def label_free(X, points, weights, means, stds, correlations):
    """{name: (...,)}: log-likelihood of X, log density at points, and weighted sums over the components."""
    found = {"log-likelihood": log_densities(X, weights, means, stds, correlations).sum(axis=-1)}
    densities = log_densities(points, weights, means, stds, correlations)
    found |= {f"log density at point {i}": densities[..., i] for i in range(len(points))}
    found["sum of squared weights"] = (weights**2).sum(axis=-1)
    for i in range(means.shape[-1]):
        found[f"mean[{i}]"] = (weights * means[..., i]).sum(axis=-1)
        found[f"std[{i}]"] = (weights * stds[..., i]).sum(axis=-1)
        for j in range(i):
            found[f"correlation[{i}, {j}]"] = (weights * correlations[..., i, j]).sum(axis=-1)
    return found
