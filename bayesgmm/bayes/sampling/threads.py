"""Chains of our own, in the background of a look at their draws, as `nuts.Chains` are."""

import sys
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import xarray as xr
from numba import config

from bayesgmm.bayes.sampling.run import Z
from bayesgmm.display.progress import is_watched
from bayesgmm.types import FloatArray

# Between two looks at whether to stop, a chain sees about so many rows, times components.
_LOOK = 5_000_000


class ThreadedChains(ABC):
    """Chains that pause when each has as many draws as one wants to see, or some more.

    theta = centre + scale z; chains drop their first `tune` draws. What a chain draws depends on the model and the seed
    alone, not on when one looked, nor on the number of cores.
    """

    kind: str  # what the chains are, in the line that shows their progress

    def __init__(
        self,
        centre: FloatArray,
        scale: FloatArray,
        *,
        work: int,
        most: int,
        together: int = 1,
        tune: int,
        limit: int,
        chains: int,
        progress: bool,
    ) -> None:
        """work: rows times components that a draw sees; most: draws of a chain between two looks, at most; together:
        how many draws are made at once.
        """
        self._centre, self._scale = centre, scale
        self._draws = np.empty((chains, limit, len(centre)))
        self._log_posteriors = np.full((chains, limit), np.nan)
        self._tune, self._limit = tune, limit
        self._piece = together * max(1, min(most, _LOOK // work) // together)
        self._done = [-tune] * chains
        self._progress = progress and is_watched()
        self._threads = ThreadPoolExecutor(min(chains, config.NUMBA_NUM_THREADS), thread_name_prefix="bayesgmm-chain")

    @abstractmethod
    def _draw(self, chain: int, n: int) -> tuple[FloatArray, FloatArray]:
        """A chain's next draws theta (n, P), and their log posteriors (n,)."""

    def first(self, n: int) -> xr.DataTree:
        """The first n draws of every chain."""
        while min(self._done) < n:
            list(self._threads.map(self._advance, range(len(self._done)), repeat(n)))
            self._show()
        return self._tree(n)

    def stop(self) -> xr.DataTree:
        """End the chains; what they have drawn, log posteriors padded with NaN to equal lengths."""
        self._threads.shutdown(cancel_futures=True)
        if self._progress:
            print(file=sys.stderr)
            self._progress = False
        return self._tree(max(0, *self._done))

    def _advance(self, chain: int, n: int) -> None:
        """A piece of a chain, whole whatever n; none has draws of both sides of the end of tuning."""
        done = self._done[chain]
        if done >= n:
            return
        stop = min(done + self._piece, 0 if done < 0 else self._limit)
        thetas, log_posteriors = self._draw(chain, stop - done)
        if done >= 0:
            self._draws[chain, done:stop] = (thetas - self._centre) / self._scale
            self._log_posteriors[chain, done:stop] = log_posteriors
        self._done[chain] = stop

    def _tree(self, n: int) -> xr.DataTree:
        draws, dims = slice(0, n), ("chain", "draw")
        coords = {"chain": np.arange(len(self._done)), "draw": np.arange(n)}
        return xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset({Z: ((*dims, "z_dim"), self._draws[:, draws])}, coords),
                "sample_stats": xr.Dataset({"logp": (dims, self._log_posteriors[:, draws])}, coords),
            }
        )

    def _show(self) -> None:
        if self._progress:
            chains, n = len(self._done), min(self._done)
            said = f"{n} draws" if n > 0 else f"tuning, {n + self._tune} of {self._tune} draws"
            print(f"\r{chains} chains {self.kind}: {said} a chain ", end="", file=sys.stderr, flush=True)
