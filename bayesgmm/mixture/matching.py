"""Matching the components of two mixtures: costs and distances for each pair, and assignments from them."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import BoolArray, FloatArray, IntArray

# log of a weight that has underflowed to 0.
_SMALLEST_LOG_WEIGHT = -700.0


def label_costs(
    reference: MixtureParameters, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> FloatArray:
    """Cost (S, K, K) of giving component k of a draw the label of component j of the reference, at [s, j, k].

    The cost is -w_j E[log v_k + log N(x | m_k, S_k)] for x ~ N(mu_j, Sigma_j), with w, mu, Sigma the reference's
    parameters and v, m, S the draw's: weights (S, K), means (S, K, D), covariances (S, K, D, D).
    """
    inverses = np.linalg.inv(covariances)
    log_determinants = np.linalg.slogdet(covariances)[1]
    differences = reference.means[:, np.newaxis] - means[:, np.newaxis]  # (S, j, k, D)
    distances = np.einsum("sjkc,skcd,sjkd->sjk", differences, inverses, differences, optimize=True)
    traces = np.einsum("skcd,jdc->sjk", inverses, reference.covariances, optimize=True)
    with np.errstate(divide="ignore"):
        log_weights = np.maximum(np.log(weights), _SMALLEST_LOG_WEIGHT)
    log_2pi = means.shape[2] * np.log(2 * np.pi)
    cross_entropies = (
        0.5 * (log_2pi + log_determinants[:, np.newaxis] + distances + traces) - log_weights[:, np.newaxis]
    )
    return np.asarray(reference.weights[:, np.newaxis] * cross_entropies)


def bhattacharyya_distances(
    means: FloatArray, covariances: FloatArray, other_means: FloatArray, other_covariances: FloatArray
) -> FloatArray:
    """Bhattacharyya distances (...) between Gaussians; means (..., D) and covariances (..., D, D) broadcast.

    (m - mu)' S^-1 (m - mu) / 8 + log(|S| / sqrt(|C| |Sigma|)) / 2 with S = (C + Sigma) / 2 (Bhattacharyya 1943).
    """
    average = 0.5 * (covariances + other_covariances)
    differences = means - other_means
    solved = np.linalg.solve(average, differences[..., np.newaxis])[..., 0]
    log_determinants = np.linalg.slogdet(covariances)[1] + np.linalg.slogdet(other_covariances)[1]
    return np.asarray(
        (differences * solved).sum(axis=-1) / 8 + 0.5 * np.linalg.slogdet(average)[1] - 0.25 * log_determinants
    )


def distances_to_reference(reference: MixtureParameters, means: FloatArray, covariances: FloatArray) -> FloatArray:
    """Bhattacharyya distance (S, K, K) of component k of a draw from component j of the reference, at [s, j, k].

    means (S, K, D), covariances (S, K, D, D): of the draws.
    """
    return bhattacharyya_distances(
        reference.means[:, np.newaxis],
        reference.covariances[:, np.newaxis],
        means[:, np.newaxis],
        covariances[:, np.newaxis],
    )


def best_assignments(costs: FloatArray) -> IntArray:
    """Assignment (S, K) of least total cost in each draw, at [s, j] the column given to row j; costs (S, K, K)."""
    return np.array([linear_sum_assignment(cost)[1] for cost in costs], dtype=np.intp).reshape(costs.shape[:2])


def are_permutations(labels: IntArray) -> BoolArray:
    """Whether each row (S,) of labels (S, K) holds every number from 0 to K - 1 once."""
    return np.asarray((np.sort(labels, axis=1) == np.arange(labels.shape[1])).all(axis=1))


class MixtureArrays(NamedTuple):
    """One mixture as plain arrays: weights (K,), means (K, D), covariances (K, D, D)."""

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray


def equal_components(one: MixtureArrays, other: MixtureArrays, stds: FloatArray, tolerance: float = 0.01) -> BoolArray:
    """Whether (K, K) component j of `one` equals component k of `other`, at [j, k].

    Two components are equal if no weight differs by more than `tolerance`, no mean by more than `tolerance` standard
    deviations of the data, stds (D,), and no covariance by more than `tolerance` products of two of them.
    """
    weights = np.abs(one.weights[:, np.newaxis] - other.weights)
    means = np.abs(one.means[:, np.newaxis] - other.means) / stds
    covariances = np.abs(one.covariances[:, np.newaxis] - other.covariances) / np.outer(stds, stds)
    largest = np.maximum(np.maximum(weights, means.max(axis=-1)), covariances.max(axis=(-2, -1)))
    return np.asarray(largest <= tolerance)


def same_mixture(one: MixtureArrays, other: MixtureArrays, stds: FloatArray) -> bool:
    """Whether the components of `one` equal those of `other`, in any order; stds (D,): of the data."""
    equal = equal_components(one, other, stds)
    return bool(equal[linear_sum_assignment(~equal)].all())
