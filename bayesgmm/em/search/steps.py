"""The arithmetic of one iteration, compiled: from a point and its sufficient statistics to the next point.

All of it happens in coordinates whitened by each component's own Cholesky factor L_k, the kernel's coordinates. A
move from a point is a vector of

    K changes of the weights' logits; K D shifts of the means, mu_k + L_k a_k; and the factors B_k in L_k B_k,
    lower triangular, their diagonals by the logarithm: a triangle a component (one for all when shared, D numbers when
    diagonal, one when spherical).

In these coordinates EM's own metric, the information of the completed data, is diagonal whatever the mixture is.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bayesgmm.kernel.jit import SUMS, inner
from bayesgmm.kernel.passes import sufficient_statistics
from bayesgmm.kernel.rows import SufficientStatistics
from bayesgmm.kernel.triangular import cholesky, log_scales_and_whiteners, lower_product
from bayesgmm.types import FloatArray

# A gain below this share of the log-likelihood is rounding.
ROUNDING = 1e-15
_LARGEST_SCALE = 3.0
# How a run of `iterate` ended.
RAN, STOPPED, DEGENERATE = 0, 1, 2


class Point(NamedTuple):
    """A mixture on its way: weights (K,), means (K, D) relative to the rows' origin, choleskys (K, D, D) lower."""

    weights: FloatArray
    means: FloatArray
    choleskys: FloatArray


class Bounds(NamedTuple):
    """Where a component has collapsed: it holds no more than `fewest` rows, or is flatter than the data allow.

    total_cholesky (D, D) of the data's covariance, and total_whitener (D, D), its inverse; floor: smallest variance of
    a component in any direction, as a share of the data's in that direction.
    """

    n_rows: float
    fewest: float
    total_cholesky: FloatArray
    total_whitener: FloatArray
    floor: float


@inner()
def _total(numbers):
    """Their sum. (An array's own methods would compile for seconds.)"""
    total = 0.0
    for number in numbers:
        total += number
    return total


@inner()
def _add(matrix, factor, total):
    """Add factor times the lower triangle of a matrix."""
    for i in range(matrix.shape[0]):
        for j in range(i + 1):
            total[i, j] += factor * matrix[i, j]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def maximise(point, statistics, shape):
    """The M-step: m = t/N, mu <- mu + L m, L <- L chol(T/N - m m'), the latter pooled or cut to the structure."""
    counts, first, second = statistics.counts, statistics.first, statistics.second
    K, D = first.shape
    total = _total(counts)
    new = Point(counts / total, np.empty((K, D)), np.zeros((K, D, D)))
    scatter, pooled = np.empty((D, D)), np.zeros((D, D))
    for k in range(K):
        L, m = point.choleskys[k], first[k] / counts[k]
        for i in range(D):
            s = point.means[k, i]
            for j in range(i + 1):
                s += L[i, j] * m[j]
            new.means[k, i] = s
        for i in range(D):
            for j in range(i + 1):
                scatter[i, j] = second[k, i, j] - counts[k] * m[i] * m[j]
        if shape.shared:
            _add(scatter, 1.0, pooled)
            continue
        if shape.diagonal:
            trace = 0.0
            for d in range(D):
                trace += scatter[d, d]
            for d in range(D):
                variance = trace / D if shape.spherical else scatter[d, d]
                new.choleskys[k, d, d] = L[d, d] * np.sqrt(variance / counts[k])
            continue
        factor = np.zeros((D, D))
        _add(scatter, 1 / counts[k], factor)
        cholesky(factor, factor)
        lower_product(L, factor, new.choleskys[k])
    if shape.shared:
        factor = np.zeros((D, D))
        _add(pooled, 1 / total, factor)
        cholesky(factor, factor)
        lower_product(point.choleskys[0], factor, new.choleskys[0])
        for k in range(1, K):
            _add(new.choleskys[0], 1.0, new.choleskys[k])
    return new


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def has_collapsed(point, whiteners, bounds):
    """Whether some component is empty, of too few rows, or flat in some direction. whiteners (K, D, D) = L^-1."""
    K, D = point.means.shape
    square, factor = np.zeros((D, D)), np.zeros((D, D))
    for k in range(K):
        if not point.weights[k] * bounds.n_rows > bounds.fewest:
            return True
        # |L^-1 L_total|^2 bounds the inverse of the smallest relative variance: most points need no more than that.
        relative = np.zeros((D, D))
        lower_product(whiteners[k], bounds.total_cholesky, relative)
        size = 0.0
        for i in range(D):
            for j in range(i + 1):
                size += relative[i, j] * relative[i, j]
        if size * bounds.floor < 1:
            continue
        relative = np.zeros((D, D))
        lower_product(bounds.total_whitener, point.choleskys[k], relative)
        for i in range(D):
            for j in range(i + 1):
                s = 0.0
                for m in range(j + 1):
                    s += relative[i, m] * relative[j, m]
                square[i, j] = s
            square[i, i] -= bounds.floor
        # A factor of S - floor I exists when every eigenvalue of S is above the floor, and only then.
        if not cholesky(square, factor):
            return True
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def has_converged(history, n, tol):
    """Whether the last of history[:n] is within `tol` of its limit, by Aitken's estimate, or gains are rounding."""
    if n < 3:
        return False
    before, gain = history[n - 2] - history[n - 3], history[n - 1] - history[n - 2]
    if gain <= ROUNDING * abs(history[n - 1]):
        return True
    rate = gain / before
    return rate < 1 and gain * rate / (1 - rate) < tol


@njit(nogil=True, cache=True, error_model="numpy")
def iterate(X, row_weights, origin, point, shape, bounds, tol, history):
    """Plain EM over rows that one thread passes over at once; history (n,) is filled, n - 1 iterations at most.

    Returns the point, how many log-likelihoods were recorded, and RAN, STOPPED (converged) or DEGENERATE.
    """
    K, D = point.means.shape
    log_scales, whiteners = log_scales_and_whiteners(np.log(point.weights), point.choleskys)
    n, end = 0, RAN
    while True:
        counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
        history[n] = sufficient_statistics(  # not by way of `_statistics`: a function between costs a second to compile
            X, row_weights, np.int64(0), X.shape[0], origin, log_scales, point.means, whiteners, shape.diagonal,
            counts, first, second,
        )  # fmt: skip
        n += 1
        if has_converged(history, n, tol):
            end = STOPPED
            break
        if n == len(history):
            break
        proposal = maximise(point, SufficientStatistics(history[n - 1], counts, first, second), shape)
        log_scales, whiteners = log_scales_and_whiteners(np.log(proposal.weights), proposal.choleskys)
        if has_collapsed(proposal, whiteners, bounds):
            end = DEGENERATE
            break
        point = proposal
    return point, n, end


@njit(nogil=True, cache=True, error_model="numpy")
def gradient_and_metric(point, statistics, shape):
    """Gradient (P,) of the log-likelihood at a point along moves, and the inverse (P,) of EM's metric there.

    Fisher's identity: N_k - N w_k; t_k; the lower triangle of T_k - N_k I.
    """
    counts, first, second = statistics.counts, statistics.first, statistics.second
    K, D = first.shape
    n_rows = _total(counts)
    blocks = 1 if shape.shared else K
    size = 1 if shape.spherical else D if shape.diagonal else D * (D + 1) // 2
    gradient, metric = np.empty(K + K * D + blocks * size), np.empty(K + K * D + blocks * size)
    at = K
    for k in range(K):
        gradient[k], metric[k] = counts[k] - n_rows * point.weights[k], 1 / counts[k]
        for d in range(D):
            gradient[at], metric[at] = first[k, d], 1 / counts[k]
            at += 1
    gradient[at:] = 0.0
    for k in range(K):
        index = at if shape.shared else at + k * size
        n = n_rows if shape.shared else counts[k]
        for i in range(D):
            if not shape.diagonal:
                for j in range(i):
                    gradient[index] += second[k, i, j]
                    metric[index] = 1 / n
                    index += 1
            gradient[index] += second[k, i, i] - counts[k]
            metric[index] = 1 / (2 * n * D) if shape.spherical else 1 / (2 * n)
            index += not shape.spherical
    return gradient, metric


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def dot(a, b):
    """Sum of products of two vectors; BLAS's would depend on its threads."""
    s = 0.0
    for p in range(len(a)):
        s += a[p] * b[p]
    return s


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def ascent_direction(gradient, metric, moves, changes, n_kept):
    """Inverse curvature times gradient (P,), by the two loops of L-BFGS (Nocedal 1980, doi:10.2307/2006193).

    moves, changes (m, P): the last moves and how much the gradient fell along each, newest at (n_kept - 1) % m.

    Where the moves say nothing the curvature is EM's, which is too large wherever rows may be of several components: it
    is divided by as much as it was too large along the last move, at most 3. That is the geometric mean of the two step
    lengths of Barzilai and Borwein (1988, doi:10.1093/imanum/8.1.141).
    """
    q = gradient.copy()
    m = len(moves)
    kept = min(n_kept, m)
    shares = np.empty(kept)
    for i in range(kept):
        at = (n_kept - 1 - i) % m
        shares[i] = dot(moves[at], q) / dot(moves[at], changes[at])
        for p in range(len(q)):
            q[p] -= shares[i] * changes[at, p]
    scale = 1.0
    if kept:
        at, far, steep = (n_kept - 1) % m, 0.0, 0.0
        for p in range(len(q)):
            far += moves[at, p] ** 2 / metric[p]
            steep += changes[at, p] ** 2 * metric[p]
        scale = min(max(np.sqrt(far / steep), 1.0), _LARGEST_SCALE)
    for p in range(len(q)):
        q[p] *= scale * metric[p]
    for i in range(kept - 1, -1, -1):
        at = (n_kept - 1 - i) % m
        share = shares[i] - dot(changes[at], q) / dot(moves[at], changes[at])
        for p in range(len(q)):
            q[p] += share * moves[at, p]
    return q


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def moved(point, move, shape):
    """The point that a move (P,) leads to."""
    K, D = point.means.shape
    new = Point(np.empty(K), point.means.copy(), np.zeros((K, D, D)))
    largest = move[0]
    for k in range(1, K):
        largest = max(largest, move[k])
    for k in range(K):
        new.weights[k] = point.weights[k] * np.exp(move[k] - largest)
    total = _total(new.weights)
    for k in range(K):
        new.weights[k] /= total
    at = K
    for k in range(K):
        for j in range(D):
            for i in range(j, D):
                new.means[k, i] += point.choleskys[k, i, j] * move[at + j]
        at += D
    factor = np.zeros((D, D))
    for k in range(1 if shape.shared else K):
        for i in range(D):
            if not shape.diagonal:
                for j in range(i):
                    factor[i, j] = move[at]
                    at += 1
            factor[i, i] = np.exp(move[at])
            at += not shape.spherical
        at += shape.spherical
        lower_product(point.choleskys[k], factor, new.choleskys[k])
    if shape.shared:
        for k in range(1, K):
            _add(new.choleskys[0], 1.0, new.choleskys[k])
    return new
