"""`marginal` and `conditional`: the posterior of a subset of the features, without or given the others."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.special import softmax

from bayesgmm.checked_tables import as_feature_indices, check_given
from bayesgmm.mixture.covariance import stds_and_correlations
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.posterior.draws import (
    feature_names,
    has_rows,
    mixture_dataset,
    mixture_draws,
    observed_array,
    sample_stats,
    tree_of,
)
from bayesgmm.types import FloatArray

# Statistics in `sample_stats` that depend on the rows of all features, and so do not hold for a subset.
_STATISTICS_OF_ALL_FEATURES = ["total_log_likelihood"]


def marginal(posterior: xr.DataTree, features: Sequence[str | int]) -> xr.DataTree:
    """Reduce a posterior to the mixture of some of its features, in the order given.

    The marginal of a Gaussian mixture has the same weights, and the sub-vectors and sub-matrices of its means and
    covariances. The result is therefore a posterior like any other: `predict`, `predict_density`, `conditional`,
    `add_posterior_predictive` and the plots accept it. All features in another order give the same posterior in that
    order.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.
    features : names or numbers of the features to keep.

    Returns
    -------
    DataTree
        A new one with the groups `posterior`, `sample_stats` (without total_log_likelihood, unless all features are
        kept), and `observed_data` and `reference` of these features; no other groups. It is aligned if `posterior` was.

    Raises
    ------
    InputError
        `features` is not a list of distinct features of the posterior, or the posterior describes no mixture.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> waiting = bg.marginal(posterior, ["waiting"])
    >>> bg.predict_density(waiting, [55.0, 80.0]).log_density.round(1).tolist()
    [-3.7, -3.2]
    """
    draws = mixture_dataset(posterior)
    names = feature_names(draws)
    index = as_feature_indices(features, names, "features")
    statistics = [] if len(index) == draws.sizes["feature"] else _STATISTICS_OF_ALL_FEATURES
    groups = {
        "posterior": draws.isel(feature=index, feature_other=index),
        **_statistics_without(statistics, posterior),
    }
    if has_rows(posterior):
        groups["observed_data"] = observed_array(posterior, names).isel(feature=index).to_dataset(name="X")
    if "reference" in posterior.children:
        groups["reference"] = posterior["reference"].to_dataset().isel(feature=index, feature_other=index)
    return tree_of(groups, posterior.attrs)


def conditional(posterior: xr.DataTree, given: Mapping[str | int, float]) -> xr.DataTree:
    """Condition a posterior on values of some features: the mixture of the other features given these values.

    For every draw and component this is the Gaussian conditional (Bishop 2006, eqs. 2.81 and 2.82) with

        mean mu_a + G (x_b - mu_b)   and   covariance Sigma_aa - G Sigma_ba,   G = Sigma_ab Sigma_bb^-1,

    and the responsibilities at the given values as weights. The conditional density is uncertain because the parameters
    are: `predict_density` of the result has intervals.

    Parameters
    ----------
    posterior : DataTree as `sample_posterior` or `align` returns it.
    given : maps names or numbers of features to their values, in the units of the data.

    Returns
    -------
    DataTree
        A new one with the groups `posterior` (weights, means, covariances, stds and correlations of the other features)
        and `sample_stats` without total_log_likelihood; no other groups. It is aligned if `posterior` was.
        `attrs["given"]` holds the given values.

    Raises
    ------
    InputError
        `given` is not a mapping, names an unknown feature or all features, or has a value that is not finite; or the
        posterior describes no mixture.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> draws = bg.conditional(posterior, {"eruptions": 2.0})["posterior"]  # how long to wait after two minutes?
    >>> expected = (draws["weights"] * draws["means"].sel(feature="waiting")).sum("component")
    >>> round(float(expected.mean()))
    54
    """
    dataset, draws = mixture_dataset(posterior), mixture_draws(posterior)
    given_index, other_index, values = check_given(given, draws.features)
    arrays = _conditional_mixtures(draws, given_index, other_index, values)
    arrays["stds"], arrays["correlations"] = stds_and_correlations(arrays["covariances"])
    names = [draws.features[i] for i in other_index]
    dims = ("chain", "draw", "component", "feature", "feature_other")
    shape = dataset.sizes["chain"], dataset.sizes["draw"]
    coords = {name: dataset[name] for name in dims[:3] if name in dataset.coords}
    variables = {
        name: (dims[: array.ndim + 1], array.reshape(*shape, *array.shape[1:])) for name, array in arrays.items()
    }
    group = xr.Dataset(variables, {**coords, "feature": names, "feature_other": names})
    tree = tree_of({"posterior": group, **_statistics_without(_STATISTICS_OF_ALL_FEATURES, posterior)}, posterior.attrs)
    pairs = zip(given_index, values, strict=True)
    tree.attrs["given"] = ", ".join(f"{draws.features[i]}={value:g}" for i, value in pairs)
    return tree


def _statistics_without(names: list[str], posterior: xr.DataTree) -> dict[str, xr.Dataset]:
    """The group `sample_stats`, if there is one, without the statistics of these names."""
    stats = sample_stats(posterior)
    return {"sample_stats": stats.drop_vars(names, errors="ignore")} if stats.data_vars else {}


def _conditional_mixtures(
    draws: MixtureDraws, given_index: list[int], other_index: list[int], values: FloatArray
) -> dict[str, FloatArray]:
    """Weights, means and covariances of the other features given the values.

    With the given features first, L = chol(Sigma) satisfies G L_bb = L_ab and L_aa L_aa' = Sigma_aa - G Sigma_ba.
    """
    order, n = given_index + other_index, len(given_index)
    choleskys = np.linalg.cholesky(draws.covariances[:, :, order][..., order])
    inner, cross, outer = choleskys[..., :n, :n], choleskys[..., n:, :n], choleskys[..., n:, n:]
    differences = (values - draws.means[:, :, given_index])[..., np.newaxis]
    whitened = np.linalg.solve(inner, differences)
    log_scales = -np.log(np.einsum("skii->ski", inner)).sum(axis=-1) - 0.5 * (whitened[..., 0] ** 2).sum(axis=-1)
    with np.errstate(divide="ignore"):
        log_weights = np.log(draws.weights)
    return {
        "weights": softmax(log_weights + log_scales, axis=-1),
        "means": draws.means[:, :, other_index] + (cross @ whitened)[..., 0],
        "covariances": outer @ outer.swapaxes(-1, -2),
    }
