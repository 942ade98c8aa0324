"""One run of a sampler: from checkpoint to checkpoint until the draws are enough, and what an interruption leaves."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import xarray as xr

from bayesgmm.types import FloatArray

type StartingPoint = Callable[[int], FloatArray]

Z = "z"


@dataclasses.dataclass(frozen=True)
class Run:
    """What the sampler left (tree), and what was read of it (draws).

    lengths: draws of each chain before they were cut to equal length; enough: whether the draws were; partial: whether
    sampling was interrupted.
    """

    tree: xr.DataTree
    draws: xr.DataTree
    lengths: tuple[int, ...]
    enough: bool
    partial: bool


def starting_within(width: float, n_dim: int) -> StartingPoint:
    """Points (P,) uniform in (-width, width), one a seed."""
    return lambda seed: np.random.default_rng(seed).uniform(-width, width, n_dim)


class Sampling(Protocol):
    """Chains of any sampler: `Chains`, or those with allocations. What they leave has z and `logp`."""

    def first(self, n: int) -> xr.DataTree: ...

    def stop(self) -> xr.DataTree: ...


def run_until(
    chains: Callable[[], Sampling],
    checkpoints: Iterable[int],
    read: Callable[[xr.DataTree], xr.DataTree],
    enough: Callable[[xr.DataTree], bool],
) -> Run:
    """Sample until at a checkpoint, so many draws a chain, what was read of them is enough, or to the last checkpoint.

    Ctrl-C keeps what is done: of the chains, those are kept that together hold the most draws at equal length.

    Raises
    ------
    SamplingError when no chain could start.
    KeyboardInterrupt when interrupted before any chain had a draw to keep.
    """
    running = chains()
    try:
        for n in checkpoints:
            tree = running.first(n)
            draws = read(tree)
            satisfied = enough(draws)
            if satisfied:
                break
        return Run(tree, draws, lengths(tree), satisfied, False)
    except KeyboardInterrupt:
        tree = running.stop()
        trimmed = _trim(tree, lengths(tree))
        return Run(trimmed, read(trimmed), lengths(tree), False, True)
    finally:
        running.stop()


def lengths(tree: xr.DataTree) -> tuple[int, ...]:
    return tuple(int(n) for n in np.isfinite(tree["sample_stats"].to_dataset()["logp"].values).sum(axis=1))


def cut(tree: xr.DataTree, draws: slice, chains: Any = slice(None)) -> xr.DataTree:
    return xr.DataTree.from_dict(
        {name: tree[name].to_dataset().isel(chain=chains, draw=draws) for name in ("posterior", "sample_stats")}
    )


def _trim(tree: xr.DataTree, lengths: tuple[int, ...]) -> xr.DataTree:
    """Equal lengths: nutpie pads an interrupted chain with NaN, and its `diverging` with False."""
    order = np.argsort(lengths)[::-1]
    kept = max(range(1, len(lengths) + 1), key=lambda n: n * lengths[order[n - 1]])
    length = lengths[order[kept - 1]]
    if length == 0:
        raise KeyboardInterrupt("interrupted before the first draw after tuning")
    return cut(tree, slice(0, length), np.sort(order[:kept]))
