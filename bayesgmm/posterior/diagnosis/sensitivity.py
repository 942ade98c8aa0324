"""How much each number of a posterior owes to the prior, by power-scaling."""

import arviz as az
import numpy as np
import xarray as xr

from bayesgmm.types import FloatArray


def prior_sensitivity(posterior: xr.DataTree, values: FloatArray) -> FloatArray | None:
    """(n,) sensitivity to the prior of quantities with draws (chain, draw, n), by power-scaling; None if not known.

    How far a quantity's posterior moves when the prior is raised to a power near 1 (Kallioinen, Paananen, Buerkner and
    Vehtari 2024, doi:10.1007/s11222-023-10366-5), by ArviZ; above 0.05 the prior is informative. `sample_posterior`
    leaves the prior's density with the draws; a model from elsewhere has none.
    """
    stats = posterior["sample_stats"].to_dataset()
    if "log_prior" not in stats:
        return None
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw", "quantity"), values)}),
            "log_prior": xr.Dataset({"log_prior": (("chain", "draw"), stats["log_prior"].values)}),
        }
    )
    return np.asarray(az.psense(tree, group="prior")["x"].values)
