"""The draws and rows of a posterior as checked plain arrays, and small functions on them."""

from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import PARAMETERS, Scalar, scalar_values, scalars_of
from bayesgmm.types import FloatArray, RowArray
from bayesgmm.validation import as_table

_DIMS = {
    "weights": ("chain", "draw", "component"),
    "means": ("chain", "draw", "component", "feature"),
    "covariances": ("chain", "draw", "component", "feature", "feature_other"),
}
_MOST_BYTES = 4e9  # of one result


def mixture_draws(posterior: xr.DataTree, n_draws: int | None = None) -> MixtureDraws:
    """The draws as mixtures, chain after chain; `n_draws` evenly spaced ones if given."""
    draws = mixture_dataset(posterior)
    arrays = [np.asarray(draws[name].transpose(*dims).values, np.float64) for name, dims in _DIMS.items()]
    weights, means, covariances = (array.reshape(-1, *array.shape[2:]) for array in arrays)
    mixtures = MixtureDraws(weights, means, covariances, feature_names(draws))
    return mixtures if n_draws is None else mixtures.select(spaced(mixtures.n_draws, n_draws))


def most_probable_draw(posterior: xr.DataTree) -> MixtureParameters:
    """The draw with the highest log posterior density, a reference for labels where there is no fit."""
    best = int(np.asarray(posterior["sample_stats"]["lp"].values).argmax())
    draws = mixture_draws(posterior).select(np.array([best]))
    return MixtureParameters(draws.weights[0], draws.means[0], draws.covariances[0], draws.features)


def mixture_dataset(posterior: xr.DataTree) -> xr.Dataset:
    """The group `posterior`; raises InputError if it does not describe mixtures."""
    if not isinstance(posterior, xr.DataTree) or "posterior" not in posterior:
        raise InputError(
            f"posterior must be a DataTree with a group 'posterior', as sample_posterior returns it; received "
            f"{type(posterior).__name__}."
        )
    draws = posterior["posterior"].to_dataset()
    missing = [name for name, dims in _DIMS.items() if name not in draws or set(draws[name].dims) != set(dims)]
    if missing:
        raise InputError(
            f"posterior has no variable {', '.join(missing)} of a mixture. Its group 'posterior' must hold "
            f"weights[chain, draw, component], means[..., feature] and covariances[..., feature, feature_other]."
        )
    return draws


def feature_names(draws: xr.Dataset) -> tuple[str, ...]:
    """Names of the features of a group `posterior`; their numbers if they have none."""
    return tuple(map(str, draws["feature"].values))


def observed_rows(posterior: xr.DataTree, features: tuple[str, ...]) -> RowArray:
    """(N, D) rows that the posterior was sampled for; raises InputError if it holds none of these features."""
    observed = posterior["observed_data"].to_dataset() if "observed_data" in posterior else xr.Dataset()
    if "X" not in observed or observed["X"].ndim != 2 or observed["X"].shape[1] != len(features):
        raise InputError(
            "posterior holds no rows of its features. Put them in: posterior['observed_data'] = "
            "xr.DataTree(xr.Dataset({'X': (('row', 'feature'), X)}))."
        )
    return as_table(np.asarray(observed["X"].values), "observed_data", features).values


def rows_for(posterior: xr.DataTree, X: ArrayLike | None) -> RowArray:
    """(N, D) rows of `X`, or those that the posterior was sampled for if `X` is None."""
    features = feature_names(mixture_dataset(posterior))
    if X is None and "observed_data" not in posterior:
        raise InputError("posterior holds no rows. Pass them as X.")
    return observed_rows(posterior, features) if X is None else as_table(X, features=features).values


def check_same_shape(parameters: MixtureParameters, draws: MixtureDraws) -> None:
    """Raise InputError unless EM's mixture has as many components and features as the draws."""
    if parameters.means.shape != draws.means.shape[1:]:
        raise InputError(
            f"em has {parameters.n_components} components of {parameters.n_features} features; the posterior has "
            f"{draws.n_components} of {draws.n_features}. Fit both with the same n_components to the same columns."
        )


def check_aligned(posterior: xr.DataTree) -> None:
    """Raise InputError unless `align` has relabelled the posterior."""
    if not posterior.attrs.get("aligned", 0):
        raise InputError(
            "posterior is not aligned: its components have no fixed labels. Pass align(posterior, em.parameters)."
        )


def check_memory(n_numbers: int, contents: str, remedy: str) -> None:
    """Raise InputError if a result of this many float64 numbers would take more than 4 GB."""
    if 8 * n_numbers > _MOST_BYTES:
        raise InputError(f"{contents} would take {8e-9 * n_numbers:.1f} GB; at most 4 are made. {remedy}")


def with_group(posterior: xr.DataTree, name: str, group: xr.Dataset) -> xr.DataTree:
    """A new tree with one more group; it replaces a group of the same name."""
    groups = {child: node.to_dataset() for child, node in posterior.children.items() if child != name}
    return tree_of({**groups, name: group}, posterior.attrs)


def tree_of(groups: Mapping[str, xr.Dataset], attributes: Mapping[Hashable, object]) -> xr.DataTree:
    """A tree of these groups with these attributes."""
    tree = xr.DataTree.from_dict(dict(groups))
    tree.attrs.update(attributes)
    return tree


def posterior_entries(posterior: xr.DataTree) -> tuple[list[Scalar], FloatArray]:
    """The free parameters of a posterior, and their draws (chain, draw, n).

    Parameters that the covariance structure implies are left out, and so are standard deviations that the prior fixes.
    """
    draws = posterior["posterior"].to_dataset()
    covariance = str(posterior.attrs.get("covariance") or _covariance_structure(draws))
    free = scalars_of(draws.sizes["component"], feature_names(draws), covariance)
    stds_are_fixed = np.ptp(draws["stds"].values, axis=(0, 1)).max() == 0
    free = [entry for entry in free if not (stds_are_fixed and entry.parameter == "stds")]
    return free, scalar_values(free, {name: draws[name].values for name in PARAMETERS})


def _covariance_structure(draws: xr.Dataset) -> str:
    """The covariance structure, read from the draws of a posterior that does not name it."""
    correlations = draws["correlations"].values
    stds = draws["stds"].values
    if not (correlations - np.eye(correlations.shape[-1])).any() and stds.shape[-1] > 1:
        return "spherical" if np.ptp(stds, axis=-1).max() == 0 else "diag"
    return "tied" if np.ptp(stds, axis=2).max() == 0 and stds.shape[2] > 1 else "full"


def log_mean(logs: FloatArray) -> FloatArray:
    """Logarithm of the mean of exp(logs) along the last axis, without overflow."""
    largest = logs.max(axis=-1)
    return np.asarray(largest + np.log(np.exp(logs - largest[..., np.newaxis]).mean(axis=-1)))


def interval(values: FloatArray, ci_prob: float) -> FloatArray:
    """(..., 2) equal-tailed interval along the last axis of `values`, which is sorted in place.

    The bounds are NumPy's quantiles, by linear interpolation, computed without NumPy's copies.
    """
    values.sort(axis=-1)
    positions = (values.shape[-1] - 1) * np.array([(1 - ci_prob) / 2, (1 + ci_prob) / 2])
    below = np.floor(positions).astype(np.intp)
    above = np.ceil(positions).astype(np.intp)
    lower = values[..., below]
    return np.asarray(lower + (positions - below) * (values[..., above] - lower))


def interval_names(ci_prob: float) -> tuple[str, str]:
    """Column names of the bounds of an equal-tailed interval: eti90_lb and eti90_ub at ci_prob 0.9."""
    stem = f"eti{100 * ci_prob:g}"
    return f"{stem}_lb", f"{stem}_ub"
