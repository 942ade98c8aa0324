"""Inputs of the kernel, and the comparison of two kernels on them."""

import numpy as np

from bayesgmm.kernel.rows import KernelParameters


def well_conditioned_mixture(rng, K, D, diagonal=False):
    """Weights, means and Cholesky factors of components that overlap in any number of features."""
    choleskys = np.tril(rng.normal(size=(K, D, D)), -1) / D * (not diagonal)
    choleskys += np.eye(D) * rng.uniform(0.8, 1.25, size=(K, D, 1))
    return rng.dirichlet(np.full(K, 3.0)), rng.normal(size=(K, D)) / np.sqrt(D), choleskys


def well_conditioned(rng, K, D, diagonal=False):
    """`well_conditioned_mixture` as the kernel reads it."""
    return KernelParameters.of(*well_conditioned_mixture(rng, K, D, diagonal), diagonal=diagonal)


def statistics_by(sufficient_statistics, rows, parameters):
    """Log-likelihood, N, t and T of all rows by a function with the kernel's arguments."""
    K, D = parameters.means.shape
    sums = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    log_likelihood = sufficient_statistics(
        rows.values, rows.weights, 0, rows.n_samples, rows.origin, *parameters, *sums
    )
    return log_likelihood, *sums


def densities_by(rows_under, rows, parameters):
    """Log densities and responsibilities of all rows by a function with the kernel's arguments."""
    log_densities, responsibilities = np.empty(rows.n_samples), np.empty((rows.n_samples, len(parameters.means)))
    rows_under(rows.values, 0, rows.n_samples, rows.origin, *parameters, log_densities, responsibilities)
    return log_densities, responsibilities


def assert_close(results, expected):
    """Each array to 12 digits of its largest entry."""
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, right, rtol=1e-12, atol=1e-12 * np.abs(right).max())
