"""The posterior of some of the features: by themselves, or when the others are known."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import softmax

from bayesgmm.mixture.covariance import stds_and_correlations
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.posterior.draws import mixture_dataset, mixture_draws, tree_of
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_feature_indices, check_given

# Of the sampler's statistics, the one that is about the rows of all features.
_OF_ALL_FEATURES = ["total_log_likelihood"]


def marginal(posterior: xr.DataTree, features: Sequence[str | int]) -> xr.DataTree:
    """The posterior of the mixture of some of the features, in the order given.

    A Gaussian mixture's marginal has the same weights and the sub-vectors and sub-matrices of its means and
    covariances, so that what comes back is a posterior like any other: `predict`, `predict_density`, `conditional`,
    `add_posterior_predictive` and the pictures take it.

    Parameters
    ----------
    posterior : DataTree, as `sample_posterior` or `align` returns it.
    features : names or numbers of the features to keep.

    Returns
    -------
    DataTree
        A new one: `posterior`, `sample_stats` without total_log_likelihood, and `observed_data` with these features
        only, no other group; aligned if `posterior` was.

    Raises
    ------
    InputError
        `features` is no list of features of the posterior, each once, or the posterior describes no mixture.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> posterior = bg.sample_posterior(bg.datasets.load_faithful(), 2, draws=200, rng=1, progress=False)
    >>> waiting = bg.marginal(posterior, ["waiting"])
    >>> bg.predict_density(waiting, [55.0, 80.0]).log_density.round(1).tolist()
    [-3.7, -3.2]
    """
    draws = mixture_dataset(posterior)
    index = as_feature_indices(features, tuple(map(str, draws["feature"].values)), "features")
    groups = {"posterior": draws.isel(feature=index, feature_other=index), **_statistics(posterior)}
    if "observed_data" in posterior:
        groups["observed_data"] = posterior["observed_data"].to_dataset().isel(feature=index)
    return tree_of(groups, posterior.attrs)


def conditional(posterior: xr.DataTree, given: Mapping[str | int, float]) -> xr.DataTree:
    """The posterior of the mixture of the other features when those in `given` have these values.

    Draw by draw and component by component a Gaussian conditional (Bishop 2006, eqs. 2.81 and 2.82),

        mu_a + G (x_b - mu_b),   Sigma_aa - G Sigma_ba,   G = Sigma_ab Sigma_bb^-1,

    with the responsibilities at the given values in the place of the weights. Uncertain parameters make the
    conditional uncertain: `predict_density` of it has the intervals.

    Parameters
    ----------
    posterior : DataTree, as `sample_posterior` or `align` returns it.
    given : from names or numbers of features to their values, in the units of the data.

    Returns
    -------
    DataTree
        A new one: `posterior` with weights, means, covariances, stds and correlations of the other features, and
        `sample_stats` without total_log_likelihood, no other group; aligned if `posterior` was. `attrs["given"]` says
        what was known.

    Raises
    ------
    InputError
        `given` is no mapping, names a feature that there is not or all of them, or has a value that is not finite; or
        the posterior describes no mixture.

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
    known, other, values = check_given(given, draws.features)
    arrays = _conditional(draws, known, other, values)
    arrays["stds"], arrays["correlations"] = stds_and_correlations(arrays["covariances"])
    names = [draws.features[i] for i in other]
    dims = ("chain", "draw", "component", "feature", "feature_other")
    shape = dataset.sizes["chain"], dataset.sizes["draw"]
    coords: dict[str, Any] = {name: dataset[name] for name in dims[:3] if name in dataset.coords}
    variables = {
        name: (dims[: array.ndim + 1], array.reshape(*shape, *array.shape[1:])) for name, array in arrays.items()
    }
    group = xr.Dataset(variables, {**coords, "feature": names, "feature_other": names})
    tree = tree_of({"posterior": group, **_statistics(posterior)}, posterior.attrs)
    tree.attrs["given"] = ", ".join(f"{draws.features[i]}={value:g}" for i, value in zip(known, values, strict=True))
    return tree


def _statistics(posterior: xr.DataTree) -> dict[str, xr.Dataset]:
    if "sample_stats" not in posterior:
        return {}
    return {"sample_stats": posterior["sample_stats"].to_dataset().drop_vars(_OF_ALL_FEATURES, errors="ignore")}


def _conditional(draws: MixtureDraws, known: list[int], other: list[int], values: FloatArray) -> dict[str, FloatArray]:
    """With the known features first, L = chol(Sigma) has G L_bb = L_ab, and L_aa L_aa' is what remains of Sigma_aa."""
    order, n = known + other, len(known)
    choleskys = np.linalg.cholesky(draws.covariances[:, :, order][..., order])
    inner, cross, outer = choleskys[..., :n, :n], choleskys[..., n:, :n], choleskys[..., n:, n:]
    differences = (values - draws.means[:, :, known])[..., np.newaxis]
    whitened = np.linalg.solve(inner, differences)
    log_scales = -np.log(np.einsum("skii->ski", inner)).sum(axis=-1) - 0.5 * (whitened[..., 0] ** 2).sum(axis=-1)
    with np.errstate(divide="ignore"):
        log_weights = np.log(draws.weights)
    return {
        "weights": softmax(log_weights + log_scales, axis=-1),
        "means": draws.means[:, :, other] + (cross @ whitened)[..., 0],
        "covariances": outer @ outer.swapaxes(-1, -2),
    }
