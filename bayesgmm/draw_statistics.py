"""ArviZ's statistics of draws as functions of plain arrays.

Every other module outside `plots` gets these statistics from here, so that only this module depends on ArviZ's
interface. Arrays become an `xarray.Dataset` on the way in: `arviz.ess` of a plain array fails for some methods in
ArviZ 1.3.
"""

from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from bayesgmm.environment import backend_error, check_docstrings
from bayesgmm.types import FloatArray

check_docstrings()
try:
    import arviz as az
    from arviz_stats.base import array_stats
except ValueError as error:  # ArviZ imports Matplotlib
    raise backend_error(error) from error

# Pareto smoothing fits the largest fifth of the weights, and needs five of them.
_FEWEST_DRAWS_OF_A_TAIL = 25

type EssMethod = Literal["bulk", "tail", "mean"]


class LeaveOneOut(NamedTuple):
    """Leave-one-out statistics of n rows.

    elpd (n,): log predictive density of each row given the others, in nats.
    pareto_k (n,): shape of the tail of the row's importance weights.
    gain (n,): how much log density the row gains by having been fitted, in nats.
    """

    elpd: FloatArray
    pareto_k: FloatArray
    gain: FloatArray


def r_hat(draws: FloatArray) -> FloatArray:
    """(n,) rank-normalised split R-hat of n quantities with draws (chain, draw, n).

    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021, doi:10.1214/20-BA1221). NaN for one chain.
    """
    return np.asarray(az.rhat(_dataset(draws))["x"].values)


def effective_draws(draws: FloatArray, method: EssMethod) -> FloatArray:
    """(n,) effective number of draws of n quantities with draws (chain, draw, n).

    method: "bulk" for the middle of the distribution, "tail" for its 5 % and 95 % quantiles, "mean" for its mean
    (Vehtari et al. 2021, as above).
    """
    return np.asarray(az.ess(_dataset(draws), method=method)["x"].values)


def e_bfmi(energy: FloatArray) -> FloatArray:
    """(chain,) energy fraction of missing information of each chain, from NUTS's energies (chain, draw).

    Betancourt (2016, arXiv:1604.00695).
    """
    tree = xr.DataTree.from_dict({"sample_stats": xr.Dataset({"energy": (("chain", "draw"), energy)})})
    return np.atleast_1d(np.asarray(az.bfmi(tree)["energy"].values, np.float64))


def power_scaling_sensitivity(draws: FloatArray, log_prior: FloatArray) -> FloatArray:
    """(n,) sensitivity to the prior of n quantities with draws (chain, draw, n), by power-scaling.

    log_prior (chain, draw): log prior density of each draw, up to a constant. Kallioinen, Paananen, Buerkner and
    Vehtari (2024, doi:10.1007/s11222-023-10366-5). NaN for too few draws.
    """
    if log_prior.size < _FEWEST_DRAWS_OF_A_TAIL:
        return np.full(draws.shape[-1], np.nan)
    prior = xr.Dataset({"log_prior": (("chain", "draw"), log_prior)})
    tree = xr.DataTree.from_dict({"posterior": _dataset(draws), "log_prior": prior})
    return np.asarray(az.psense(tree, group="prior")["x"].values)


def smoothed_leave_one_out(log_densities: FloatArray, relative_efficiency: float) -> LeaveOneOut:
    """Leave-one-out statistics of n rows by Pareto-smoothed importance sampling.

    log_densities (n, S): of each row under each draw; relative_efficiency: effective draws per draw, which sets the
    length of the tail that is smoothed. ArviZ refuses a row whose tail is constant.
    Vehtari, Gelman and Gabry (2017, doi:10.1007/s11222-016-9696-4); Vehtari et al. (2024, arXiv:1507.02646).
    """
    return LeaveOneOut(*array_stats.loo(log_densities, chain_axis=None, r_eff=relative_efficiency))


def _dataset(draws: FloatArray) -> xr.Dataset:
    return xr.Dataset({"x": (("chain", "draw", "quantity"), draws)})
