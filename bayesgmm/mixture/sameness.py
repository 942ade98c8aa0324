"""Whether two mixtures are one mixture, their components in any order."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

type FloatArray = NDArray[np.float64]


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
