"""The exact gradient of the log-likelihood, from the kernel's one pass over the rows."""

import numpy as np
from numba import njit

from bayesgmm.kernel import passes
from bayesgmm.kernel.jit import inner
from bayesgmm.kernel.triangular import fill_log_scales_and_whiteners
from bayesgmm.types import FloatArray, RowArray


@inner()
def fill_kernel_parameters(
    log_weights: FloatArray,
    means: FloatArray,
    choleskys: FloatArray,
    origin: FloatArray,
    log_scales: FloatArray,
    centred: FloatArray,
    whiteners: FloatArray,
) -> None:
    """Fill the kernel's input: log scales (K,), centred = means - origin (K, D), and whiteners (K, D, D).

    `whiteners` must hold zeros.
    """
    K, D = means.shape
    fill_log_scales_and_whiteners(log_weights, choleskys, log_scales, whiteners)
    for k in range(K):
        for d in range(D):
            centred[k, d] = means[k, d] - origin[d]


@inner()
def add_gradient(
    counts: FloatArray,
    first: FloatArray,
    second: FloatArray,
    whiteners: FloatArray,
    d_means: FloatArray,
    d_choleskys: FloatArray,
) -> None:
    """Add the gradient with respect to means (K, D) and Cholesky factors (K, D, D), from N_k, t_k, T_k.

    d/d log w = N; d/d mu = L^-T t; d/d L = tril(L^-T (T - N I)). This is Fisher's identity: the gradient of the
    log-likelihood is the expected gradient of the complete-data log-likelihood, given the rows.
    """
    K, D = first.shape
    for k in range(K):
        for i in range(D):
            for m in range(i, D):
                d_means[k, i] += whiteners[k, m, i] * first[k, m]
                for j in range(i + 1):
                    excess = second[k, m, j] - (counts[k] if m == j else 0.0)
                    d_choleskys[k, i, j] += whiteners[k, m, i] * excess


@njit(nogil=True, cache=True, error_model="numpy")
def log_likelihood_and_gradient(
    X: RowArray,
    origin: FloatArray,
    log_weights: FloatArray,
    means: FloatArray,
    choleskys: FloatArray,
    diagonal: bool,
) -> tuple[float, FloatArray, FloatArray, FloatArray]:
    """Log-likelihood and its gradient with respect to log weights, means and Cholesky factors.

    The log weights are free numbers here; the caller applies the chain rule if they are constrained to sum to 1.
    """
    K, D = means.shape
    log_scales, centred, whiteners = np.empty(K), np.empty((K, D)), np.zeros((K, D, D))
    fill_kernel_parameters(log_weights, means, choleskys, origin, log_scales, centred, whiteners)
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    log_likelihood = passes.sufficient_statistics(
        X, np.empty(0), np.int64(0), X.shape[0], origin, log_scales, centred, whiteners, diagonal, counts, first, second
    )
    d_means, d_choleskys = np.zeros((K, D)), np.zeros((K, D, D))
    add_gradient(counts, first, second, whiteners, d_means, d_choleskys)
    return log_likelihood, counts, d_means, d_choleskys
