"""Which features, rows and numbers a picture shows."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import ALL, PARAMETERS, Entry, values_of
from bayesgmm.plots.shapes import MOST_POINTS
from bayesgmm.posterior.draws import posterior_entries, rows_for
from bayesgmm.types import FloatArray

MOST_NUMBERS = 120


def one_or_two(parameters: MixtureParameters, features: Sequence[str | int] | None) -> list[int]:
    """Numbers of the features to draw: those named, or the two whose means are farthest apart for their spread.

    Raises InputError when more than two are named, or one that the mixture does not have.
    """
    names = parameters.features
    if features is None:
        if len(names) <= 2:
            return list(range(len(names)))
        middle = parameters.weights @ parameters.means
        between = parameters.weights @ (parameters.means - middle) ** 2
        within = parameters.weights @ parameters.stds**2
        return sorted(np.argsort(-between / within, kind="stable")[:2].tolist())
    if isinstance(features, str) or not 1 <= len(features) <= 2:
        raise InputError(
            f"features must be a list of one or two names or numbers; received {features!r}. Name those to draw, such "
            f"as features={list(names[:2])}."
        )
    return [names.index(name) for name in parameters.marginal(features).features]


def float_rows(posterior: xr.DataTree) -> FloatArray:
    """(N, D) the rows that the posterior was drawn from."""
    return np.asarray(rows_for(posterior, None), dtype=np.float64)


def limits(x: FloatArray, margin: float = 0.07) -> tuple[float, float]:
    """An axis that holds the rows x (N,)."""
    low, high = float(x.min()), float(x.max())
    space = margin * (high - low)
    return low - space, high + space


def least_sure_last(p_wrong: FloatArray) -> NDArray[np.intp]:
    """The rows drawn, at most 4000, the least sure last, so that they lie on top; p_wrong (N,)."""
    order = np.argsort(p_wrong, kind="stable")
    if len(order) <= MOST_POINTS:
        return order
    half = MOST_POINTS // 2
    sure = np.sort(order[:-half])  # as they come, so that evenly chosen ones are no choice by probability
    return np.concatenate([sure[spaced(len(sure), half)], order[-half:]])


def entries_named(posterior: xr.DataTree, parameters: Sequence[str], features: Sequence[str] | None) -> list[Entry]:
    """The numbers of these parameters and features (None: all) that vary; refuses unknown names, and more than 120."""
    names = tuple(map(str, posterior["posterior"].to_dataset()["feature"].values))
    chosen = names if features is None else tuple(features)
    for what, received, known in (("parameters", parameters, PARAMETERS), ("features", features or (), names)):
        if isinstance(received, str) or not set(received) <= set(known):
            raise InputError(f"{what} must be a list of names among {', '.join(known)}; received {received!r}.")
    index = {names.index(name) for name in chosen}
    found = [
        entry
        for entry in posterior_entries(posterior)[0]
        if entry.parameter in parameters and (entry.feature == ALL or index.issuperset(entry.index[1:]))
    ]
    if not found:
        raise InputError(f"nothing that parameters={list(parameters)} names varies in this posterior. Name others.")
    if len(found) > MOST_NUMBERS:
        raise InputError(
            f"{len(found)} numbers are to be drawn; one picture holds at most {MOST_NUMBERS}. Choose with parameters= "
            f"and features=, such as parameters=['weights']."
        )
    return found


def draws_of(posterior: xr.DataTree, found: list[Entry]) -> FloatArray:
    """(chain, draw, number) the draws of these numbers."""
    draws = posterior["posterior"].to_dataset()
    return values_of(found, {name: draws[name].values for name in PARAMETERS})
