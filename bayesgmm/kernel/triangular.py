"""Compiled lower triangular algebra: Cholesky factors of covariances, and the inverses that whiten rows."""

import numpy as np
from numba import njit

from bayesgmm.kernel.jit import SUMS, inner
from bayesgmm.types import FloatArray

_LOG_2PI = float(np.log(2 * np.pi))


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def cholesky(matrix: FloatArray, factor: FloatArray) -> bool:
    """Write the Cholesky factor (D, D) of a symmetric matrix to the lower triangle of `factor`.

    Only the lower triangle of the matrix is read. Returns False, and fills `factor` with NaN, if the matrix is not
    positive definite.
    """
    D = matrix.shape[0]
    for i in range(D):
        row = factor[i]
        for j in range(i + 1):
            row_j = factor[j]
            s = matrix[i, j]
            for m in range(j):
                s -= row[m] * row_j[m]
            if i > j:
                row[j] = s / row_j[j]
            elif s > 0:
                row[i] = np.sqrt(s)
            else:
                factor[:] = np.nan
                return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def lower_product(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """Write the product of two lower triangular matrices (D, D) to `out`, which must hold zeros."""
    for i in range(left.shape[0]):
        row = out[i]
        for m in range(i + 1):
            factor, row_m = left[i, m], right[m]
            for j in range(m + 1):
                row[j] += factor * row_m[j]


@njit(nogil=True, cache=True, error_model="numpy")
def lower_inverses(choleskys: FloatArray) -> FloatArray:
    """Inverses (K, D, D) of lower triangular matrices (K, D, D); not finite if a matrix is singular."""
    inverses = np.zeros(choleskys.shape)
    _invert(choleskys, inverses)
    return inverses


@inner()
def _invert(choleskys: FloatArray, inverses: FloatArray) -> None:
    """Write the inverses of choleskys (K, D, D), row by row, to `inverses`, which must hold zeros."""
    K, D, _ = choleskys.shape
    for k in range(K):
        for i in range(D):
            row = inverses[k, i]
            for m in range(i):
                factor, row_m = choleskys[k, i, m], inverses[k, m]
                for j in range(m + 1):
                    row[j] -= factor * row_m[j]
            scale = 1.0 / choleskys[k, i, i]
            for j in range(i):
                row[j] *= scale
            row[i] = scale


@inner()
def fill_log_scales_and_whiteners(
    log_weights: FloatArray, choleskys: FloatArray, log_scales: FloatArray, whiteners: FloatArray
) -> None:
    """Fill log_scales (K,) and whiteners (K, D, D) as `log_scales_and_whiteners` returns them.

    `whiteners` must hold zeros.
    """
    K, D, _ = choleskys.shape
    for k in range(K):
        log_scales[k] = log_weights[k] - 0.5 * D * _LOG_2PI
        for d in range(D):
            log_scales[k] -= np.log(choleskys[k, d, d])
    _invert(choleskys, whiteners)


@njit(nogil=True, cache=True, error_model="numpy")
def log_scales_and_whiteners(log_weights: FloatArray, choleskys: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log scales log w_k - log|L_k| - D/2 log 2 pi (K,) and whiteners L_k^-1 (K, D, D).

    log_weights (K,); choleskys (K, D, D), the lower Cholesky factors L_k.
    """
    log_scales, whiteners = np.empty(len(choleskys)), np.zeros(choleskys.shape)
    fill_log_scales_and_whiteners(log_weights, choleskys, log_scales, whiteners)
    return log_scales, whiteners
