"""Which features, rows and scalars a figure shows."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from bayesgmm.checked_tables import as_feature_indices
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import ALL, PARAMETERS, Scalar, scalar_values
from bayesgmm.plots.shapes import MOST_POINTS
from bayesgmm.posterior.draws import feature_names, mixture_dataset, own_rows, posterior_entries
from bayesgmm.types import FloatArray, IntArray
from bayesgmm.wording import listed, shown

MOST_SCALARS = 120  # panels of a figure with one panel per scalar


def one_or_two_features(parameters: MixtureParameters, features: Sequence[str | int] | None) -> list[int]:
    """Indices of the features to draw: the named ones, or the two that separate the means best.

    The best features have the largest variance of the means relative to the variance within components. Raises
    InputError when more than two are named, or one that the mixture does not have.
    """
    names = parameters.features
    if features is None:
        if len(names) <= 2:
            return list(range(len(names)))
        overall_mean = parameters.weights @ parameters.means
        between = parameters.weights @ (parameters.means - overall_mean) ** 2
        within = parameters.weights @ parameters.stds**2
        return sorted(np.argsort(-between / within, kind="stable")[:2].tolist())
    chosen = [] if isinstance(features, str) or not isinstance(features, Iterable) else list(features)
    if not 1 <= len(chosen) <= 2:
        raise InputError(
            f"features must be a list of one or two names or numbers; received {shown(features)}. Name those to draw, "
            f"such as features={list(names[:2])}."
        )
    return as_feature_indices(chosen, names, "features")


def float_rows(posterior: xr.DataTree) -> FloatArray:
    """(N, D) the rows that the posterior was drawn from, as float64."""
    return np.asarray(own_rows(posterior).values, dtype=np.float64)


def limits(x: FloatArray, margin: float = 0.07) -> tuple[float, float]:
    """Limits of an axis that holds the rows x (N,), with a margin as a share of their range on either side."""
    low, high = float(x.min()), float(x.max())
    space = margin * (high - low) or margin * abs(low) or margin  # the rows may all be equal
    return low - space, high + space


def most_doubtful_last(p_wrong: FloatArray) -> IntArray:
    """Indices of the rows to draw, at most 4000, ordered so that the most doubtful rows lie on top; p_wrong (N,).

    Of more rows, the 2000 most doubtful are kept, and 2000 of the others, evenly spaced.
    """
    order = np.argsort(p_wrong, kind="stable")
    if len(order) <= MOST_POINTS:
        return order
    half = MOST_POINTS // 2
    certain = np.sort(order[:-half])  # in the rows' own order, so that even spacing does not select by probability
    return np.concatenate([certain[spaced(len(certain), half)], order[-half:]])


def varying_scalars(posterior: xr.DataTree, parameters: Sequence[str], features: Sequence[str] | None) -> list[Scalar]:
    """The scalars of these parameters and features (None: all) that vary in the posterior.

    Raises InputError for unknown names, when nothing varies, and for more than 120 scalars.
    """
    names = feature_names(mixture_dataset(posterior))
    parameters = _names_among(PARAMETERS, parameters, "parameters")
    indices = {names.index(name) for name in (names if features is None else _names_among(names, features, "features"))}
    scalars = [
        scalar
        for scalar in posterior_entries(posterior)[0]
        if scalar.parameter in parameters and (scalar.feature == ALL or indices.issuperset(scalar.index[1:]))
    ]
    if not scalars:
        raise InputError(f"nothing that parameters={parameters} names varies in this posterior. Name others.")
    if len(scalars) > MOST_SCALARS:
        raise InputError(
            f"{len(scalars)} numbers are to be drawn; one figure holds at most {MOST_SCALARS}. Choose with parameters= "
            f"and features=, such as parameters=['weights']."
        )
    return scalars


def _names_among(allowed: Sequence[str], received: object, option: str) -> list[str]:
    """The names received, which have to be a list of some of those allowed; raises InputError otherwise."""
    listed_names = [] if isinstance(received, str) or not isinstance(received, Iterable) else list(received)
    if not listed_names or not all(isinstance(name, str) and name in allowed for name in listed_names):
        raise InputError(f"{option} must be a list of names among {listed(allowed)}; received {shown(received)}.")
    return listed_names


def draws_of(posterior: xr.DataTree, scalars: list[Scalar]) -> FloatArray:
    """(n_chains, n_draws, n_scalars) the draws of these scalars."""
    draws = mixture_dataset(posterior)
    return scalar_values(scalars, {name: draws[name].values for name in PARAMETERS})
