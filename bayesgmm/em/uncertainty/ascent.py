"""Refits of replicates, compiled: EM and BFGS steps from the fit, many replicates per call."""

import numpy as np
from numba import njit

from bayesgmm.em.search.steps import (
    DEGENERATE,
    RAN,
    STOPPED,
    Point,
    dot,
    gradient_and_metric,
    has_collapsed,
    maximise,
    moved,
)
from bayesgmm.kernel.jit import inner
from bayesgmm.kernel.passes import sufficient_statistics
from bayesgmm.kernel.rows import SufficientStatistics
from bayesgmm.kernel.triangular import log_scales_and_whiteners


@inner()
def _statistics(X, row_weights, origin, point, log_scales, whiteners, diagonal):
    """One pass over rows, by the thread that calls."""
    K, D = point.means.shape
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    start, stop = np.int64(0), X.shape[0]  # not the literal 0, which Numba would compile the kernel for anew
    log_likelihood = sufficient_statistics(
        X, row_weights, start, stop, origin, log_scales, point.means, whiteners, diagonal, counts, first, second
    )
    return SufficientStatistics(log_likelihood, counts, first, second)


@inner()
def _learn(inverse, move, change):
    """BFGS's update of an inverse curvature (P, P), when the gradient fell by `change` along a move.

    Nocedal and Wright (2006), Numerical Optimization, eq. 6.17, doi:10.1007/978-0-387-40065-5.
    """
    P, curvature = len(move), dot(move, change)
    # Only a fall of the gradient is the curvature of a maximum.
    if not curvature > 1e-10 * np.sqrt(dot(move, move) * dot(change, change)):
        return
    mapped = np.empty(P)
    for i in range(P):
        mapped[i] = dot(inverse[i], change)
    factor = 1 + dot(change, mapped) / curvature
    for i in range(P):
        for j in range(P):
            inverse[i, j] += (factor * move[i] * move[j] - mapped[i] * move[j] - move[i] * mapped[j]) / curvature


@njit(nogil=True, cache=True, error_model="numpy")
def ascend(X, row_weights, origin, point, shape, bounds, tol, inverse, max_passes):
    """BFGS from near the top, over rows that one thread passes over at once; an EM step where a move does not rise.

    inverse (P, P): the inverse curvature to begin with; it is overwritten. The end is where half the gradient times
    the direction is below `tol`, and that last move is made. Returns the point, and RAN (no end within `max_passes`),
    STOPPED or DEGENERATE.
    """
    log_scales, whiteners = log_scales_and_whiteners(np.log(point.weights), point.choleskys)
    statistics = _statistics(X, row_weights, origin, point, log_scales, whiteners, shape.diagonal)
    gradient, _ = gradient_and_metric(point, statistics, shape)
    move = np.empty(len(gradient))
    n, radius = 1, 1.0
    while n < max_passes:
        for i in range(len(move)):
            move[i] = dot(inverse[i], gradient)
        expected = 0.5 * dot(gradient, move)
        if not np.isfinite(expected):
            return point, DEGENERATE
        longest = 1e-300
        for p in range(len(move)):
            longest = max(longest, abs(move[p]))
        length = min(longest, radius)
        move *= length / longest
        proposal = moved(point, move, shape)
        log_scales, whiteners = log_scales_and_whiteners(np.log(proposal.weights), proposal.choleskys)
        rises = not has_collapsed(proposal, whiteners, bounds)
        if rises and expected < max(tol, 1e-14 * abs(statistics.log_likelihood)):
            return proposal, STOPPED
        if rises:
            found = _statistics(X, row_weights, origin, proposal, log_scales, whiteners, shape.diagonal)
            n += 1
            new_gradient, _ = gradient_and_metric(proposal, found, shape)
            gain = found.log_likelihood - statistics.log_likelihood
            rises = gain > 1e-4 * dot(gradient, move)
            _learn(inverse, move, gradient - new_gradient)
            radius = min(2 * radius, 1.0)
        if not rises:
            radius = length / 4
            proposal = maximise(point, statistics, shape)
            log_scales, whiteners = log_scales_and_whiteners(np.log(proposal.weights), proposal.choleskys)
            if has_collapsed(proposal, whiteners, bounds):
                return point, DEGENERATE
            found = _statistics(X, row_weights, origin, proposal, log_scales, whiteners, shape.diagonal)
            n += 1
            new_gradient, _ = gradient_and_metric(proposal, found, shape)
        point, statistics, gradient = proposal, found, new_gradient
    return point, RAN


@njit(nogil=True, cache=True, error_model="numpy")
def ascend_each(X, row_weights, origin, point, shape, bounds, tol, inverse, max_passes):
    """`ascend` for each of the row weights (n, N): weights (n, K), means, choleskys, and how each ended (n,)."""
    n, (K, D) = len(row_weights), point.means.shape
    found, ends = Point(np.empty((n, K)), np.empty((n, K, D)), np.empty((n, K, D, D))), np.empty(n, np.int64)
    for i in range(n):
        reached, ends[i] = ascend(X, row_weights[i], origin, point, shape, bounds, tol, inverse.copy(), max_passes)
        found.weights[i], found.means[i], found.choleskys[i] = reached.weights, reached.means, reached.choleskys
    return found, ends
