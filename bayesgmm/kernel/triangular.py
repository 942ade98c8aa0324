"""Lower triangular matrices, compiled: the Cholesky factors of covariances, and the inverses that whiten rows."""

import numpy as np
from numba import njit

from bayesgmm.kernel.jit import SUMS, inner

_LOG_2PI = float(np.log(2 * np.pi))


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def cholesky(matrix, factor):
    """Lower factor (D, D) of the lower triangle of a matrix; False, and NaN, when it is not positive definite."""
    D = matrix.shape[0]
    for i in range(D):
        row = factor[i]
        for j in range(i + 1):
            other = factor[j]
            s = matrix[i, j]
            for m in range(j):
                s -= row[m] * other[m]
            if i > j:
                row[j] = s / other[j]
            elif s > 0:
                row[i] = np.sqrt(s)
            else:
                factor[:] = np.nan
                return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def lower_product(left, right, out):
    """Out = left right of lower triangular matrices (D, D); out is zero before."""
    for i in range(left.shape[0]):
        row = out[i]
        for m in range(i + 1):
            factor, other = left[i, m], right[m]
            for j in range(m + 1):
                row[j] += factor * other[j]


@njit(nogil=True, cache=True, error_model="numpy")
def lower_inverses(choleskys):
    """Inverses (K, D, D) of lower triangular matrices; not finite where there is none."""
    inverses = np.zeros(choleskys.shape)
    _invert(choleskys, inverses)
    return inverses


@inner()
def _invert(choleskys, inverses):
    """Row by row into inverses (K, D, D), which are zero before."""
    K, D, _ = choleskys.shape
    for k in range(K):
        for i in range(D):
            row = inverses[k, i]
            for m in range(i):
                factor, above = choleskys[k, i, m], inverses[k, m]
                for j in range(m + 1):
                    row[j] -= factor * above[j]
            scale = 1.0 / choleskys[k, i, i]
            for j in range(i):
                row[j] *= scale
            row[i] = scale


@inner()
def fill_log_scales_and_whiteners(log_weights, choleskys, log_scales, whiteners):
    """Log w_k - log|L_k| - D/2 log 2 pi into log_scales (K,), L_k^-1 into whiteners (K, D, D), zero before."""
    K, D, _ = choleskys.shape
    for k in range(K):
        log_scales[k] = log_weights[k] - 0.5 * D * _LOG_2PI
        for d in range(D):
            log_scales[k] -= np.log(choleskys[k, d, d])
    _invert(choleskys, whiteners)


@njit(nogil=True, cache=True, error_model="numpy")
def log_scales_and_whiteners(log_weights, choleskys):
    """Log w_k - log|L_k| - D/2 log 2 pi (K,), and L_k^-1 (K, D, D), of log_weights (K,) and choleskys (K, D, D)."""
    log_scales, whiteners = np.empty(len(choleskys)), np.zeros(choleskys.shape)
    fill_log_scales_and_whiteners(log_weights, choleskys, log_scales, whiteners)
    return log_scales, whiteners
