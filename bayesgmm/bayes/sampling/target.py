"""`Target`: a posterior that can be sampled, and the capabilities that the ways to sample ask it for."""

from collections.abc import Mapping
from typing import Any, Protocol

import xarray as xr

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.nuts import NutpieModel
from bayesgmm.bayes.sampling.proposal import Proposal
from bayesgmm.bayes.sampling.starts import StartingPoint
from bayesgmm.convergence import Labels
from bayesgmm.types import FloatArray


class Target(Protocol):
    """A log posterior density over P unconstrained parameters, and how draws of it are read."""

    @property
    def n_dim(self) -> int:
        """P."""
        ...

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the posterior's attributes say of the model."""
        ...

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior density and its gradient (P,) at theta (P,)."""
        ...

    def nutpie_model(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> NutpieModel:
        """The target in coordinates z, theta = centre + scale z, for NUTS; scale (P,) or (P, P)."""
        ...

    def proposal(self, curvature: Curvature) -> Proposal | str:
        """A distribution near the posterior for independent proposals; why there is none, where there is none."""
        ...

    def allocation_model(self) -> MixtureDensity | None:
        """The density whose full conditionals Gibbs sampling draws from; None where they are not known."""
        ...

    def labels_at(self, theta: FloatArray) -> Labels | None:
        """What tells the components of draws around theta (P,) apart; None if the draws may be no mixtures."""
        ...

    def log_likelihoods(self, draws: Draws) -> FloatArray:
        """(chain, draw) log-likelihood; the log posterior where the two cannot be told apart."""
        ...

    def read(self, draws: Draws) -> xr.DataTree:
        """The draws in ArviZ's schema.

        Raises SamplingError, with the draws, when some are no mixtures.
        """
        ...
