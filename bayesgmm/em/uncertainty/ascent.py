"""Fits of replicates, compiled: BFGS and EM steps that begin at the fit, many replicates per call."""

import numpy as np
from numba import njit

from bayesgmm.em.search.moves import (
    ENOUGH_GAIN,
    LEAST_CURVATURE,
    dot,
    first_rotations,
    gradient_and_metric,
    longest_part,
    point_after,
)
from bayesgmm.em.search.steps import DEGENERATE, RAN, STOPPED, Bounds, Point, has_collapsed, m_step
from bayesgmm.kernel.jit import inner
from bayesgmm.kernel.passes import sufficient_statistics
from bayesgmm.kernel.rows import SufficientStatistics
from bayesgmm.kernel.triangular import log_scales_and_whiteners
from bayesgmm.mixture.covariance import StructureFlags
from bayesgmm.types import FloatArray, IntArray, RowArray

# A fit ends when the gain that is left, as a share of the log-likelihood, is below this.
_ROUNDING = 1e-14
# Radius of the trust region: the limit of the longest part of a move.
_LARGEST_RADIUS = 1.0


@inner()
def _statistics(
    X: RowArray,
    row_weights: FloatArray,
    origin: FloatArray,
    point: Point,
    log_scales: FloatArray,
    whiteners: FloatArray,
    diagonal: bool,
) -> SufficientStatistics:
    """One pass over the rows on the calling thread."""
    K, D = point.means.shape
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    start, stop = np.int64(0), X.shape[0]  # a literal 0 has another type, for which the kernel would be compiled again
    log_likelihood = sufficient_statistics(
        X, row_weights, start, stop, origin, log_scales, point.means, whiteners, diagonal, counts, first, second
    )
    return SufficientStatistics(log_likelihood, counts, first, second)


@inner()
def _learn(inverse: FloatArray, move: FloatArray, change: FloatArray) -> None:
    """Update an inverse curvature (P, P), in place, by BFGS; the gradient fell by `change` along the move.

    Nocedal and Wright (2006), Numerical Optimization, eq. 6.17, doi:10.1007/978-0-387-40065-5.
    """
    P, curvature = len(move), dot(move, change)
    if not curvature > LEAST_CURVATURE * np.sqrt(dot(move, move) * dot(change, change)):
        return
    mapped = np.empty(P)
    for i in range(P):
        mapped[i] = dot(inverse[i], change)
    factor = 1 + dot(change, mapped) / curvature
    for i in range(P):
        for j in range(P):
            inverse[i, j] += (factor * move[i] * move[j] - mapped[i] * move[j] - move[i] * mapped[j]) / curvature


@njit(nogil=True, cache=True, error_model="numpy")
def ascend(
    X: RowArray,
    row_weights: FloatArray,
    origin: FloatArray,
    point: Point,
    shape: StructureFlags,
    bounds: Bounds,
    tol: float,
    inverse: FloatArray,
    max_passes: int,
) -> tuple[Point, int]:
    """Climb by BFGS from a point near the maximum, on the calling thread; an EM step replaces a move that fails.

    inverse (P, P): the inverse curvature at the point; it is overwritten. The climb stops when half the gradient times
    the direction is below `tol`, after that last move. Returns the last point, and RAN (no end within `max_passes`),
    STOPPED or DEGENERATE.
    """
    log_scales, whiteners = log_scales_and_whiteners(np.log(point.weights), point.choleskys)
    statistics = _statistics(X, row_weights, origin, point, log_scales, whiteners, shape.diagonal)
    rotations = first_rotations(point, shape)
    gradient, _ = gradient_and_metric(point, rotations, statistics, shape)
    (K, D), move = point.means.shape, np.empty(len(gradient))
    n_passes, radius = 1, _LARGEST_RADIUS
    while n_passes < max_passes:
        for i in range(len(move)):
            move[i] = dot(inverse[i], gradient)
        left_to_gain = 0.5 * dot(gradient, move)  # if the log-likelihood were quadratic
        if not np.isfinite(left_to_gain):
            return point, DEGENERATE
        longest = longest_part(move, K, D, shape)
        length = min(longest, radius)
        move *= length / longest
        proposal, new_rotations = point_after(point, rotations, move, shape)
        log_scales, whiteners = log_scales_and_whiteners(np.log(proposal.weights), proposal.choleskys)
        rises = not has_collapsed(proposal, whiteners, bounds)
        if rises and left_to_gain < max(tol, _ROUNDING * abs(statistics.log_likelihood)):
            return proposal, STOPPED
        if rises:
            new_statistics = _statistics(X, row_weights, origin, proposal, log_scales, whiteners, shape.diagonal)
            n_passes += 1
            new_gradient, _ = gradient_and_metric(proposal, new_rotations, new_statistics, shape)
            gain = new_statistics.log_likelihood - statistics.log_likelihood
            rises = gain > ENOUGH_GAIN * dot(gradient, move)
            _learn(inverse, move, gradient - new_gradient)
            radius = min(2 * radius, _LARGEST_RADIUS)
        if not rises:
            radius = length / 4
            proposal, new_rotations = m_step(point, statistics, shape), rotations
            log_scales, whiteners = log_scales_and_whiteners(np.log(proposal.weights), proposal.choleskys)
            if has_collapsed(proposal, whiteners, bounds):
                return point, DEGENERATE
            new_statistics = _statistics(X, row_weights, origin, proposal, log_scales, whiteners, shape.diagonal)
            n_passes += 1
            new_gradient, _ = gradient_and_metric(proposal, new_rotations, new_statistics, shape)
        point, rotations, statistics, gradient = proposal, new_rotations, new_statistics, new_gradient
    return point, RAN


@njit(nogil=True, cache=True, error_model="numpy")
def ascend_each(
    X: RowArray,
    row_weights: FloatArray,
    origin: FloatArray,
    point: Point,
    shape: StructureFlags,
    bounds: Bounds,
    tol: float,
    inverse: FloatArray,
    max_passes: int,
) -> tuple[Point, IntArray]:
    """`ascend` for each of n sets of row weights (n, N).

    Returns the last points, as weights (n, K), means (n, K, D) and choleskys (n, K, D, D), and how each ended (n,).
    """
    n, (K, D) = len(row_weights), point.means.shape
    points = Point(np.empty((n, K)), np.empty((n, K, D)), np.empty((n, K, D, D)))
    endings = np.empty(n, np.int64)
    for i in range(n):
        last, endings[i] = ascend(X, row_weights[i], origin, point, shape, bounds, tol, inverse.copy(), max_passes)
        points.weights[i], points.means[i], points.choleskys[i] = last.weights, last.means, last.choleskys
    return points, endings
