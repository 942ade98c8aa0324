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
        for b in range(n, x.shape[1]):  # the panels below work on whole blocks
            x[d, b] = 0.0


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _whiten_narrow(difference, n, whitener, y):
    """y = whitener difference, two rows and four columns at a time: each value loaded serves several products."""
    D = y.shape[0]
    for i in range(0, D - 1, 2):
        ya, yb, a, b = y[i], y[i + 1], whitener[i], whitener[i + 1]
        # Rows i and i + 1 have i + 2 columns, whitener[i, i + 1] being 0. First those beyond a multiple of four.
        j = (i + 2) % 4
        if j == 2:
            a0, a1, b0, b1 = a[0], a[1], b[0], b[1]
            d0, d1 = difference[0], difference[1]
            for row in range(n):
                ya[row] = a0 * d0[row] + a1 * d1[row]
                yb[row] = b0 * d0[row] + b1 * d1[row]
        else:
            ya[:n] = 0.0
            yb[:n] = 0.0
        while j < i + 2:
            a0, a1, a2, a3 = a[j], a[j + 1], a[j + 2], a[j + 3]
            b0, b1, b2, b3 = b[j], b[j + 1], b[j + 2], b[j + 3]
            d0, d1, d2, d3 = difference[j], difference[j + 1], difference[j + 2], difference[j + 3]
            for row in range(n):
                ya[row] += a0 * d0[row] + a1 * d1[row] + a2 * d2[row] + a3 * d3[row]
                yb[row] += b0 * d0[row] + b1 * d1[row] + b2 * d2[row] + b3 * d3[row]
            j += 4
    if D % 2:
        last, w = y[D - 1], whitener[D - 1]
        last[:n] = 0.0
        for j in range(D):
            w0, d0 = w[j], difference[j]
            for row in range(n):
                last[row] += w0 * d0[row]


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _whiten_wide(difference, whitener, y):
    """The same by BLAS, a panel of rows at a time, so that half of the zeros above the diagonal are left out."""
    D = y.shape[0]
    for top in range(0, D, _PANEL):
        bottom = min(top + _PANEL, D)
        np.dot(np.ascontiguousarray(whitener[top:bottom, :bottom]), difference[:bottom], y[top:bottom])


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _log_joint(x, n, log_scales, means, whiteners, diagonal, difference, y, joint):
    """joint[k] = log w_k + log N(x | mu_k, Sigma_k); keeps the whitened rows in y (K, D, BLOCK)."""
    K, D = means.shape
    for k in range(K):
        joint_k = joint[k]
        joint_k[:n] = 0.0
        if diagonal:
            for d in range(0, D - 1, 2):  # two features at a time: half of the loads and stores of joint
                x0, y0, m0, w0 = x[d], y[k, d], means[k, d], whiteners[k, d, d]
                x1, y1, m1, w1 = x[d + 1], y[k, d + 1], means[k, d + 1], whiteners[k, d + 1, d + 1]
                for b in range(n):
                    a, c = w0 * (x0[b] - m0), w1 * (x1[b] - m1)
                    y0[b], y1[b] = a, c
                    joint_k[b] += a * a + c * c
            if D % 2:
                x0, y0, m0, w0 = x[D - 1], y[k, D - 1], means[k, D - 1], whiteners[k, D - 1, D - 1]
                for b in range(n):
                    y0[b] = w0 * (x0[b] - m0)
                    joint_k[b] += y0[b] * y0[b]
        else:
            for d in range(D):
                xd, m, centred = x[d], means[k, d], difference[d]
                for b in range(x.shape[1]):
                    centred[b] = xd[b] - m
            if D >= WIDE:
                _whiten_wide(difference, whiteners[k], y[k])
            else:
                _whiten_narrow(difference, n, whiteners[k], y[k])
            for d in range(D):
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
def _scatter_narrow(weighted, y, n, second):
    """Add the lower triangle of sum weighted y', two rows and four columns at a time."""
    D = y.shape[0]
    for i in range(0, D - 1, 2):
        wa, wb = weighted[i], weighted[i + 1]
        j = 0
        while j + 4 <= i + 2:
            y0, y1, y2, y3 = y[j], y[j + 1], y[j + 2], y[j + 3]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
            for row in range(n):
                a0 += wa[row] * y0[row]
                a1 += wa[row] * y1[row]
                a2 += wa[row] * y2[row]
                a3 += wa[row] * y3[row]
                b0 += wb[row] * y0[row]
                b1 += wb[row] * y1[row]
                b2 += wb[row] * y2[row]
                b3 += wb[row] * y3[row]
            for m, a, b in ((0, a0, b0), (1, a1, b1), (2, a2, b2), (3, a3, b3)):
                second[i, j + m] += a
                second[i + 1, j + m] += b
            j += 4
        if j < i + 2:
            y0, y1 = y[j], y[j + 1]
            a0 = a1 = b0 = b1 = 0.0
            for row in range(n):
                a0 += wa[row] * y0[row]
                a1 += wa[row] * y1[row]
                b0 += wb[row] * y0[row]
                b1 += wb[row] * y1[row]
            second[i, j] += a0
            second[i, j + 1] += a1
            second[i + 1, j] += b0
            second[i + 1, j + 1] += b1
    if D % 2:
        wa = weighted[D - 1]
        for j in range(D):
            y0 = y[j]
            s = 0.0
            for row in range(n):
                s += wa[row] * y0[row]
            second[D - 1, j] += s


@njit(nogil=True, fastmath=_SUMS, error_model="numpy")
def _scatter_wide(weighted, y, n, second):
    """The same by BLAS, a panel of rows at a time."""
    D = y.shape[0]
    for d in range(D):
        weighted[d, n:] = 0.0
    for top in range(0, D, _PANEL):
        bottom = min(top + _PANEL, D)
        second[top:bottom, :bottom] += np.dot(weighted[top:bottom], y[:bottom].T)


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
        if diagonal:
            for d in range(D):
                yd = y[k, d]
                s = t = 0.0
                for b in range(n):
                    w = rk[b] * yd[b]
                    s += w
                    t += w * yd[b]
                first[k, d] += s
                second[k, d, d] += t
            continue
        for d in range(D):
            yd, wd = y[k, d], weighted[d]
            s = 0.0
            for b in range(n):
                wd[b] = rk[b] * yd[b]
                s += wd[b]
            first[k, d] += s
        if D >= WIDE:
            _scatter_wide(weighted, y[k], n, second[k])
        else:
            _scatter_narrow(weighted, y[k], n, second[k])


@njit(nogil=True, cache=True, error_model="numpy")
def sufficient_statistics(
    X, row_weights, start, stop, origin, log_scales, means, whiteners, diagonal, counts, first, second
):
    """Log-likelihood of rows start..stop; N_k, t_k, T_k into counts, first, second, which are zero before.

    X (N, D); row_weights (N,), or (0,) when every row counts once; counts (K,); first (K, D); second (K, D, D),
    symmetric (when diagonal: diagonal).
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
    for k in range(K):
        for i in range(D):
            for j in range(i):
                second[k, j, i] = second[k, i, j]
    return log_likelihood


@njit(nogil=True, cache=True, error_model="numpy")
def rows_under(X, start, stop, origin, log_scales, means, whiteners, diagonal, log_densities, responsibilities):
    """Log densities (N,) and responsibilities (N, K) of rows start..stop; an array of length 0 is left alone."""
    K, D = means.shape
    x, difference = np.empty((D, BLOCK)), np.empty((D, BLOCK))
    y, joint = np.empty((K, D, BLOCK)), np.empty((K, BLOCK))
    total, log_density = np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        _load(X, begin, n, origin, x)
        _log_joint(x, n, log_scales, means, whiteners, diagonal, difference, y, joint)
        _normalise(joint, n, total, log_density)
        if log_densities.size:
            for b in range(n):
                log_densities[begin + b] = log_density[b]
        if responsibilities.size:
            for k in range(K):
                for b in range(n):
                    responsibilities[begin + b, k] = joint[k, b]
