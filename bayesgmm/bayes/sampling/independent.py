"""Chains whose proposals do not depend on where they are: the independence sampler (Tierney 1994,
doi:10.1214/aos/1176325750), of groups of points.

Where a chain is, is a group of points (x_1, ..., x_m) with weights w(x), the posterior's density over the proposals'.
It moves to a new group with probability min(1, ratio of the groups' sums of weights). Of each group that it is at it
draws m times a point with probability proportional to its weight (Tjelmeland 2004, Using all Metropolis-Hastings
proposals to estimate mean values; Andrieu, Lee and Vihola 2018, doi:10.3150/15-BEJ785). Each draw is the posterior's:
with q the density of groups, every point of which by itself has the proposals' density, the pair of a group and a
number i with density q(x_1, ..., x_m) w(x_i) / m has the posterior as the distribution of x_i; of it the group has
density q(x_1, ..., x_m) sum_i w(x_i) / m, which the chain leaves unchanged. How points of a group depend on each other
does not matter. Nor how its draws do: they are systematic, so that with like weights each point is drawn once.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.bayes.sampling.proposal import FEWEST_EFFECTIVE, GROUP, Proposal, effective_share
from bayesgmm.bayes.sampling.threads import ThreadedChains
from bayesgmm.types import FloatArray

_MOST_DRAWS = 250
_NOWHERE = -1e300  # log weight of a point that the first proposal is preferred to


class PoorProposalsError(Exception):
    """The proposals turned out to be far from the posterior; the message says how far."""


class IndependentChains(ThreadedChains):
    """Chains that begin at a proposed group each."""

    kind = "of independent proposals"

    def __init__(
        self,
        proposal: Proposal,
        centre: FloatArray,
        scale: FloatArray,
        *,
        tune: int,
        limit: int,
        chains: int,
        seed: int,
        progress: bool,
    ) -> None:
        work = proposal.density.n_components * len(proposal.density.values)
        super().__init__(
            centre,
            scale,
            work=work,
            most=_MOST_DRAWS,
            together=GROUP,
            tune=tune,
            limit=limit,
            chains=chains,
            progress=progress,
        )
        self._proposal = proposal
        self._rngs = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(chains)]
        # Where each chain is: a group's thetas, log posteriors, log weights.
        nowhere = np.tile(centre, (GROUP, 1)), np.full(GROUP, -np.inf), np.full(GROUP, _NOWHERE)
        self._states = [nowhere] * chains
        self._log_weights: list[list[FloatArray]] = [[] for _ in range(chains)]

    def first(self, n: int) -> xr.DataTree:
        """The first n draws of every chain.

        Raises PoorProposalsError when few of the proposals up to there are effective.
        """
        tree = super().first(n)
        seen = np.concatenate([piece.ravel() for of_chain in self._log_weights for piece in of_chain])
        share = effective_share(seen)
        if share < FEWEST_EFFECTIVE:
            raise PoorProposalsError(f"of {len(seen)} independent proposals {share:.2%} were effective")
        return tree

    def _draw(self, chain: int, n: int) -> tuple[FloatArray, FloatArray]:
        rng, n_groups = self._rngs[chain], -(-n // GROUP)
        proposed = self._proposal.draw(rng, n_groups)
        self._log_weights[chain].append(proposed[2])
        thetas, log_posteriors, log_weights = (
            np.concatenate([here[np.newaxis], new]) for here, new in zip(self._states[chain], proposed, strict=True)
        )
        totals = np.logaddexp.reduce(log_weights, axis=1)
        held = np.array(_held(totals.tolist(), np.log1p(-rng.random(n_groups)).tolist()))
        at = held[-1]
        self._states[chain] = thetas[at], log_posteriors[at], log_weights[at]
        shares = np.exp(log_weights[held] - totals[held, np.newaxis])
        drawn = held[:, np.newaxis], _systematic(shares, rng.random(n_groups))
        return thetas[drawn].reshape(-1, thetas.shape[-1])[:n], log_posteriors[drawn].ravel()[:n]


def _held(log_weights: list[float], log_uniforms: list[float]) -> list[int]:
    """Which of the groups the chain is at after each step, when it begins at the first."""
    at, held = 0, []
    for i, log_uniform in enumerate(log_uniforms, 1):
        if log_weights[i] > log_weights[at] + log_uniform:
            at = i
        held.append(at)
    return held


def _systematic(shares: FloatArray, uniforms: FloatArray) -> NDArray[np.intp]:
    """(S, m) of each row of shares (S, m), which sum to 1, m indices, each with its share as probability.

    By points at equal distances on a circle of circumference 1, turned by `uniforms` (S,).
    """
    m = shares.shape[1]
    points = (uniforms[:, np.newaxis] + np.arange(m) / m) % 1
    ends = np.cumsum(shares, axis=1)[:, :-1]  # the last takes what is left, whatever rounding made of the sum
    passed: NDArray[np.intp] = np.count_nonzero(points[:, :, np.newaxis] >= ends[:, np.newaxis, :], axis=2)
    return passed
