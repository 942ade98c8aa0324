"""One compiled pass over the rows: log densities, responsibilities and sufficient statistics.

Every computation over the data goes through this file: EM, scoring, prediction and the gradient that the sampler
follows. Rows are taken in blocks of at most `BLOCK`, laid out feature by feature: the innermost loops, in `tiles.py`,
run over rows, so they use full vectors whatever the number of features. docs/kernel.md shows the layout.

The functions are serial and release the GIL. `rows.py` spreads ranges of rows over threads; the sampler runs one chain
per thread.

Notation: y = L_k^-1 (x - mu_k), with L_k the lower Cholesky factor of Sigma_k; `whiteners[k]` = L_k^-1; r are
responsibilities; N_k = sum r, t_k = sum r y and T_k = sum r y y' are the sufficient statistics of component k.
"""

import numpy as np
from numba import njit

from bayesgmm.kernel.jit import SUMS, inlined, inner
from bayesgmm.kernel.simd import LANES, pointer
from bayesgmm.kernel.tiles import (
    STRIP,
    TILE,
    WIDEST,
    add_logarithms,
    add_scatter_diagonal,
    add_scatter_rectangle,
    add_scatter_triangle,
    divide_by_totals,
    exponentiate,
    gather,
    prefetch,
    sum_log_densities,
    whiten,
    whiten_diagonal,
)
from bayesgmm.types import FloatArray, RowArray

# Rows per block.
BLOCK = 256
# Number of row buffers of BLOCK doubles that fit into the nearest cache (L1): see docs/decisions/0002.
_NEAR_LINES = 20
# Mixtures whose results are written together: their numbers for one row are neighbours in memory.
_DRAWS = 16


@inner()
def _workspace(
    D: int, K: int, n_whitened: int, diagonal: bool
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Uninitialised buffers of a pass.

    In order: x (D, block), y (n_whitened, block), r (K, block), log_density (block,), total (block,),
    differences (D, STRIP), weighted (WIDEST, block).

    A half block is used if it fits into L1 and a full one does not; otherwise full blocks amortise the final
    horizontal sums. One allocation serves all buffers: with few rows each would cost as much as the pass. Rows begin
    at multiples of 64 bytes, so that no vector straddles a cache line.
    """
    n_lines = D + (1 if diagonal else K * D) + K + WIDEST
    block = BLOCK // 2 if _NEAR_LINES < n_lines <= 2 * _NEAR_LINES else BLOCK
    n_difference = -(-D * STRIP // block)
    size = (D + n_whitened + K + 2 + n_difference + WIDEST) * block
    buffer = np.empty(size + 8)
    skipped = (-buffer.ctypes.data // 8) % 8
    lines = buffer[skipped : skipped + size].reshape(-1, block)
    y, r = D, D + n_whitened
    log_density, difference = r + K, r + K + 2
    weighted = difference + n_difference
    differences = lines[difference:weighted].reshape(-1)[: D * STRIP].reshape(D, STRIP)
    return (
        lines[:D],
        lines[y:r],
        lines[r:log_density],
        lines[log_density],
        lines[log_density + 1],
        differences,
        lines[weighted:],
    )


@inner()
def _load_block(X: RowArray, start: int, n: int, origin: FloatArray, x: FloatArray) -> None:
    """Copy n rows of X minus the origin into x (D, rows), feature by feature.

    The last row is repeated up to a whole strip.
    """
    D, stride = x.shape
    n_gathered = n // LANES * LANES
    for b in range(0, n_gathered, LANES):  # a few rows at a time, so that their cache lines are used before eviction
        for d in range(D):
            prefetch(X, start + b + stride, d * LANES)  # part of the next block
            gather(X, start + b, d, pointer(origin, 0), pointer(x, d * stride + b))
    for b in range(n_gathered, -(-n // STRIP) * STRIP):
        for d in range(D):
            x[d, b] = X[start + min(b, n - 1), d] - origin[d]


@inner()
def _first_tile(D: int) -> int:
    """Rows of the first tile, 1 to 5; every later tile has TILE rows. 1 only if D = 1."""
    if D % TILE == 1 and D > 1:
        return WIDEST
    return D % TILE if D % TILE else TILE


@inner()
def _whiten_block(
    x: FloatArray,
    n: int,
    means: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
    differences: FloatArray,
    y: FloatArray,
    squares: FloatArray,
) -> None:
    """Fill squares (K, rows) with y'y of y = L_k^-1 (x - mu_k).

    Unless diagonal, also fill y (K D, rows); a y with room for D rows keeps those of the last component.
    """
    K, D = means.shape
    stride = x.shape[1]
    n_kept = y.shape[0] // D
    difference = pointer(differences, 0)
    for k in range(K):
        for b in range(0, n, STRIP):
            sums = pointer(squares, k * stride + b)
            if diagonal:
                whiten_diagonal(pointer(x, b), stride, pointer(means, k * D), pointer(whiteners, k * D * D), D, sums)
                continue
            i, rows = 0, _first_tile(D)
            while i < D:
                x_i, mean = pointer(x, i * stride + b), pointer(means, k * D + i)
                whitener = pointer(whiteners, (k * D + i) * D)
                y_i = pointer(y, (k % n_kept * D + i) * stride + b)
                whiten(rows, x_i, mean, whitener, D, i, difference, y_i, stride, sums)
                i += rows
                rows = TILE


# Inlined because a function that passes arrays on counts references to them, and this one is called for every block.
@inlined()
def _responsibilities(
    x: FloatArray,
    n: int,
    log_scales: FloatArray,
    means: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
    differences: FloatArray,
    y: FloatArray,
    r: FloatArray,
    log_density: FloatArray,
    total: FloatArray,
) -> None:
    """Fill r (K, rows) and log_density (rows,) of a block."""
    _whiten_block(x, n, means, whiteners, diagonal, differences, y, r)
    exponentiate(
        pointer(r, 0), x.shape[1], n, pointer(log_scales, 0), r.shape[0], pointer(log_density, 0), pointer(total, 0)
    )
    add_logarithms(pointer(total, 0), n, pointer(log_density, 0))
    divide_by_totals(pointer(r, 0), x.shape[1], n, r.shape[0], pointer(total, 0))


@inlined()
def _clear_padding(r: FloatArray, n: int, n_vectors: int) -> None:
    """Set the responsibilities of the padding rows to 0."""
    for k in range(r.shape[0]):
        for b in range(n, n_vectors * LANES):
            r[k, b] = 0.0


@inner()
def _add_scatter(
    r: FloatArray, y: FloatArray, n_vectors: int, weighted: FloatArray, first: FloatArray, second: FloatArray
) -> None:
    """Add the block's t_k to first and the lower triangle of its T_k to second, tile by tile.

    `weighted` (WIDEST, block) is scratch.
    """
    K, D = first.shape
    stride, first_rows = y.shape[1], _first_tile(D)
    w = pointer(weighted, 0)
    for k in range(K):
        r_k, y_k, t_k = pointer(r, k * stride), pointer(y, k * D * stride), pointer(first, k * D)
        # The first tile has a call of its own: with TILE a constant in the loop there is no switch in it.
        add_scatter_triangle(first_rows, r_k, y_k, stride, n_vectors, w, t_k, pointer(second, k * D * D), D)
        for i in range(first_rows, D, TILE):
            y_i, t_i, row = pointer(y, (k * D + i) * stride), pointer(first, k * D + i), (k * D + i) * D
            add_scatter_triangle(TILE, r_k, y_i, stride, n_vectors, w, t_i, pointer(second, row + i), D)
            add_scatter_rectangle(first_rows, w, y_k, stride, n_vectors, pointer(second, row), D)
            for j in range(first_rows, i, TILE):
                y_j = pointer(y, (k * D + j) * stride)
                add_scatter_rectangle(TILE, w, y_j, stride, n_vectors, pointer(second, row + j), D)


@inner()
def _add_diagonal_scatter(
    r: FloatArray,
    x: FloatArray,
    n_vectors: int,
    means: FloatArray,
    whiteners: FloatArray,
    first: FloatArray,
    second: FloatArray,
) -> None:
    """Add the block's t_k to first and the diagonal of its T_k to second."""
    K, D = first.shape
    stride = x.shape[1]
    for k in range(K):
        r_k, d = pointer(r, k * stride), 0
        while d < D:
            features = 1 if d < D % TILE else TILE
            x_d, mean, t_d = pointer(x, d * stride), pointer(means, k * D + d), pointer(first, k * D + d)
            entry = k * D * D + d * (D + 1)
            factor, T_d = pointer(whiteners, entry), pointer(second, entry)
            add_scatter_diagonal(features, r_k, x_d, stride, n_vectors, mean, factor, t_d, T_d, D)
            d += features


@inner(fastmath=SUMS)
def _add_counts(r: FloatArray, n: int, counts: FloatArray) -> None:
    for k in range(r.shape[0]):
        count = 0.0
        for b in range(n):
            count += r[k, b]
        counts[k] += count


@inner(fastmath=SUMS)
def _weighted_sum(row_weights: FloatArray, begin: int, values: FloatArray, n: int) -> float:
    total = 0.0
    for b in range(n):
        total += row_weights[begin + b] * values[b]
    return total


@inlined()
def _multiply_by_row_weights(r: FloatArray, n: int, row_weights: FloatArray, begin: int) -> None:
    for k in range(r.shape[0]):
        for b in range(n):
            r[k, b] *= row_weights[begin + b]


@inlined()
def _neutralise_padding(log_density: FloatArray, total: FloatArray, n: int) -> None:
    """Give the padding rows log density 0 and total 1, so that they add nothing to the log-likelihood."""
    for b in range(n, -(-n // STRIP) * STRIP):
        log_density[b], total[b] = 0.0, 1.0


@inlined()
def _copy_to_upper_triangle(second: FloatArray) -> None:
    K, D, _ = second.shape
    for k in range(K):
        for i in range(D):
            for j in range(i):
                second[k, j, i] = second[k, i, j]


@inlined()
def statistics_of_rows(
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
    """Log-likelihood of the rows start to stop - 1; their N_k, t_k, T_k are added to counts, first and second.

    X (N, D); row_weights (N,), or (0,) if every row counts once; counts (K,), or (0,) if only the log-likelihood is
    wanted; first (K, D); second (K, D, D), symmetric (if `diagonal`, only its diagonal is used).
    """
    K, D = means.shape
    n_whitened = 1 if diagonal else K * D if counts.size else D
    x, y, r, log_density, total, differences, weighted = _workspace(D, K, n_whitened, diagonal)
    block = x.shape[1]
    log_likelihood: FloatArray = np.zeros(1)
    for begin in range(start, stop, block):
        n = min(block, stop - begin)
        n_vectors = -(-n // LANES)
        _load_block(X, begin, n, origin, x)
        _whiten_block(x, n, means, whiteners, diagonal, differences, y, r)
        exponentiate(pointer(r, 0), block, n, pointer(log_scales, 0), K, pointer(log_density, 0), pointer(total, 0))
        if row_weights.size:
            add_logarithms(pointer(total, 0), n, pointer(log_density, 0))
            log_likelihood[0] += _weighted_sum(row_weights, begin, log_density, n)
        else:
            _neutralise_padding(log_density, total, n)
            sum_log_densities(pointer(log_density, 0), pointer(total, 0), n, pointer(log_likelihood, 0))
        if not counts.size:
            continue
        divide_by_totals(pointer(r, 0), block, n, K, pointer(total, 0))
        if row_weights.size:
            _multiply_by_row_weights(r, n, row_weights, begin)
        _clear_padding(r, n, n_vectors)
        _add_counts(r, n, counts)
        if diagonal:
            _add_diagonal_scatter(r, x, n_vectors, means, whiteners, first, second)
        else:
            _add_scatter(r, y, n_vectors, weighted, first, second)
    _copy_to_upper_triangle(second)
    return float(log_likelihood[0])


@njit(nogil=True, cache=True, error_model="numpy")
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
    """`statistics_of_rows` as a function of its own, for callers that do more than this one pass."""
    log_likelihood: float = statistics_of_rows(
        X, row_weights, start, stop, origin, log_scales, means, whiteners, diagonal, counts, first, second
    )
    return log_likelihood


@inner()
def _draw_components(rng: np.random.Generator, r: FloatArray, n: int) -> None:
    """Draw one component per row by its responsibilities r (K, rows); set its r to 1 and the others to 0."""
    K = r.shape[0]
    for b in range(n):
        remaining, component = rng.random() - r[0, b], 0
        while remaining >= 0.0 and component < K - 1:
            component += 1
            remaining -= r[component, b]
        for k in range(K):
            r[k, b] = 1.0 if k == component else 0.0


@njit(nogil=True, error_model="numpy")
def allocated_statistics(
    rng: np.random.Generator,
    X: RowArray,
    origin: FloatArray,
    log_scales: FloatArray,
    means: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
    counts: FloatArray,
    first: FloatArray,
    second: FloatArray,
) -> None:
    """Add N_k, t_k, T_k of all rows, each allocated to one component drawn by its responsibilities.

    Arguments as in `statistics_of_rows`; of `second` only the lower triangle is filled.
    """
    K, D = means.shape
    x, y, r, log_density, total, differences, weighted = _workspace(D, K, 1 if diagonal else K * D, diagonal)
    block = x.shape[1]
    for begin in range(0, X.shape[0], block):
        n = min(block, X.shape[0] - begin)
        n_vectors = -(-n // LANES)
        _load_block(X, begin, n, origin, x)
        _whiten_block(x, n, means, whiteners, diagonal, differences, y, r)
        exponentiate(pointer(r, 0), block, n, pointer(log_scales, 0), K, pointer(log_density, 0), pointer(total, 0))
        divide_by_totals(pointer(r, 0), block, n, K, pointer(total, 0))
        _draw_components(rng, r, n)
        _clear_padding(r, n, n_vectors)
        _add_counts(r, n, counts)
        if diagonal:
            _add_diagonal_scatter(r, x, n_vectors, means, whiteners, first, second)
        else:
            _add_scatter(r, y, n_vectors, weighted, first, second)


@njit(nogil=True, cache=True, error_model="numpy")
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
    """Fill log_densities (N,) and responsibilities (N, K) at rows start to stop - 1; arrays of length 0 are skipped."""
    K, D = means.shape
    x, y, r, log_density, total, differences, _ = _workspace(D, K, D, diagonal)
    block = x.shape[1]
    for begin in range(start, stop, block):
        n = min(block, stop - begin)
        _load_block(X, begin, n, origin, x)
        _responsibilities(x, n, log_scales, means, whiteners, diagonal, differences, y, r, log_density, total)
        if log_densities.size:
            for b in range(n):
                log_densities[begin + b] = log_density[b]
        if responsibilities.size:
            for k in range(K):
                for b in range(n):
                    responsibilities[begin + b, k] = r[k, b]


@njit(nogil=True, cache=True, error_model="numpy")
def rows_under_draws(
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
    """Log densities and responsibilities of rows start to stop - 1 under each of S mixtures.

    log_scales (S, K), means (S, K, D), whiteners (S, K, D, D). The results go into the first stop - start rows of
    log_densities (n, S) and responsibilities (n, K, S); the latter may have length 0.
    """
    S, K, D = means.shape
    x, y, _, _, total, differences, _ = _workspace(D, K, D, diagonal)
    block = x.shape[1]
    # The results of one row are far from the next row's: those of several draws are collected and written together.
    r, log_density = np.empty((_DRAWS, K, block)), np.empty((_DRAWS, block))
    for begin in range(start, stop, block):
        n, row = min(block, stop - begin), begin - start
        _load_block(X, begin, n, origin, x)
        for s in range(0, S, _DRAWS):
            n_draws = min(_DRAWS, S - s)
            for i in range(n_draws):
                p = s + i
                _responsibilities(
                    x, n, log_scales[p], means[p], whiteners[p], diagonal, differences, y, r[i], log_density[i], total
                )
            for b in range(n):
                for i in range(n_draws):
                    log_densities[row + b, s + i] = log_density[i, b]
            if responsibilities.size:
                for b in range(n):
                    for k in range(K):
                        for i in range(n_draws):
                            responsibilities[row + b, k, s + i] = r[i, k, b]
