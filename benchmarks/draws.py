"""Effective draws: what every sampler's output is reduced to."""

from typing import NamedTuple

import arviz as az
import numpy as np
import xarray as xr

import bayesgmm as bg
from bayesgmm.mixture.draws import log_densities_of_draws


class Sampled(NamedTuple):
    """Seconds of compilation, of tuning and drawing, and draws (chain, draw, ...) of each variable."""

    compilation: float
    seconds: float
    values: dict[str, np.ndarray]


def bulk_ess(values: np.ndarray) -> float:
    """Smallest bulk-ESS of an array (chain, draw, ...), fixed numbers left out; NaN from fewer than 4 draws."""
    flat = values.reshape(*values.shape[:2], -1)
    flat = flat[..., flat.std(axis=(0, 1)) > 0]
    if flat.shape[1] < 4 or flat.shape[2] == 0:
        return float("nan")
    return float(az.ess(xr.Dataset({"x": (("chain", "draw", "i"), flat)}))["x"].min())


def aligned_ess(values: dict[str, np.ndarray], reference: bg.MixtureParameters) -> float:
    """Smallest bulk-ESS over weights (chain, draw, K), means (..., D) and covariances (..., D, D), labels aligned."""
    weights = values["weights"]
    if weights.shape[1] < 4:
        return float("nan")
    dims = ("chain", "draw", "component", "feature", "feature_other")
    posterior = xr.Dataset(
        {name: (dims[: values[name].ndim], values[name]) for name in ("weights", "means", "covariances")},
        coords={"component": np.arange(weights.shape[2])},
    )
    tree = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": xr.Dataset()})
    draws = bg.align(tree, reference)["posterior"]
    return min(bulk_ess(draws[name].values) for name in ("weights", "means", "covariances"))


def log_likelihoods(X: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """(chain, draw) log-likelihood of all rows, of draws with leading axes (chain, draw)."""
    shape = weights.shape[:2]
    flat = (values.reshape(-1, *values.shape[2:]) for values in (weights, means, covariances))
    return np.reshape([densities.sum() for densities in log_densities_of_draws(X, *flat)], shape)
