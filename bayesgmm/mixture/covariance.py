"""Covariance structures: how the M-step turns scatter into covariances, and how many numbers stay free."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from bayesgmm.errors import InputError
from bayesgmm.types import CovarianceName, FloatArray
from bayesgmm.wording import shown

# Name of the free variable of canonical partial correlations, in every structure that has correlations.
VINE_VARIABLE = "lkj_vine"


class StructureFlags(NamedTuple):
    """A covariance structure in the form that compiled code reads; the fields are those of `CovarianceStructure`."""

    diagonal: bool
    shared: bool
    spherical: bool


class CovarianceStructure(NamedTuple):
    """One of the forms that the components' covariances may take.

    Attributes
    ----------
    name : the name by which users choose the structure.
    project : project(scatter (K, D, D), counts (K,)) returns covariances (K, D, D), the maximiser of the expected
        log-likelihood (Celeux and Govaert 1995, Gaussian parsimonious clustering models,
        doi:10.1016/0031-3203(94)00125-6).
    n_free : n_free(K, D) returns the number of free parameters in the covariances.
    std_variable : name of the model's free variable of standard deviations.
    vine_variable : name of the model's free variable of canonical partial correlations; "" for diagonal structures.
    diagonal : whether every covariance is diagonal.
    shared : whether all components have one covariance.
    spherical : whether each component has one variance for all features.
    """

    name: CovarianceName
    project: Callable[[FloatArray, FloatArray], FloatArray]
    n_free: Callable[[int, int], int]
    std_variable: str = "stds"
    vine_variable: str = ""
    diagonal: bool = False
    shared: bool = False
    spherical: bool = False

    @property
    def flags(self) -> StructureFlags:
        """The three flags, for compiled code."""
        return StructureFlags(self.diagonal, self.shared, self.spherical)


def _project_full(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    return scatter / counts[:, np.newaxis, np.newaxis]


def _project_tied(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    return np.broadcast_to(scatter.sum(axis=0) / counts.sum(), scatter.shape).copy()


def _project_diag(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    variances = np.diagonal(scatter, axis1=1, axis2=2) / counts[:, np.newaxis]
    return variances[:, :, np.newaxis] * np.eye(scatter.shape[1])


def _project_spherical(scatter: FloatArray, counts: FloatArray) -> FloatArray:
    D = scatter.shape[1]
    variances: FloatArray = np.trace(scatter, axis1=1, axis2=2) / (D * counts)
    return variances[:, np.newaxis, np.newaxis] * np.eye(D)


FULL = CovarianceStructure("full", _project_full, n_free=lambda K, D: K * D * (D + 1) // 2, vine_variable=VINE_VARIABLE)
TIED = CovarianceStructure(
    "tied",
    _project_tied,
    n_free=lambda K, D: D * (D + 1) // 2,
    std_variable="tied_stds",
    vine_variable=VINE_VARIABLE,
    shared=True,
)
DIAG = CovarianceStructure("diag", _project_diag, n_free=lambda K, D: K * D, diagonal=True)
SPHERICAL = CovarianceStructure(
    "spherical",
    _project_spherical,
    n_free=lambda K, D: K,
    std_variable="spherical_stds",
    diagonal=True,
    spherical=True,
)

STRUCTURES: dict[CovarianceName, CovarianceStructure] = {s.name: s for s in (FULL, TIED, DIAG, SPHERICAL)}


def structure_named(covariance: str) -> CovarianceStructure:
    """Look up a structure by its name.

    Raises InputError when no structure has that name.
    """
    if isinstance(covariance, str) and covariance in STRUCTURES:
        return STRUCTURES[covariance]
    raise InputError(f"covariance must be one of {', '.join(STRUCTURES)}; received {shown(covariance)}.")


def structure_of_variables(names: Collection[str]) -> CovarianceStructure:
    """Return the structure of a model that has free variables of these names.

    A full model of one feature has no partial correlations and is taken for a diagonal one, which is the same.
    """
    for structure in (TIED, SPHERICAL):
        if structure.std_variable in names:
            return structure
    return FULL if VINE_VARIABLE in names else DIAG


def n_free_parameters(structure: CovarianceStructure, n_components: int, n_features: int) -> int:
    """Count the free parameters of a mixture: weights, means and covariances."""
    return n_components - 1 + n_components * n_features + structure.n_free(n_components, n_features)


def stds_and_correlations(covariances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return standard deviations (..., D) and correlations (..., D, D) of covariances (..., D, D)."""
    variances: FloatArray = np.einsum("...ii->...i", covariances)
    stds = np.sqrt(variances)
    return stds, covariances / (stds[..., :, np.newaxis] * stds[..., np.newaxis, :])
