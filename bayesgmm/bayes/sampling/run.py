"""One run of a sampler: from checkpoint to checkpoint, until its draws are enough or the user interrupts it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import xarray as xr

from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.errors import SamplingError
from bayesgmm.interrupts import OutOfTimeError, held_interrupts


@dataclass(frozen=True)
class RunSettings:
    """One run: `tune` draws per chain are dropped first, and then at most `limit` draws per chain are kept.

    deadline: time of `time.monotonic` at which the chains are ended.
    """

    tune: int
    limit: int
    chains: int
    seed: int
    progress: bool
    deadline: float = float("inf")


class Chains(Protocol):
    """Chains in the background, which pause at checkpoints.

    The draws of a chain depend on the target and the seed alone: not on the checkpoints, nor on the number of cores.
    """

    def first(self, n_draws: int) -> Draws:
        """The first draws of every chain, as soon as all chains have made that many.

        Raises OutOfTimeError after the deadline of the settings.
        """
        ...

    def stop(self) -> Draws:
        """End the chains. What they have drawn so far; see `Draws.log_posterior` for chains of unequal length."""
        ...


@dataclass(frozen=True, eq=False)
class Run:
    """The draws of a run, and the posterior read from them.

    chain_lengths : draws of each chain before chains were cut to equal length.
    is_enough : whether the stopping rule was met.
    interrupted : whether the user ended the run.
    out_of_time : whether the deadline ended it.
    """

    draws: Draws
    posterior: xr.DataTree
    chain_lengths: tuple[int, ...]
    is_enough: bool
    interrupted: bool = False
    out_of_time: bool = False


def run_until(
    start: Callable[[], Chains],
    checkpoints: Iterable[int],
    read: Callable[[Draws], xr.DataTree],
    is_enough: Callable[[xr.DataTree], bool],
) -> Run:
    """Sample until the posterior read at a checkpoint is enough, or to the last checkpoint.

    Parameters
    ----------
    start : starts the chains.
    checkpoints : draws per chain at which the chains pause; at least one.
    read : the posterior of some draws.
    is_enough : the stopping rule, usually `convergence.converged`.

    Raises
    ------
    SamplingError
        No chain could start, or none had a draw at the deadline.
    KeyboardInterrupt
        The user interrupted before any chain had a draw. A later interruption keeps the subset of chains that,
        cut to equal length, holds the most draws.
    """
    chains = start()
    try:
        for n_draws in checkpoints:
            draws = chains.first(n_draws)
            posterior = read(draws)
            satisfied = is_enough(posterior)
            if satisfied:
                break
        run = Run(draws, posterior, draws.chain_lengths, satisfied)
    except (KeyboardInterrupt, OutOfTimeError) as ending:
        with held_interrupts():
            run = _ended_early(chains.stop(), read, out_of_time=isinstance(ending, OutOfTimeError))
    finally:
        with held_interrupts() as held:
            chains.stop()
    return replace(run, interrupted=True) if held else run


def _ended_early(padded: Draws, read: Callable[[Draws], xr.DataTree], *, out_of_time: bool) -> Run:
    """Return the run of chains that were ended, whose draws are padded to equal length."""
    if out_of_time and not any(padded.chain_lengths):
        raise SamplingError(
            "No chain had a draw after tuning when max_time was over. Raise max_time, or lower tune; the first call on "
            "a machine also compiles, which compile_all() does beforehand."
        )
    draws = padded.trimmed()
    return Run(draws, read(draws), padded.chain_lengths, False, interrupted=not out_of_time, out_of_time=out_of_time)
