"""What is sampled: a log posterior, and how its draws are read."""

from dataclasses import dataclass
from typing import Any, Protocol

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.sampling.run import StartingPoint
from bayesgmm.types import FloatArray
from bayesgmm.validation import Table


class Posterior(Protocol):
    """A log posterior density that can be sampled."""

    @property
    def n_dim(self) -> int: ...

    @property
    def density(self) -> MixtureDensity | None:
        """The default model's density; None for a PyMC model."""
        ...

    @property
    def calls(self) -> str:
        """What nutpie calls for each gradient."""
        ...

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]: ...

    def sampler(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
        """nutpie's model of z, theta = centre + scale z, scale (P,) or (P, P); chains begin at z = start(seed)."""
        ...


@dataclass(frozen=True, eq=False)
class Target:
    """What is sampled and how its draws are read.

    searches: the points from which each mode is looked for; kept: variables of a PyMC model's draws.
    """

    posterior: Posterior
    searches: list[list[FloatArray]]
    density: MixtureDensity | None
    kept: tuple[str, ...]
    table: Table | None
    attributes: dict[str, Any]
