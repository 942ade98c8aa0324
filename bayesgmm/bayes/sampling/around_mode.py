"""Chains around one mode of a target: choose a way, sample until the stopping rule is met, describe the run."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TypedDict

import numpy as np
import xarray as xr

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.modes.regions import ModeChains
from bayesgmm.bayes.sampling.choice import Choice, choose
from bayesgmm.bayes.sampling.independent import PoorProposalsError
from bayesgmm.bayes.sampling.run import Run, RunSettings, run_until
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.way import Way
from bayesgmm.bayes.sampling.ways import AUTO, SamplerOption, ways_named
from bayesgmm.convergence import FEWEST_DRAWS, converged, shortfall
from bayesgmm.display.progress import LOGGER
from bayesgmm.errors import BayesgmmWarning, SamplingError
from bayesgmm.thresholds import Thresholds, check_thresholds
from bayesgmm.validation import check_count, check_flag, check_positive
from bayesgmm.wording import count

# Draws per chain at the first look at whether they are enough; each later look doubles them.
_FIRST_CHECKPOINT = 1000


class SamplingArguments(TypedDict, total=False):
    """The arguments from which `SamplingOptions` are made."""

    sampler: SamplerOption
    draws: int | None
    max_draws: int
    tune: int | None
    chains: int
    thresholds: Thresholds | None
    progress: bool
    max_time: float | None


@dataclass(frozen=True)
class SamplingOptions:
    """The options that `sample_posterior` and `sample_model` share, checked.

    draws : draws per chain, or None to sample until `thresholds` are met or to `max_draws`.
    deadline : time of `time.monotonic` at which `max_time`, which counts from the check, is over.
    """

    sampler: SamplerOption
    draws: int | None
    max_draws: int
    tune: int | None
    chains: int
    thresholds: Thresholds
    progress: bool
    deadline: float = float("inf")

    @classmethod
    def checked(
        cls,
        sampler: SamplerOption = "auto",
        draws: int | None = None,
        max_draws: int = 10_000,
        tune: int | None = None,
        chains: int = 4,
        thresholds: Thresholds | None = None,
        progress: bool = True,
        max_time: float | None = None,
    ) -> "SamplingOptions":
        """Raises InputError, with the argument's name, when an option cannot be used."""
        ways_named(sampler)
        return cls(
            sampler,
            None if draws is None else check_count(draws, "draws", FEWEST_DRAWS),
            check_count(max_draws, "max_draws", FEWEST_DRAWS),
            None if tune is None else check_count(tune, "tune"),
            check_count(chains, "chains"),
            check_thresholds(thresholds),
            check_flag(progress, "progress"),
            float("inf") if max_time is None else time.monotonic() + check_positive(max_time, "max_time"),
        )

    @property
    def ways(self) -> tuple[type[Way], ...]:
        """The ways of the sampler that was asked for."""
        return ways_named(self.sampler)

    @property
    def checkpoints(self) -> Iterator[int]:
        """Draws per chain at which chains pause, to look at whether the draws are enough."""
        if self.draws is not None:
            yield self.draws
            return
        n_draws = _FIRST_CHECKPOINT
        while n_draws < self.max_draws:
            yield n_draws
            n_draws *= 2
        yield self.max_draws


def sample_around_mode(
    target: Target,
    curvature: Curvature,
    options: SamplingOptions,
    rng: np.random.Generator,
    *,
    ways: Sequence[type[Way]],
    is_enough: Callable[[xr.DataTree], bool] | None = None,
    preferred: type[Way] | None = None,
    place: str = "",
) -> tuple[ModeChains, type[Way]]:
    """Chains around the mode of a curvature, and the way they were sampled.

    Parameters
    ----------
    ways : those to choose from.
    is_enough : the stopping rule when `options.draws` is None; by default convergence within `options.thresholds`,
        of the relabelled parameters too where labels are clear.
    preferred : see `choose`.
    place : of the mode among others, for the line that shows progress.

    Raises
    ------
    InputError
        None of the ways applies to the target.
    SamplingError
        No chain could start, the draws are no mixtures, or every way failed.
    """
    if options.draws is not None:
        is_enough = _always
    elif is_enough is None:
        labels = target.labels_at(curvature.mode)
        is_enough = partial(converged, thresholds=options.thresholds, labels=labels)
    objection = ""
    while True:
        began = time.perf_counter()
        choice = choose(
            ways,
            target,
            curvature,
            tune=options.tune,
            rng=rng,
            preferred=preferred,
            objection=objection,
            deadline=options.deadline,
        )
        way = choice.way
        LOGGER.info("Sampling %s%s by %s", count(options.chains, "chain"), place, way.name)
        settings = RunSettings(
            options.tune or way.default_tune,
            options.draws or options.max_draws,
            options.chains,
            int(rng.integers(2**63)),
            options.progress,
            options.deadline,
        )
        chosen = time.perf_counter()
        try:
            run = run_until(partial(way.start, settings), options.checkpoints, target.read, is_enough)
            break
        except PoorProposalsError as error:
            objection = str(error)
            ways = [kind for kind in ways if kind is not type(way)]
            if not ways:
                raise SamplingError(
                    f"Independent proposals do not suit this posterior: {objection}. Pass sampler={AUTO!r}, which "
                    f"then takes another sampler."
                ) from error
    unconverged = ""
    if not (run.is_enough or run.interrupted):
        unconverged = shortfall(run.posterior, options.thresholds, target.labels_at(curvature.mode))
    run.posterior.attrs["unconverged"] = unconverged
    seconds = {"seconds_pilot": chosen - began, "seconds_sampling": time.perf_counter() - chosen}
    run.posterior.attrs |= dict(target.attributes) | _run_attributes(choice, settings, run, options) | seconds
    return ModeChains(run.posterior, run.draws.theta, run.interrupted), type(way)


def warn_if_unconverged(posterior: xr.DataTree) -> None:
    """Warn the caller of a public function that sampling ended before the draws met the thresholds."""
    ending, sizes = posterior.attrs["stopped_by"], posterior["sample_stats"].to_dataset().sizes
    if ending not in ("max_draws", "max_time"):
        return
    size = f"{count(sizes['chain'], 'chain')} x {count(sizes['draw'], 'draw')}"
    reason = posterior.attrs["unconverged"] or "fewer draws than asked for"
    warnings.warn(
        f"Sampling ended by {ending} before the draws were enough ({size}): {reason}. Raise {ending}; if that does not "
        f"help, the components overlap or there are several modes: ask for fewer components, or use a tighter prior.",
        BayesgmmWarning,
        stacklevel=3,
    )


def _always(posterior: xr.DataTree) -> bool:
    return True


def _run_attributes(choice: Choice, settings: RunSettings, run: Run, options: SamplingOptions) -> dict[str, object]:
    """How the draws were made, for the posterior's attributes."""
    if run.interrupted:
        stopped_by = "interruption"
    elif run.out_of_time:
        stopped_by = "max_time"
    elif options.draws is not None:
        stopped_by = "draws"
    else:
        stopped_by = "convergence" if run.is_enough else "max_draws"
    library = choice.way.library
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bayesgmm_version": version("bayesgmm"),
        "inference_library": library,
        "inference_library_version": version(library),
        "sampler": choice.way.sampler,
        "sampler_reason": choice.reason,
        **choice.way.attributes,
        "pilots": list(choice.pilots),
        "tuning_draws": settings.tune,
        "stopped_by": stopped_by,
        "interrupted": int(run.interrupted),
        "chain_lengths": list(run.chain_lengths),
        "aligned": 0,
    }
