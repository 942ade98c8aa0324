"""The kernel's specification: the same functions as plain loops, one row and one component at a time.

Same arguments, same meaning, no blocks, no tiles, no padding. Compiled only so that the loops finish in time.
"""

import numpy as np
from numba import njit

from bayesgmm.types import FloatArray, RowArray


@njit
def whitened_row(
    X: RowArray, n: int, origin: FloatArray, mean: FloatArray, whitener: FloatArray, diagonal: bool
) -> FloatArray:
    """Whitened row n: y = L^-1 (x - mu), with the mean relative to the origin."""
    D = len(mean)
    y = np.zeros(D)
    for i in range(D):
        for j in range(i if diagonal else 0, i + 1):
            y[i] += whitener[i, j] * (X[n, j] - origin[j] - mean[j])
    return y


@njit
def log_density_and_responsibilities(
    X: RowArray,
    n: int,
    origin: FloatArray,
    log_scales: FloatArray,
    means: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
) -> tuple[float, FloatArray]:
    """Row n: log p(x) and responsibilities (K,), by the log-sum-exp of log w_k N(x | mu_k, Sigma_k)."""
    K = len(means)
    log_joint = np.empty(K)
    for k in range(K):
        y = whitened_row(X, n, origin, means[k], whiteners[k], diagonal)
        log_joint[k] = log_scales[k] - 0.5 * np.sum(y * y)
    largest = np.max(log_joint)
    log_density = largest + np.log(np.sum(np.exp(log_joint - largest)))
    return log_density, np.exp(log_joint - log_density)


@njit
def sufficient_statistics(
    X: RowArray,
    row_weights: FloatArray,
    start: int,
    stop: int,
    origin: FloatArray,
    log_scales: FloatArray,
    means: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
    counts: FloatArray,
    first: FloatArray,
    second: FloatArray,
) -> float:
    """Add sum w r, sum w r y and sum w r y y' to counts, first and second; return sum w log p(x)."""
    K, D = means.shape
    log_likelihood = 0.0
    for n in range(start, stop):
        weight = row_weights[n] if row_weights.size else 1.0
        log_density, r = log_density_and_responsibilities(X, n, origin, log_scales, means, whiteners, diagonal)
        log_likelihood += weight * log_density
        if counts.size == 0:
            continue
        for k in range(K):
            y = whitened_row(X, n, origin, means[k], whiteners[k], diagonal)
            counts[k] += weight * r[k]
            for i in range(D):
                first[k, i] += weight * r[k] * y[i]
                for j in range(D):
                    if i == j or not diagonal:
                        second[k, i, j] += weight * r[k] * y[i] * y[j]
    return log_likelihood


@njit
def rows_under(
    X: RowArray,
    start: int,
    stop: int,
    origin: FloatArray,
    log_scales: FloatArray,
    means: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
    log_densities: FloatArray,
    responsibilities: FloatArray,
) -> None:
    """Fill log_densities (N,) and responsibilities (N, K) at rows start to stop - 1, unless their length is 0."""
    for n in range(start, stop):
        log_density, r = log_density_and_responsibilities(X, n, origin, log_scales, means, whiteners, diagonal)
        if log_densities.size:
            log_densities[n] = log_density
        if responsibilities.size:
            responsibilities[n] = r


@njit
def log_likelihood_and_gradient(
    X: RowArray, origin: FloatArray, log_weights: FloatArray, means: FloatArray, choleskys: FloatArray, diagonal: bool
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Log-likelihood, and its gradient row by row.

    d log p(x) / d theta_k = r_k d log N(x | mu_k, L_k L_k') / d theta_k, with d log N / d mu = L^-T y and
    d log N / d L = L^-T y y' - diag(1 / L_ii), of which the lower triangle counts.
    """
    K, D = means.shape
    inverses = np.empty((K, D, D))
    log_scales = np.empty(K)
    for k in range(K):
        inverses[k] = np.linalg.inv(choleskys[k])
        log_scales[k] = log_weights[k] - 0.5 * D * np.log(2 * np.pi) - np.sum(np.log(np.diag(choleskys[k])))
    centred = means - origin
    log_likelihood, d_log_weights = 0.0, np.zeros(K)
    d_means, d_choleskys = np.zeros((K, D)), np.zeros((K, D, D))
    for n in range(len(X)):
        log_density, r = log_density_and_responsibilities(X, n, origin, log_scales, centred, inverses, diagonal)
        log_likelihood += log_density
        for k in range(K):
            y = whitened_row(X, n, origin, centred[k], inverses[k], diagonal)
            d_log_weights[k] += r[k]
            for i in range(D):
                d_mean = 0.0
                for m in range(i, D):
                    d_mean += inverses[k, m, i] * y[m]
                d_means[k, i] += r[k] * d_mean
                d_choleskys[k, i, i] -= r[k] / choleskys[k, i, i]
                for j in range(i if diagonal else 0, i + 1):
                    d_choleskys[k, i, j] += r[k] * d_mean * y[j]
    return log_likelihood, d_log_weights, d_means, d_choleskys
