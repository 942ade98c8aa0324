"""Which component of a mixture is which component of a reference: costs and distances, pair by pair."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray


def label_costs(
    reference: MixtureParameters, weights: FloatArray, means: FloatArray, covariances: FloatArray
) -> FloatArray:
    """(S, K, K) cost of calling component k of a draw by the name of the reference's component j, at [s, j, k].

    -w_j E[log v_k + log N(x | m_k, S_k)] for x ~ N(mu_j, Sigma_j); weights (S, K), means (S, K, D), covariances
    (S, K, D, D).
    """
    inverses = np.linalg.inv(covariances)
    log_determinants = np.linalg.slogdet(covariances)[1]
    differences = reference.means[:, np.newaxis] - means[:, np.newaxis]  # (S, j, k, D)
    distances = np.einsum("sjkc,skcd,sjkd->sjk", differences, inverses, differences, optimize=True)
    traces = np.einsum("skcd,jdc->sjk", inverses, reference.covariances, optimize=True)
    with np.errstate(divide="ignore"):
        log_weights = np.maximum(np.log(weights), -700.0)
    log_2pi = means.shape[2] * np.log(2 * np.pi)
    cross_entropies = (
        0.5 * (log_2pi + log_determinants[:, np.newaxis] + distances + traces) - log_weights[:, np.newaxis]
    )
    return np.asarray(reference.weights[:, np.newaxis] * cross_entropies)


def bhattacharyya_distances(
    means: FloatArray, covariances: FloatArray, other_means: FloatArray, other_covariances: FloatArray
) -> FloatArray:
    """(...) distances of Gaussians from others, means (..., D) and covariances (..., D, D), which broadcast.

    (m - mu)' S^-1 (m - mu) / 8 + log(|S| / sqrt(|C| |Sigma|)) / 2 with S = (C + Sigma) / 2 (Bhattacharyya 1943).
    """
    middle = 0.5 * (covariances + other_covariances)
    differences = means - other_means
    solved = np.linalg.solve(middle, differences[..., np.newaxis])[..., 0]
    between = np.linalg.slogdet(covariances)[1] + np.linalg.slogdet(other_covariances)[1]
    return np.asarray((differences * solved).sum(axis=-1) / 8 + 0.5 * np.linalg.slogdet(middle)[1] - 0.25 * between)


def distances_from(reference: MixtureParameters, means: FloatArray, covariances: FloatArray) -> FloatArray:
    """(S, K, K) Bhattacharyya distance of component k of a draw from component j of the reference, at [s, j, k].

    means (S, K, D), covariances (S, K, D, D).
    """
    return bhattacharyya_distances(
        reference.means[:, np.newaxis],
        reference.covariances[:, np.newaxis],
        means[:, np.newaxis],
        covariances[:, np.newaxis],
    )


class Components(NamedTuple):
    """weights (K,), means (K, D), covariances (K, D, D)."""

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray


def alike(one: Components, other: Components, stds: FloatArray, tolerance: float = 0.01) -> NDArray[np.bool_]:
    """(K, K) whether component j of `one` is component k of `other`, at [j, k].

    It is when no weight differs by more than `tolerance`, no mean by more than that many of the data's standard
    deviations stds (D,), no covariance by more than that many of their products.
    """
    weights = np.abs(one.weights[:, np.newaxis] - other.weights)
    means = np.abs(one.means[:, np.newaxis] - other.means) / stds
    covariances = np.abs(one.covariances[:, np.newaxis] - other.covariances) / np.outer(stds, stds)
    largest = np.maximum(np.maximum(weights, means.max(axis=-1)), covariances.max(axis=(-2, -1)))
    return np.asarray(largest <= tolerance)


def same_mixture(one: Components, other: Components, stds: FloatArray) -> bool:
    """Whether the components of `one` are, one by one, those of `other`."""
    fits = alike(one, other, stds)
    return bool(fits[linear_sum_assignment(~fits)].all())
