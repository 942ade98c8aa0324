"""One compiled pass over the rows: log densities, responsibilities and sufficient statistics.

Everything that looks at the data goes through this file: EM, scoring, prediction and the gradient
that the sampler follows. Rows are taken in blocks of `BLOCK`, laid out feature by feature so that the
innermost loop runs over rows and is vectorised whatever the number of features.

The functions are serial and release the GIL; `rows.py` spreads ranges of rows over threads, the
sampler runs one chain a thread.

Notation: y = L_k^-1 (x - mu_k) with L_k the lower Cholesky factor of Sigma_k; `whiteners[k]` = L_k^-1.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]

BLOCK = 256
# From this many features on, the two triangular products of a block go to BLAS, a panel of rows at a time.
WIDE = 20
_PANEL = 8

# Sums over rows may be reassociated, which is what lets them use SIMD; NaN and infinity stay honest.
_SUMS = {"reassoc", "contract", "nsz"}
# exp and log rely on the order of operations as written. (Divisions follow NumPy's rules, error_model="numpy", in
# this file: a check for zero at each would keep them from vectorising.)
_EXACT = {"contract"}

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 split in two so that n * ln 2 is subtracted without rounding
_LN2_LOW = 1.90821492927058770002e-10
_ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves round(x) in the low bits
# Below exp(-500) a responsibility is nothing beside 1; as 0 it keeps products out of the denormal numbers, which are
# computed a hundred times slower.
_EXP_ZERO = -500.0
_TWO_52_BITS = 0x4330000000000000  # the bits of 2.0**52
_TWO_52_AND_BIAS = 4503599627371519.0  # 2**52 and the exponent's bias, 1023
# Below any log density that a double can tell from -inf, yet finite: r stays defined in every row.
_LOG_ZERO = -1e300


@intrinsic
def _as_bits(typingctx, value):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _as_float(typingctx, bits):
    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@njit(fastmath=_EXACT, error_model="numpy")
def _exp(x):
    """exp(x) for x <= 0 in plain arithmetic, which vectorises where a call to libm does not; 0 below -500."""
    below = x < _EXP_ZERO
    x = _EXP_ZERO if below else x
    shifted = x * _LOG2_E + _ROUND_TO_INTEGER
    n = shifted - _ROUND_TO_INTEGER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    # Taylor polynomial of degree 13 on |r| <= ln(2)/2: truncation below 1e-17.
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    # Adding n to the exponent bits multiplies by 2**n.
    scaled = _as_float(_as_bits(p) + (_as_bits(shifted) << 52))
    return 0.0 if below else scaled


@njit(fastmath=_EXACT, error_model="numpy")
def _log(x):
    """log(x) for normal x >= 1 in plain arithmetic."""
    bits = _as_bits(x)
    # An integer below 2**52 becomes a double by way of its bits; a conversion would not vectorise.
    exponent = _as_float((bits >> 52) | _TWO_52_BITS) - _TWO_52_AND_BIAS
    mantissa = _as_float((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000)
    large = mantissa > 1.4142135623730951
    mantissa = 0.5 * mantissa if large else mantissa
    n = exponent + 1.0 if large else exponent
    f = (mantissa - 1.0) / (mantissa + 1.0)
    s = f * f
    # log m = 2 artanh(f); |f| <= 0.172, so eleven terms reach 1e-17.
    p = 1.0 / 21.0
    p = p * s + 1.0 / 19.0
    p = p * s + 1.0 / 17.0
    p = p * s + 1.0 / 15.0
    p = p * s + 1.0 / 13.0
    p = p * s + 1.0 / 11.0
    p = p * s + 1.0 / 9.0
    p = p * s + 1.0 / 7.0
    p = p * s + 1.0 / 5.0
    p = p * s + 1.0 / 3.0
    return n * _LN2_HIGH + (2.0 * f + (2.0 * f * s * p + n * _LN2_LOW))


class KernelParameters(NamedTuple):
    """A mixture as the kernel reads it, in coordinates relative to `Rows.origin`.

    log_scales (K,) = log w_k - log|L_k| - D/2 log 2 pi; means (K, D); whiteners (K, D, D) lower triangular;
    diagonal: the whiteners are diagonal, so that D instead of D(D+1)/2 products are needed.
    """

    log_scales: FloatArray
    means: FloatArray
    whiteners: FloatArray
    diagonal: bool


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _load(X, start, n, origin, x):
    for d in range(x.shape[0]):
        for b in range(n):
            x[d, b] = X[start + b, d] - origin[d]
        for b in range(n, BLOCK):  # the panels below work on whole blocks
            x[d, b] = 0.0


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _whiten(x, n, mean, whitener, diagonal, difference, y):
    """y = whitener (x - mean), block-wise."""
    D = x.shape[0]
    for d in range(D):
        m = mean[d]
        for b in range(n):
            difference[d, b] = x[d, b] - m
    if D >= WIDE and not diagonal:
        for top in range(0, D, _PANEL):
            bottom = min(top + _PANEL, D)
            panel = np.ascontiguousarray(whitener[top:bottom, :bottom])
            np.dot(panel, difference[:bottom], y[top:bottom])
        return
    for i in range(D):
        yi = y[i]
        if diagonal:
            w = whitener[i, i]
            di = difference[i]
            for b in range(n):
                yi[b] = w * di[b]
            continue
        j = (i + 1) % 4
        # The remainder of i + 1 terms first, then four at a time: a quarter of the stores.
        if j == 0:
            for b in range(n):
                yi[b] = 0.0
        elif j == 1:
            w0 = whitener[i, 0]
            d0 = difference[0]
            for b in range(n):
                yi[b] = w0 * d0[b]
        elif j == 2:
            w0, w1 = whitener[i, 0], whitener[i, 1]
            d0, d1 = difference[0], difference[1]
            for b in range(n):
                yi[b] = w0 * d0[b] + w1 * d1[b]
        else:
            w0, w1, w2 = whitener[i, 0], whitener[i, 1], whitener[i, 2]
            d0, d1, d2 = difference[0], difference[1], difference[2]
            for b in range(n):
                yi[b] = w0 * d0[b] + w1 * d1[b] + w2 * d2[b]
        while j <= i:
            w0, w1, w2, w3 = whitener[i, j], whitener[i, j + 1], whitener[i, j + 2], whitener[i, j + 3]
            d0, d1, d2, d3 = difference[j], difference[j + 1], difference[j + 2], difference[j + 3]
            for b in range(n):
                yi[b] += w0 * d0[b] + w1 * d1[b] + w2 * d2[b] + w3 * d3[b]
            j += 4


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _log_joint(x, n, log_scales, means, whiteners, diagonal, difference, y, joint):
    """joint[k] = log w_k + log N(x | mu_k, Sigma_k); keeps the whitened rows in y (K, D, BLOCK)."""
    K, D = means.shape
    for k in range(K):
        _whiten(x, n, means[k], whiteners[k], diagonal, difference, y[k])
        joint_k = joint[k]
        y_first = y[k, 0]
        for b in range(n):
            joint_k[b] = y_first[b] * y_first[b]
        for d in range(1, D):
            yd = y[k, d]
            for b in range(n):
                joint_k[b] += yd[b] * yd[b]
        scale = log_scales[k]
        for b in range(n):
            value = scale - 0.5 * joint_k[b]
            joint_k[b] = _LOG_ZERO if value < _LOG_ZERO else value


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _normalise(joint, n, total, log_density):
    """Turn joint (K, BLOCK) into responsibilities, in place; fill log_density (BLOCK,)."""
    K = joint.shape[0]
    for b in range(n):
        log_density[b] = joint[0, b]
        total[b] = 0.0
    for k in range(1, K):
        joint_k = joint[k]
        for b in range(n):
            log_density[b] = joint_k[b] if joint_k[b] > log_density[b] else log_density[b]
    for k in range(K):
        joint_k = joint[k]
        for b in range(n):
            share = _exp(joint_k[b] - log_density[b])
            joint_k[b] = share
            total[b] += share
    for b in range(n):
        log_density[b] += _log(total[b])
        total[b] = 1.0 / total[b]
    for k in range(K):
        joint_k = joint[k]
        for b in range(n):
            joint_k[b] *= total[b]


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _accumulate(r, y, n, diagonal, weighted, counts, first, second):
    """Add the block's N_k, t_k and the lower triangle of T_k; `weighted` (D, BLOCK) is scratch."""
    K, D, _ = y.shape
    for k in range(K):
        rk = r[k]
        count = 0.0
        for b in range(n):
            count += rk[b]
        counts[k] += count
        for d in range(D):
            yd, wd = y[k, d], weighted[d]
            s = 0.0
            for b in range(n):
                wd[b] = rk[b] * yd[b]
                s += wd[b]
            first[k, d] += s
        if D >= WIDE and not diagonal:
            for d in range(D):
                weighted[d, n:] = 0.0
            for top in range(0, D, _PANEL):
                bottom = min(top + _PANEL, D)
                second[k, top:bottom, :bottom] += np.dot(weighted[top:bottom], y[k, :bottom].T)
            continue
        if diagonal:
            for d in range(D):
                yd, wd = y[k, d], weighted[d]
                s = 0.0
                for b in range(n):
                    s += wd[b] * yd[b]
                second[k, d, d] += s
            continue
        i = 0
        while i + 1 < D:  # two rows of T at a time: each loaded y serves two sums
            wa, wb = weighted[i], weighted[i + 1]
            j = 0
            while j + 1 < i + 2:
                ya, yb = y[k, j], y[k, j + 1]
                aa = ab = ba = bb = 0.0
                for b in range(n):
                    aa += wa[b] * ya[b]
                    ab += wa[b] * yb[b]
                    ba += wb[b] * ya[b]
                    bb += wb[b] * yb[b]
                second[k, i, j] += aa
                second[k, i, j + 1] += ab
                second[k, i + 1, j] += ba
                second[k, i + 1, j + 1] += bb
                j += 2
            i += 2
        if i < D:
            wa = weighted[i]
            for j in range(D):
                ya = y[k, j]
                s = 0.0
                for b in range(n):
                    s += wa[b] * ya[b]
                second[k, i, j] += s


@njit(nogil=True, cache=True, error_model="numpy")
def sufficient_statistics(
    X, row_weights, start, stop, origin, log_scales, means, whiteners, diagonal, counts, first, second
):
    """Log-likelihood of rows start..stop; adds N_k, t_k, T_k to counts, first, second.

    X (N, D); row_weights (N,), or (0,) when every row counts once; counts (K,); first (K, D);
    second (K, D, D), of which the lower triangle (when diagonal: the diagonal) is what the next step reads.
    """
    K, D = means.shape
    x, difference = np.empty((D, BLOCK)), np.empty((D, BLOCK))
    y, joint = np.empty((K, D, BLOCK)), np.empty((K, BLOCK))
    total, log_density = np.empty(BLOCK), np.empty(BLOCK)
    log_likelihood = 0.0
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        _load(X, begin, n, origin, x)
        _log_joint(x, n, log_scales, means, whiteners, diagonal, difference, y, joint)
        _normalise(joint, n, total, log_density)
        if row_weights.size:
            for b in range(n):
                weight = row_weights[begin + b]
                log_density[b] *= weight
                for k in range(K):
                    joint[k, b] *= weight
        block_sum = 0.0
        for b in range(n):
            block_sum += log_density[b]
        log_likelihood += block_sum
        _accumulate(joint, y, n, diagonal, difference, counts, first, second)
    return log_likelihood


@njit(nogil=True, cache=True, error_model="numpy")
def row_log_densities(X, start, stop, origin, log_scales, means, whiteners, diagonal, out):
    """out[i] = log density of row i, for rows start..stop; out (N,)."""
    K, D = means.shape
    x, difference = np.empty((D, BLOCK)), np.empty((D, BLOCK))
    y, joint = np.empty((K, D, BLOCK)), np.empty((K, BLOCK))
    total, log_density = np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        _load(X, begin, n, origin, x)
        _log_joint(x, n, log_scales, means, whiteners, diagonal, difference, y, joint)
        _normalise(joint, n, total, log_density)
        for b in range(n):
            out[begin + b] = log_density[b]


@njit(nogil=True, cache=True, error_model="numpy")
def row_responsibilities(X, start, stop, origin, log_scales, means, whiteners, diagonal, out):
    """out[i, k] = probability of component k given row i, for rows start..stop; out (N, K)."""
    K, D = means.shape
    x, difference = np.empty((D, BLOCK)), np.empty((D, BLOCK))
    y, joint = np.empty((K, D, BLOCK)), np.empty((K, BLOCK))
    total, log_density = np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        _load(X, begin, n, origin, x)
        _log_joint(x, n, log_scales, means, whiteners, diagonal, difference, y, joint)
        _normalise(joint, n, total, log_density)
        for k in range(K):
            for b in range(n):
                out[begin + b, k] = joint[k, b]


@njit(nogil=True, cache=True, error_model="numpy")
def lower_inverses(choleskys):
    """Inverses (K, D, D) of lower triangular matrices, by forward substitution; not finite where there is none."""
    K, D, _ = choleskys.shape
    inverses = np.zeros((K, D, D))
    for k in range(K):
        for j in range(D):
            inverses[k, j, j] = 1.0 / choleskys[k, j, j]
            for i in range(j + 1, D):
                s = 0.0
                for m in range(j, i):
                    s += choleskys[k, i, m] * inverses[k, m, j]
                inverses[k, i, j] = -s / choleskys[k, i, i]
    return inverses
