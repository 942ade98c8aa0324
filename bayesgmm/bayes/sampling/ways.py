"""The ways to sample."""

from dataclasses import dataclass

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.gibbs import AllocationChains
from bayesgmm.bayes.sampling.independent import IndependentChains
from bayesgmm.bayes.sampling.nuts import Chains, Settings
from bayesgmm.bayes.sampling.proposal import Proposal
from bayesgmm.bayes.sampling.run import Sampling, starting_within
from bayesgmm.bayes.sampling.target import Posterior
from bayesgmm.types import FloatArray

WHITENED, PLAIN, LOW_RANK, ALLOCATION, INDEPENDENT = "whitened", "plain", "low-rank", "allocation", "independent"


# Tuning draws. Longer did not help.
_TUNE_WHITENED, _TUNE_PLAIN, _TUNE_LOW_RANK, _TUNE_ALLOCATION, _TUNE_INDEPENDENT = 200, 400, 800, 200, 100


# What takes longer than a gradient. With few rows nutpie's low-rank adaptation takes a quarter to a half of a
# gradient's time itself. A sweep is a pass over the rows as well, and draws from every conditional distribution: 2.9
# gradients' time for 82 rows, 1 feature and 3 components, 4.1 with 6; 3.2 for 272 x 2, K = 3; 3.8 for 150 x 4, K = 3;
# 1.6 for 5000 x 2, K = 3; 2.6 for 2000 x 5, K = 4; 4.7 for 1000 x 12, K = 3. With few rows a step of NUTS takes far
# longer than its gradient: by seconds of sampling, a sweep was 1.1 of them for 82 rows and 3 components.
_COSTS = {LOW_RANK: 1.25, ALLOCATION: 2.0}


@dataclass(frozen=True, eq=False)
class Coordinates:
    """theta = centre + scale z, scale (P,) or (P, P), and how the chains adapt to what is left.

    proposal: where the chains' proposals are from, of the way that has such.
    """

    name: str
    centre: FloatArray
    scale: FloatArray
    settings: Settings
    proposal: Proposal | None = None

    def theta(self, z: FloatArray) -> FloatArray:
        """(S, P) of z (S, P)."""
        return self.centre + (z * self.scale if self.scale.ndim == 1 else z @ self.scale.T)


def begin(
    posterior: Posterior,
    at: Coordinates,
    *,
    start_width: float,
    limit: int,
    chains: int,
    seed: int,
    progress: bool,
) -> Sampling:
    """Chains in these coordinates, from points z uniform in (-start_width, start_width) or from a proposal each."""
    if at.proposal is not None:
        return IndependentChains(
            at.proposal,
            at.centre,
            at.scale,
            tune=at.settings.tune,
            limit=limit,
            chains=chains,
            seed=seed,
            progress=progress,
        )
    start = starting_within(start_width, posterior.n_dim)
    if at.name == ALLOCATION and posterior.density is not None:
        return AllocationChains(
            posterior.density,
            at.centre,
            at.scale,
            start,
            tune=at.settings.tune,
            limit=limit,
            chains=chains,
            seed=seed,
            progress=progress,
        )
    sampler = posterior.sampler(at.centre, at.scale, start)
    return Chains(sampler, at.settings, limit=limit, chains=chains, seed=seed, progress=progress)


def candidates_for(posterior: Posterior, curvature: Curvature, tune: int | None = None) -> list[Coordinates]:
    """What there is to choose from: whitened first, where there is a whitening, and proposals last, where there are."""
    ways = [
        (WHITENED, curvature.whitening, _TUNE_WHITENED, "diag"),
        (PLAIN, curvature.units, _TUNE_PLAIN, "diag"),
        (LOW_RANK, curvature.units, _TUNE_LOW_RANK, "low_rank"),
    ]
    if posterior.density is not None:  # a model that the user wrote has no allocations that are known
        ways.append((ALLOCATION, curvature.units, _TUNE_ALLOCATION, ""))
    found = [
        Coordinates(name, curvature.mode, scale, Settings(tune or usual_tune, adaptation))
        for name, scale, usual_tune, adaptation in ways
        if scale is not None
    ]
    proposal = None if posterior.density is None else Proposal.at(posterior.density, curvature)
    if proposal is not None:
        settings = Settings(tune or _TUNE_INDEPENDENT, "")
        found.append(Coordinates(INDEPENDENT, curvature.mode, curvature.units, settings, proposal))
    return found
