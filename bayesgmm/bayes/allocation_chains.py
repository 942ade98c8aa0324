"""Chains of Gibbs sweeps in the background of a look at their draws, as `nuts.Chains` are."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import xarray as xr
from numba import config
from numpy.typing import NDArray

from bayesgmm.bayes.allocations import Model, advance
from bayesgmm.bayes.density import MixtureDensity
from bayesgmm.bayes.nuts import StartingPoint, Z
from bayesgmm.display import is_watched

type FloatArray = NDArray[np.float64]

# Sweeps from one draw to the next. They take as long as some 30 gradients, as a draw of NUTS does where this is chosen.
SWEEPS = 10
# Between two looks at whether to stop, a chain gives about so many rows, times components, to one of them.
_LOOK = 5_000_000


class AllocationChains:
    """Chains that pause when each has as many draws as one wants to see.

    theta = centre + scale z; chains begin at z = start(seed) and drop their first `tune` draws. What a chain draws
    depends on the model and the seed alone, not on when one looked, nor on the number of cores.
    """

    def __init__(
        self,
        density: MixtureDensity,
        centre: FloatArray,
        scale: FloatArray,
        start: StartingPoint,
        *,
        tune: int,
        limit: int,
        chains: int,
        seed: int,
        progress: bool,
    ) -> None:
        self._density, self._centre, self._scale = density, centre, scale
        self._model = Model(density.n_components, *density.switches, *density.arrays)
        self._rows = density.values.view()
        self._rows.flags.writeable = False  # so that it is compiled for one kind of array, whatever the caller's
        seeds = np.random.SeedSequence(seed).spawn(chains)
        self._rngs = [np.random.default_rng(one) for one in seeds]
        self._thetas = [centre + scale * start(int(one.generate_state(1)[0])) for one in seeds]
        self._draws = np.empty((chains, limit, density.n_dim))
        self._log_posteriors = np.full((chains, limit), np.nan)
        self._tune, self._done = tune, [-tune] * chains
        self._piece = max(1, _LOOK // (SWEEPS * density.n_components * len(density.values)))
        self._progress = progress and is_watched()
        self._threads = ThreadPoolExecutor(min(chains, config.NUMBA_NUM_THREADS), thread_name_prefix="bayesgmm-chain")

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
        """A piece of a chain; no piece has draws of both sides of the end of tuning."""
        done = self._done[chain]
        stop = min(done + self._piece, 0 if done < 0 else n)
        drawn = np.empty((stop - done, self._draws.shape[2]))
        advance(self._rngs[chain], self._rows, self._model, SWEEPS, self._thetas[chain], drawn)
        if done >= 0:
            self._draws[chain, done:stop] = (drawn - self._centre) / self._scale
            self._log_posteriors[chain, done:stop] = self._density.log_posteriors(drawn)
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
            print(f"\r{chains} chains with allocations: {said} a chain ", end="", file=sys.stderr, flush=True)
