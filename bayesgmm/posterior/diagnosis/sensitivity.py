"""How strongly each quantity of a posterior depends on the prior."""

import numpy as np
import xarray as xr

from bayesgmm.draw_statistics import power_scaling_sensitivity
from bayesgmm.posterior.draws import sample_stats
from bayesgmm.types import FloatArray


def prior_sensitivity(posterior: xr.DataTree, values: FloatArray) -> FloatArray | None:
    """(n,) sensitivity to the prior of quantities with draws `values` (chain, draw, n), by power-scaling.

    The sensitivity says how far the posterior of a quantity moves when the prior is raised to a power near 1
    (Kallioinen, Paananen, Buerkner and Vehtari 2024, doi:10.1007/s11222-023-10366-5). Above 0.05 the prior is
    informative. None if the posterior does not hold the log prior density of its draws: `sample_posterior` stores it
    for its own model, but not for a `pymc.Model`.
    """
    stats = sample_stats(posterior)
    if "log_prior" not in stats:
        return None
    with np.errstate(all="ignore"):  # of constant draws the sensitivity is NaN
        return power_scaling_sensitivity(values, stats["log_prior"].values)
