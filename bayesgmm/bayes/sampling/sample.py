"""`sample_posterior`: from rows, or from a PyMC model, to a posterior in ArviZ's schema."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.modes.curvature import Curvature, curvature_at, find_mode
from bayesgmm.bayes.modes.empty_component import empty_component_share
from bayesgmm.bayes.modes.find import Mode, find_modes, mode_table
from bayesgmm.bayes.modes.regions import KnownMode, ModeChains, explore
from bayesgmm.bayes.sampling.choice import Choice, choose
from bayesgmm.bayes.sampling.independent import PoorProposalsError
from bayesgmm.bayes.sampling.run import Run, run_until
from bayesgmm.bayes.sampling.schema import log_likelihoods, read, thetas_of
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.targets import _as_starts, _default_target, _is_pymc_model, _model_target
from bayesgmm.bayes.sampling.ways import ALLOCATION, INDEPENDENT, Coordinates, begin
from bayesgmm.convergence import converged
from bayesgmm.exceptions import InputError, SamplingError
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.validation import as_generator, check_count

_FEWEST_DRAWS = 4  # fewer cannot be diagnosed
_FIRST_CHECK = 1000
# Chains start this far apart, in standard deviations: wider than the posterior, so that R-hat can see a chain that
# has not found it.
_START_WIDTH = 2.0


def sample_posterior(
    X: Any,
    n_components: int | None = None,
    covariance: str = "full",
    *,
    prior: Prior | None = None,
    start: MixtureParameters | Sequence[MixtureParameters] | None = None,
    draws: int | None = None,
    max_draws: int = 10_000,
    tune: int | None = None,
    chains: int = 4,
    rng: Any = None,
    progress: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a Gaussian mixture: with NUTS, from independent proposals, or by Gibbs sampling.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, (n_samples,) for one feature; or a `pymc.Model`, such as
        `build_model` makes and you may have changed.
    n_components, covariance, prior : the model; not with a `pymc.Model`, which says them itself.
    start : where the search for the mode begins: a MixtureParameters, such as `fit_em(...).parameters`. Or several,
        such as `[optimum.parameters for optimum in fit_em(...).optima]` (not with a `pymc.Model`): each leads to a
        mode, and every mode that may hold 1 % of the posterior is sampled, see the notes. Without it ten searches begin
        at random rows, and the highest mode that they find is the one that is sampled.
    draws : draws a chain after tuning, at least 4. By default sampling goes on until the quantities that do not depend
        on labels (log posterior, log-likelihood, log density at a few rows) have R-hat at most 1.01 and 400 effective
        draws, bulk and tail, or until `max_draws`. It looks after 1000, 2000, 4000, ... draws.
    max_draws : the most draws a chain when `draws` is not given.
    tune : tuning draws a chain; by default 200 when the sampling is whitened, 400 when it is plain, 800 when low-rank,
        200 with allocations, 100 of independent proposals.
    chains : number of chains; a single one has no R-hat, so that without `draws` it goes on until `max_draws`.
    rng : int, numpy.random.Generator or None. The same seed gives the same draws on any number of cores.
    progress : show progress on a terminal or in a notebook; elsewhere there is none.

    Returns
    -------
    xarray.DataTree
        In ArviZ's schema. The groups are

        - `posterior`: weights[chain, draw, component], means[..., component, feature], stds, correlations, covariances;
          of a `pymc.Model` its own variables;
        - `sample_stats` [chain, draw]: the sampler's, among them `lp`, the log posterior in unconstrained space
          (energy, diverging, tree_depth and what else NUTS alone has are absent where the draws are not NUTS');
          `total_log_likelihood` of all rows; `log_prior`, the log prior density of weights, means, standard deviations
          and correlations up to a constant, by which `compare` finds what the prior pulls on. A `pymc.Model` has no
          `log_prior`, and a log-likelihood only when its draws are mixtures of its observed `X`;
        - `observed_data`: X;
        - `modes`: a row a mode, see the notes; and `modes/1`, `modes/2`, ...: `posterior` and `sample_stats` of the
          chains of other modes, where these got chains of their own. A `pymc.Model` has none of these.

        Attributes say how it was sampled. `preconditioning` is "whitened", "plain" or "low-rank", with NUTS;
        "independent", Metropolis steps whose proposals are from one distribution close to the posterior, neighbouring
        ones on opposite sides of its centre by preference, so that there may be more effective draws than draws; or
        "allocation", Gibbs sampling that gives each row to a component, of whose sweeps every tenth is kept;
        `preconditioning_reason` and `pilots` say why; `stopped_by` is "convergence", "max_draws", "draws" or
        "interruption"; `gradients_by` is what NUTS calls: "C functions", the slower "Python functions", or "PyTensor";
        `seconds_mode`, `seconds_pilot` and `seconds_sampling` are wall clock. `partial` is 1 when Ctrl-C ended it
        early, and `chain_lengths` then has the draws of each chain before they were cut to equal length.
        `empty_component_share` (not of a `pymc.Model`) is the share of the posterior in which some component holds no
        row, by Laplace's formula for one component fewer: chains may seldom go there, and `diagnose` tells when it is
        more than 5 %.

    Raises
    ------
    InputError
        The data, an option, the prior or the start cannot be used.
    SamplingError
        No chain could start, or the draws are no mixtures.

    Notes
    -----
    No order is imposed on the components: see `align`.

    Chains that start around one mode seldom find another. So the modes that several starts lead to are counted (those
    are one that differ in the order of components alone) and weighed by Laplace's formula (Tierney and Kadane 1986,
    doi:10.1080/01621459.1986.10478240). One that may hold more than 1 %, and that not every chain of a heavier mode has
    visited, gets chains of its own. These go on until they have joined another mode's (R-hat over the chains of both at
    most 1.01 in what does not depend on labels) or have converged elsewhere. Regions that are apart are weighed again,
    from their draws, by bridge sampling. `posterior` holds the chains of the heaviest region and no others: nothing is
    pooled. `diagnose` tells when others hold more than 5 %, or nobody knows how much. A mode that no start leads to is
    not known.

    The columns of `modes`, whose row 0 is the mode of `posterior`, row 1 that of `modes/1` where it has chains, and so
    on: state, what became of it ("heaviest", "apart", "light", "joined the chains of mode 0", "visited by the chains of
    mode 0", "unclear: ...", "not sampled: ..."); region, the number of the mode whose region it is in; share of the
    posterior and share_error, its standard error, 0 where Laplace's formula alone says it, both NaN where the share is
    unknown and for a mode in the region of another; log_evidence, log of the integral of likelihood times prior over
    all orders of the components; log_posterior in unconstrained space and log_likelihood at the mode; n_starts, how
    many starts led to it.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> starts = [optimum.parameters for optimum in bg.fit_em(X, 3, rng=1).optima]
    >>> posterior = bg.sample_posterior(X, 3, start=starts, draws=500, rng=1, progress=False)
    >>> dict(posterior["posterior"]["means"].sizes)
    {'chain': 4, 'draw': 500, 'component': 3, 'feature': 1}
    >>> posterior["modes"]["share"].values.round(1).tolist()  # the second of EM's maxima hardly matters
    [1.0, 0.0]
    """
    draws = None if draws is None else check_count(draws, "draws", _FEWEST_DRAWS)
    max_draws, chains = check_count(max_draws, "max_draws", _FEWEST_DRAWS), check_count(chains, "chains")
    tune = None if tune is None else check_count(tune, "tune")
    generator = as_generator(rng)
    starts = _as_starts(start)
    options = _Options(draws, max_draws, tune, chains, progress)
    if _is_pymc_model(X):
        if n_components is not None or prior is not None:
            raise InputError("n_components and prior belong to the model; leave them out when X is a pymc.Model.")
        target = _model_target(X, starts, generator)
    else:
        target = _default_target(X, n_components, covariance, prior, starts, generator)
    # Products of matrices must not depend on the number of cores. Draws that are no mixtures may overflow;
    # `_of_mixtures` refuses them.
    with threadpool_limits(limits=1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
        return _sample(target, options, generator)


@dataclass(frozen=True)
class _Options:
    draws: int | None
    max_draws: int
    tune: int | None
    chains: int
    progress: bool


def _sample(target: Target, options: _Options, rng: np.random.Generator) -> xr.DataTree:
    began = time.perf_counter()
    if target.density is None:
        curvature = curvature_at(target.posterior, find_mode(target.posterior, target.searches[0]), rng)
        seconds_mode = time.perf_counter() - began
        result = _chains(target, curvature, options, rng).tree
    else:
        modes = find_modes(target.density, target.searches, rng)
        empty = empty_component_share(target.density, modes, rng.spawn(1)[0])  # no draw of the chains depends on it
        seconds_mode = time.perf_counter() - began
        first = _chains(target, modes[0].curvature, options, rng)

        usual = first.tree.attrs["preconditioning"] if first.tree.attrs["pilots"] else ""

        def sample(mode: Mode, enough: Callable[[xr.DataTree], bool]) -> ModeChains:
            return _chains(target, mode.curvature, options, rng, enough, usual)

        result = _with_modes(explore(target.density, modes, first, sample, rng))
        result.attrs["empty_component_share"] = empty
    result.attrs["seconds_mode"] = seconds_mode
    return result


def _chains(
    target: Target,
    curvature: Curvature,
    options: _Options,
    rng: np.random.Generator,
    enough: Callable[[xr.DataTree], bool] = converged,
    usual: str = "",
) -> ModeChains:
    """Chains that start around a mode; without `draws`, until they are `enough`."""
    posterior, draws, clock = target.posterior, options.draws, [time.perf_counter()]

    def chosen(objection: str = "") -> tuple[Choice, int]:
        """How to sample, and a seed for it."""
        choice = choose(
            posterior,
            curvature,
            lambda tree, at: log_likelihoods(target, tree, at),
            tune=options.tune,
            start_width=_START_WIDTH,
            rng=rng,
            usual=usual,
            objection=objection,
        )
        return choice, int(rng.integers(2**63))

    def sampled(at: Coordinates, seed: int) -> Run:
        def read_mixtures(tree: xr.DataTree) -> xr.DataTree:
            with _of_mixtures(tree):
                return read(target, tree, at)

        return run_until(
            lambda: begin(
                posterior,
                at,
                start_width=_START_WIDTH,
                limit=draws or options.max_draws,
                chains=options.chains,
                seed=seed,
                progress=options.progress,
            ),
            [draws] if draws is not None else _checkpoints(options.max_draws),
            read_mixtures,
            enough if draws is None else lambda _: True,
        )

    choice, seed = chosen()
    clock.append(time.perf_counter())
    try:
        run = sampled(choice.coordinates, seed)
    except PoorProposalsError as error:
        choice, seed = chosen(str(error))
        clock[-1] = time.perf_counter()
        run = sampled(choice.coordinates, seed)
    at = choice.coordinates
    clock.append(time.perf_counter())
    result = run.draws
    library = "bayesgmm" if at.name in (ALLOCATION, INDEPENDENT) else "nutpie"
    stopped_by = "interruption" if run.partial else "draws" if draws else "convergence" if run.enough else "max_draws"
    result.attrs |= target.attributes | {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bayesgmm_version": version("bayesgmm"),
        "inference_library": library,
        "inference_library_version": version(library),
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
    stages = ("seconds_pilot", "seconds_sampling")
    result.attrs |= {name: later - earlier for name, (earlier, later) in zip(stages, pairwise(clock), strict=True)}
    thetas = np.empty((*result["sample_stats"].to_dataset()["lp"].shape, 0))
    if target.density is not None:
        thetas = thetas_of(run.tree, at).reshape(*thetas.shape[:2], posterior.n_dim)
    return ModeChains(result, thetas, run.partial)


def _with_modes(known: Sequence[KnownMode]) -> xr.DataTree:
    """The chains of the first mode, a table of all, and the chains of the others in groups of their own."""
    first = known[0][1]
    assert first is not None
    result = first.tree
    result["modes"] = xr.DataTree(mode_table([region for region, _ in known]))
    for number, (_, drawn) in enumerate(known[1:], 1):
        if drawn is not None:
            chains = {name: drawn.tree[name].to_dataset() for name in ("posterior", "sample_stats")}
            result[f"modes/{number}"] = xr.DataTree.from_dict(chains)
            result[f"modes/{number}"].attrs = drawn.tree.attrs
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
