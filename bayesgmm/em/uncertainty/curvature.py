"""The observed information at an EM fit, and two covariances of the estimates from it: information and sandwich.

Everything is computed along the moves of `search/moves.py`. They are whitened by the Cholesky factors of the fit, so
that one step of the differences and one limit of the curvature serve data of any units.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from bayesgmm.em.search import moves
from bayesgmm.em.search.steps import Point
from bayesgmm.errors import FitError
from bayesgmm.kernel.rows import KernelParameters, Rows, SufficientStatistics
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import Scalar, scalar_values
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

# Step of the central differences; truncation and rounding are both below 1e-9 of the curvature.
_STEP = 1e-5
# Numbers in the temporary arrays of one batch.
_BATCH = 2**21
# Curvature, relative to that of the completed data, below which a direction counts as flat.
_FLAT = 1e-6
# Largest gain in log-likelihood that EM may have missed (nats): a tenth of a standard error.
_MOST_LEFT = 0.005
# Most rows whose scores are computed at once, so few that the kernel runs on one thread; number of groups of such
# batches, each of which is summed on one thread.
_MOST_ROWS, _GROUPS = 2048, 8


class Maximum(NamedTuple):
    """The fit in the form that this folder needs: parameters, rows, and the scalars whose errors are wanted."""

    mixture: MixtureParameters
    rows: Rows
    structure: CovarianceStructure
    point: Point
    statistics: SufficientStatistics
    scalars: list[Scalar]

    def kernel_parameters(self, point: Point) -> KernelParameters:
        """A point in the form that the kernel reads."""
        return KernelParameters.of(*point, diagonal=self.structure.diagonal)

    def gradient_and_metric(self) -> tuple[FloatArray, FloatArray]:
        """Gradient (P,) along moves from the fit, and the inverse (P,) of EM's metric there."""
        gradient, metric = moves.gradient_and_metric(
            self.point, self.rotations(), self.statistics, self.structure.flags
        )
        return gradient, metric

    def rotations(self) -> FloatArray:
        """The rotations of the frames that moves from the fit refer to."""
        rotations: FloatArray = moves.first_rotations(self.point, self.structure.flags)
        return rotations


class Information(NamedTuple):
    """The observed information and its inverse.

    matrix (P, P): along moves; root (P, n_free): root root' is the inverse among the moves that change the fit.
    """

    matrix: FloatArray
    root: FloatArray


def observed_information(maximum: Maximum) -> Information:
    """Observed information, by central differences of the exact score, and its inverse.

    At a maximum the information is the same in all coordinates, so that each score may be taken along moves from its
    own point.

    Raises FitError if it is not positive definite, or if the fit is visibly below the maximum.
    """
    gradient, metric = maximum.gradient_and_metric()
    matrix = _score_differences(maximum, len(gradient))
    basis = _basis(maximum, metric)
    # In this basis the information of the completed data is the identity, and EM's rates are 1 - eigenvalue.
    eigenvalues, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    if eigenvalues.size and not eigenvalues[0] > _FLAT:
        raise FitError(_flat_direction(maximum, basis, vectors[:, 0], eigenvalues[0]))
    root = basis @ (vectors / np.sqrt(eigenvalues))
    left_to_gain = 0.5 * float(np.square(root.T @ gradient).sum())
    if left_to_gain > _MOST_LEFT + _lost_to_rounding(maximum):
        raise FitError(
            f"EM stopped {left_to_gain:.2g} below the maximum of the log-likelihood, where standard errors would be "
            f"those of another point. Fit again with a smaller tol."
        )
    return Information(matrix, root)


def _score_differences(maximum: Maximum, n_moves: int) -> FloatArray:
    """(P, P) minus the derivative of the score along every move."""
    K, D = maximum.point.means.shape
    shape, batch = maximum.structure.flags, max(1, _BATCH // (2 * K * D * D))
    rotations = maximum.rotations()
    matrix = np.empty((n_moves, n_moves))
    for begin in range(0, n_moves, batch):
        columns = np.arange(begin, min(begin + batch, n_moves))
        steps = np.zeros((2, len(columns), n_moves))
        steps[0, columns - begin, columns], steps[1, columns - begin, columns] = _STEP, -_STEP
        ends = [moves.point_after(maximum.point, rotations, step, shape) for step in steps.reshape(-1, n_moves)]
        statistics = maximum.rows.statistics_of([maximum.kernel_parameters(point) for point, _ in ends])
        scores = np.array(
            [moves.gradient_and_metric(*end, at_end, shape)[0] for end, at_end in zip(ends, statistics, strict=True)]
        )
        matrix[columns] = (scores[len(columns) :] - scores[: len(columns)]) / (2 * _STEP)
    return 0.5 * (matrix + matrix.T)


def _basis(maximum: Maximum, metric: FloatArray) -> FloatArray:
    """(P, n_free) moves that change the fit, orthonormal in the information of the completed data.

    Equal changes of all logits are left out: they do not change the weights.
    """
    K = len(maximum.point.weights)
    contrasts = null_space(np.sqrt(maximum.point.weights)[np.newaxis])
    basis = np.zeros((len(metric), len(metric) - 1))
    basis[:K, : K - 1] = np.sqrt(metric[:K, np.newaxis]) * contrasts
    basis[K:, K - 1 :] = np.diag(np.sqrt(metric[K:]))
    return basis


def _flat_direction(maximum: Maximum, basis: FloatArray, direction: FloatArray, curvature: float) -> str:
    """The message about a direction in which the log-likelihood is flat; it names the scalar that changes most."""
    changes = jacobian(maximum) @ basis
    share = np.abs(changes @ direction) / np.linalg.norm(changes, axis=1)
    return (
        f"The information is singular: in the direction of {maximum.scalars[int(share.argmax())].name} the curvature "
        f"of the log-likelihood is {curvature:.1e} of what known assignments would give. The rows do not tell these "
        f"components apart. Ask for fewer components, or describe them by the posterior."
    )


def sandwich(maximum: Maximum, root: FloatArray) -> FloatArray:
    """(P, P) covariance of moves that is right even if the model is wrong: I^-1 (sum v_i^2 s_i s_i') I^-1.

    White (1982), Maximum likelihood estimation of misspecified models, eq. 3.1, doi:10.2307/1912526. v_i is the weight
    of a row, s_i its score.
    """
    middle = root.T @ score_products(maximum) @ root
    return np.asarray(root @ middle @ root.T)


def score_products(maximum: Maximum) -> FloatArray:
    """(P, P) sum over rows of v_i^2 s_i s_i', in one pass; only a batch of scores is in memory at a time."""
    rows, parameters = maximum.rows, maximum.kernel_parameters(maximum.point)
    P = len(maximum.gradient_and_metric()[0])
    length = min(_MOST_ROWS, max(64, _BATCH // P))
    begins = range(0, rows.n_samples, length)

    def products_of(group: range) -> FloatArray:
        total = np.zeros((P, P))
        for begin in group:
            weights = rows.weights[begin : begin + length]
            batch = Rows(rows.values[begin : begin + length], weights, rows.origin)
            scores = row_scores(maximum, batch, parameters)
            scores = scores * weights[:, np.newaxis] if weights.size else scores
            total += scores.T @ scores
        return total

    # The groups depend on the number of rows alone and are added in order: the same sum on any number of threads.
    size = -(-len(begins) // _GROUPS)
    groups = [begins[first : first + size] for first in range(0, len(begins), size)]
    total = np.zeros((P, P))
    for products in on_threads(products_of, groups, rows.n_samples * P * P):
        total += products
    return total


def row_scores(maximum: Maximum, rows: Rows, parameters: KernelParameters) -> FloatArray:
    """(n, P) score of each row along moves, without its weight: the summands of `moves.gradient_and_metric`."""
    (K, D), structure = maximum.point.means.shape, maximum.structure
    r = rows.responsibilities(parameters)
    x = rows.values - rows.origin
    row, column = np.diag_indices(D) if structure.diagonal else np.tril_indices(D)
    of_means, of_factors = [], []
    for k in range(K):
        y = (x - maximum.point.means[k]) @ parameters.whiteners[k].T
        of_means.append(r[:, k, np.newaxis] * y)
        excess = np.where(row == column, y[:, row] * y[:, column] - 1, moves.ROOT_TWO * y[:, row] * y[:, column])
        excess = excess.sum(axis=1, keepdims=True) if structure.spherical else excess
        of_factors.append(r[:, k, np.newaxis] * excess)
    of_factors = [np.sum(of_factors, axis=0)] if structure.shared else of_factors
    return np.hstack([r - maximum.point.weights, *of_means, *of_factors])


def jacobian(maximum: Maximum) -> FloatArray:
    """(n_scalars, P) derivatives of weights, means, standard deviations and correlations along moves."""
    K, D = maximum.point.means.shape
    blocks = _factor_moves(maximum)
    n_moves = K + K * D + len(blocks)
    batch, columns = max(1, _BATCH // (K * D * D)), []
    for begin in range(0, n_moves, batch):
        numbers = range(begin, min(begin + batch, n_moves))
        columns.append(_changes_of_scalars(maximum, *_derivatives(maximum, numbers, blocks)))
    return np.concatenate(columns).T


# The entries (i, j) of the matrices E that one move changes, and the components whose covariances it changes.
type _FactorMove = tuple[range, list[tuple[int, int]]]


def _factor_moves(maximum: Maximum) -> list[_FactorMove]:
    """The moves of the covariances, in their order in a move."""
    (K, D), shape = maximum.point.means.shape, maximum.structure.flags
    triangle = [(i, j) for i in range(D) for j in range(i + 1)]
    entries = [(d, d) for d in range(D)] if shape.diagonal else triangle
    components = [range(K)] if shape.shared else [range(k, k + 1) for k in range(K)]
    if shape.spherical:
        return [(group, entries) for group in components]
    return [(group, [entry]) for group in components for entry in entries]


def _derivatives(
    maximum: Maximum, numbers: range, blocks: list[_FactorMove]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Derivatives of weights (M, K), means (M, K, D) and covariances (M, K, D, D) along M moves, given by number."""
    (K, D), (w, _, L), M = maximum.point.means.shape, maximum.point, len(numbers)
    weights, means, covariances = np.zeros((M, K)), np.zeros((M, K, D)), np.zeros((M, K, D, D))
    for m, p in enumerate(numbers):
        if p < K:
            weights[m] = w[p] * ((np.arange(K) == p) - w)
        elif p < K + K * D:
            k, d = divmod(p - K, D)
            means[m, k] = L[k, :, d]
        else:
            group, entries = blocks[p - K - K * D]
            for k in group:
                for i, j in entries:  # of L exp(2 E) L' at E = 0
                    half = np.outer(L[k, :, i], L[k, :, j])
                    covariances[m, k] += (half + half.T) * (1 if i == j else moves.ROOT_TWO)
    return weights, means, covariances


def _changes_of_scalars(
    maximum: Maximum, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> FloatArray:
    """(M, n_scalars) derivatives of the scalars from those of weights, means and covariances (M, K, D, D)."""
    L = maximum.point.choleskys
    fitted = L @ L.transpose(0, 2, 1)
    stds = np.sqrt(np.einsum("kii->ki", fitted))
    relative = covariances / (stds[:, :, np.newaxis] * stds[:, np.newaxis])
    variances = np.einsum("mkii->mki", relative)
    correlations = fitted / (stds[:, :, np.newaxis] * stds[:, np.newaxis])
    scaled = 0.5 * correlations * (variances[..., np.newaxis] + variances[..., np.newaxis, :])
    arrays = {
        "weights": weights,
        "means": means,
        "stds": 0.5 * stds * variances,
        "correlations": relative - scaled,
    }
    return scalar_values(maximum.scalars, arrays)


def _lost_to_rounding(maximum: Maximum) -> float:
    """Upper bound on the log-likelihood (nats) that the rounding of the means to float64 costs, 0.5 N_k |L_k^-1 d|^2.

    It matters where data are far from 0: at 1e15 standard deviations a mean has no digits behind the point.
    """
    rounding = 0.5 * np.spacing(np.abs(maximum.mixture.means))
    whiteners = np.abs(np.linalg.inv(maximum.point.choleskys))
    shifts = np.einsum("kij,kj->ki", whiteners, rounding)
    return float(0.5 * maximum.statistics.counts @ np.square(shifts).sum(axis=1))
