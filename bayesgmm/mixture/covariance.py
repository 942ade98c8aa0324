"""Covariance structures: how the M-step's scatter becomes covariances, and how many numbers that leaves free."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayesgmm.errors import InputError
from bayesgmm.types import FloatArray


class Shape(NamedTuple):
    """A structure as compiled code reads it: covariances diagonal, one for all components, one variance each."""

    diagonal: bool
    shared: bool
    spherical: bool


class CovarianceStructure(NamedTuple):
    """One of the shapes that the components' covariances may take.

    project(scatter (K, D, D), counts (K,)) -> covariances (K, D, D), the maximiser of the expected log-likelihood
    (Celeux and Govaert 1995, Gaussian parsimonious clustering models, doi:10.1016/0031-3203(94)00125-6);
    n_free(K, D) -> free numbers in the covariances; diagonal: every covariance is diagonal;
    shared: all components have one covariance; spherical: each component has one variance.
    """

    name: str
    project: Callable[[FloatArray, FloatArray], FloatArray]
    n_free: Callable[[int, int], int]
    diagonal: bool = False
    shared: bool = False
    spherical: bool = False

    @property
    def shape(self) -> Shape:
        return Shape(self.diagonal, self.shared, self.spherical)


def _each(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    return scatter / counts[:, np.newaxis, np.newaxis]


def _pool(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    return np.broadcast_to(scatter.sum(axis=0) / counts.sum(), scatter.shape).copy()


def _axes(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    variances = np.diagonal(scatter, axis1=1, axis2=2) / counts[:, np.newaxis]
    return variances[:, :, np.newaxis] * np.eye(scatter.shape[1])


def _sphere(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    D = scatter.shape[1]
    variances: FloatArray = np.trace(scatter, axis1=1, axis2=2) / (D * counts)
    return variances[:, np.newaxis, np.newaxis] * np.eye(D)


FULL = CovarianceStructure("full", _each, n_free=lambda K, D: K * D * (D + 1) // 2)
TIED = CovarianceStructure("tied", _pool, n_free=lambda K, D: D * (D + 1) // 2, shared=True)
DIAG = CovarianceStructure("diag", _axes, n_free=lambda K, D: K * D, diagonal=True)
SPHERICAL = CovarianceStructure("spherical", _sphere, n_free=lambda K, D: K, diagonal=True, spherical=True)

STRUCTURES = {structure.name: structure for structure in (FULL, TIED, DIAG, SPHERICAL)}


def structure_named(covariance: Any) -> CovarianceStructure:
    """Look a structure up by its name."""
    if isinstance(covariance, str) and covariance in STRUCTURES:
        return STRUCTURES[covariance]
    raise InputError(f"covariance must be one of {', '.join(STRUCTURES)}; received {covariance!r}.")


def n_free_parameters(structure: CovarianceStructure, n_components: int, n_features: int) -> int:
    """Free parameters of a mixture: weights, means and covariances."""
    return n_components - 1 + n_components * n_features + structure.n_free(n_components, n_features)
