"""Short pilot runs of each way, and their efficiency in effective draws per gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayesgmm.bayes.sampling.gibbs import SWEEPS
from bayesgmm.bayes.sampling.run import Sampling
from bayesgmm.bayes.sampling.target import Posterior
from bayesgmm.bayes.sampling.ways import _COSTS, ALLOCATION, Coordinates, begin
from bayesgmm.convergence import convergence
from bayesgmm.types import FloatArray

_PILOT_CHAINS = 4


# Pilots end at the first of these draws a chain at which the best has enough effective draws to be told apart.
_PILOT_DRAWS = (500, 1000, 2000)


_PILOT_ESS = 400


# With one divergence in a hundred draws a candidate has to be half as efficient again.
_DIVERGENCE_COST = 50.0


# Draws a chain that the tuning is spread over when candidates are compared.
_USUAL_DRAWS = 1000


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
