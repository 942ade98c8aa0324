"""From what the sampler left to a posterior in ArviZ's schema."""

import numpy as np
import xarray as xr

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.sampling.run import Z
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.ways import Coordinates
from bayesgmm.mixture.draws import log_densities_of_draws
from bayesgmm.mixture.scalars import PARAMETERS
from bayesgmm.types import FloatArray
from bayesgmm.validation import Table

DIMS = {
    "weights": ("component",),
    "means": ("component", "feature"),
    "stds": ("component", "feature"),
    "correlations": ("component", "feature", "feature_other"),
    "covariances": ("component", "feature", "feature_other"),
}
# What is kept of the sampler's statistics, under ArviZ's names. All but the first are NUTS' own.
_STATISTICS = {
    "logp": "lp",
    "energy": "energy",
    "diverging": "diverging",
    "mean_tree_accept": "acceptance_rate",
    "n_steps": "n_steps",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
    "step_size": "step_size",
    "step_size_bar": "step_size_bar",
}


def read(target: Target, tree: xr.DataTree, at: Coordinates) -> xr.DataTree:
    """What the sampler left, in ArviZ's schema."""
    left = tree["sample_stats"].to_dataset()
    names = {name: ours for name, ours in _STATISTICS.items() if name in left}
    stats = left[list(names)].rename(names)
    groups: dict[str, xr.Dataset] = {}
    if target.density is not None and target.table is not None:
        groups["posterior"] = draws = _mixtures(target.density, target.table, thetas_of(tree, at), stats)
        values = {name: draws[name].values for name in PARAMETERS}
        log_priors = target.density.prior.log_density(values, target.density.structure)
        stats = stats.assign(log_prior=(("chain", "draw"), log_priors))
        totals: FloatArray | None = log_likelihoods(target, tree, at)
    else:
        posterior = tree["posterior"].to_dataset()
        groups["posterior"] = posterior = posterior[[name for name in posterior if name in target.kept]]
        are_mixtures = {"weights", "means", "covariances"} <= set(posterior.data_vars)
        totals = _over_the_rows(posterior, target.table) if are_mixtures and target.table else None
    groups["sample_stats"] = stats
    if totals is not None:
        groups["sample_stats"] = stats.assign(total_log_likelihood=(("chain", "draw"), totals))
    if target.table is not None:
        groups["observed_data"] = xr.Dataset(
            {"X": (("row", "feature"), target.table.values)}, coords={"feature": list(target.table.features)}
        )
    return xr.DataTree.from_dict(groups)


def thetas_of(tree: xr.DataTree, at: Coordinates) -> FloatArray:
    """(S, P) unconstrained parameters, chain after chain."""
    z = tree["posterior"].to_dataset()[Z].values
    return at.theta(z.reshape(-1, z.shape[-1]))


def _mixtures(density: MixtureDensity, table: Table, thetas: FloatArray, stats: xr.Dataset) -> xr.Dataset:
    chains, n_draws, features = stats.sizes["chain"], stats.sizes["draw"], list(table.features)
    values = density.constrain(thetas)
    if not np.isfinite(values["covariances"]).all():
        raise np.linalg.LinAlgError("covariances that are not finite")
    np.linalg.cholesky(values["covariances"])  # raises where one is singular
    return xr.Dataset(
        {
            name: (("chain", "draw", *DIMS[name]), value.reshape(chains, n_draws, *value.shape[1:]))
            for name, value in values.items()
        },
        coords={
            "chain": stats.chain,
            "draw": stats.draw,
            "component": np.arange(density.n_components),
            "feature": features,
            "feature_other": features,
        },
    )


def log_likelihoods(target: Target, tree: xr.DataTree, at: Coordinates) -> FloatArray:
    """(chain, draw) log posterior less the prior, which no row is needed for; of a PyMC model, the log posterior."""
    log_posteriors: FloatArray = tree["sample_stats"].to_dataset()["logp"].values
    if target.density is None:
        return log_posteriors
    return np.asarray(log_posteriors - target.density.log_priors(thetas_of(tree, at)).reshape(log_posteriors.shape))


def _over_the_rows(posterior: xr.Dataset, table: Table) -> FloatArray:
    """(chain, draw) log-likelihood of all rows, by a pass over them for each draw."""
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    flat = {
        name: posterior[name].values.reshape(-1, *posterior[name].shape[2:])
        for name in ("weights", "means", "covariances")
    }
    totals = [densities.sum() for densities in log_densities_of_draws(table.values, **flat)]
    return np.reshape(totals, shape)
