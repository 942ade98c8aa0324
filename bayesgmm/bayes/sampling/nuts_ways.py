"""NUTS in two sets of coordinates: whitened by the curvature at the mode, or each parameter in its own width."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, override

import numpy as np

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.nuts import NutpieModel, NUTSChains
from bayesgmm.bayes.sampling.run import RunSettings
from bayesgmm.bayes.sampling.starts import start_within
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.bayes.sampling.way import SamplerName, Way
from bayesgmm.types import FloatArray

# Below this misfit whitened NUTS is as good as sampling gets; see docs/decisions/0040.
_SMALL_MISFIT = 0.05


@dataclass(frozen=True, eq=False)
class _NUTS(Way):
    """NUTS in coordinates z, theta = mode + scale z, scale (P,) or (P, P)."""

    name: ClassVar[str]
    sampler: ClassVar[SamplerName] = "nuts"
    library: ClassVar[str] = "nutpie"
    default_tune: ClassVar[int]
    step_name: ClassVar[str] = "gradients"
    step_cost: ClassVar[float] = 1.0
    can_be_piloted: ClassVar[bool] = True
    preconditioning: ClassVar[str]

    target: Target
    curvature: Curvature
    scale: FloatArray

    @cached_property
    def _model(self) -> NutpieModel:
        return self.target.nutpie_model(self.curvature.mode, self.scale, start_within(self.target.n_dim))

    @property
    @override
    def attributes(self) -> Mapping[str, str]:
        return {"preconditioning": self.preconditioning, "gradients_by": self._model.gradients_by}

    @override
    def start(self, settings: RunSettings) -> NUTSChains:
        return NUTSChains(self._model, self.curvature.mode, self.scale, settings)

    @override
    def n_steps(self, draws: Draws) -> int:
        return int(draws.stats["n_steps"].sum())


class WhitenedNUTS(_NUTS):
    """NUTS in coordinates in which the posterior's Gaussian approximation at the mode is standard normal."""

    name = "whitened NUTS"
    default_tune = 200
    preconditioning = "whitened"

    @classmethod
    @override
    def around(cls, target: Target, curvature: Curvature) -> Self | str:
        if curvature.whitening is None:
            return curvature.flaw
        return cls(target, curvature, curvature.whitening)

    @override
    def recommendation(self, rng: np.random.Generator) -> str:
        if self.curvature.misfit >= _SMALL_MISFIT:
            return ""
        return f"the posterior is near the Gaussian at its mode (misfit {self.curvature.misfit:.2g})"


class DiagonalNUTS(_NUTS):
    """NUTS with each parameter in units of its own width at the mode."""

    name = "diagonal NUTS"
    default_tune = 400
    preconditioning = "diagonal"

    @classmethod
    @override
    def around(cls, target: Target, curvature: Curvature) -> Self:
        return cls(target, curvature, curvature.units)

    @override
    def recommendation(self, rng: np.random.Generator) -> str:
        return ""
