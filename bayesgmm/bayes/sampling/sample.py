"""`sample_posterior`: from rows to a posterior in ArviZ's schema."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.modes.empty_component import empty_component_share
from bayesgmm.bayes.modes.find import HEAVIEST, NOT_SAMPLED, Mode, Region, find_modes, mode_table
from bayesgmm.bayes.modes.regions import KnownMode, ModeChains, explore
from bayesgmm.bayes.sampling.around_mode import (
    SamplingArguments,
    SamplingOptions,
    sample_around_mode,
    warn_if_unconverged,
)
from bayesgmm.bayes.sampling.default_target import DefaultTarget
from bayesgmm.bayes.sampling.numerics import reproducible
from bayesgmm.bayes.sampling.way import Way
from bayesgmm.bayes.sampling.ways import SamplerOption
from bayesgmm.display.progress import LOGGER
from bayesgmm.errors import InputError
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.thresholds import Thresholds
from bayesgmm.types import CovarianceName, Seed
from bayesgmm.validation import as_generator


def sample_posterior(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName = "full",
    *,
    prior: Prior | None = None,
    start: MixtureParameters | Sequence[MixtureParameters] | None = None,
    sampler: SamplerOption = "auto",
    draws: int | None = None,
    max_draws: int = 10_000,
    tune: int | None = None,
    chains: int = 4,
    max_time: float | None = None,
    thresholds: Thresholds | None = None,
    rng: Seed = None,
    progress: bool = True,
) -> xr.DataTree:
    """Draw from the posterior of a Gaussian mixture.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components K.
    covariance : structure of the covariances: "full", "tied", "diag" or "spherical".
    prior : in the units of the data; by default `Prior.for_data(X, covariance)`.
    start : a MixtureParameters, such as `fit_em(...).parameters`, or several, such as `[optimum.parameters for optimum
        in fit_em(...).optima]`: each leads to a mode. So does a search of the function's own, with or without `start`:
        it climbs from ten random choices of rows and three choices of rows far apart, and the highest mode counts. Of
        many rows it climbs on a random part first.
        Every mode that may hold 1 % of the posterior is sampled, see the notes.
    sampler : "independent": Metropolis steps whose proposals come from one distribution near the posterior; "nuts";
        "gibbs": Gibbs sampling, which gives each row to a component. By default the one that promises most effective
        draws per gradient, see the notes.
    draws : draws per chain after tuning, at least 4. By default sampling goes on until the label-free quantities (log
        posterior, log-likelihood, log density at a few rows) and, where labels are clear, the relabelled parameters
        meet `thresholds`, or until `max_draws`. They are looked at after 1000, 2000, 4000, ... draws per chain.
    max_draws : the most draws per chain when `draws` is not given.
    max_time : seconds after which the run ends with the draws that there are, modes and pilots included; by default
        there is no limit. With it, results depend on the speed of the machine.
    tune : tuning draws per chain; by default 100 for independent proposals, 200 for Gibbs sampling and whitened NUTS,
        400 for other NUTS.
    chains : number of chains. A single chain has no R-hat, so that without `draws` it goes on until `max_draws`.
    thresholds : its `max_r_hat` and `min_ess` (bulk and tail) say when draws are enough; `Thresholds()` by default,
        that is 1.01 and 400. Pass the same ones to `diagnose` and `compare`.
    rng : int, numpy.random.Generator or None. The same seed gives the same draws on any number of cores.
    progress : show progress on a terminal or in a notebook; elsewhere there is none.

    Returns
    -------
    xarray.DataTree
        In ArviZ's schema. The groups are

        - `posterior`: weights[chain, draw, component], means[..., component, feature], stds, correlations, covariances;
        - `sample_stats` [chain, draw]: `lp`, the log posterior in unconstrained space; `total_log_likelihood` of all
          rows; `log_prior`, the log prior density of weights, means, standard deviations and correlations up to a
          constant, by which `compare` finds the numbers that the prior pulls on; and, of NUTS only, energy, diverging,
          tree_depth and its other statistics;
        - `observed_data`: X[row, feature], with the index of a data frame `X` as the coordinate `row`;
        - `modes`: one row per mode, see the notes; and `modes/1`, `modes/2`, ...: `posterior` and `sample_stats` of the
          chains of other modes, where these have chains of their own.

        Attributes say how the draws were made: `sampler` ("independent", "nuts" or "gibbs"), `sampler_reason`, and
        `pilots`, one line per pilot run; of NUTS, `preconditioning` ("whitened" or "diagonal") and `gradients_by` ("C
        functions", or the slower "Python functions"); `stopped_by` ("convergence", "max_draws", "max_time", "draws"
        or "interruption"); `unconverged`, what failed in words if sampling ended by `max_draws` or `max_time`;
        `seconds_mode`, `seconds_pilot` and `seconds_sampling`, wall clock. `interrupted` is 1 when
        Ctrl-C ended the sampling early, and `chain_lengths` then has the draws of each chain before they were cut to
        equal length. `empty_component_share` is the share of the posterior in which some component holds no row, by
        Laplace's formula for fewer components: chains may seldom go there, and `diagnose` reports a share above 5 %.

    Raises
    ------
    InputError
        The data, an option, the prior or the start cannot be used.
    SamplingError
        No chain could start, the draws are no mixtures, there was none within `max_time`, or the sampler that was asked
        for does not suit the posterior.

    Warns
    -----
    BayesgmmWarning
        Sampling ended by `max_draws` or `max_time` before the draws met `thresholds`, or before `draws` were made.

    Notes
    -----
    No order is imposed on the components: see `align`.

    With sampler="auto", independent proposals are taken where more than 55 % of them are effective. Otherwise whitened
    NUTS is taken where the posterior is near the Gaussian at its mode, and else the sampler with most effective draws
    per gradient in short pilot runs. Successive independent proposals tend to fall on opposite sides of the mode, so
    the effective sample size can exceed the number of draws. Gibbs sampling keeps every tenth sweep.

    Chains that start around one mode seldom find another. So the distinct modes that the starts lead to are counted
    (modes that differ only in the order of components are one) and weighed by Laplace's formula (Tierney and Kadane
    1986, doi:10.1080/01621459.1986.10478240). A mode that may hold more than 1 % gets chains of its own, unless every
    chain of some heavier mode has already visited it. These go on until they have joined those of another mode (R-hat
    over the chains of both at most `thresholds.max_r_hat` in the label-free quantities) or have converged elsewhere.
    Regions that stay apart are weighed again, from their draws, by bridge sampling. `posterior` holds the chains of the
    heaviest region only: nothing is pooled. `diagnose` reports other regions that hold more than 5 %, or whose share is
    unknown. A mode that no search leads to is not known.

    In `modes`, row 0 is the mode of `posterior`, row 1 that of `modes/1` where it has chains, and so on. Its columns
    are state ("heaviest", "apart", "light", "joined the chains of mode 0", "visited by the chains of mode 0", "unclear:
    ...", "not sampled: ..."); region, the number of the mode whose region it is in; share of the posterior and
    share_error, its standard error, which is 0 where only Laplace's formula gives the share (both are NaN where the
    share is unknown, and for a mode in the region of another); log_mass, log of the integral of likelihood times prior
    over the region of this mode alone, in all orders of the components; log_posterior in unconstrained space and
    log_likelihood at the mode; n_starts, the number of searches that led to it, one per start and the function's own.
    log_mass is a lower bound of the evidence of K components: regions to which no search leads are not in it, nor is
    the one in which a component holds no row (`empty_component_share`). Do not choose K by it.

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
    posterior = posterior_of(
        X,
        n_components,
        covariance,
        prior=prior,
        start=start,
        rng=rng,
        sampler=sampler,
        draws=draws,
        max_draws=max_draws,
        tune=tune,
        chains=chains,
        max_time=max_time,
        thresholds=thresholds,
        progress=progress,
    )
    warn_if_unconverged(posterior)
    return posterior


def posterior_of(
    X: ArrayLike,
    n_components: int,
    covariance: CovarianceName,
    *,
    prior: Prior | None = None,
    start: MixtureParameters | Sequence[MixtureParameters] | None = None,
    rng: Seed = None,
    **arguments: Unpack[SamplingArguments],
) -> xr.DataTree:
    """Return the posterior of `sample_posterior` without its warning, for callers that diagnose it."""
    options = SamplingOptions.checked(**arguments)
    generator = as_generator(rng)
    pymc = sys.modules.get("pymc")  # whoever has a model has imported PyMC; nobody else has to wait for it
    if pymc is not None and isinstance(X, pymc.Model):
        raise InputError("X must be rows; a pymc.Model is sampled by sample_model(model).")
    target = DefaultTarget.of(X, n_components, covariance, prior, _as_starts(start), generator)
    with reproducible():
        return sample_modes(target, options, options.ways, generator)


def sample_modes(
    target: DefaultTarget, options: SamplingOptions, ways: Sequence[type[Way]], rng: np.random.Generator
) -> xr.DataTree:
    """Sample every mode that may matter, by one of the ways; the posterior of `sample_posterior`."""
    began = time.perf_counter()
    LOGGER.info("Looking for the posterior's modes")
    modes = find_modes(target.density, target.searches, rng)
    empty_share = empty_component_share(target.density, modes, rng.spawn(1)[0])  # spawned: draws do not depend on it
    seconds_mode = time.perf_counter() - began
    heaviest, way = sample_around_mode(target, modes[0].curvature, options, rng, ways=ways, place=_place(modes, 0))
    preferred = way if heaviest.tree.attrs["pilots"] else None

    def sample(mode: Mode, is_enough: Callable[[xr.DataTree], bool]) -> ModeChains:
        place = _place(modes, modes.index(mode))
        return sample_around_mode(
            target, mode.curvature, options, rng, ways=ways, is_enough=is_enough, preferred=preferred, place=place
        )[0]

    try:
        explored = explore(target.density, modes, heaviest, sample, rng, options.thresholds)
    except KeyboardInterrupt:  # between the chains of two modes, or while modes are weighed
        heaviest.tree.attrs |= {"interrupted": 1, "stopped_by": "interruption"}
        others = [KnownMode(Region(mode, NOT_SAMPLED, i, "interrupted"), None) for i, mode in enumerate(modes) if i]
        explored = [KnownMode(Region(modes[0], HEAVIEST, 0), heaviest), *others]
    posterior = _with_modes(explored)
    posterior.attrs |= {"empty_component_share": empty_share, "seconds_mode": seconds_mode}
    return posterior


def _place(modes: Sequence[Mode], number: int) -> str:
    """Where chains are, for the line that shows progress; empty if there is only one mode."""
    return f" around mode {number} of {len(modes)}" if len(modes) > 1 else ""


def _as_starts(start: MixtureParameters | Sequence[MixtureParameters] | None) -> list[MixtureParameters]:
    """The starts as a list.

    Raises InputError when one is no MixtureParameters.
    """
    if start is None:
        return []
    starts = list(start) if isinstance(start, Sequence) else [start]
    wrong = [type(one).__name__ for one in starts if not isinstance(one, MixtureParameters)]
    if wrong or not starts:
        raise InputError(
            f"start must be a MixtureParameters, such as fit_em(...).parameters, or a list of at least one; received "
            f"{wrong[0] if wrong else 'an empty list'}."
        )
    return starts


def _with_modes(explored: Sequence[KnownMode]) -> xr.DataTree:
    """The chains of the first mode, a table of all modes, and the chains of the others in groups of their own."""
    first = explored[0][1]
    assert first is not None  # the first mode always has chains
    posterior = first.tree
    posterior["modes"] = xr.DataTree(mode_table([region for region, _ in explored]))
    for number, (_, chains) in enumerate(explored[1:], 1):
        if chains is not None:
            groups = {name: chains.tree[name].to_dataset() for name in ("posterior", "sample_stats")}
            posterior[f"modes/{number}"] = xr.DataTree.from_dict(groups)
            posterior[f"modes/{number}"].attrs = chains.tree.attrs
    return posterior
