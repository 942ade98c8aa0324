"""The draws of a posterior as plain arrays: what a function of them needs, checked."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import PARAMETERS, Entry, entries, values_of
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_table

_DIMS = {
    "weights": ("chain", "draw", "component"),
    "means": ("chain", "draw", "component", "feature"),
    "covariances": ("chain", "draw", "component", "feature", "feature_other"),
}
# What a result may take in memory, in bytes.
_MOST_BYTES = 4e9


def mixture_draws(posterior: xr.DataTree, n_draws: int | None = None) -> MixtureDraws:
    """Weights, means and covariances of the draws, chain after chain; of `n_draws` evenly spaced ones if given."""
    draws = mixture_dataset(posterior)
    arrays = [draws[name].transpose(*dims).values for name, dims in _DIMS.items()]
    weights, means, covariances = (array.reshape(-1, *array.shape[2:]) for array in arrays)
    every = MixtureDraws(weights, means, covariances, tuple(map(str, draws["feature"].values)))
    return every if n_draws is None else every.some(spaced(every.n_draws, n_draws))


def mixture_dataset(posterior: xr.DataTree) -> xr.Dataset:
    """The group `posterior`; raises InputError when it does not describe mixtures."""
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


def observed_rows(posterior: xr.DataTree, features: tuple[str, ...]) -> NDArray[Any]:
    """(N, D) the rows that the posterior was sampled for."""
    observed = posterior["observed_data"].to_dataset() if "observed_data" in posterior else xr.Dataset()
    if "X" not in observed or observed["X"].ndim != 2 or observed["X"].shape[1] != len(features):
        raise InputError(
            "posterior holds no rows of its features. Put them in: posterior['observed_data'] = "
            "xr.DataTree(xr.Dataset({'X': (('row', 'feature'), X)}))."
        )
    return as_table(np.asarray(observed["X"].values), "observed_data", features).values


def rows_for(posterior: xr.DataTree, X: Any) -> NDArray[Any]:
    """(N, D) the rows of `X`, or those that the posterior was sampled for when `X` is None."""
    features = tuple(map(str, mixture_dataset(posterior)["feature"].values))
    if X is None and "observed_data" not in posterior:
        raise InputError("posterior holds no rows. Pass them as X.")
    return observed_rows(posterior, features) if X is None else as_table(X, features=features).values


def check_same_shape(parameters: MixtureParameters, draws: MixtureDraws) -> None:
    """Refuse, as InputError, to hold EM's mixture against draws of other components or features."""
    if parameters.means.shape != draws.means.shape[1:]:
        raise InputError(
            f"em has {parameters.n_components} components of {parameters.n_features} features; the posterior has "
            f"{draws.n_components} of {draws.n_features}. Fit both with the same n_components to the same columns."
        )


def check_aligned(posterior: xr.DataTree) -> None:
    if not posterior.attrs.get("aligned", 0):
        raise InputError(
            "posterior is not aligned: its components have no fixed labels. Pass align(posterior, em.parameters)."
        )


def check_memory(n_numbers: int, what: str, remedy: str) -> None:
    """Refuse results of more than 4 GB."""
    if 8 * n_numbers > _MOST_BYTES:
        raise InputError(f"{what} would take {8e-9 * n_numbers:.1f} GB; at most 4 are made. {remedy}")


def interval_names(ci_prob: float) -> tuple[str, str]:
    """Names of an equal-tailed interval's columns."""
    stem = f"eti{100 * ci_prob:g}"
    return f"{stem}_lb", f"{stem}_ub"


def with_group(posterior: xr.DataTree, name: str, group: xr.Dataset) -> xr.DataTree:
    """A new tree with one more group, or another in the place of one of that name."""
    groups = {child: node.to_dataset() for child, node in posterior.children.items() if child != name}
    return tree_of({**groups, name: group}, posterior.attrs)


def tree_of(groups: dict[str, xr.Dataset], attributes: Any) -> xr.DataTree:
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= attributes
    return tree


def posterior_entries(posterior: xr.DataTree) -> tuple[list[Entry], FloatArray]:
    """The numbers of a posterior that its structure and prior leave free, and their draws (chain, draw, n_entries)."""
    draws = posterior["posterior"].to_dataset()
    covariance = str(posterior.attrs.get("covariance") or _structure_of(draws))
    features = tuple(map(str, draws["feature"].values))
    found = entries(draws.sizes["component"], features, covariance)
    # A prior may fix the standard deviations.
    fixed = {"stds"} if np.ptp(draws["stds"].values, axis=(0, 1)).max() == 0 else set()
    found = [entry for entry in found if entry.parameter not in fixed]
    return found, values_of(found, {name: draws[name].values for name in PARAMETERS})


def _structure_of(draws: xr.Dataset) -> str:
    """The structure of a posterior that does not name it: what its covariances show."""
    correlations = draws["correlations"].values
    stds = draws["stds"].values
    if not (correlations - np.eye(correlations.shape[-1])).any() and stds.shape[-1] > 1:
        return "spherical" if np.ptp(stds, axis=-1).max() == 0 else "diag"
    return "tied" if np.ptp(stds, axis=2).max() == 0 and stds.shape[2] > 1 else "full"


def log_mean(logs: FloatArray) -> FloatArray:
    """log of the mean of exp(logs) along the last axis."""
    largest = logs.max(axis=-1)
    return np.asarray(largest + np.log(np.exp(logs - largest[..., np.newaxis]).mean(axis=-1)))


def interval(values: FloatArray, ci_prob: float) -> FloatArray:
    """(..., 2) bounds that leave (1 - ci_prob) / 2 of the last axis on either side; sorts `values` in place.

    NumPy's quantiles, a straight line between neighbours, without its copies.
    """
    values.sort(axis=-1)
    at = (values.shape[-1] - 1) * np.array([(1 - ci_prob) / 2, (1 + ci_prob) / 2])
    below = np.floor(at).astype(np.intp)
    above = np.ceil(at).astype(np.intp)
    lower = values[..., below]
    return np.asarray(lower + (at - below) * (values[..., above] - lower))
