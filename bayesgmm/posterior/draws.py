"""The draws and rows of a posterior as checked plain arrays, and small functions on them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.checked_tables import as_table, check_names, default_names, names_clash
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.covariance import STRUCTURES, CovarianceStructure, stds_and_correlations, structure_named
from bayesgmm.mixture.draws import MixtureDraws, finite_draws
from bayesgmm.mixture.matching import best_assignments, distances_to_reference
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.mixture.scalars import PARAMETERS, Scalar, scalar_values, scalars_of
from bayesgmm.received import wrong_result
from bayesgmm.row_index import index_for, index_of_rows
from bayesgmm.types import FloatArray, RowArray
from bayesgmm.wording import count, listed, shown

_DIMS = {
    "weights": ("chain", "draw", "component"),
    "means": ("chain", "draw", "component", "feature"),
    "covariances": ("chain", "draw", "component", "feature", "feature_other"),
}
_SCHEMA = (
    "Its group 'posterior' must hold weights[chain, draw, component], means[..., feature] and covariances[..., "
    "feature, feature_other]."
)
_ROWS_REMEDY = (
    "Put them in: posterior['observed_data'] = xarray.DataTree(xarray.Dataset({'X': (('row', 'feature'), X)}))."
)
_WEIGHT_TOLERANCE = 1e-6  # largest distance of a draw's sum of weights from 1
_SAME_DISTANCE = 1e-6  # difference of Bhattacharyya distances below which two orders of components are equally near
_SAME = 1e-12  # relative difference of numbers that are equal to rounding
_MOST_BYTES = 4e9  # of one result


def mixture_draws(posterior: xr.DataTree, n_draws: int | None = None) -> MixtureDraws:
    """The draws as mixtures, chain after chain; `n_draws` evenly spaced ones if given.

    Raises InputError if the posterior does not describe mixtures, or if a draw is no mixture.
    """
    draws = mixture_dataset(posterior)
    arrays = [np.asarray(draws[name].values, np.float64) for name in _DIMS]
    weights, means, covariances = (array.reshape(-1, *array.shape[2:]) for array in arrays)
    mixtures = MixtureDraws(weights, means, covariances, feature_names(draws))
    if n_draws is not None:
        mixtures = mixtures.select(spaced(mixtures.n_draws, n_draws))
    _check_mixtures(mixtures)
    return mixtures


def _check_mixtures(mixtures: MixtureDraws) -> None:
    finite = finite_draws(*mixtures.arrays)
    if not finite.all():
        raise InputError(
            f"posterior holds NaN or infinity in {(~finite).sum()} of {len(finite)} draws; draws must be finite. "
            f"diagnose(posterior) says where; leave those chains out, such as posterior.sel(chain=[0, 1])."
        )
    if mixtures.weights.min() < 0 or np.abs(mixtures.weights.sum(axis=1) - 1).max() > _WEIGHT_TOLERANCE:
        raise InputError(
            "posterior has weights that are negative or do not sum to 1 over the components. Pass all components of "
            "the mixture; marginal() reduces its features."
        )
    try:
        np.linalg.cholesky(mixtures.covariances)
    except np.linalg.LinAlgError as error:
        raise InputError(
            "posterior holds covariances that are not positive definite. Leave those draws out."
        ) from error


def most_probable_draw(posterior: xr.DataTree) -> MixtureParameters:
    """The draw with the highest log posterior density, a reference for labels where there is no fit."""
    best = int(np.asarray(posterior["sample_stats"]["lp"].values).argmax())
    draws = mixture_draws(posterior).select(np.array([best]))
    return MixtureParameters(draws.weights[0], draws.means[0], draws.covariances[0], draws.features)


def mixture_dataset(posterior: xr.DataTree) -> xr.Dataset:
    """The group `posterior` with its dimensions in the schema's order; `stds` and `correlations` are added if missing.

    Raises InputError if it does not describe mixtures.
    """
    draws = _posterior_group(posterior)
    missing = [name for name in _DIMS if name not in draws]
    if missing:
        raise InputError(f"posterior has no variable {listed(missing)} of a mixture. {_SCHEMA}")
    for name, dims in _DIMS.items():
        _check_variable(draws[name], name, dims)
    _check_features(draws)
    draws = draws.transpose("chain", "draw", "component", "feature", "feature_other", ...)
    if not {"stds", "correlations"} <= set(draws.data_vars):
        with np.errstate(all="ignore"):  # draws that are no mixtures are reported elsewhere
            stds, correlations = stds_and_correlations(np.asarray(draws["covariances"].values, np.float64))
        draws = draws.assign(stds=(_DIMS["means"], stds), correlations=(_DIMS["covariances"], correlations))
    return draws


def _posterior_group(posterior: xr.DataTree) -> xr.Dataset:
    if not isinstance(posterior, xr.DataTree):
        raise wrong_result(posterior, "DataTree", "posterior")
    if "posterior" not in posterior.children:
        held = listed(posterior.children) or "no groups"
        whole = " This is the group itself: pass the tree that holds it." if set(_DIMS) <= set(posterior) else ""
        raise InputError(
            f"posterior must be a DataTree with a group 'posterior', as sample_posterior returns it; it holds "
            f"{held}.{whole or ' Pass what sample_posterior or align returned.'}"
        )
    return posterior["posterior"].to_dataset()


def _check_variable(variable: xr.DataArray, name: str, dims: tuple[str, ...]) -> None:
    if set(variable.dims) != set(dims):
        lost = [dim for dim in dims if dim not in variable.dims]
        remedy = _SCHEMA
        if "sample" in variable.dims:
            remedy = "Pass the tree itself, and not what arviz.extract made of it."
        elif lost and lost[0] in ("chain", "draw") and len(variable.dims) == len(dims) - 1:
            remedy = f"Keep the dimension: posterior.isel({lost[0]}=[0]), with brackets."
        raise InputError(
            f"posterior has {name} with dimensions {', '.join(map(str, variable.dims))}; expected "
            f"{', '.join(dims)}. {remedy}"
        )
    if variable.dtype.kind not in "fiu" or variable.size == 0:
        held = "no draws" if variable.size == 0 else f"{name} of dtype {variable.dtype}, which is no real number"
        raise InputError(f"posterior holds {held}. Pass what sample_posterior or align returned.")


def _check_features(draws: xr.Dataset) -> None:
    features, others = (list(map(str, draws[dim].values)) for dim in ("feature", "feature_other"))
    named = {"feature", "feature_other"} <= set(draws.coords)
    if len(features) != len(others) or (named and features != others):
        raise InputError(
            f"posterior has covariances of {listed(features)} with {listed(others)}. To select or reorder features, "
            f"call marginal(posterior, {shown(features)}) on the whole posterior."
        )
    check_names(features, "posterior")


def feature_names(draws: xr.Dataset) -> tuple[str, ...]:
    """Names of the features of a group `posterior`; x0, x1, ... if they have none."""
    if "feature" not in draws.coords:
        return default_names(draws.sizes["feature"])
    return tuple(map(str, draws["feature"].values))


def sample_stats(posterior: xr.DataTree) -> xr.Dataset:
    """The group `sample_stats`, which may be empty; its variables have the dimensions chain, draw and others.

    Raises InputError if it is of other draws than the group `posterior`.
    """
    draws = _posterior_group(posterior)
    if "sample_stats" not in posterior.children:
        return xr.Dataset()
    stats = posterior["sample_stats"].to_dataset()
    kept = [name for name, variable in stats.data_vars.items() if {"chain", "draw"} <= set(variable.dims)]
    stats = stats[kept]
    if kept and any(stats.sizes[dim] != draws.sizes.get(dim) for dim in ("chain", "draw")):
        raise InputError(
            f"posterior has {draws.sizes.get('chain')} x {draws.sizes.get('draw')} draws in its group posterior and "
            f"{stats.sizes['chain']} x {stats.sizes['draw']} in sample_stats. Select draws of the whole tree, such as "
            f"posterior.isel(draw=slice(None, None, 10))."
        )
    return stats.transpose("chain", "draw", ...) if kept else stats


def has_rows(posterior: xr.DataTree) -> bool:
    """Whether the posterior holds the rows that it was sampled for."""
    return "observed_data" in posterior.children and "X" in observed_group(posterior)


def observed_group(posterior: xr.DataTree) -> xr.Dataset:
    """The group `observed_data` of a posterior that has one."""
    return posterior["observed_data"].to_dataset()


def n_rows_of(posterior: xr.DataTree) -> int:
    """Number of rows that the posterior holds; 0 if it holds none."""
    return int(observed_group(posterior).sizes.get("row", 0)) if has_rows(posterior) else 0


@dataclass(frozen=True)
class LabelledRows:
    """Checked rows: values (N, D), and the index of the data frame that they came from, or numbers from 0."""

    values: RowArray
    index: pd.Index


def observed_rows(posterior: xr.DataTree, features: tuple[str, ...]) -> LabelledRows:
    """The rows that the posterior was sampled for; raises InputError if it holds none of these features."""
    X = observed_array(posterior, features)
    values = as_table(np.asarray(X.values), "observed_data", features).values
    return LabelledRows(values, index_of_rows(X.to_dataset(name="X"), len(values)))


def observed_array(posterior: xr.DataTree, features: tuple[str, ...]) -> xr.DataArray:
    """The rows that the posterior was sampled for as X[row, feature], the features in this order, not checked further.

    Raises InputError if the posterior holds no rows of these features.
    """
    if not has_rows(posterior):
        raise InputError(f"posterior holds no rows. {_ROWS_REMEDY}")
    X = observed_group(posterior)["X"]
    if set(X.dims) != {"row", "feature"} or X.sizes["feature"] != len(features):
        raise InputError(f"posterior holds no rows of its features ({listed(features)}). {_ROWS_REMEDY}")
    X = X.transpose("row", "feature")
    names = tuple(map(str, X["feature"].values)) if "feature" in X.coords else None
    if names is not None and set(names) == set(features):
        return X.isel(feature=[names.index(name) for name in features])
    if names is not None and names_clash(names, features):
        raise InputError(f"posterior holds rows of {listed(names)} and draws of {listed(features)}. {_ROWS_REMEDY}")
    return X


def own_rows(posterior: xr.DataTree) -> LabelledRows:
    """The rows that the posterior was sampled for, for functions that take no other rows."""
    return observed_rows(posterior, feature_names(mixture_dataset(posterior)))


def rows_for(posterior: xr.DataTree, X: ArrayLike | None) -> LabelledRows:
    """The rows of the argument `X`, or those that the posterior was sampled for if `X` is None."""
    features = feature_names(mixture_dataset(posterior))
    if X is None and not has_rows(posterior):
        raise InputError("posterior holds no rows. Pass them as X.")
    if X is None:
        return observed_rows(posterior, features)
    values = as_table(X, features=features).values
    return LabelledRows(values, index_for(X, len(values)))


def check_comparable(parameters: MixtureParameters, draws: MixtureDraws, name: str = "em") -> None:
    """Raise InputError unless a mixture has as many components as the draws, and the same features in their order."""
    if parameters.means.shape != draws.means.shape[1:]:
        raise InputError(
            f"{name} has {count(parameters.n_components, 'component')} of {count(parameters.n_features, 'feature')}; "
            f"the posterior has {draws.n_components} of {draws.n_features}. Fit both with the same n_components to the "
            f"same columns."
        )
    if names_clash(parameters.features, draws.features):
        remedy = "Fit both to the same columns."
        if set(parameters.features) == set(draws.features):
            names = shown(list(parameters.features))
            remedy = f"These are the same in another order: pass marginal(posterior, {names}), or fit both alike."
        raise InputError(
            f"{name} describes {listed(parameters.features)}; the posterior has {listed(draws.features)}. {remedy}"
        )


def check_aligned(posterior: xr.DataTree, parameters: MixtureParameters | None = None) -> None:
    """Raise InputError unless `align` has relabelled the posterior, to labels that are also those of EM's parameters.

    The labels are the same if each component of the reference is nearest to the component of that number: no other
    order of EM's components has a smaller sum of Bhattacharyya distances from the reference.
    """
    _posterior_group(posterior)
    if not posterior.attrs.get("aligned", 0):
        raise InputError(
            "posterior is not aligned: its components have no fixed labels. Pass align(posterior, em.parameters)."
        )
    reference = None if parameters is None else _reference_of(posterior, parameters.features)
    if parameters is None or reference is None or reference.means.shape != parameters.means.shape:
        return  # other numbers of components or features are refused elsewhere
    distances = distances_to_reference(reference, parameters.means[np.newaxis], parameters.covariances[np.newaxis])
    [order] = best_assignments(distances)
    least = distances[0, np.arange(len(order)), order].sum()
    if np.trace(distances[0]) > least + _SAME_DISTANCE * (1 + least):
        k = int(np.flatnonzero(order != np.arange(len(order)))[0])
        raise InputError(
            f"posterior has the labels of another mixture than em: its component {k} is em's component {order[k]}. "
            f"Pass align(posterior, em.parameters)."
        )


def reference_group(reference: MixtureParameters) -> xr.Dataset:
    """The group `reference` of an aligned posterior: the mixture whose labels it has."""
    arrays = {"weights": reference.weights, "means": reference.means, "covariances": reference.covariances}
    names = list(reference.features)
    return xr.Dataset(
        {name: (_DIMS[name][2:], array) for name, array in arrays.items()},
        coords={"component": np.arange(reference.n_components), "feature": names, "feature_other": names},
    )


def _reference_of(posterior: xr.DataTree, features: tuple[str, ...]) -> MixtureParameters | None:
    """The mixture whose labels the posterior has, with its features in this order; None if it is not known."""
    group = posterior["reference"].to_dataset() if "reference" in posterior.children else xr.Dataset()
    if not set(_DIMS) <= set(group.data_vars):
        return None
    names = feature_names(group)
    reference = MixtureParameters(group["weights"].values, group["means"].values, group["covariances"].values, names)
    return reference.marginal(features) if set(features) == set(names) else reference


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
    draws = mixture_dataset(posterior)
    free = scalars_of(draws.sizes["component"], feature_names(draws), structure_of(posterior, draws).name)
    several = draws.sizes["chain"] * draws.sizes["draw"] > 1
    stds_are_fixed = several and np.ptp(draws["stds"].values, axis=(0, 1)).max() == 0
    free = [entry for entry in free if not (stds_are_fixed and entry.parameter == "stds")]
    arrays = {name: np.asarray(draws[name].values, np.float64) for name in PARAMETERS}
    return free, scalar_values(free, arrays)


def structure_of(posterior: xr.DataTree, draws: xr.Dataset) -> CovarianceStructure:
    """The covariance structure that the posterior names, or that its draws have."""
    named = posterior.attrs.get("covariance")
    return structure_named(str(named) if named in STRUCTURES else _structure_in(draws))


def _structure_in(draws: xr.Dataset) -> str:
    correlations, stds = draws["correlations"].values, draws["stds"].values
    off_diagonal = ~np.eye(correlations.shape[-1], dtype=bool)
    if not correlations[..., off_diagonal].any() and stds.shape[-1] > 1:
        return "spherical" if np.ptp(stds, axis=-1).max() == 0 else "diag"
    return "tied" if stds.shape[2] > 1 and np.ptp(stds, axis=2).max() == 0 else "full"


def mean_and_sd(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(...,) mean and standard deviation along the last axis, exact where all draws are equal."""
    first, constant = draws[..., 0], np.ptp(draws, axis=-1) == 0
    mean, sd = draws.mean(axis=-1), draws.std(axis=-1, ddof=1)
    return np.where(constant, first, mean), np.where(constant, 0.0, sd)


def standardised(values: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """(n,) (values - mean) / sd; where sd is 0, 0 if the value equals the mean to rounding, and NaN otherwise."""
    differences, constant = values - mean, sd == 0
    z = np.divide(differences, sd, out=np.full_like(differences, np.nan), where=~constant)
    z[constant & (np.abs(differences) <= _SAME * np.abs(mean))] = 0.0
    return z


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
