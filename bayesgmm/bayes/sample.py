"""`sample_posterior`: from rows, or from a PyMC model, to a posterior in ArviZ's schema."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayesgmm.bayes import nuts
from bayesgmm.bayes.density import MixtureDensity
from bayesgmm.bayes.precondition import Whitening, find_mode, whiten
from bayesgmm.bayes.prior import Prior, check_prior
from bayesgmm.exceptions import InputError, SamplingError
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.parameters import MixtureParameters, log_densities_of_draws
from bayesgmm.mixture.rows import moments, one_blas_thread, rows_of
from bayesgmm.mixture.spread import total_cholesky
from bayesgmm.validation import Table, as_generator, as_table, check_count, check_n_components

type FloatArray = NDArray[np.float64]

DIMS = {
    "weights": ("component",),
    "means": ("component", "feature"),
    "stds": ("component", "feature"),
    "correlations": ("component", "feature", "feature_other"),
    "covariances": ("component", "feature", "feature_other"),
}
# What is kept of nutpie's statistics, under ArviZ's names.
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
_FEWEST_DRAWS = 4  # fewer cannot be diagnosed
_TUNE_WHITENED, _TUNE_PLAIN = 200, 1000
# Chains start this far apart, in standard deviations: wider than the posterior, so that R-hat can see a chain that
# has not found it.
_START_WIDTH = 2.0
_N_STARTS = 10


@dataclass(frozen=True, eq=False)
class _Target:
    """What is sampled and how its draws are read."""

    posterior: Any
    starts: list[FloatArray]
    density: MixtureDensity | None
    table: Table | None
    attributes: dict[str, Any]


def sample_posterior(
    X: Any,
    n_components: int | None = None,
    covariance: str = "full",
    *,
    prior: Prior | None = None,
    start: MixtureParameters | None = None,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    rng: Any = None,
    progress: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a Gaussian mixture with NUTS, its assignments summed out.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, (n_samples,) for one feature; or a `pymc.Model`, such as
        `build_model` makes and you may have changed.
    n_components, covariance, prior : the model; not with a `pymc.Model`, which says them itself.
    start : MixtureParameters, usually `fit_em(...).parameters`: where the search for the mode begins. Without it ten
        searches begin at random rows.
    draws, chains : draws a chain after tuning, at least 4, and chains.
    tune : tuning draws a chain; by default 200 when the sampling is whitened and 1000 when it is not.
    rng : int, numpy.random.Generator or None. The same seed gives the same draws on any number of cores.
    progress : show progress on standard error.

    Returns
    -------
    xarray.DataTree in ArviZ's schema. `posterior`: weights[chain, draw, component], means[..., component, feature],
    stds, correlations, covariances. `sample_stats`: the sampler's, and total_log_likelihood. `observed_data`: X.
    Attributes say how it was sampled: `whitened` and `whitening_reason`; `partial` is 1 when Ctrl-C ended it early, and
    `chain_lengths` then has the draws of each chain before they were cut to equal length.

    Raises
    ------
    InputError
        The data, an option, the prior or the start cannot be used.
    SamplingError
        No chain could start, or the draws are no mixtures.

    Notes
    -----
    No order is imposed on the components: see `align`. Chains start around the same mode; how far another mode would
    be is for `fit_em`'s restarts to say.
    """
    draws, chains = check_count(draws, "draws", _FEWEST_DRAWS), check_count(chains, "chains")
    tune = None if tune is None else check_count(tune, "tune")
    generator = as_generator(rng)
    if start is not None and not isinstance(start, MixtureParameters):
        raise InputError(
            f"start must be a MixtureParameters, such as fit_em(...).parameters; received {type(start).__name__}."
        )
    if _is_pymc_model(X):
        if n_components is not None or prior is not None:
            raise InputError("n_components and prior belong to the model; leave them out when X is a pymc.Model.")
        target = _model_target(X, start, generator)
    else:
        target = _default_target(X, n_components, covariance, prior, start, generator)
    with one_blas_thread():  # chains run on threads of their own
        mode = find_mode(target.posterior, target.starts)
        whitening = whiten(target.posterior, mode, generator)
        tune = tune or (_TUNE_WHITENED if whitening.whitened else _TUNE_PLAIN)
        run = nuts.run(
            target.posterior.sampler(whitening.centre, whitening.scale),
            start_width=_START_WIDTH,
            draws=draws,
            tune=tune,
            chains=chains,
            seed=int(generator.integers(2**63)),
            progress=progress,
        )
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # draws that are no mixtures are refused below
            return _assemble(target, whitening, run, tune)
    except np.linalg.LinAlgError as error:
        raise SamplingError(
            "Some draws have covariances that are singular to machine precision: the prior puts standard deviations or "
            "means far from what the data show. Check the prior's scales against the data.",
            run.tree,
        ) from error


def _is_pymc_model(X: Any) -> bool:
    pymc = sys.modules.get("pymc")  # whoever has a model has imported PyMC; nobody else has to wait for it
    return pymc is not None and isinstance(X, pymc.Model)


def _model_target(model: Any, start: MixtureParameters | None, rng: np.random.Generator) -> _Target:
    # This imports PyTensor and PyMC, which the default model does without.
    from bayesgmm.bayes.compiled_model import CompiledModel

    posterior = CompiledModel(model)
    table = None
    observed = {variable.name: variable for variable in model.observed_RVs}
    if "X" in observed:
        values = np.asarray(model.rvs_to_values[observed["X"]].eval())
        features = model.coords.get("feature")
        if values.ndim == 2 and features is not None and len(features) == values.shape[1]:
            table = Table(values, tuple(map(str, features)))
    return _Target(posterior, posterior.starts(start, rng), None, table, {"model": "pymc.Model"})


def _default_target(
    X: ArrayLike,
    n_components: int | None,
    covariance: str,
    prior: Prior | None,
    start: MixtureParameters | None,
    rng: np.random.Generator,
) -> _Target:
    structure = structure_named(covariance)
    table = as_table(X)
    K = check_n_components(n_components, table)
    check_prior(prior)
    total_cholesky(rows_of(table.values), table.features, structure)  # refuses what makes the posterior improper
    prior = prior or Prior.for_data(X, structure.name)
    density = MixtureDensity.of(table, K, structure, prior)
    if start is None:
        starts = [density.unconstrain(mixture) for mixture in _random_mixtures(density.values, K, rng)]
    else:
        start.check_start(K, table.features)
        starts = [density.unconstrain(start)]
    attributes = {"model": "default", "covariance": structure.name, "prior": repr(density.prior)}
    return _Target(nuts.CompiledDensity(density), starts, density, table, attributes)


def _random_mixtures(values: FloatArray, n_components: int, rng: np.random.Generator) -> list[MixtureParameters]:
    """Mixtures with random rows as means, equal weights, and variances shrunk from the data's to K equal volumes."""
    variances = np.diagonal(moments(rows_of(values))[1]) * n_components ** (-2 / values.shape[1])
    covariances = np.broadcast_to(np.diag(variances), (n_components, len(variances), len(variances)))
    weights = np.full(n_components, 1 / n_components)
    return [
        MixtureParameters(weights, values[rng.choice(len(values), n_components, replace=False)], covariances)
        for _ in range(_N_STARTS)
    ]


def _assemble(target: _Target, whitening: Whitening, run: nuts.Run, tune: int) -> xr.DataTree:
    stats = run.tree["sample_stats"].to_dataset()[list(_STATISTICS)].rename(_STATISTICS)
    chains, n_draws = stats.sizes["chain"], stats.sizes["draw"]
    if target.density is not None and target.table is not None:
        z = run.tree["posterior"].to_dataset()[nuts.Z].values.reshape(chains * n_draws, -1)
        values = target.density.constrain(whitening.centre + z @ whitening.scale.T)
        features = list(target.table.features)
        posterior = xr.Dataset(
            {
                name: (("chain", "draw", *DIMS[name]), value.reshape(chains, n_draws, *value.shape[1:]))
                for name, value in values.items()
            },
            coords={
                "chain": stats.chain,
                "draw": stats.draw,
                "component": np.arange(target.density.n_components),
                "feature": features,
                "feature_other": features,
            },
        )
    else:
        posterior = run.tree["posterior"].to_dataset()
        names = [name for name in posterior.data_vars if name in target.posterior.kept]
        posterior = posterior[names]
    groups = {"posterior": posterior, "sample_stats": stats}
    if target.table is not None:
        if {"weights", "means", "covariances"} <= set(posterior.data_vars):
            groups["sample_stats"] = stats.assign(
                total_log_likelihood=(("chain", "draw"), _total_log_likelihoods(posterior, target.table))
            )
        groups["observed_data"] = xr.Dataset(
            {"X": (("row", "feature"), target.table.values)}, coords={"feature": list(target.table.features)}
        )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= target.attributes | {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bayesgmm_version": version("bayesgmm"),
        "inference_library": "nutpie",
        "inference_library_version": version("nutpie"),
        "tuning_draws": tune,
        "whitened": int(whitening.whitened),
        "whitening_reason": whitening.reason,
        "partial": int(run.partial),
        "chain_lengths": list(run.lengths),
        "aligned": 0,
    }
    return tree


def _total_log_likelihoods(posterior: xr.Dataset, table: Table) -> FloatArray:
    """(chain, draw) log-likelihood of all rows."""
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    flat = {
        name: posterior[name].values.reshape(-1, *posterior[name].shape[2:])
        for name in ("weights", "means", "covariances")
    }
    totals = [densities.sum() for densities in log_densities_of_draws(table.values, **flat)]
    return np.reshape(totals, shape)
