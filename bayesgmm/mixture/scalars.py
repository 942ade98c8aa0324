"""The scalars that describe a mixture, one by one: these are diagnosed, compared and shown in tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np

from bayesgmm.mixture.covariance import structure_named
from bayesgmm.types import FloatArray

# Component of a scalar that all components share, and feature of one that all features share.
ALL = "all"
PARAMETERS = ("weights", "means", "stds", "correlations")


@dataclass(frozen=True)
class Scalar:
    """One number of a mixture.

    Attributes
    ----------
    parameter : "weights", "means", "stds" or "correlations".
    component : number of the component, or "all" for a scalar that the components share.
    feature : name of the feature, "a, b" for a correlation, "all" for a standard deviation that the features share,
        "" for a weight.
    index : position in the parameter's array.
    """

    parameter: str
    component: int | str
    feature: str
    index: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name in tables, such as "means[0, waiting]"."""
        inside = f"{self.component}, {self.feature}" if self.feature else f"{self.component}"
        return f"{self.parameter}[{inside}]"


def scalars_of(n_components: int, features: tuple[str, ...], covariance: str) -> list[Scalar]:
    """List the free scalars of a mixture; standard deviations and correlations stand for its covariances."""
    K, D, structure = n_components, len(features), structure_named(covariance)
    scalars = [Scalar("weights", k, "", (k,)) for k in range(K)] if K > 1 else []
    scalars += [Scalar("means", k, features[d], (k, d)) for k in range(K) for d in range(D)]
    groups: list[tuple[int | str, int]] = [(ALL, 0)] if structure.shared and K > 1 else [(k, k) for k in range(K)]
    if structure.spherical and D > 1:
        scalars += [Scalar("stds", label, ALL, (k, 0)) for label, k in groups]
    else:
        scalars += [Scalar("stds", label, features[d], (k, d)) for label, k in groups for d in range(D)]
    if not structure.diagonal:
        scalars += [
            Scalar("correlations", label, f"{features[j]}, {features[i]}", (k, i, j))
            for label, k in groups
            for i in range(D)
            for j in range(i)
        ]
    return scalars


def scalar_values(scalars: Sequence[Scalar], arrays: Mapping[str, FloatArray]) -> FloatArray:
    """Values (..., n_scalars) of the scalars.

    arrays: from the name of a parameter to its array, which may have leading axes such as (chain, draw).
    """

    def value(scalar: Scalar) -> FloatArray:
        position: tuple[EllipsisType | int, ...] = (..., *scalar.index)
        return arrays[scalar.parameter][position]

    return np.stack([value(scalar) for scalar in scalars], axis=-1)
