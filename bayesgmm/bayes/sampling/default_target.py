"""The default model given rows, as a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, override

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.prior import Prior, check_prior
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.sampling import nuts, schema
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.own_search import own_search
from bayesgmm.bayes.sampling.proposal import Proposal
from bayesgmm.bayes.sampling.starts import StartingPoint
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.checked_tables import check_n_components
from bayesgmm.convergence import Labels
from bayesgmm.errors import SamplingError
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.data_covariance import total_cholesky
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.row_index import index_of
from bayesgmm.types import FloatArray

# Why draws may be no mixtures, and what to do.
_REMEDY = (
    "the prior puts standard deviations or means far from what the data show, or a component shrinks onto rows that "
    "are equal or lie on a line, or a row is very far from all others. Check the prior's scales against the data, "
    "give it a resolution, as Prior.for_data does, use covariance='diag', or take such rows out."
)


@dataclass(frozen=True, eq=False)
class DefaultTarget(Target):
    """The posterior of a mixture given rows.

    features : names of the D features; searches : the points theta (P,) that each search for a mode starts from, one
    search per start of the caller and one of the target's own; index : index of the data frame that the rows came from,
    or None.
    """

    density: MixtureDensity
    features: tuple[str, ...]
    searches: list[list[FloatArray]]
    index: pd.Index | None = None

    @classmethod
    def of(
        cls,
        X: ArrayLike,
        n_components: int,
        covariance: str,
        prior: Prior | None,
        starts: Sequence[MixtureParameters],
        rng: np.random.Generator,
    ) -> "DefaultTarget":
        """Check the arguments of `sample_posterior`, and make the target.

        Raises InputError, with the argument's name, when one cannot be used.
        """
        structure = structure_named(covariance)
        rows = _own(as_rows(X))
        K = check_n_components(n_components, rows)
        check_prior(prior)
        total_cholesky(rows, structure)  # refuses data that make the posterior improper
        prior = prior or Prior.for_rows(rows, structure)
        density = MixtureDensity.of(rows, K, structure, prior)
        for start in starts:
            start.check_start(K, rows.features)
        searches = [[density.unconstrain(start)] for start in starts]
        searches.append(own_search(density, rng.spawn(1)[0]))
        return cls(density, rows.features, searches, index_of(X))

    @property
    @override
    def n_dim(self) -> int:
        return self.density.n_dim

    @property
    @override
    def attributes(self) -> Mapping[str, Any]:
        return {
            "model": "default",
            "covariance": self.density.structure.name,
            "prior": self.density.prior.expression(),
        }

    @override
    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        return self.density(theta)

    @override
    def nutpie_model(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> nuts.NutpieModel:
        return nuts.density_model(self.density, centre, scale, start)

    @override
    def proposal(self, curvature: Curvature) -> Proposal | str:
        return Proposal.at(self.density, curvature)

    @override
    def allocation_model(self) -> MixtureDensity:
        return self.density

    @override
    def labels_at(self, theta: FloatArray) -> Labels:
        values = self.density.constrain(theta[np.newaxis])
        mixture = MixtureParameters(values["weights"][0], values["means"][0], values["covariances"][0], self.features)
        return Labels(mixture, self.density.structure.name)

    @override
    def log_likelihoods(self, draws: Draws) -> FloatArray:
        log_priors = self.density.log_priors(draws.flat_theta).reshape(draws.log_posterior.shape)
        return draws.log_posterior - log_priors

    @override
    def read(self, draws: Draws) -> xr.DataTree:
        draws.check_finite(_REMEDY)
        try:
            posterior = schema.mixture_variables(self.density, self.features, draws)
        except np.linalg.LinAlgError as error:
            raise SamplingError(
                f"Some draws have covariances that are singular to machine precision: {_REMEDY}", draws.as_tree()
            ) from error
        stats = schema.sample_stats(draws).assign(
            log_prior=(("chain", "draw"), schema.log_priors(self.density, posterior)),
            total_log_likelihood=(("chain", "draw"), self.log_likelihoods(draws)),
        )
        observed = schema.observed_data(self.density.values, self.features, self.index)
        return schema.posterior_tree(posterior, stats, observed)


def _own(rows: Rows) -> Rows:
    """Rows that their owner cannot change in place: the posterior keeps them. Files mapped into memory stay there."""
    owner: Any = rows.values
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    return rows if isinstance(owner, np.memmap) else replace(rows, values=rows.values.copy())
