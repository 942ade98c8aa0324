"""The numbers that describe a mixture, one by one: what is diagnosed, compared and put into tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import EllipsisType

import numpy as np

from bayesgmm.mixture.covariance import structure_named
from bayesgmm.types import FloatArray

ALL = "all"
PARAMETERS = ("weights", "means", "stds", "correlations")


@dataclass(frozen=True)
class Entry:
    """One number of a mixture.

    parameter : "weights", "means", "stds" or "correlations".
    component : its number, or "all" for a number that the components share.
    feature : its name, "a, b" for a correlation, "all" for a standard deviation that the features share,
        "" for a weight.
    index : where it stands in the parameter's array.
    """

    parameter: str
    component: int | str
    feature: str
    index: tuple[int, ...]

    @property
    def name(self) -> str:
        inside = f"{self.component}, {self.feature}" if self.feature else f"{self.component}"
        return f"{self.parameter}[{inside}]"


def entries(n_components: int, features: tuple[str, ...], covariance: str) -> list[Entry]:
    """The free numbers of a mixture, standard deviations and correlations standing for its covariances."""
    K, D, structure = n_components, len(features), structure_named(covariance)
    found = [Entry("weights", k, "", (k,)) for k in range(K)] if K > 1 else []
    found += [Entry("means", k, features[d], (k, d)) for k in range(K) for d in range(D)]
    groups: list[tuple[int | str, int]] = [(ALL, 0)] if structure.shared and K > 1 else [(k, k) for k in range(K)]
    if structure.name == "spherical" and D > 1:
        found += [Entry("stds", label, ALL, (k, 0)) for label, k in groups]
    else:
        found += [Entry("stds", label, features[d], (k, d)) for label, k in groups for d in range(D)]
    if not structure.diagonal:
        found += [
            Entry("correlations", label, f"{features[j]}, {features[i]}", (k, i, j))
            for label, k in groups
            for i in range(D)
            for j in range(i)
        ]
    return found


def values_of(found: list[Entry], arrays: Mapping[str, FloatArray]) -> FloatArray:
    """(..., n_entries) the entries' values from arrays with any leading axes, such as (chain, draw)."""

    def value(entry: Entry) -> FloatArray:
        at: tuple[EllipsisType | int, ...] = (..., *entry.index)
        return arrays[entry.parameter][at]

    return np.stack([value(entry) for entry in found], axis=-1)
