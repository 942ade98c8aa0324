"""The arithmetic of one quasi-Newton step, compiled: gradient, direction, and the point at the end of a move.

A move from a point is a vector (P,) in coordinates that are whitened by each component's own Cholesky factor L_k:

    K changes of the logits of the weights; K D shifts a of the means, mu_k + L_k a_k; and the free numbers of the lower
    triangular factors B in L_k B_k, the diagonal of each by its logarithm. There is one B for each component (one in
    all if the covariance is shared), with D (D + 1) / 2 free numbers (D if diagonal, 1 if spherical).

In these coordinates EM's own metric, the information of the completed data, is diagonal for every mixture.
"""

import numpy as np
from numba import njit

from bayesgmm.em.search.steps import Point, add_lower, total_of
from bayesgmm.kernel.jit import SUMS
from bayesgmm.kernel.rows import SufficientStatistics
from bayesgmm.kernel.triangular import lower_product
from bayesgmm.mixture.covariance import StructureFlags
from bayesgmm.types import FloatArray

# A step is rejected if it gains less than this share of the gain that the gradient predicts.
ENOUGH_GAIN = 1e-4
# No curvature is learned from a move unless move'change exceeds this share of |move| |change|: only a gradient that
# falls along the move is the curvature of a maximum.
LEAST_CURVATURE = 1e-10
# Largest factor by which a direction may be longer than EM's metric says.
_LARGEST_SCALE = 3.0


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def dot(a: FloatArray, b: FloatArray) -> float:
    """Sum of products of two vectors; that of BLAS would depend on its number of threads."""
    s = 0.0
    for p in range(len(a)):
        s += a[p] * b[p]
    return s


@njit(nogil=True, cache=True, error_model="numpy")
def gradient_and_metric(
    point: Point, statistics: SufficientStatistics, shape: StructureFlags
) -> tuple[FloatArray, FloatArray]:
    """Gradient (P,) of the log-likelihood along moves from a point, and the inverse (P,) of EM's metric there.

    By Fisher's identity the gradient is N_k - N w_k for the logits, t_k for the means, and the lower triangle of
    T_k - N_k I for the factors.
    """
    counts, first, second = statistics.counts, statistics.first, statistics.second
    K, D = first.shape
    n_rows = total_of(counts)
    n_blocks = 1 if shape.shared else K
    size = 1 if shape.spherical else D if shape.diagonal else D * (D + 1) // 2
    gradient, metric = np.empty(K + K * D + n_blocks * size), np.empty(K + K * D + n_blocks * size)
    index = K
    for k in range(K):
        gradient[k], metric[k] = counts[k] - n_rows * point.weights[k], 1 / counts[k]
        for d in range(D):
            gradient[index], metric[index] = first[k, d], 1 / counts[k]
            index += 1
    first_factor = index
    gradient[first_factor:] = 0.0
    for k in range(K):
        index = first_factor if shape.shared else first_factor + k * size
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
def ascent_direction(
    gradient: FloatArray, metric: FloatArray, past_moves: FloatArray, changes: FloatArray, n_learned: int
) -> FloatArray:
    """Inverse curvature times gradient (P,), by the two loops of L-BFGS (Nocedal 1980, doi:10.2307/2006193).

    past_moves, changes (m, P): the last moves and the fall of the gradient along each, the newest at
    (n_learned - 1) % m.

    Where the past moves say nothing, the curvature is EM's. That is too large wherever rows may belong to several
    components, so it is divided by the factor by which it was too large along the last move, at most 3. The factor is
    the geometric mean of the two step lengths of Barzilai and Borwein (1988, doi:10.1093/imanum/8.1.141).
    """
    direction = gradient.copy()
    m = len(past_moves)
    n_kept = min(n_learned, m)
    shares = np.empty(n_kept)
    for age in range(n_kept):
        i = (n_learned - 1 - age) % m
        shares[age] = dot(past_moves[i], direction) / dot(past_moves[i], changes[i])
        for p in range(len(direction)):
            direction[p] -= shares[age] * changes[i, p]
    scale = 1.0
    if n_kept:
        i, length, steepness = (n_learned - 1) % m, 0.0, 0.0
        for p in range(len(direction)):
            length += past_moves[i, p] ** 2 / metric[p]
            steepness += changes[i, p] ** 2 * metric[p]
        scale = min(max(np.sqrt(length / steepness), 1.0), _LARGEST_SCALE)
    for p in range(len(direction)):
        direction[p] *= scale * metric[p]
    for age in range(n_kept - 1, -1, -1):
        i = (n_learned - 1 - age) % m
        share = shares[age] - dot(changes[i], direction) / dot(past_moves[i], changes[i])
        for p in range(len(direction)):
            direction[p] += share * past_moves[i, p]
    return direction


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def point_after(point: Point, move: FloatArray, shape: StructureFlags) -> Point:
    """Return the point that a move (P,) leads to."""
    K, D = point.means.shape
    new = Point(np.empty(K), point.means.copy(), np.zeros((K, D, D)))
    largest = move[0]
    for k in range(1, K):
        largest = max(largest, move[k])
    for k in range(K):
        new.weights[k] = point.weights[k] * np.exp(move[k] - largest)
    total = total_of(new.weights)
    for k in range(K):
        new.weights[k] /= total
    index = K
    for k in range(K):
        for j in range(D):
            for i in range(j, D):
                new.means[k, i] += point.choleskys[k, i, j] * move[index + j]
        index += D
    factor = np.zeros((D, D))
    for k in range(1 if shape.shared else K):
        for i in range(D):
            if not shape.diagonal:
                for j in range(i):
                    factor[i, j] = move[index]
                    index += 1
            factor[i, i] = np.exp(move[index])
            index += not shape.spherical
        index += shape.spherical
        lower_product(point.choleskys[k], factor, new.choleskys[k])
    if shape.shared:
        for k in range(1, K):
            add_lower(new.choleskys[0], 1.0, new.choleskys[k])
    return new
