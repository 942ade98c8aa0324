"""Which features, rows and posterior a picture of one or two features shows."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.bayes.draws import rows_for
from bayesgmm.exceptions import InputError
from bayesgmm.mixture.parameters import MixtureParameters

type FloatArray = NDArray[np.float64]


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
