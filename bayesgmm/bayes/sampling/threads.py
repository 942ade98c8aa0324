"""Base class of the samplers written here: chains run on worker threads and pause at checkpoints."""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from numba import config

from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.display.progress import close_counter, is_watched, show_counter
from bayesgmm.interrupts import check_time
from bayesgmm.types import FloatArray

# Row densities (rows x components x draws) that a chain evaluates between two reports of progress: about 0.1 s.
_ROWS_PER_PIECE = 5_000_000


class ThreadedChains(ABC):
    """Chains that advance in pieces of fixed length, so that their draws do not depend on the checkpoints."""

    kind: str  # of chains, in the line that shows their progress

    def __init__(
        self, n_dim: int, settings: RunSettings, *, rows_per_draw: int, longest_piece: int, draws_at_once: int = 1
    ) -> None:
        """Make room for the draws; no chain starts yet.

        Parameters
        ----------
        n_dim : P.
        settings : the run.
        rows_per_draw : row densities that one draw evaluates: rows times components.
        longest_piece : draws per piece, at most.
        draws_at_once : a piece is a multiple of this many draws.
        """
        self._settings = settings
        self._theta = np.empty((settings.chains, settings.limit, n_dim))
        self._log_posterior = np.full((settings.chains, settings.limit), np.nan)
        self._piece = draws_at_once * max(1, min(longest_piece, _ROWS_PER_PIECE // rows_per_draw) // draws_at_once)
        self._n_done = [-settings.tune] * settings.chains  # negative while a chain is tuning
        self._shows_progress = settings.progress and is_watched()
        n_threads = min(settings.chains, config.NUMBA_NUM_THREADS)
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="bayesgmm-chain")

    @abstractmethod
    def _draw(self, chain: int, n_draws: int) -> tuple[FloatArray, FloatArray]:
        """A chain's next draws theta (n_draws, P), and their log posteriors (n_draws,)."""

    def first(self, n_draws: int) -> Draws:
        """The first draws of every chain."""
        while min(self._n_done) < n_draws:
            check_time(self._settings.deadline)
            list(self._threads.map(self._advance, range(len(self._n_done)), repeat(n_draws)))
            self._show()
        return self._draws(n_draws)

    def stop(self) -> Draws:
        """End the chains, and return what they have drawn."""
        self._threads.shutdown(cancel_futures=True)
        if self._shows_progress:
            close_counter()
        return self._draws(max(0, *self._n_done))

    def _advance(self, chain: int, n_draws: int) -> None:
        """Advance one chain by one piece, unless it has `n_draws`. No piece spans the end of tuning."""
        start = self._n_done[chain]
        if start >= n_draws:
            return
        stop = min(start + self._piece, 0 if start < 0 else self._settings.limit)
        theta, log_posterior = self._draw(chain, stop - start)
        if start >= 0:
            self._theta[chain, start:stop] = theta
            self._log_posterior[chain, start:stop] = log_posterior
        self._n_done[chain] = stop

    def _draws(self, n_draws: int) -> Draws:
        return Draws(self._theta[:, :n_draws], self._log_posterior[:, :n_draws])

    def _show(self) -> None:
        if self._shows_progress:
            n, tune = min(self._n_done), self._settings.tune
            stage = f"{n} draws" if n > 0 else f"tuning, {n + tune} of {tune} draws"
            show_counter(f"{len(self._n_done)} chains {self.kind}: {stage} per chain ")
