"""The way from unconstrained parameters theta to a mixture, and the prior's densities on theta's scale, compiled.

The log posterior and the Gibbs sweep share these functions. theta holds, in this order,

- weights: K - 1 numbers u with softmax(u, -sum u) = weights;
- means (K, D), standardised by their prior;
- standard deviations: logarithms, or under a uniform prior the logit of the position between the bounds; one number per
  component and feature, per feature (tied) or per component (spherical), none if they are fixed;
- for full and tied covariances the logits of the vine's partial correlations, row by row, see `bayes.pymc.model`.
"""

import numpy as np

from bayesgmm.bayes.model.std_priors import FIXED, LOG_SCALE
from bayesgmm.kernel.jit import inner
from bayesgmm.types import FloatArray


@inner()
def log_std_at(t: float, std_kind: int, std_table: FloatArray, d: int) -> float:
    """Return the log standard deviation of feature d whose unconstrained value is t."""
    if std_kind == LOG_SCALE:
        return t
    share = 1.0 / (1.0 + np.exp(-t))
    return np.log(std_table[0, d] * (1.0 - share) + std_table[1, d] * share)


@inner()
def log_scale_prior(u: float, up: float, down: float, std_table: FloatArray, d: int) -> tuple[float, float]:
    """Return two terms whose sum is the log density of log sd at v0 + u; up = e^u, down = e^-u.

    See `StdPrior.log_scale_coefficients`.
    """
    polynomial = std_table[1, d] + std_table[2, d] * u + std_table[3, d] * u * u
    return polynomial, std_table[4, d] * up + std_table[5, d] * down + std_table[6, d] * up * up


@inner()
def log_logistic(t: float) -> float:
    """Return the log density of a standard logistic variable, the logit of a uniform one on (0, 1)."""
    return -(abs(t) + 2.0 * np.log1p(np.exp(-abs(t))))


@inner()
def fill_log_weights(theta: FloatArray, log_weights: FloatArray) -> None:
    """Fill log weights (K,) from theta's first K - 1 numbers."""
    K = log_weights.size
    largest = 0.0
    last = 0.0
    for k in range(K - 1):
        log_weights[k] = theta[k]
        last -= theta[k]
        largest = max(largest, theta[k])
    log_weights[K - 1] = last
    largest = max(largest, last)
    total = 0.0
    for k in range(K):
        total += np.exp(log_weights[k] - largest)
    for k in range(K):
        log_weights[k] -= largest + np.log(total)


@inner()
def fill_means(theta: FloatArray, location: FloatArray, scale: FloatArray, means: FloatArray) -> None:
    """Fill means (K, D) from theta's numbers K - 1, ..., K - 1 + K D."""
    K, D = means.shape
    index = K - 1
    for k in range(K):
        for d in range(D):
            means[k, d] = location[d] + scale[d] * theta[index]
            index += 1


@inner()
def fill_log_stds(
    theta: FloatArray, shared: bool, spherical: bool, std_kind: int, std_table: FloatArray, log_stds: FloatArray
) -> int:
    """Fill log standard deviations (K, D); return where the vine begins in theta, after the standard deviations."""
    K, D = log_stds.shape
    start = K - 1 + K * D
    for k in range(K):
        for d in range(D):
            if std_kind == FIXED:
                log_stds[k, d] = std_table[0, d]
                continue
            t = theta[start + (k if spherical else d if shared else k * D + d)]
            log_stds[k, d] = log_std_at(t, std_kind, std_table, d)
    if std_kind == FIXED:
        return start
    return start + (K if spherical else D if shared else K * D)


@inner()
def _fill_vine_row(
    theta: FloatArray, start: int, i: int, factor_row: FloatArray, partial: FloatArray, residual: FloatArray
) -> None:
    """Fill row i of a correlation matrix's Cholesky factor from the i logits at theta[start:]."""
    product = 1.0
    for j in range(i):
        half = 0.5 * theta[start + j]
        partial[j] = np.tanh(half)
        residual[j] = product
        factor_row[j] = partial[j] * product
        product /= np.cosh(half)  # sqrt(1 - p^2)
    factor_row[i] = product


@inner()
def fill_vine_choleskys(
    theta: FloatArray,
    vine_start: int,
    diagonal: bool,
    shared: bool,
    factors: FloatArray,
    partial: FloatArray,
    residual: FloatArray,
) -> None:
    """Fill the Cholesky factors (K, D, D) of the correlations, whose entries above the diagonal are 0 before.

    partial (K, D, D): partial correlations p; residual (K, D, D): prod_{m<j} sqrt(1 - p_im^2) at [i, j], the length
    that the columns before j leave of row i. Diagonal structures leave both as they are.
    """
    K, D, _ = factors.shape
    pairs = D * (D - 1) // 2
    for k in range(K):
        start = vine_start if shared else vine_start + k * pairs
        for i in range(D):
            if diagonal:
                factors[k, i, i] = 1.0
            else:
                _fill_vine_row(theta, start + i * (i - 1) // 2, i, factors[k, i], partial[k, i], residual[k, i])


@inner()
def fill_choleskys(log_stds: FloatArray, factors: FloatArray, choleskys: FloatArray) -> None:
    """Fill the Cholesky factors (K, D, D) of covariances: rows of the correlations' factors times exp(log_stds)."""
    K, D = log_stds.shape
    for k in range(K):
        for i in range(D):
            s = np.exp(log_stds[k, i])
            for j in range(i + 1):
                choleskys[k, i, j] = s * factors[k, i, j]


@inner()
def add_rounding(rounding: FloatArray, shared: bool, whiteners: FloatArray, second: FloatArray) -> float:
    """Add to T (K, D, D) the scatter of the resolution's factor, W diag(rounding) W', and return the log of the factor.

    whiteners W (K, D, D) are lower triangular. Shared covariances have one factor, which is added to the first T.
    """
    K, D, _ = second.shape
    trace = 0.0
    for k in range(1 if shared else K):
        for i in range(D):
            for j in range(i + 1):
                total = 0.0
                for m in range(j + 1):
                    total += rounding[m] * whiteners[k, i, m] * whiteners[k, j, m]
                second[k, i, j] += total
                if i == j:
                    trace += total
                else:
                    second[k, j, i] += total
    return -0.5 * trace
