"""A fit and a posterior that are handed in together, checked."""

import xarray as xr

from bayesgmm.em.result import EMFit
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.posterior.draws import check_comparable, mixture_draws
from bayesgmm.received import check_result


def draws_beside(em: EMFit, posterior: xr.DataTree, n_draws: int | None = None) -> MixtureDraws:
    """The draws of the posterior, or `n_draws` evenly spaced ones of them, as mixtures.

    Raises InputError if one of the two is something else, if a draw is no mixture, or if they have other components or
    features, or features in another order.
    """
    check_result(em, EMFit, "em")
    draws = mixture_draws(posterior, n_draws)
    check_comparable(em.parameters, draws)
    return draws
