"""One run of a sampler: from checkpoint to checkpoint, until its draws are enough or the user interrupts it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import xarray as xr

from bayesgmm.bayes.sampling.draws import Draws


@dataclass(frozen=True)
class RunSettings:
    """One run: `tune` draws per chain are dropped first, and then at most `limit` draws per chain are kept."""

    tune: int
    limit: int
    chains: int
    seed: int
    progress: bool


class Chains(Protocol):
    """Chains in the background, which pause at checkpoints.

    The draws of a chain depend on the target and the seed alone: not on the checkpoints, nor on the number of cores.
    """

    def first(self, n_draws: int) -> Draws:
        """The first draws of every chain, as soon as all chains have made that many."""
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
    """

    draws: Draws
    posterior: xr.DataTree
    chain_lengths: tuple[int, ...]
    is_enough: bool
    interrupted: bool


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
    is_enough : the stopping rule.

    Raises
    ------
    SamplingError
        No chain could start.
    KeyboardInterrupt
        The user interrupted before any chain had a draw. A later interruption keeps the draws: of the chains, those
        that together hold the most draws at equal length.
    """
    chains = start()
    try:
        for n_draws in checkpoints:
            draws = chains.first(n_draws)
            posterior = read(draws)
            satisfied = is_enough(posterior)
            if satisfied:
                break
        return Run(draws, posterior, draws.chain_lengths, satisfied, interrupted=False)
    except KeyboardInterrupt:
        padded = chains.stop()
        draws = padded.trimmed()
        return Run(draws, read(draws), padded.chain_lengths, is_enough=False, interrupted=True)
    finally:
        chains.stop()
