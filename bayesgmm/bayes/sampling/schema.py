"""Draws as a posterior in ArviZ's schema."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.mixture.scalars import PARAMETERS
from bayesgmm.row_index import row_coordinate
from bayesgmm.types import FloatArray, RowArray

_CHAIN_DRAW = ("chain", "draw")
DIMS = {
    "weights": ("component",),
    "means": ("component", "feature"),
    "stds": ("component", "feature"),
    "correlations": ("component", "feature", "feature_other"),
    "covariances": ("component", "feature", "feature_other"),
}


def mixture_variables(density: MixtureDensity, features: tuple[str, ...], draws: Draws) -> xr.Dataset:
    """The group `posterior`: the mixtures at the draws.

    Raises LinAlgError when a covariance is not finite or singular.
    """
    values = density.constrain(draws.flat_theta)
    if not np.isfinite(values["covariances"]).all():
        raise np.linalg.LinAlgError("covariances that are not finite")
    np.linalg.cholesky(values["covariances"])  # raises where one is singular
    shape = draws.log_posterior.shape
    return xr.Dataset(
        {
            name: ((*_CHAIN_DRAW, *DIMS[name]), value.reshape(*shape, *value.shape[1:]))
            for name, value in values.items()
        },
        coords=_chain_draw(draws)
        | {
            "component": np.arange(density.n_components),
            "feature": list(features),
            "feature_other": list(features),
        },
    )


def sample_stats(draws: Draws) -> xr.Dataset:
    """The group `sample_stats`: the log posterior as `lp`, and the sampler's own statistics."""
    stats = {"lp": draws.log_posterior, **draws.stats}
    return xr.Dataset({name: (_CHAIN_DRAW, values) for name, values in stats.items()}, coords=_chain_draw(draws))


def observed_data(values: RowArray, features: tuple[str, ...], index: pd.Index | None = None) -> xr.Dataset:
    """The group `observed_data`: the rows X (N, D), with their index in a data frame as the coordinate `row`."""
    coords = {"feature": list(features), **row_coordinate(index)}
    return xr.Dataset({"X": (("row", "feature"), values)}, coords=coords)


def posterior_tree(posterior: xr.Dataset, stats: xr.Dataset, observed: xr.Dataset | None) -> xr.DataTree:
    """The groups as one tree."""
    groups = {"posterior": posterior, "sample_stats": stats}
    return xr.DataTree.from_dict(groups if observed is None else groups | {"observed_data": observed})


def log_priors(density: MixtureDensity, posterior: xr.Dataset) -> FloatArray:
    """(chain, draw) log prior density of weights, means, standard deviations and correlations, up to a constant."""
    values = {name: posterior[name].values for name in PARAMETERS}
    return density.prior.log_density(values, density.structure)


def _chain_draw(draws: Draws) -> dict[str, Any]:
    return {"chain": np.arange(draws.n_chains), "draw": np.arange(draws.n_draws)}
