"""Chains whose proposals do not depend on where they are: the independence sampler (Tierney 1994,
doi:10.1214/aos/1176325750)."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.bayes.proposal import Proposal, effective_share
from bayesgmm.bayes.threaded_chains import ThreadedChains

type FloatArray = NDArray[np.float64]

_MOST_DRAWS = 250
# Below this share of effective proposals the chains have met what the proposals do not know, and stand still there.
_FEWEST_EFFECTIVE = 0.5


class PoorProposalsError(Exception):
    """The proposals turned out to be far from the posterior; the message says how far."""


class IndependentChains(ThreadedChains):
    """Chains that begin at a proposal each and move to the next with probability min(1, ratio of their weights).

    A weight is the posterior's density over the proposals'. The posterior is what such a chain leaves unchanged.
    """

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
            centre, scale, work=work, most=_MOST_DRAWS, tune=tune, limit=limit, chains=chains, progress=progress
        )
        self._proposal = proposal
        self._rngs = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(chains)]
        # Where each chain is: theta, log posterior, log weight; -inf, so that the first proposal is taken.
        self._states = [(centre, -np.inf, -np.inf)] * chains
        self._log_weights: list[list[FloatArray]] = [[] for _ in range(chains)]

    def first(self, n: int) -> xr.DataTree:
        """The first n draws of every chain.

        Raises PoorProposalsError when few of the proposals up to there are effective.
        """
        tree = super().first(n)
        seen = np.concatenate([piece for of_chain in self._log_weights for piece in of_chain])
        share = effective_share(seen)
        if share < _FEWEST_EFFECTIVE:
            raise PoorProposalsError(f"of {len(seen)} independent proposals {share:.2%} were effective")
        return tree

    def _draw(self, chain: int, n: int) -> tuple[FloatArray, FloatArray]:
        rng, (theta, log_posterior, log_weight) = self._rngs[chain], self._states[chain]
        thetas, log_posteriors, log_weights = self._proposal.draw(rng, n)
        self._log_weights[chain].append(log_weights)
        thetas = np.concatenate([theta[np.newaxis], thetas])
        log_posteriors = np.append(log_posterior, log_posteriors)
        log_weights = np.append(log_weight, log_weights)
        held = _held(log_weights.tolist(), np.log1p(-rng.random(n)).tolist())
        at = held[-1]
        self._states[chain] = thetas[at], log_posteriors[at], log_weights[at]
        return thetas[held], log_posteriors[held]


def _held(log_weights: list[float], log_uniforms: list[float]) -> list[int]:
    """Which of the points the chain is at after each step, when it begins at the first."""
    at, held = 0, []
    for i, log_uniform in enumerate(log_uniforms, 1):
        if log_weights[i] > log_weights[at] + log_uniform:
            at = i
        held.append(at)
    return held
