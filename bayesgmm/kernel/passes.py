"""One compiled pass over the rows: log densities, responsibilities and sufficient statistics.

Everything that looks at the data goes through this file: EM, scoring, prediction and the gradient
that the sampler follows. Rows are taken in blocks of at most `BLOCK`, laid out feature by feature so that the
innermost loops, which are in `tiles.py`, run over rows and are vectors whatever the number of features.

The functions are serial and release the GIL; `rows.py` spreads ranges of rows over threads, the
sampler runs one chain a thread.

Notation: y = L_k^-1 (x - mu_k) with L_k the lower Cholesky factor of Sigma_k; `whiteners[k]` = L_k^-1.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bayesgmm.kernel.jit import SUMS, inner
from bayesgmm.kernel.simd import LANES, at
from bayesgmm.kernel.tiles import (
    STRIP,
    TILE,
    WIDEST,
    add_logarithms,
    divide,
    exponentiate,
    gather,
    prefetch,
    rectangle_2,
    rectangle_3,
    rectangle_4,
    rectangle_5,
    scatter_diagonal_1,
    scatter_diagonal_4,
    sum_log_densities,
    triangle_1,
    triangle_2,
    triangle_3,
    triangle_4,
    triangle_5,
    whiten_1,
    whiten_2,
    whiten_3,
    whiten_4,
    whiten_5,
    whiten_diagonal,
)
from bayesgmm.types import FloatArray

BLOCK = 256
# Lines of doubles of a block that fit into the nearest cache, or twice as many of half a block.
_NEAR_LINES = 20
_DRAWS = 16


class KernelParameters(NamedTuple):
    """A mixture as the kernel reads it, in coordinates relative to `Rows.origin`.

    log_scales (K,) = log w_k - log|L_k| - D/2 log 2 pi; means (K, D); whiteners (K, D, D) lower triangular;
    diagonal: the whiteners are diagonal, so that D instead of D(D+1)/2 products are needed.
    """

    log_scales: FloatArray
    means: FloatArray
    whiteners: FloatArray
    diagonal: bool


@inner()
def _workspace(D, K, n_whitened, diagonal):
    """X (D, block), y (n_whitened, block), r (K, block), log densities and totals (block,), a strip (D, STRIP), and
    weighted (WIDEST, block).

    The block is a half where that stays in the nearest cache and a whole one would not; where neither does, long ones
    have fewer sums to end. One allocation for all: with few rows each would cost as much as the work. Rows begin at
    multiples of 64 bytes, so that no vector straddles a cache line; nothing is set to 0.
    """
    n_lines = D + (1 if diagonal else K * D) + K + WIDEST
    block = BLOCK // 2 if _NEAR_LINES < n_lines <= 2 * _NEAR_LINES else BLOCK
    n_strip = -(-D * STRIP // block)
    size = (D + n_whitened + K + 2 + n_strip + WIDEST) * block
    buffer = np.empty(size + 8)
    skipped = (-buffer.ctypes.data // 8) % 8
    lines = buffer[skipped : skipped + size].reshape(-1, block)
    y, r = D, D + n_whitened
    last = r + K
    strip = lines[last + 2 : last + 2 + n_strip].reshape(-1)[: D * STRIP].reshape(D, STRIP)
    return lines[:D], lines[y:r], lines[r:last], lines[last], lines[last + 1], strip, lines[last + 2 + n_strip :]


@inner()
def _load(X, start, n, origin, x):
    """X (D, rows) = rows of X, feature by feature; the last row again up to a whole strip."""
    D, stride = x.shape
    whole = n // LANES * LANES
    for b in range(0, whole, LANES):  # a few rows at a time: their cache lines are used up before they are dropped
        for d in range(D):
            prefetch(X, start + b + stride, d * LANES)  # the next block's, to be there when this one is done
            gather(X, start + b, d, at(origin, 0), at(x, d * stride + b))
    for b in range(whole, -(-n // STRIP) * STRIP):
        for d in range(D):
            x[d, b] = X[start + min(b, n - 1), d] - origin[d]


@inner()
def _first_tile(D):
    """Rows of the first tile, 0 to 5, after which there are whole ones; a single row only where there is one."""
    return WIDEST if D % TILE == 1 and D > 1 else D % TILE


@inner()
def _whiten(x, n, means, whiteners, diagonal, difference, y, squares):
    """Squares (K, rows) = y'y of y = L_k^-1 (x - mu_k).

    Unless diagonal, y (K D, rows) is left behind, or that of the last component where there is room for D rows.
    """
    K, D = means.shape
    stride, odd = x.shape[1], _first_tile(D)
    kept = y.shape[0] // D
    scratch = at(difference, 0)
    for k in range(K):
        for b in range(0, n, STRIP):
            x_b, mean, W = at(x, b), at(means, k * D), at(whiteners, k * D * D)
            sums = at(squares, k * stride + b)
            if diagonal:
                whiten_diagonal(x_b, stride, mean, W, D, sums)
                continue
            out = at(y, k % kept * D * stride + b)
            if odd == 1:
                whiten_1(x_b, mean, W, D, 0, scratch, out, stride, sums)
            elif odd == 2:
                whiten_2(x_b, mean, W, D, 0, scratch, out, stride, sums)
            elif odd == 3:
                whiten_3(x_b, mean, W, D, 0, scratch, out, stride, sums)
            elif odd == 5:
                whiten_5(x_b, mean, W, D, 0, scratch, out, stride, sums)
            for i in range(odd, D, TILE):
                x_b, mean, W = at(x, i * stride + b), at(means, k * D + i), at(whiteners, (k * D + i) * D)
                out = at(y, (k % kept * D + i) * stride + b)
                whiten_4(x_b, mean, W, D, i, scratch, out, stride, sums)


# Inlined: a function that hands arrays on counts references to them, and this is called for every block.
@njit(error_model="numpy", inline="always")
def _responsibilities(x, n, log_scales, means, whiteners, diagonal, difference, y, r, log_density, total):
    """Responsibilities r (K, rows) and log densities."""
    _whiten(x, n, means, whiteners, diagonal, difference, y, r)
    exponentiate(at(r, 0), x.shape[1], n, at(log_scales, 0), r.shape[0], at(log_density, 0), at(total, 0))
    add_logarithms(at(total, 0), n, at(log_density, 0))
    divide(at(r, 0), x.shape[1], n, r.shape[0], at(total, 0))


@inner()
def _scatter(r, y, n_vectors, weighted, first, second):
    """Add the block's t_k and the lower triangle of T_k, tile by tile; `weighted` (WIDEST, block) is scratch."""
    K, D = first.shape
    stride, odd = y.shape[1], _first_tile(D)
    scratch = at(weighted, 0)
    for k in range(K):
        share, y_k = at(r, k * stride), at(y, k * D * stride)
        if odd == 1:
            triangle_1(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        elif odd == 2:
            triangle_2(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        elif odd == 3:
            triangle_3(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        elif odd == 5:
            triangle_5(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        for i in range(odd, D, TILE):
            y_i, row = at(y, (k * D + i) * stride), (k * D + i) * D
            triangle_4(share, y_i, stride, n_vectors, scratch, at(first, k * D + i), at(second, row + i), D)
            if odd == 2:
                rectangle_2(scratch, y_k, stride, n_vectors, at(second, row), D)
            elif odd == 3:
                rectangle_3(scratch, y_k, stride, n_vectors, at(second, row), D)
            elif odd == 5:
                rectangle_5(scratch, y_k, stride, n_vectors, at(second, row), D)
            for j in range(odd, i, TILE):
                rectangle_4(scratch, at(y, (k * D + j) * stride), stride, n_vectors, at(second, row + j), D)


@inner()
def _scatter_diagonal(r, x, n_vectors, means, whiteners, first, second):
    K, D = first.shape
    stride = x.shape[1]
    odd = D % TILE
    for k in range(K):
        share, d = at(r, k * stride), 0
        while d < D:
            entry = k * D * D + d * (D + 1)
            x_d, mean, factor = at(x, d * stride), at(means, k * D + d), at(whiteners, entry)
            t, T = at(first, k * D + d), at(second, entry)
            if d < odd:
                scatter_diagonal_1(share, x_d, stride, n_vectors, mean, factor, t, T, D)
                d += 1
            else:
                scatter_diagonal_4(share, x_d, stride, n_vectors, mean, factor, t, T, D)
                d += TILE


@inner(fastmath=SUMS)
def _count(r, n, counts):
    for k in range(r.shape[0]):
        count = 0.0
        for b in range(n):
            count += r[k, b]
        counts[k] += count


@inner(fastmath=SUMS)
def _weighted_sum(row_weights, begin, values, n):
    total = 0.0
    for b in range(n):
        total += row_weights[begin + b] * values[b]
    return total


@njit(error_model="numpy", inline="always")  # inlined before it is compiled: once, not twice
def statistics_of_rows(
    X, row_weights, start, stop, origin, log_scales, means, whiteners, diagonal, counts, first, second
):
    """Log-likelihood of rows start..stop; N_k, t_k, T_k into counts, first, second, which are zero before.

    X (N, D); row_weights (N,), or (0,) when every row counts once; counts (K,), or (0,) when the log-likelihood is all
    that is wanted; first (K, D); second (K, D, D), symmetric (when diagonal: diagonal).
    """
    K, D = means.shape
    n_whitened = 1 if diagonal else K * D if counts.size else D
    x, y, r, log_density, total, difference, weighted = _workspace(D, K, n_whitened, diagonal)
    block = x.shape[1]
    log_likelihood = np.zeros(1)
    for begin in range(start, stop, block):
        n = min(block, stop - begin)
        n_vectors = -(-n // LANES)
        _load(X, begin, n, origin, x)
        _whiten(x, n, means, whiteners, diagonal, difference, y, r)
        exponentiate(at(r, 0), block, n, at(log_scales, 0), K, at(log_density, 0), at(total, 0))
        if row_weights.size:
            add_logarithms(at(total, 0), n, at(log_density, 0))
            log_likelihood[0] += _weighted_sum(row_weights, begin, log_density, n)
        else:
            for b in range(n, -(-n // STRIP) * STRIP):
                log_density[b], total[b] = 0.0, 1.0
            sum_log_densities(at(log_density, 0), at(total, 0), n, at(log_likelihood, 0))
        if not counts.size:
            continue
        divide(at(r, 0), block, n, K, at(total, 0))
        if row_weights.size:
            for k in range(K):
                for b in range(n):
                    r[k, b] *= row_weights[begin + b]
        for k in range(K):
            for b in range(n, n_vectors * LANES):
                r[k, b] = 0.0
        _count(r, n, counts)
        if diagonal:
            _scatter_diagonal(r, x, n_vectors, means, whiteners, first, second)
        else:
            _scatter(r, y, n_vectors, weighted, first, second)
    for k in range(K):
        for i in range(D):
            for j in range(i):
                second[k, j, i] = second[k, i, j]
    return log_likelihood[0]


@njit(nogil=True, cache=True, error_model="numpy")
def sufficient_statistics(
    X, row_weights, start, stop, origin, log_scales, means, whiteners, diagonal, counts, first, second
):
    """`statistics_of_rows`, for callers that are not themselves that pass."""
    return statistics_of_rows(
        X, row_weights, start, stop, origin, log_scales, means, whiteners, diagonal, counts, first, second
    )


@inner()
def _draw(rng, r, n):
    """Each row's responsibilities r (K, rows) made 1 for a component drawn by them, and 0 for the others."""
    K = r.shape[0]
    for b in range(n):
        left, drawn = rng.random() - r[0, b], 0
        while left >= 0.0 and drawn < K - 1:
            drawn += 1
            left -= r[drawn, b]
        for k in range(K):
            r[k, b] = 1.0 if k == drawn else 0.0


@njit(nogil=True, error_model="numpy")
def allocated_statistics(rng, X, origin, log_scales, means, whiteners, diagonal, counts, first, second):
    """What `sufficient_statistics` leaves, of rows that are each in one component, drawn by the responsibilities.

    Of `second` the lower triangle.
    """
    K, D = means.shape
    x, y, r, log_density, total, difference, weighted = _workspace(D, K, 1 if diagonal else K * D, diagonal)
    block = x.shape[1]
    for begin in range(0, X.shape[0], block):
        n = min(block, X.shape[0] - begin)
        n_vectors = -(-n // LANES)
        _load(X, begin, n, origin, x)
        _whiten(x, n, means, whiteners, diagonal, difference, y, r)
        exponentiate(at(r, 0), block, n, at(log_scales, 0), K, at(log_density, 0), at(total, 0))
        divide(at(r, 0), block, n, K, at(total, 0))
        _draw(rng, r, n)
        for k in range(K):
            for b in range(n, n_vectors * LANES):
                r[k, b] = 0.0
        _count(r, n, counts)
        if diagonal:
            _scatter_diagonal(r, x, n_vectors, means, whiteners, first, second)
        else:
            _scatter(r, y, n_vectors, weighted, first, second)


@njit(nogil=True, cache=True, error_model="numpy")
def rows_under(X, start, stop, origin, log_scales, means, whiteners, diagonal, log_densities, responsibilities):
    """Log densities (N,) and responsibilities (N, K) of rows start..stop; an array of length 0 is left alone."""
    K, D = means.shape
    x, y, r, log_density, total, difference, _ = _workspace(D, K, D, diagonal)
    block = x.shape[1]
    for begin in range(start, stop, block):
        n = min(block, stop - begin)
        _load(X, begin, n, origin, x)
        _responsibilities(x, n, log_scales, means, whiteners, diagonal, difference, y, r, log_density, total)
        if log_densities.size:
            for b in range(n):
                log_densities[begin + b] = log_density[b]
        if responsibilities.size:
            for k in range(K):
                for b in range(n):
                    responsibilities[begin + b, k] = r[k, b]


@njit(nogil=True, cache=True, error_model="numpy")
def rows_under_draws(X, start, stop, origin, log_scales, means, whiteners, diagonal, log_densities, responsibilities):
    """The same under each of S mixtures, of rows start..stop into the first rows of log_densities (n, S) and
    responsibilities (n, K, S), which may have length 0; log_scales (S, K), means (S, K, D), whiteners (S, K, D, D).
    """
    S, K, D = means.shape
    x, y, _, _, total, difference, _ = _workspace(D, K, D, diagonal)
    block = x.shape[1]
    # A row's numbers lie far from the next row's: those of several draws are written there together.
    r, log_density = np.empty((_DRAWS, K, block)), np.empty((_DRAWS, block))
    for begin in range(start, stop, block):
        n, first = min(block, stop - begin), begin - start
        _load(X, begin, n, origin, x)
        for s in range(0, S, _DRAWS):
            n_draws = min(_DRAWS, S - s)
            for i in range(n_draws):
                p = s + i
                _responsibilities(
                    x, n, log_scales[p], means[p], whiteners[p], diagonal, difference, y, r[i], log_density[i], total
                )
            for b in range(n):
                for i in range(n_draws):
                    log_densities[first + b, s + i] = log_density[i, b]
            if responsibilities.size:
                for b in range(n):
                    for k in range(K):
                        for i in range(n_draws):
                            responsibilities[first + b, k, s + i] = r[i, k, b]
