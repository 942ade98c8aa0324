"""`Way`: one way to sample a target around a mode. `ways.py` lists them all."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, Self

import numpy as np

from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.run import Chains, RunSettings
from bayesgmm.bayes.sampling.target import Target

type SamplerName = Literal["independent", "nuts", "gibbs"]


class Way(Protocol):
    """Each class is one sampling method; an instance is that method set up for one target around one mode.

    Attributes
    ----------
    name : shown in the reports of pilots and in the reason for the choice.
    sampler : the family by which a caller asks for it.
    library : the Python package that does the sampling.
    default_tune : tuning draws per chain.
    step_name, step_cost : the unit of work in the plural, and its cost relative to one gradient.
    can_be_piloted : whether short pilots say how efficient it is.
    """

    name: ClassVar[str]
    sampler: ClassVar[SamplerName]
    library: ClassVar[str]
    default_tune: ClassVar[int]
    step_name: ClassVar[str]
    step_cost: ClassVar[float]
    can_be_piloted: ClassVar[bool]

    @classmethod
    def around(cls, target: Target, curvature: Curvature) -> Self | str:
        """Prepared for a target around the mode of a curvature; why not, where the way does not apply."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """What the posterior's attributes say of this way, besides `sampler`."""
        ...

    def recommendation(self, rng: np.random.Generator) -> str:
        """The reason to take this way without pilots; empty where only pilots can tell."""
        ...

    def start(self, settings: RunSettings) -> Chains:
        """Chains around the mode."""
        ...

    def n_steps(self, draws: Draws) -> int:
        """Units of work that the draws took, tuning not counted."""
        ...
