"""Short pilot runs of several ways, and the efficiency of each in effective draws per gradient."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.run import Chains, RunSettings
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.way import Way
from bayesgmm.convergence import convergence
from bayesgmm.interrupts import OutOfTimeError

_PILOT_CHAINS = 4
# Pilots end at the first of these numbers of draws per chain at which the best way has enough effective draws.
_CHECKPOINTS = (500, 1000, 2000)
_ENOUGH_EFFECTIVE = 400
# One divergence per hundred draws has to be made up for by half as much efficiency again.
_DIVERGENCE_COST = 50.0
# Draws per chain of the run that tuning is spread over.
_USUAL_DRAWS = 1000


@dataclass(frozen=True)
class Pilot:
    """Figures of one pilot.

    tune : tuning draws per chain; n_draws : draws of all chains; ess, r_hat : of the log-likelihood; n_steps : units of
    work, and step_name, step_cost their name and their cost in gradients; n_divergences : divergent draws.
    """

    name: str
    tune: int
    n_draws: int
    ess: float
    r_hat: float
    n_steps: int
    n_divergences: int
    step_name: str = "gradients"
    step_cost: float = 1.0

    @property
    def efficiency(self) -> float:
        """Effective draws per 1000 gradients in a run of usual length, tuning included, less for divergences."""
        if not np.isfinite(self.ess):
            return 0.0
        share_of_draws = _USUAL_DRAWS / (_USUAL_DRAWS + self.tune)
        cost = (1 + _DIVERGENCE_COST * self.n_divergences / self.n_draws) * self.step_cost
        return 1000 * self.ess / self.n_steps * share_of_draws / cost

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.efficiency:.1f} effective draws per 1000 gradients ({self.n_draws} draws, "
            f"{self.n_steps} {self.step_name}, {self.ess:.0f} effective, R-hat {self.r_hat:.2f}, "
            f"{self.n_divergences} divergences)"
        )


def run_pilots(
    target: Target, ways: Sequence[Way], tune: int | None, rng: np.random.Generator, deadline: float
) -> list[Pilot]:
    """Run every way until one of them has enough effective draws; one pilot per way, in the order given.

    They use at most half of the time until the deadline, a time of `time.monotonic`. Ways that have no pilot by then
    are left out.
    """
    seed, running, pilots = int(rng.integers(2**63)), list[Chains](), list[Pilot]()
    half_time = time.monotonic() + 0.5 * (deadline - time.monotonic())
    try:
        for n_draws in _CHECKPOINTS:
            earlier, pilots = pilots, []
            for i, way in enumerate(ways):
                if i == len(running):  # the chains of one way run at a time; those of the others pause
                    settings = RunSettings(
                        tune or way.default_tune,
                        _CHECKPOINTS[-1],
                        _PILOT_CHAINS,
                        seed,
                        progress=False,
                        deadline=half_time,
                    )
                    running.append(way.start(settings))
                pilots.append(_pilot(target, way, tune or way.default_tune, running[i].first(n_draws)))
            if max((pilot.ess for pilot in pilots if np.isfinite(pilot.ess)), default=0.0) >= _ENOUGH_EFFECTIVE:
                break
    except OutOfTimeError:
        pilots = pilots if len(pilots) > len(earlier) else earlier
    finally:
        for chains in running:
            chains.stop()
    return pilots


def _pilot(target: Target, way: Way, tune: int, draws: Draws) -> Pilot:
    figures = convergence(target.log_likelihoods(draws)[..., np.newaxis], ["log-likelihood"]).iloc[0]
    return Pilot(
        way.name,
        tune,
        draws.log_posterior.size,
        float(figures["ess_bulk"]),
        float(figures["r_hat"]),
        way.n_steps(draws),
        int(np.sum(draws.stats.get("diverging", 0))),
        way.step_name,
        way.step_cost,
    )
