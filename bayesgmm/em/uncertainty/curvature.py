"""The log-likelihood's curvature at an EM fit, and the estimates' covariance from it: information and sandwich.

Everything is computed along the moves of `steps.py`, whitened by each component's own Cholesky factor, so that one
step of differences and one bound on the curvature serve data of any units.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from bayesgmm.em.search import steps
from bayesgmm.em.search.steps import Point
from bayesgmm.exceptions import FitError
from bayesgmm.kernel.rows import KernelParameters, Rows, SufficientStatistics
from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import Entry, values_of
from bayesgmm.parallel import on_threads
from bayesgmm.types import FloatArray

# Of whitened moves: truncation and rounding are both below 1e-9 of the curvature.
_STEP = 1e-5
# Numbers in the temporary arrays of one batch.
_BATCH = 2**21
# Curvature, as a share of the completed data's, that is no curvature; EM would need a million iterations there.
_FLAT = 1e-6
# Log-likelihood that EM may have left to gain: a tenth of a standard error.
_MOST_LEFT = 0.005
# Rows whose scores are made together: few enough for one range of the kernel, so that no thread waits for another.
_MOST_ROWS, _GROUPS = 2048, 8


class Maximum(NamedTuple):
    """An EM fit, as the arithmetic here takes it: where it is, on which rows, and the numbers it is read as."""

    mixture: MixtureParameters
    rows: Rows
    structure: CovarianceStructure
    point: Point
    statistics: SufficientStatistics
    found: list[Entry]

    def kernel_parameters(self, point: Point) -> KernelParameters:
        return KernelParameters.of(*point, diagonal=self.structure.diagonal)


class Curvature(NamedTuple):
    """information (P, P) along moves; root (P, n_free), root root' its inverse among moves that change the fit."""

    information: FloatArray
    root: FloatArray


def curvature(maximum: Maximum) -> Curvature:
    """Observed information, by central differences of the exact score, and its inverse.

    At a maximum it is the same in any coordinates, so that each score may be taken along moves from its own point.

    Raises FitError when it is not positive definite, or when the fit is visibly short of the maximum.
    """
    gradient, metric = steps.gradient_and_metric(maximum.point, maximum.statistics, maximum.structure.shape)
    observed = _information(maximum, len(gradient))
    basis = _basis(maximum, metric)
    # In this basis the information of the completed data is the identity, and EM's rates are 1 - eigenvalue.
    eigenvalues, vectors = np.linalg.eigh(basis.T @ observed @ basis)
    if eigenvalues.size and not eigenvalues[0] > _FLAT:
        raise FitError(_flat_direction(maximum, basis, vectors[:, 0], eigenvalues[0]))
    root = basis @ (vectors / np.sqrt(eigenvalues))
    left = 0.5 * float(np.square(root.T @ gradient).sum())
    if left > _MOST_LEFT:
        raise FitError(
            f"EM stopped {left:.2g} below the maximum of the log-likelihood, where standard errors would be those of "
            f"another point. Fit again with a smaller tol."
        )
    return Curvature(observed, root)


def _information(maximum: Maximum, n_moves: int) -> FloatArray:
    """(P, P) minus the derivative of the score along every move."""
    K, D = maximum.point.means.shape
    shape, together = maximum.structure.shape, max(1, _BATCH // (2 * K * D * D))
    observed = np.empty((n_moves, n_moves))
    for begin in range(0, n_moves, together):
        at = np.arange(begin, min(begin + together, n_moves))
        moves = np.zeros((2, len(at), n_moves))
        moves[0, at - begin, at], moves[1, at - begin, at] = _STEP, -_STEP
        points = [steps.moved(maximum.point, move, shape) for move in moves.reshape(-1, n_moves)]
        passes = maximum.rows.statistics_of([maximum.kernel_parameters(point) for point in points])
        scores = np.array(
            [steps.gradient_and_metric(*reached, shape)[0] for reached in zip(points, passes, strict=True)]
        )
        observed[at] = (scores[len(at) :] - scores[: len(at)]) / (2 * _STEP)
    return 0.5 * (observed + observed.T)


def _basis(maximum: Maximum, metric: FloatArray) -> FloatArray:
    """(P, n_free) moves that change the fit, orthonormal in the completed data's information.

    Logits that all change by the same leave the weights as they are.
    """
    K = len(maximum.point.weights)
    contrasts = null_space(np.sqrt(maximum.point.weights)[np.newaxis])
    basis = np.zeros((len(metric), len(metric) - 1))
    basis[:K, : K - 1] = np.sqrt(metric[:K, np.newaxis]) * contrasts
    basis[K:, K - 1 :] = np.diag(np.sqrt(metric[K:]))
    return basis


def _flat_direction(maximum: Maximum, basis: FloatArray, direction: FloatArray, curvature: float) -> str:
    changes = jacobian(maximum) @ basis
    share = np.abs(changes @ direction) / np.linalg.norm(changes, axis=1)
    return (
        f"The information is singular: in the direction of {maximum.found[int(share.argmax())].name} the curvature of "
        f"the log-likelihood is {curvature:.1e} of what known assignments would give. The rows do not tell these "
        f"components apart. Ask for fewer components, or describe them by the posterior."
    )


def sandwich(maximum: Maximum, root: FloatArray) -> FloatArray:
    """(P, P) covariance of moves that holds when the model does not: I^-1 (sum v_i^2 s_i s_i') I^-1.

    White (1982), Maximum likelihood estimation of misspecified models, eq. 3.1, doi:10.2307/1912526; v are the row
    weights, s the score of one row.
    """
    inner = root.T @ score_products(maximum) @ root
    return np.asarray(root @ inner @ root.T)


def score_products(maximum: Maximum) -> FloatArray:
    """(P, P) sum over rows of v_i^2 s_i s_i', in one pass; only some rows' scores exist at a time."""
    P = len(steps.gradient_and_metric(maximum.point, maximum.statistics, maximum.structure.shape)[0])
    length = min(_MOST_ROWS, max(64, _BATCH // P))
    begins = range(0, maximum.rows.n_samples, length)
    parameters = maximum.kernel_parameters(maximum.point)

    def over(group: range) -> FloatArray:
        total = np.zeros((P, P))
        for begin in group:
            weights = maximum.rows.weights[begin : begin + length]
            piece = Rows(maximum.rows.values[begin : begin + length], weights, maximum.rows.origin)
            scores = row_scores(maximum, piece, parameters)
            scores = scores * weights[:, np.newaxis] if weights.size else scores
            total += scores.T @ scores
        return total

    # Groups by the number of rows alone, added in order: the same sum on any number of threads.
    size = -(-len(begins) // _GROUPS)
    groups = [begins[at : at + size] for at in range(0, len(begins), size)]
    total = np.zeros((P, P))
    for part in on_threads(over, groups, maximum.rows.n_samples * P * P):
        total += part
    return total


def row_scores(maximum: Maximum, piece: Rows, parameters: KernelParameters) -> FloatArray:
    """(n, P) the score of each row along moves, without its weight: the summands of `steps.gradient_and_metric`."""
    (K, D), structure = maximum.point.means.shape, maximum.structure
    r = piece.responsibilities(parameters)
    x = piece.values - piece.origin
    row, column = np.diag_indices(D) if structure.diagonal else np.tril_indices(D)
    means, factors = [], []
    for k in range(K):
        y = (x - maximum.point.means[k]) @ parameters.whiteners[k].T
        means.append(r[:, k, np.newaxis] * y)
        excess = y[:, row] * y[:, column] - (row == column)
        excess = excess.sum(axis=1, keepdims=True) if structure.spherical else excess
        factors.append(r[:, k, np.newaxis] * excess)
    factors = [np.sum(factors, axis=0)] if structure.shared else factors
    return np.hstack([r - maximum.point.weights, *means, *factors])


def jacobian(maximum: Maximum) -> FloatArray:
    """(n_entries, P) derivatives of weights, means, standard deviations and correlations along moves."""
    (K, D), (w, _, L), shape = maximum.point.means.shape, maximum.point, maximum.structure.shape
    triangle = [(i, j) for i in range(D) for j in range(i + 1)]
    coordinates = [(d, d) for d in range(D)] if shape.diagonal else triangle
    blocks = [range(K)] if shape.shared else [range(k, k + 1) for k in range(K)]
    places = [(block, coordinates) for block in blocks] if shape.spherical else [
        (block, [coordinate]) for block in blocks for coordinate in coordinates
    ]  # fmt: skip
    P = K + K * D + len(places)
    together, columns = max(1, _BATCH // (K * D * D)), []
    for begin in range(0, P, together):
        moves = range(begin, min(begin + together, P))
        weights, means = np.zeros((len(moves), K)), np.zeros((len(moves), K, D))
        covariances = np.zeros((len(moves), K, D, D))
        for m, p in enumerate(moves):
            if p < K:
                weights[m] = w[p] * ((np.arange(K) == p) - w)
            elif p < K + K * D:
                k, d = divmod(p - K, D)
                means[m, k] = L[k, :, d]
            else:
                block, moving = places[p - K - K * D]
                for k in block:
                    for i, j in moving:  # of L B B' L' at B = I
                        half = np.outer(L[k, :, i], L[k, :, j])
                        covariances[m, k] += half + half.T
        columns.append(_changes(maximum, weights, means, covariances))
    return np.concatenate(columns).T


def _changes(maximum: Maximum, weights: FloatArray, means: FloatArray, covariances: FloatArray) -> FloatArray:
    """(M, n_entries) changes of the entries with M changes of weights, means and covariances (M, K, D, D)."""
    L = maximum.point.choleskys
    now = L @ L.transpose(0, 2, 1)
    stds = np.sqrt(np.einsum("kii->ki", now))
    relative = covariances / (stds[:, :, np.newaxis] * stds[:, np.newaxis])
    variances = np.einsum("mkii->mki", relative)
    correlations = now / (stds[:, :, np.newaxis] * stds[:, np.newaxis])
    scaled = 0.5 * correlations * (variances[..., np.newaxis] + variances[..., np.newaxis, :])
    arrays = {
        "weights": weights,
        "means": means,
        "stds": 0.5 * stds * variances,
        "correlations": relative - scaled,
    }
    return values_of(maximum.found, arrays)
