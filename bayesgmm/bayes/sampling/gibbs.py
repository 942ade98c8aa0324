"""Gibbs sampling with allocations: each sweep gives every row to a component, then draws the parameters given that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self, override

import numpy as np

from bayesgmm.bayes.model.arguments import ModelArguments
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.gibbs_sweep import advance
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.bayes.sampling.starts import start_within
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.threads import ThreadedChains
from bayesgmm.bayes.sampling.way import SamplerName, Way
from bayesgmm.types import FloatArray

# Thinning: sweeps per kept draw, about as costly as one NUTS draw (30 gradients).
SWEEPS_PER_DRAW = 10
_LONGEST_PIECE = 100


@dataclass(frozen=True, eq=False)
class Gibbs(Way):
    """Gibbs sampling of the default model around a mode."""

    name: ClassVar[str] = "Gibbs"
    sampler: ClassVar[SamplerName] = "gibbs"
    library: ClassVar[str] = "bayesgmm"
    default_tune: ClassVar[int] = 200
    step_name: ClassVar[str] = "sweeps"
    step_cost: ClassVar[float] = 2.0  # between 1.6 and 4.7 gradients; see docs/decisions/0041
    can_be_piloted: ClassVar[bool] = True

    density: MixtureDensity
    curvature: Curvature

    @classmethod
    @override
    def around(cls, target: Target, curvature: Curvature) -> Self | str:
        density = target.allocation_model()
        return "the full conditionals of this model are not known" if density is None else cls(density, curvature)

    @property
    @override
    def attributes(self) -> Mapping[str, str]:
        return {}

    @override
    def recommendation(self, rng: np.random.Generator) -> str:
        return ""

    @override
    def start(self, settings: RunSettings) -> "GibbsChains":
        return GibbsChains(self.density, self.curvature, settings)

    @override
    def n_steps(self, draws: Draws) -> int:
        return SWEEPS_PER_DRAW * draws.log_posterior.size


class GibbsChains(ThreadedChains):
    """Chains that start at points around the mode."""

    kind = "of Gibbs sampling"

    def __init__(self, density: MixtureDensity, curvature: Curvature, settings: RunSettings) -> None:
        rows_per_draw = SWEEPS_PER_DRAW * density.n_components * density.rows.n_samples
        super().__init__(density.n_dim, settings, rows_per_draw=rows_per_draw, longest_piece=_LONGEST_PIECE)
        self._density = density
        self._model = ModelArguments(density.n_components, *density.switches, *density.arrays)
        seeds = np.random.SeedSequence(settings.seed).spawn(settings.chains)
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        start = start_within(density.n_dim)
        self._states = [curvature.mode + curvature.units * start(int(seed.generate_state(1)[0])) for seed in seeds]

    def _draw(self, chain: int, n_draws: int) -> tuple[FloatArray, FloatArray]:
        theta = np.empty((n_draws, self._density.n_dim))
        advance(self._rngs[chain], self._density.values, self._model, SWEEPS_PER_DRAW, self._states[chain], theta)
        return theta, self._density.log_posteriors(theta)
