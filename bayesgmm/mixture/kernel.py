"""One compiled pass over the rows: log densities, responsibilities and sufficient statistics.

Everything that looks at the data goes through this file: EM, scoring, prediction and the gradient
that the sampler follows. Rows are taken in blocks of `BLOCK`, laid out feature by feature so that the
innermost loops, which are in `tiles.py`, run over rows and are vectors whatever the number of features.

The functions are serial and release the GIL; `rows.py` spreads ranges of rows over threads, the
sampler runs one chain a thread.

Notation: y = L_k^-1 (x - mu_k) with L_k the lower Cholesky factor of Sigma_k; `whiteners[k]` = L_k^-1.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bayesgmm.mixture.compiled import inner
from bayesgmm.mixture.tiles import (
    STRIP,
    TILE,
    gather,
    normalise,
    prefetch,
    rectangle_1,
    rectangle_2,
    rectangle_3,
    rectangle_4,
    scatter_diagonal_1,
    scatter_diagonal_4,
    triangle_1,
    triangle_2,
    triangle_3,
    triangle_4,
    whiten_1,
    whiten_2,
    whiten_3,
    whiten_4,
    whiten_diagonal,
)
from bayesgmm.mixture.vectors import LANES, at
from bayesgmm.mixture.whitening import SUMS

type FloatArray = NDArray[np.float64]

BLOCK = 256
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
def _workspace(D, K, n_whitened):
    """x (D, BLOCK), y (n_whitened, BLOCK), r (K, BLOCK), log densities, a strip (D, STRIP), weighted (TILE, BLOCK).

    One allocation for all: with few rows each would cost as much as the work. Rows begin at multiples of 64 bytes, so
    that no vector straddles a cache line; nothing is set to 0.
    """
    n_strip = -(-D * STRIP // BLOCK)
    size = (D + n_whitened + K + 1 + n_strip + TILE) * BLOCK
    buffer = np.empty(size + 8)
    skipped = (-buffer.ctypes.data // 8) % 8
    lines = buffer[skipped : skipped + size].reshape(-1, BLOCK)
    y, r = D, D + n_whitened
    last = r + K
    strip = lines[last + 1 : last + 1 + n_strip].reshape(-1)[: D * STRIP].reshape(D, STRIP)
    return lines[:D], lines[y:r], lines[r:last], lines[last], strip, lines[last + 1 + n_strip :]


@inner()
def _load(X, start, n, origin, x):
    """x (D, rows) = rows of X, feature by feature; the last row again up to a whole strip."""
    D, stride = x.shape
    whole = n // LANES * LANES
    for b in range(0, whole, LANES):  # a few rows at a time: their cache lines are used up before they are dropped
        for d in range(D):
            prefetch(X, start + b + BLOCK, d * LANES)  # the next block's, to be there when this one is done
            gather(X, start + b, d, at(origin, 0), at(x, d * stride + b))
    for b in range(whole, -(-n // STRIP) * STRIP):
        for d in range(D):
            x[d, b] = X[start + min(b, n - 1), d] - origin[d]


@inner()
def _whiten(x, n, means, whiteners, difference, y, squares):
    """y (K D, rows) = L_k^-1 (x - mu_k), or of the last component only where y has D rows; squares (K, rows) = y'y."""
    K, D = means.shape
    stride, odd = x.shape[1], D % TILE
    kept = y.shape[0] // D
    scratch = at(difference, 0)
    for k in range(K):
        for b in range(0, n, STRIP):
            x_b, mean, W = at(x, b), at(means, k * D), at(whiteners, k * D * D)
            out, sums = at(y, k % kept * D * stride + b), at(squares, k * stride + b)
            if odd == 1:
                whiten_1(x_b, mean, W, D, 0, scratch, out, stride, sums)
            elif odd == 2:
                whiten_2(x_b, mean, W, D, 0, scratch, out, stride, sums)
            elif odd == 3:
                whiten_3(x_b, mean, W, D, 0, scratch, out, stride, sums)
            for i in range(odd, D, TILE):
                x_b, mean, W = at(x, i * stride + b), at(means, k * D + i), at(whiteners, (k * D + i) * D)
                out = at(y, (k % kept * D + i) * stride + b)
                whiten_4(x_b, mean, W, D, i, scratch, out, stride, sums)


@inner()
def _responsibilities(x, n, log_scales, means, whiteners, diagonal, difference, y, r, log_density):
    """Responsibilities r (K, rows) and log densities; for full covariances the whitened rows stay in y."""
    K, D = means.shape
    stride = x.shape[1]
    if diagonal:
        for k in range(K):
            for b in range(0, n, STRIP):
                whiten_diagonal(at(x, b), stride, at(means, k * D), at(whiteners, k * D * D), D, at(r, k * stride + b))
    else:
        _whiten(x, n, means, whiteners, difference, y, r)
    normalise(at(r, 0), stride, n, at(log_scales, 0), K, at(log_density, 0))


@inner()
def _scatter(r, y, n_vectors, weighted, first, second):
    """Add the block's t_k and the lower triangle of T_k, in tiles of four by four; `weighted` (4, BLOCK) is scratch."""
    K, D = first.shape
    stride, odd = y.shape[1], D % TILE
    scratch = at(weighted, 0)
    for k in range(K):
        share, y_k = at(r, k * stride), at(y, k * D * stride)
        if odd == 1:
            triangle_1(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        elif odd == 2:
            triangle_2(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        elif odd == 3:
            triangle_3(share, y_k, stride, n_vectors, scratch, at(first, k * D), at(second, k * D * D), D)
        for i in range(odd, D, TILE):
            y_i, row = at(y, (k * D + i) * stride), (k * D + i) * D
            triangle_4(share, y_i, stride, n_vectors, scratch, at(first, k * D + i), at(second, row + i), D)
            if odd == 1:
                rectangle_1(scratch, y_k, stride, n_vectors, at(second, row), D)
            elif odd == 2:
                rectangle_2(scratch, y_k, stride, n_vectors, at(second, row), D)
            elif odd == 3:
                rectangle_3(scratch, y_k, stride, n_vectors, at(second, row), D)
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
def _sum(values, n):
    total = 0.0
    for b in range(n):
        total += values[b]
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
    x, y, r, log_density, difference, weighted = _workspace(D, K, n_whitened)
    log_likelihood = 0.0
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        n_vectors = -(-n // LANES)
        _load(X, begin, n, origin, x)
        _responsibilities(x, n, log_scales, means, whiteners, diagonal, difference, y, r, log_density)
        if row_weights.size:
            for b in range(n):
                weight = row_weights[begin + b]
                log_density[b] *= weight
                for k in range(K):
                    r[k, b] *= weight
        log_likelihood += _sum(log_density, n)
        if not counts.size:
            continue
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
    return log_likelihood


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
    x, y, r, log_density, difference, weighted = _workspace(D, K, 1 if diagonal else K * D)
    for begin in range(0, X.shape[0], BLOCK):
        n = min(BLOCK, X.shape[0] - begin)
        n_vectors = -(-n // LANES)
        _load(X, begin, n, origin, x)
        _responsibilities(x, n, log_scales, means, whiteners, diagonal, difference, y, r, log_density)
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
    x, y, r, log_density, difference, _ = _workspace(D, K, D)
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        _load(X, begin, n, origin, x)
        _responsibilities(x, n, log_scales, means, whiteners, diagonal, difference, y, r, log_density)
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
    x, y, _, _, difference, _ = _workspace(D, K, D)
    # A row's numbers lie far from the next row's: those of several draws are written there together.
    r, log_density = np.empty((_DRAWS, K, BLOCK)), np.empty((_DRAWS, BLOCK))
    for begin in range(start, stop, BLOCK):
        n, first = min(BLOCK, stop - begin), begin - start
        _load(X, begin, n, origin, x)
        for s in range(0, S, _DRAWS):
            n_draws = min(_DRAWS, S - s)
            for i in range(n_draws):
                p = s + i
                _responsibilities(
                    x, n, log_scales[p], means[p], whiteners[p], diagonal, difference, y, r[i], log_density[i]
                )
            for b in range(n):
                for i in range(n_draws):
                    log_densities[first + b, s + i] = log_density[i, b]
            if responsibilities.size:
                for b in range(n):
                    for k in range(K):
                        for i in range(n_draws):
                            responsibilities[first + b, k, s + i] = r[i, k, b]
