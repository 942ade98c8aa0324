"""`sample_posterior`: from rows, or from a PyMC model, to a posterior in ArviZ's schema."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from bayesgmm.bayes import nuts
from bayesgmm.bayes.choose import Coordinates, choose
from bayesgmm.bayes.density import MixtureDensity
from bayesgmm.bayes.diagnose import converged
from bayesgmm.bayes.precondition import curvature_at, find_mode
from bayesgmm.bayes.prior import Prior, check_prior
from bayesgmm.exceptions import InputError, SamplingError
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.parameters import MixtureParameters, log_densities_of_draws
from bayesgmm.mixture.rows import moments, rows_of
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
_FIRST_CHECK = 1000
# Chains start this far apart, in standard deviations: wider than the posterior, so that R-hat can see a chain that
# has not found it.
_START_WIDTH = 2.0
_N_STARTS = 10


@dataclass(frozen=True, eq=False)
class _Target:
    """What is sampled and how its draws are read."""

    posterior: nuts.Posterior
    starts: list[FloatArray]
    density: MixtureDensity | None
    kept: tuple[str, ...]  # variables of a PyMC model's draws
    table: Table | None
    attributes: dict[str, Any]


def sample_posterior(
    X: Any,
    n_components: int | None = None,
    covariance: str = "full",
    *,
    prior: Prior | None = None,
    start: MixtureParameters | None = None,
    draws: int | None = None,
    max_draws: int = 10_000,
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
    draws : draws a chain after tuning, at least 4. By default sampling goes on until the quantities that do not depend
        on labels (log posterior, log-likelihood, log density at a few rows) have R-hat at most 1.01 and 400 effective
        draws, bulk and tail, or until `max_draws`. It looks after 1000, 2000, 4000, ... draws.
    max_draws : the most draws a chain when `draws` is not given.
    tune : tuning draws a chain; by default 200 when the sampling is whitened, 400 when it is plain, 800 when low-rank.
    chains : number of chains; a single one has no R-hat, so that without `draws` it goes on until `max_draws`.
    rng : int, numpy.random.Generator or None. The same seed gives the same draws on any number of cores.
    progress : show progress on standard error.

    Returns
    -------
    xarray.DataTree in ArviZ's schema. `posterior`: weights[chain, draw, component], means[..., component, feature],
    stds, correlations, covariances. `sample_stats`: the sampler's, and total_log_likelihood. `observed_data`: X.
    Attributes say how it was sampled. `preconditioning` is "whitened", "plain" or "low-rank", `preconditioning_reason`
    and `pilots` why; `stopped_by` is "convergence", "max_draws", "draws" or "interruption"; `gradients_by` is what the
    sampler calls: "C functions", the slower "Python functions", or "PyTensor"; `seconds_mode`, `seconds_pilot` and
    `seconds_sampling` are wall clock. `partial` is 1 when Ctrl-C ended it early, and `chain_lengths` then has the draws
    of each chain before they were cut to equal length.

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
    draws = None if draws is None else check_count(draws, "draws", _FEWEST_DRAWS)
    max_draws, chains = check_count(max_draws, "max_draws", _FEWEST_DRAWS), check_count(chains, "chains")
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
    # Products of matrices must not depend on the number of cores. Draws that are no mixtures may overflow;
    # `_of_mixtures` refuses them.
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
        return _sample(target, draws, max_draws, tune, chains, generator, progress)


def _sample(
    target: _Target,
    draws: int | None,
    max_draws: int,
    tune: int | None,
    chains: int,
    rng: np.random.Generator,
    progress: bool,
) -> xr.DataTree:
    posterior, clock = target.posterior, [time.perf_counter()]
    curvature = curvature_at(posterior, find_mode(posterior, target.starts), rng)
    clock.append(time.perf_counter())
    choice = choose(
        posterior,
        curvature,
        lambda tree, at: _log_likelihoods(target, tree, at),
        tune=tune,
        start_width=_START_WIDTH,
        rng=rng,
    )
    clock.append(time.perf_counter())
    at = choice.coordinates
    seed = int(rng.integers(2**63))
    sampler = posterior.sampler(at.centre, at.scale, nuts.starting_within(_START_WIDTH, posterior.n_dim))

    def read(tree: xr.DataTree) -> xr.DataTree:
        with _of_mixtures(tree):
            return _read(target, tree, at)

    run = nuts.run(
        lambda: nuts.Chains(
            sampler, at.settings, limit=draws or max_draws, chains=chains, seed=seed, progress=progress
        ),
        [draws] if draws is not None else _checkpoints(max_draws),
        read,
        converged if draws is None else lambda _: True,
    )
    clock.append(time.perf_counter())
    result = run.draws
    stopped_by = "interruption" if run.partial else "draws" if draws else "convergence" if run.enough else "max_draws"
    result.attrs |= target.attributes | {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bayesgmm_version": version("bayesgmm"),
        "inference_library": "nutpie",
        "inference_library_version": version("nutpie"),
        "gradients_by": posterior.calls,
        "preconditioning": at.name,
        "preconditioning_reason": choice.reason,
        "pilots": list(choice.pilots),
        "tuning_draws": at.settings.tune,
        "stopped_by": stopped_by,
        "partial": int(run.partial),
        "chain_lengths": list(run.lengths),
        "aligned": 0,
    }
    stages = ("seconds_mode", "seconds_pilot", "seconds_sampling")
    result.attrs |= {name: later - earlier for name, (earlier, later) in zip(stages, pairwise(clock), strict=True)}
    return result


def _checkpoints(max_draws: int) -> Iterator[int]:
    n = _FIRST_CHECK
    while n < max_draws:
        yield n
        n *= 2
    yield max_draws


@contextmanager
def _of_mixtures(tree: xr.DataTree) -> Iterator[None]:
    """Draws that are no mixtures end the sampling, with what there is of it."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise SamplingError(
            "Some draws have covariances that are singular to machine precision: the prior puts standard deviations or "
            "means far from what the data show. Check the prior's scales against the data.",
            tree,
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
    return _Target(posterior, posterior.starts(start, rng), None, tuple(posterior.kept), table, {"model": "pymc.Model"})


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
    return _Target(nuts.CompiledDensity(density), starts, density, (), table, attributes)


def _random_mixtures(values: FloatArray, n_components: int, rng: np.random.Generator) -> list[MixtureParameters]:
    """Mixtures with random rows as means, equal weights, and variances shrunk from the data's to K equal volumes."""
    variances = np.diagonal(moments(rows_of(values))[1]) * n_components ** (-2 / values.shape[1])
    covariances = np.broadcast_to(np.diag(variances), (n_components, len(variances), len(variances)))
    weights = np.full(n_components, 1 / n_components)
    return [
        MixtureParameters(weights, values[rng.choice(len(values), n_components, replace=False)], covariances)
        for _ in range(_N_STARTS)
    ]


def _read(target: _Target, tree: xr.DataTree, at: Coordinates) -> xr.DataTree:
    """What the sampler left, in ArviZ's schema."""
    stats = tree["sample_stats"].to_dataset()[list(_STATISTICS)].rename(_STATISTICS)
    groups: dict[str, xr.Dataset] = {}
    if target.density is not None and target.table is not None:
        groups["posterior"] = _mixtures(target.density, target.table, _thetas(tree, at), stats)
        log_likelihoods: FloatArray | None = _log_likelihoods(target, tree, at)
    else:
        posterior = tree["posterior"].to_dataset()
        groups["posterior"] = posterior = posterior[[name for name in posterior if name in target.kept]]
        are_mixtures = {"weights", "means", "covariances"} <= set(posterior.data_vars)
        log_likelihoods = _over_the_rows(posterior, target.table) if are_mixtures and target.table else None
    groups["sample_stats"] = stats
    if log_likelihoods is not None:
        groups["sample_stats"] = stats.assign(total_log_likelihood=(("chain", "draw"), log_likelihoods))
    if target.table is not None:
        groups["observed_data"] = xr.Dataset(
            {"X": (("row", "feature"), target.table.values)}, coords={"feature": list(target.table.features)}
        )
    return xr.DataTree.from_dict(groups)


def _thetas(tree: xr.DataTree, at: Coordinates) -> FloatArray:
    """(S, P) unconstrained parameters, chain after chain."""
    z = tree["posterior"].to_dataset()[nuts.Z].values
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


def _log_likelihoods(target: _Target, tree: xr.DataTree, at: Coordinates) -> FloatArray:
    """(chain, draw) log posterior less the prior, which no row is needed for; of a PyMC model, the log posterior."""
    log_posteriors: FloatArray = tree["sample_stats"].to_dataset()["logp"].values
    if target.density is None:
        return log_posteriors
    return np.asarray(log_posteriors - target.density.log_priors(_thetas(tree, at)).reshape(log_posteriors.shape))


def _over_the_rows(posterior: xr.Dataset, table: Table) -> FloatArray:
    """(chain, draw) log-likelihood of all rows, by a pass over them for each draw."""
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    flat = {
        name: posterior[name].values.reshape(-1, *posterior[name].shape[2:])
        for name in ("weights", "means", "covariances")
    }
    totals = [densities.sum() for densities in log_densities_of_draws(table.values, **flat)]
    return np.reshape(totals, shape)
