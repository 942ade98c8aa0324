"""How much each number of a posterior owes to the prior, by power-scaling."""

import arviz as az
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.bayes.diagnose import posterior_entries
from bayesgmm.mixture.entries import values_of

type FloatArray = NDArray[np.float64]


def prior_sensitivity(posterior: xr.DataTree) -> FloatArray | None:
    """(n_entries,) power-scaling sensitivity to the prior of every number of a mixture; None where it is not known.

    How far a number's posterior moves when the prior is raised to a power near 1 (Kallioinen, Paananen, Buerkner and
    Vehtari 2024, doi:10.1007/s11222-023-10366-5), by ArviZ; above 0.05 the prior is informative. `sample_posterior`
    leaves the prior's density with the draws; a model from elsewhere has none.
    """
    stats = posterior["sample_stats"].to_dataset()
    if "log_prior" not in stats:
        return None
    found = posterior_entries(posterior)
    draws = posterior["posterior"].to_dataset()
    values = values_of(found, {name: draws[name].values for name in ("weights", "means", "stds", "correlations")})
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw", "quantity"), values)}),
            "log_prior": xr.Dataset({"log_prior": (("chain", "draw"), stats["log_prior"].values)}),
        }
    )
    return np.asarray(az.psense(tree, group="prior")["x"].values)
