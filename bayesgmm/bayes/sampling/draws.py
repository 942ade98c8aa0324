"""Draws of chains in unconstrained space: the one form in which every sampler hands them over."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from bayesgmm.errors import SamplingError
from bayesgmm.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of several chains.

    Attributes
    ----------
    theta : (chain, draw, P) unconstrained parameters.
    log_posterior : (chain, draw) log posterior density in unconstrained space. NaN marks a draw that was never made:
        an interruption leaves chains of unequal length.
    stats : the sampler's own statistics by name, each (chain, draw); empty for samplers that have none.
    variables : the model's variables (chain, draw, ...), where the sampler's backend computes them itself.
    """

    theta: FloatArray
    log_posterior: FloatArray
    stats: Mapping[str, np.ndarray] = field(default_factory=dict)
    variables: xr.Dataset | None = None

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return int(self.theta.shape[0])

    @property
    def n_draws(self) -> int:
        """Draws per chain, those never made included."""
        return int(self.theta.shape[1])

    @property
    def flat_theta(self) -> FloatArray:
        """(chain x draw, P), chain after chain."""
        return self.theta.reshape(-1, self.theta.shape[-1])

    @property
    def chain_lengths(self) -> tuple[int, ...]:
        """Draws that each chain has made."""
        return tuple(int(n) for n in np.isfinite(self.log_posterior).sum(axis=1))

    def first(self, n_draws: int, chains: IntArray | None = None) -> "Draws":
        """The first draws of all chains, or of those chains whose numbers are given."""
        kept = np.arange(self.n_chains) if chains is None else chains
        return Draws(
            self.theta[kept, :n_draws],
            self.log_posterior[kept, :n_draws],
            {name: values[kept, :n_draws] for name, values in self.stats.items()},
            None if self.variables is None else self.variables.isel(chain=kept, draw=slice(0, n_draws)),
        )

    def trimmed(self) -> "Draws":
        """Chains of equal length: those chains are kept that together hold the most draws.

        Raises KeyboardInterrupt when no chain has a draw: only an interruption leaves chains of unequal length.
        """
        lengths = self.chain_lengths
        longest_first = np.argsort(lengths)[::-1]
        n_kept = max(range(1, len(lengths) + 1), key=lambda n: n * lengths[longest_first[n - 1]], default=0)
        n_draws = lengths[longest_first[n_kept - 1]] if n_kept else 0
        if n_draws == 0:
            raise KeyboardInterrupt("interrupted before the first draw after tuning")
        return self.first(n_draws, np.sort(longest_first[:n_kept]))

    def check_finite(self, remedy: str) -> None:
        """Raise SamplingError, with the draws, if a draw holds NaN or infinity; remedy: causes and remedies, in words."""
        is_finite = np.isfinite(self.theta).all(axis=2) & np.isfinite(self.log_posterior)
        if self.variables is not None:
            for values in self.variables.values():
                is_finite &= np.isfinite(values.values).reshape(*is_finite.shape, -1).all(axis=2)
        if not is_finite.all():
            raise SamplingError(
                f"{int((~is_finite).sum())} of {is_finite.size} draws hold NaN or infinity: {remedy}", self.as_tree()
            )

    def as_tree(self) -> xr.DataTree:
        """The draws for a user to look into: theta (chain, draw, parameter), and lp, the log posterior."""
        dims = ("chain", "draw")
        return xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset({"theta": ((*dims, "parameter"), self.theta)}),
                "sample_stats": xr.Dataset({"lp": (dims, self.log_posterior)}),
            }
        )
