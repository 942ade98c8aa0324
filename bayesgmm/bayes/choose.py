"""Which way to sample, by proposals at the mode, its curvature, and short pilots.

Whitened: z with theta = mode + scale z, by the Hessian; right where the posterior is near a Gaussian. Plain: every
parameter in its own width, and nutpie adapts a diagonal mass matrix. Low-rank: the same, and nutpie adapts to
correlations too. Allocation: no gradients but Gibbs sweeps, each row given to one component. Independent: proposals
from one distribution near the posterior, where there is such a one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.bayes.allocation_chains import SWEEPS, AllocationChains
from bayesgmm.bayes.diagnose import convergence
from bayesgmm.bayes.independent_chains import IndependentChains
from bayesgmm.bayes.nuts import Chains, Posterior, Sampling, Settings, starting_within
from bayesgmm.bayes.precondition import Curvature
from bayesgmm.bayes.proposal import Proposal

type FloatArray = NDArray[np.float64]


WHITENED, PLAIN, LOW_RANK, ALLOCATION, INDEPENDENT = "whitened", "plain", "low-rank", "allocation", "independent"
# From this share of effective proposals on nothing else comes near: a draw of NUTS takes three gradients and more. The
# best there is have 0.95, as one in twenty is wide. With 0.6, for 604 rows of which one component has four, proposals
# had 12 times as many effective draws for their work as the next best.
_NEAR_POSTERIOR = 0.55
# Below this misfit whitened sampling is as good as sampling gets. Old Faithful with K = 2 has 0.02, mixtures that
# overlap more than 0.1.
_NEAR_GAUSSIAN = 0.05
# Tuning draws. Longer did not help.
_TUNE_WHITENED, _TUNE_PLAIN, _TUNE_LOW_RANK, _TUNE_ALLOCATION, _TUNE_INDEPENDENT = 200, 400, 800, 200, 100
_PILOT_CHAINS = 4
# Pilots end at the first of these draws a chain at which the best has enough effective draws to be told apart.
_PILOT_DRAWS = (500, 1000, 2000)
_PILOT_ESS = 400
# With one divergence in a hundred draws a candidate has to be half as efficient again.
_DIVERGENCE_COST = 50.0
# What takes longer than a gradient. With few rows nutpie's low-rank adaptation takes a quarter to a half of a
# gradient's time itself. A sweep is a pass over the rows as well, and draws from every conditional distribution: 2.9
# gradients' time for 82 rows, 1 feature and 3 components, 4.1 with 6; 3.2 for 272 x 2, K = 3; 3.8 for 150 x 4, K = 3;
# 1.6 for 5000 x 2, K = 3; 2.6 for 2000 x 5, K = 4; 4.7 for 1000 x 12, K = 3. With few rows a step of NUTS takes far
# longer than its gradient: by seconds of sampling, a sweep was 1.1 of them for 82 rows and 3 components.
_COSTS = {LOW_RANK: 1.25, ALLOCATION: 2.0}
# Draws a chain that the tuning is spread over when candidates are compared.
_USUAL_DRAWS = 1000


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


@dataclass(frozen=True, eq=False)
class Choice:
    """What was taken, why, and the pilots in words, one a candidate."""

    coordinates: Coordinates
    reason: str
    pilots: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pilot:
    """Draws of a pilot in figures.

    gradients: or sweeps; efficiency: effective draws per 1000 of them in a run of usual length, its tuning included;
    less for divergences and for what takes longer than a gradient.
    """

    name: str
    tune: int
    draws: int
    ess: float
    r_hat: float
    gradients: int
    divergences: int

    @property
    def efficiency(self) -> float:
        if not np.isfinite(self.ess):
            return 0.0
        share_of_draws = _USUAL_DRAWS / (_USUAL_DRAWS + self.tune)
        cost = (1 + _DIVERGENCE_COST * self.divergences / self.draws) * _COSTS.get(self.name, 1.0)
        return 1000 * self.ess / self.gradients * share_of_draws / cost

    def __str__(self) -> str:
        what = "sweeps" if self.name == ALLOCATION else "gradients"
        return (
            f"{self.name}: {self.efficiency:.1f} effective draws per 1000 gradients ({self.draws} draws, "
            f"{self.gradients} {what}, {self.ess:.0f} effective, R-hat {self.r_hat:.2f}, "
            f"{self.divergences} divergences)"
        )


def choose(
    posterior: Posterior,
    curvature: Curvature,
    quantity: Callable[[xr.DataTree, Coordinates], FloatArray],
    *,
    tune: int | None,
    start_width: float,
    rng: np.random.Generator,
    usual: str = "",
    objection: str = "",
) -> Choice:
    """Coordinates for a posterior.

    quantity(draws, coordinates) -> (chain, draw), what the pilots' effective draws are counted for; tune: tuning
    draws, those of each candidate by default; usual: the name of those that pilots around another mode of the same
    posterior have chosen; objection: what is known against independent proposals. Counted in gradients, not seconds,
    the choice is the same on any machine.
    """
    candidates = candidates_for(posterior, curvature, tune)
    proposal = candidates[-1].proposal
    if proposal is not None:
        independent = candidates.pop()
        share = 0.0 if objection else proposal.efficiency(rng.spawn(1)[0])  # no draw of the other ways depends on it
        if share >= _NEAR_POSTERIOR:
            return Choice(independent, f"{share:.0%} of independent proposals around the mode are effective")
    if not objection and candidates[0].name == WHITENED and curvature.misfit < _NEAR_GAUSSIAN:
        reason = f"the posterior is near the Gaussian at its mode (misfit {curvature.misfit:.2g})"
        return Choice(candidates[0], reason)
    for candidate in candidates:
        if candidate.name == usual:
            return Choice(candidate, "of short pilots around the heaviest mode, it had the most effective draws")
    pilots = _pilots(posterior, candidates, quantity, start_width, rng)
    best = max(range(len(pilots)), key=lambda i: pilots[i].efficiency)
    far = f"the posterior is far from the Gaussian at its mode (misfit {curvature.misfit:.2g})"
    flaw = curvature.flaw or objection or far
    reason = f"{flaw}; of short pilots, {candidates[best].name} had the most effective draws for its work"
    return Choice(candidates[best], reason, tuple(map(str, pilots)))


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


def _pilots(
    posterior: Posterior,
    candidates: list[Coordinates],
    quantity: Callable[[xr.DataTree, Coordinates], FloatArray],
    start_width: float,
    rng: np.random.Generator,
) -> list[_Pilot]:
    running: list[Sampling] = []
    seed = int(rng.integers(2**63))
    try:
        for n in _PILOT_DRAWS:
            pilots = []
            for i, candidate in enumerate(candidates):
                if i == len(running):  # one candidate runs at a time
                    sampling = begin(
                        posterior,
                        candidate,
                        start_width=start_width,
                        limit=_PILOT_DRAWS[-1],
                        chains=_PILOT_CHAINS,
                        seed=seed,
                        progress=False,
                    )
                    running.append(sampling)
                pilots.append(_figures(candidate, running[i].first(n), quantity))
            if max((pilot.ess for pilot in pilots if np.isfinite(pilot.ess)), default=0.0) >= _PILOT_ESS:
                break
    finally:
        for sampling in running:
            sampling.stop()
    return pilots


def _figures(
    candidate: Coordinates, draws: xr.DataTree, quantity: Callable[[xr.DataTree, Coordinates], FloatArray]
) -> _Pilot:
    stats = draws["sample_stats"].to_dataset()
    found = convergence(quantity(draws, candidate)[..., np.newaxis], ["quantity"]).iloc[0]
    n_draws, has_gradients = stats["logp"].size, "n_steps" in stats
    return _Pilot(
        candidate.name,
        candidate.settings.tune,
        n_draws,
        float(found["ess_bulk"]),
        float(found["r_hat"]),
        int(stats["n_steps"].sum()) if has_gradients else SWEEPS * n_draws,
        int(stats["diverging"].sum()) if has_gradients else 0,
    )
