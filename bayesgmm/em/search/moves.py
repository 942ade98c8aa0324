"""The arithmetic of one quasi-Newton step, compiled: gradient, direction, and the point at the end of a move.

A move from a point is a vector (P,) in coordinates that are whitened by a frame of each component, a matrix F_k with
F_k F_k' = Sigma_k:

    K changes of the logits of the weights; K D shifts a of the means, mu_k + F_k a_k; and the free numbers of the
    symmetric matrices E in F_k exp(E_k): its diagonal, and sqrt(2) times the entries below the diagonal. There is one E
    for each component (one in all if the covariance is shared), with D (D + 1) / 2 free numbers (D if diagonal, 1 if
    spherical).

The frame is F_k = L_k R_k, with L_k the Cholesky factor and R_k a rotation. After a move it is F_k exp(E_k). So frames
that differ by a rotation at the start of a climb differ by the same rotation throughout: the climb does not depend on
the order of the features, nor on any other invertible affine map of the data, although Cholesky factors do.

In these coordinates EM's own metric, the information of the completed data, is diagonal for every mixture, and the same
in all directions of one mean or one covariance. See docs/decisions/0023.
"""

import numpy as np
from numba import njit

from bayesgmm.em.search.steps import Point, add_lower, total_of
from bayesgmm.kernel.jit import SUMS, inner
from bayesgmm.kernel.rows import SufficientStatistics
from bayesgmm.kernel.triangular import cholesky, lower_product
from bayesgmm.mixture.covariance import StructureFlags
from bayesgmm.types import FloatArray

# A step is rejected if it gains less than this share of the gain that the gradient predicts.
ENOUGH_GAIN = 1e-4
# No curvature is learned from a move unless move'change exceeds this share of |move| |change|: only a gradient that
# falls along the move is the curvature of a maximum.
LEAST_CURVATURE = 1e-10
# Largest factor by which a direction may be longer than EM's metric says.
_LARGEST_SCALE = 3.0
# Scale of an entry below the diagonal, which occurs twice in a symmetric matrix: lengths of vectors are then lengths of
# matrices, which rotations keep.
ROOT_TWO = float(np.sqrt(2.0))
# Terms of Taylor's series of exp(E) for |E| <= 1/4: its error is then below 1e-12. Any power series would do that is
# positive definite and begins with I + E.
_TAYLOR_ORDER = 8
_MOST_SQUARINGS = 20


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def dot(a: FloatArray, b: FloatArray) -> float:
    """Sum of products of two vectors; that of BLAS would depend on its number of threads."""
    s = 0.0
    for p in range(len(a)):
        s += a[p] * b[p]
    return s


@njit(nogil=True, cache=True, error_model="numpy")
def first_rotations(point: Point, shape: StructureFlags) -> FloatArray:
    """The rotations (n_frames, D, D) of the frames at the start of a climb, where each frame is the Cholesky factor."""
    K, D = point.means.shape
    rotations = np.zeros((1 if shape.shared else K, D, D))
    for rotation in rotations:
        for d in range(D):
            rotation[d, d] = 1.0
    return rotations


@inner(fastmath=SUMS)
def _add_product(left: FloatArray, right: FloatArray, factor: float, out: FloatArray) -> None:
    """Add factor left right to `out` (D, D)."""
    D = left.shape[0]
    for i in range(D):
        for m in range(D):
            entry = factor * left[i, m]
            for j in range(D):
                out[i, j] += entry * right[m, j]


@inner(fastmath=SUMS)
def _rotated(scatter: FloatArray, rotation: FloatArray) -> FloatArray:
    """R' S R of the symmetric matrix S whose lower triangle is given."""
    D = scatter.shape[0]
    symmetric = np.empty((D, D))
    for i in range(D):
        for j in range(i + 1):
            symmetric[i, j] = symmetric[j, i] = scatter[i, j]
    half, whole = np.zeros((D, D)), np.zeros((D, D))
    _add_product(symmetric, rotation, 1.0, half)
    for i in range(D):
        for m in range(D):
            for j in range(D):
                whole[i, j] += rotation[m, i] * half[m, j]
    return whole


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def gradient_and_metric(
    point: Point, rotations: FloatArray, statistics: SufficientStatistics, shape: StructureFlags
) -> tuple[FloatArray, FloatArray]:
    """Gradient (P,) of the log-likelihood along moves from a point, and the inverse (P,) of EM's metric there.

    By Fisher's identity the gradient is N_k - N w_k for the logits, R_k' t_k for the means, and the free numbers of
    R_k' T_k R_k - N_k I for the matrices E. A diagonal structure needs no rotation.
    """
    counts, first, second = statistics.counts, statistics.first, statistics.second
    K, D = first.shape
    n_rows = total_of(counts)
    n_blocks = 1 if shape.shared else K
    size = 1 if shape.spherical else D if shape.diagonal else D * (D + 1) // 2
    gradient, metric = np.zeros(K + K * D + n_blocks * size), np.empty(K + K * D + n_blocks * size)
    index = K
    for k in range(K):
        gradient[k], metric[k] = counts[k] - n_rows * point.weights[k], 1 / counts[k]
        for d in range(D):
            if shape.diagonal:
                gradient[index] = first[k, d]
            else:
                rotation = rotations[0 if shape.shared else k]
                for i in range(D):
                    gradient[index] += rotation[i, d] * first[k, i]
            metric[index] = 1 / counts[k]
            index += 1
    for block in range(n_blocks):
        n = n_rows if shape.shared else counts[block]
        scatter = np.zeros((D, D))
        for k in range(block, K if shape.shared else block + 1):
            add_lower(second[k], 1.0, scatter)
        if not shape.diagonal:
            scatter = _rotated(scatter, rotations[block])
        for i in range(D):
            if not shape.diagonal:
                for j in range(i):
                    gradient[index], metric[index] = ROOT_TWO * scatter[i, j], 1 / (2 * n)
                    index += 1
            gradient[index] += scatter[i, i] - n
            metric[index] = 1 / (2 * n * D) if shape.spherical else 1 / (2 * n)
            index += not shape.spherical
        index += shape.spherical
    return gradient, metric


@njit(nogil=True, cache=True, error_model="numpy")
def longest_part(move: FloatArray, n_components: int, n_features: int, shape: StructureFlags) -> float:
    """The largest part of a move: change of a logit, length of the shift of a mean, or of the vector of a matrix E."""
    K, D = n_components, n_features
    longest = 1e-300  # a move of length 0 can be divided by it
    for k in range(K):
        longest = max(longest, abs(move[k]))
    size = 1 if shape.spherical else D if shape.diagonal else D * (D + 1) // 2
    index = K
    while index < len(move):
        length = D if index < K + K * D else size
        square = 0.0
        for p in range(index, index + length):
            square += move[p] ** 2
        longest = max(longest, np.sqrt(square))
        index += length
    return longest


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def ascent_direction(
    gradient: FloatArray, metric: FloatArray, past_moves: FloatArray, changes: FloatArray, n_learned: int
) -> FloatArray:
    """Inverse curvature times gradient (P,), by the two loops of L-BFGS (Nocedal 1980, doi:10.2307/2006193).

    past_moves, changes (m, P): the last moves and the fall of the gradient along each, the newest at
    (n_learned - 1) % m.

    Directions that the past moves do not cover use EM's curvature. EM overstates the curvature where components
    overlap, so it is divided by the overstatement measured along the last move, at most 3. The measure is the geometric
    mean of the two step lengths of Barzilai and Borwein (1988, doi:10.1093/imanum/8.1.141).
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


@inner(fastmath=SUMS)
def _exponential(symmetric: FloatArray) -> FloatArray:
    """exp(E) of a symmetric matrix (D, D), by Taylor's series of E / 2^n and n squarings."""
    D = symmetric.shape[0]
    square = 0.0
    for i in range(D):
        for j in range(D):
            square += symmetric[i, j] ** 2
    n_squarings = 0
    while square > 0.0625 and n_squarings < _MOST_SQUARINGS:
        square *= 0.25
        n_squarings += 1
    result = np.eye(D)
    for order in range(_TAYLOR_ORDER, 0, -1):
        product = np.eye(D)
        _add_product(symmetric, result, 0.5**n_squarings / order, product)
        result = product
    for _ in range(n_squarings):
        product = np.zeros((D, D))
        _add_product(result, result, 1.0, product)
        result = product
    return result


@inner(fastmath=SUMS)
def _turn(
    L: FloatArray, rotation: FloatArray, symmetric: FloatArray, new_cholesky: FloatArray, new_rotation: FloatArray
) -> None:
    """Write the Cholesky factor and the rotation of the frame L R exp(E); both arrays (D, D) hold zeros before."""
    D = L.shape[0]
    turned, square, factor = np.zeros((D, D)), np.zeros((D, D)), np.zeros((D, D))
    _add_product(rotation, _exponential(symmetric), 1.0, turned)
    for i in range(D):
        for j in range(i + 1):
            for m in range(D):
                square[i, j] += turned[i, m] * turned[j, m]
    cholesky(square, factor)
    lower_product(L, factor, new_cholesky)
    # The new rotation solves factor R = turned, by forward substitution.
    for i in range(D):
        for j in range(D):
            entry = turned[i, j]
            for m in range(i):
                entry -= factor[i, m] * new_rotation[m, j]
            new_rotation[i, j] = entry / factor[i, i]


@inner(fastmath=SUMS)
def _shift_along(mean: FloatArray, L: FloatArray, rotation: FloatArray, shift: FloatArray) -> None:
    """Add L R shift to `mean` (D,)."""
    D = len(mean)
    turned = np.zeros(D)
    for i in range(D):
        for j in range(D):
            turned[i] += rotation[i, j] * shift[j]
    for i in range(D):
        for j in range(i + 1):
            mean[i] += L[i, j] * turned[j]


@njit(nogil=True, cache=True, error_model="numpy", fastmath=SUMS)
def point_after(
    point: Point, rotations: FloatArray, move: FloatArray, shape: StructureFlags
) -> tuple[Point, FloatArray]:
    """Return the point that a move (P,) leads to, and the rotations (n_frames, D, D) of the frames there."""
    K, D = point.means.shape
    new = Point(np.empty(K), point.means.copy(), np.zeros((K, D, D)))
    new_rotations = rotations if shape.diagonal else np.zeros(rotations.shape)
    largest = move[0]
    for k in range(1, K):
        largest = max(largest, move[k])
    for k in range(K):
        new.weights[k] = point.weights[k] * np.exp(move[k] - largest)
    total = total_of(new.weights)
    for k in range(K):
        new.weights[k] /= total
        _shift_along(
            new.means[k], point.choleskys[k], rotations[0 if shape.shared else k], move[K + k * D : K + (k + 1) * D]
        )
    index = K + K * D
    symmetric = np.zeros((D, D))
    for k in range(1 if shape.shared else K):
        for i in range(D):
            if not shape.diagonal:
                for j in range(i):
                    symmetric[i, j] = symmetric[j, i] = move[index] / ROOT_TWO
                    index += 1
            symmetric[i, i] = move[index]
            index += not shape.spherical
        index += shape.spherical
        if shape.diagonal:
            for d in range(D):
                new.choleskys[k, d, d] = point.choleskys[k, d, d] * np.exp(symmetric[d, d])
        else:
            _turn(point.choleskys[k], rotations[k], symmetric, new.choleskys[k], new_rotations[k])
    if shape.shared:
        for k in range(1, K):
            add_lower(new.choleskys[0], 1.0, new.choleskys[k])
    return new, new_rotations
