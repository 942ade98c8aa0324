"""The arithmetic of one EM iteration, compiled: the M-step, the checks for collapse and convergence, and short runs.

All of it happens in coordinates that are whitened by each component's own Cholesky factor L_k, the coordinates of the
kernel. `moves.py` has the arithmetic of the quasi-Newton steps.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from bayesgmm.kernel.jit import SUMS, inner
from bayesgmm.kernel.passes import sufficient_statistics
from bayesgmm.kernel.rows import SufficientStatistics
from bayesgmm.kernel.triangular import cholesky, log_scales_and_whiteners, lower_product
from bayesgmm.mixture.covariance import StructureFlags
from bayesgmm.types import FloatArray, RowArray

# A gain below this share of the log-likelihood is rounding.
ROUNDING = 1e-15
# Number of log-likelihoods that Aitken's estimate needs.
N_FOR_CONVERGENCE = 4
# How a compiled run ended: at its limit of iterations, converged, or with a collapsed component.
RAN, STOPPED, DEGENERATE = 0, 1, 2


class Point(NamedTuple):
    """The mixture at one iteration.

    weights (K,); means (K, D), relative to the origin of the rows; choleskys (K, D, D), the lower Cholesky factors of
    the covariances.
    """

    weights: FloatArray
    means: FloatArray
    choleskys: FloatArray


class Bounds(NamedTuple):
    """When a component counts as collapsed: it holds too few rows, or its covariance is too flat.

    n_rows: number of rows that the weights stand for; fewest: a component of this many rows or fewer has collapsed;
    total_cholesky (D, D): lower Cholesky factor of the covariance of the data; total_whitener (D, D): its inverse;
    floor: smallest variance of a component in any direction, as a share of the variance of the data in that direction;
    least_unexplained: smallest share of a feature's variance in a component that its other features do not explain.
    """

    n_rows: float
    fewest: float
    total_cholesky: FloatArray
    total_whitener: FloatArray
    floor: float
    least_unexplained: float


@inner()
def total_of(numbers: FloatArray) -> float:
    """Sum of the numbers; the method `sum` of an array takes seconds to compile."""
    total = 0.0
    for number in numbers:
        total += number
    return total


@inner()
def add_lower(matrix: FloatArray, factor: float, target: FloatArray) -> None:
    """Add factor times the lower triangle of a matrix (D, D) to the target (D, D)."""
    for i in range(matrix.shape[0]):
        for j in range(i + 1):
            target[i, j] += factor * matrix[i, j]


@inner(fastmath=SUMS)
def _shift_mean(mean: FloatArray, L: FloatArray, shift: FloatArray, new_mean: FloatArray) -> None:
    """new_mean (D,) = mean + L shift."""
    for i in range(len(mean)):
        coordinate = mean[i]
        for j in range(i + 1):
            coordinate += L[i, j] * shift[j]
        new_mean[i] = coordinate


@inner(fastmath=SUMS)
def _rescale_axes(L: FloatArray, scatter: FloatArray, count: float, spherical: bool, new_cholesky: FloatArray) -> None:
    """new_cholesky = L sqrt(diag(scatter) / count); the mean variance is used for every axis if spherical."""
    D = L.shape[0]
    trace = 0.0
    for d in range(D):
        trace += scatter[d, d]
    for d in range(D):
        variance = trace / D if spherical else scatter[d, d]
        new_cholesky[d, d] = L[d, d] * np.sqrt(variance / count)


@inner(fastmath=SUMS)
def _update_factor(L: FloatArray, scatter: FloatArray, count: float, new_cholesky: FloatArray) -> None:
    """new_cholesky = L chol(scatter / count); it is zero before."""
    factor = np.zeros(L.shape)
    add_lower(scatter, 1 / count, factor)
    cholesky(factor, factor)
    lower_product(L, factor, new_cholesky)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def m_step(point: Point, statistics: SufficientStatistics, shape: StructureFlags) -> Point:
    """Return the point after an M-step.

    With N_k, t_k and T_k the statistics and m = t_k / N_k: w_k = N_k / N, mu_k <- mu_k + L_k m, and
    L_k <- L_k chol(T_k / N_k - m m'). The last matrix is pooled or made diagonal as the covariance structure demands.
    """
    counts, first, second = statistics.counts, statistics.first, statistics.second
    K, D = first.shape
    total = total_of(counts)
    new = Point(counts / total, np.empty((K, D)), np.zeros((K, D, D)))
    scatter, pooled = np.empty((D, D)), np.zeros((D, D))
    for k in range(K):
        L, shift = point.choleskys[k], first[k] / counts[k]
        _shift_mean(point.means[k], L, shift, new.means[k])
        for i in range(D):
            for j in range(i + 1):
                scatter[i, j] = second[k, i, j] - counts[k] * shift[i] * shift[j]
        if shape.shared:
            add_lower(scatter, 1.0, pooled)
        elif shape.diagonal:
            _rescale_axes(L, scatter, counts[k], shape.spherical, new.choleskys[k])
        else:
            _update_factor(L, scatter, counts[k], new.choleskys[k])
    if shape.shared:
        _update_factor(point.choleskys[0], pooled, total, new.choleskys[0])
        for k in range(1, K):
            add_lower(new.choleskys[0], 1.0, new.choleskys[k])
    return new


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def has_collapsed(point: Point, whiteners: FloatArray, bounds: Bounds) -> bool:
    """Whether some component is empty, holds too few rows, or is flat in some direction.

    whiteners (K, D, D): the inverses of the Cholesky factors of the point.
    """
    K, D = point.means.shape
    square, factor = np.zeros((D, D)), np.zeros((D, D))
    for k in range(K):
        if not point.weights[k] * bounds.n_rows > bounds.fewest:
            return True
        L = point.choleskys[k]
        for i in range(D):
            explained = 0.0  # in units of what is unexplained: squares of the entries themselves could overflow
            for j in range(i):
                explained += (L[i, j] / L[i, i]) ** 2
            if not bounds.least_unexplained * (1 + explained) < 1:
                return True
        # |L^-1 L_total|^2 is an upper bound on 1 / (smallest relative variance). It clears most points cheaply.
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
        # S - floor I has a Cholesky factor if and only if every eigenvalue of S is above the floor.
        if not cholesky(square, factor):
            return True
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def has_converged(history: FloatArray, n: int, tol: float) -> bool:
    """Whether history[n - 1] is within `tol` of its limit by Aitken's estimate, or the last gain is rounding.

    The estimate takes the larger of the last two ratios of gains: near a saddle point one gain can be far below the
    gain before it, although the gains grow again later.
    """
    if n < 3:
        return False
    before, gain = history[n - 2] - history[n - 3], history[n - 1] - history[n - 2]
    if gain <= ROUNDING * abs(history[n - 1]):
        return True
    if n < N_FOR_CONVERGENCE:
        return False
    rate = max(gain / before, before / (history[n - 3] - history[n - 4]))
    return bool(rate < 1 and gain * rate / (1 - rate) < tol)


@njit(nogil=True, cache=True, error_model="numpy")
def iterate(
    X: RowArray,
    row_weights: FloatArray,
    origin: FloatArray,
    point: Point,
    shape: StructureFlags,
    bounds: Bounds,
    tol: float,
    history: FloatArray,
) -> tuple[Point, int, int]:
    """Plain EM on the calling thread.

    history (n,) receives the log-likelihoods; there are at most n - 1 iterations. Returns the last point, the number
    of log-likelihoods recorded, and RAN, STOPPED (converged) or DEGENERATE.
    """
    K, D = point.means.shape
    log_scales, whiteners = log_scales_and_whiteners(np.log(point.weights), point.choleskys)
    n, ending = 0, RAN
    while True:
        counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
        # Called directly: one more function in between takes a second longer to compile.
        history[n] = sufficient_statistics(
            X, row_weights, np.int64(0), X.shape[0], origin, log_scales, point.means, whiteners, shape.diagonal,
            counts, first, second,
        )  # fmt: skip
        n += 1
        if has_converged(history, n, tol):
            ending = STOPPED
            break
        if n == len(history):
            break
        proposal = m_step(point, SufficientStatistics(history[n - 1], counts, first, second), shape)
        log_scales, whiteners = log_scales_and_whiteners(np.log(proposal.weights), proposal.choleskys)
        if has_collapsed(proposal, whiteners, bounds):
            ending = DEGENERATE
            break
        point = proposal
    return point, n, ending
