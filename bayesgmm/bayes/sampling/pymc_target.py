"""A PyMC model as a target: whitened, and compiled by PyTensor with the kernel as an Op."""

import ctypes
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, override

import numpy as np
import xarray as xr

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import Curvature
from bayesgmm.bayes.pymc.whitened import CENTRE, FLAT, SCALE, initial_theta, reported_variables, whitened_model
from bayesgmm.bayes.sampling import nuts, schema
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.proposal import Proposal
from bayesgmm.bayes.sampling.starts import StartingPoint
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.convergence import Labels
from bayesgmm.kernel.rows import Rows
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.draws import log_densities_of_draws
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

if TYPE_CHECKING:
    import pymc as pm

_DOUBLES = ctypes.POINTER(ctypes.c_double)
_N_RANDOM_STARTS = 10


class PyMCTarget(Target):
    """The posterior of a PyMC model in its unconstrained space."""

    def __init__(self, model: "pm.Model", start: MixtureParameters | None, rng: np.random.Generator) -> None:
        self._variables = reported_variables(model)
        self._compiled = nuts.compile_pymc(whitened_model(model), [FLAT, *self._variables])
        self._rows = _observed_rows(model)
        self.search = _searches(model, start, rng)

    @property
    @override
    def n_dim(self) -> int:
        return int(self._compiled.n_dim)

    @property
    @override
    def attributes(self) -> Mapping[str, Any]:
        return {"model": "pymc.Model"}

    @override
    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior density and gradient (P,), from the C function that nutpie calls."""
        P = self.n_dim
        theta, gradient, value = np.ascontiguousarray(theta, dtype=np.float64), np.empty(P), np.empty(1)
        self._compiled.compiled_logp_func.ctypes(
            P,
            theta.ctypes.data_as(_DOUBLES),
            gradient.ctypes.data_as(_DOUBLES),
            value.ctypes.data_as(_DOUBLES),
            self._compiled.user_data.ctypes.data,
        )
        return float(value[0]), gradient

    @override
    def nutpie_model(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> nuts.NutpieModel:
        matrix = np.diag(scale) if scale.ndim == 1 else scale
        model = replace(self._compiled.with_data(**{CENTRE: centre, SCALE: matrix}), initial_point_func=start)
        return nuts.NutpieModel(model, FLAT, nuts.PYTENSOR)

    @override
    def proposal(self, curvature: Curvature) -> Proposal | str:
        return "proposals near the posterior of a PyMC model are not known"

    @override
    def allocation_model(self) -> MixtureDensity | None:
        return None

    @override
    def labels_at(self, theta: FloatArray) -> Labels | None:
        return None

    @override
    def log_likelihoods(self, draws: Draws) -> FloatArray:
        """(chain, draw) log posterior: which part of a PyMC model is the likelihood is not known."""
        return draws.log_posterior

    @override
    def read(self, draws: Draws) -> xr.DataTree:
        assert draws.variables is not None  # nutpie computes them for every PyMC model
        draws.check_finite(
            "the model overflows. Check the scales of the model's priors against the data, or pass a start."
        )
        posterior, stats = draws.variables[self._variables], schema.sample_stats(draws)
        if self._rows is None:
            return schema.posterior_tree(posterior, stats, None)
        if {"weights", "means", "covariances"} <= set(posterior.data_vars):
            totals = _total_log_likelihoods(posterior, self._rows.values)
            stats = stats.assign(total_log_likelihood=(("chain", "draw"), totals))
        return schema.posterior_tree(posterior, stats, schema.observed_data(self._rows.values, self._rows.features))


def _observed_rows(model: "pm.Model") -> Rows | None:
    """The model's observed `X` with its coordinate `feature`; None for a model without them."""
    observed = {variable.name: variable for variable in model.observed_RVs}
    features = model.coords.get("feature")
    if "X" not in observed or features is None:
        return None
    values = np.array(model.rvs_to_values[observed["X"]].eval())  # a copy: the posterior keeps it
    if values.ndim != 2 or len(features) != values.shape[1]:
        return None
    return as_rows(values, features=tuple(map(str, features)))


def _searches(model: "pm.Model", start: MixtureParameters | None, rng: np.random.Generator) -> list[FloatArray]:
    """Points theta (P,) where the search for the mode begins: `start`, or random ones around the model's own."""
    theta = initial_theta(model, start)
    if start is not None:
        return [theta]
    return [theta + rng.uniform(-1, 1, len(theta)) for _ in range(_N_RANDOM_STARTS)]


def _total_log_likelihoods(posterior: xr.Dataset, values: FloatArray) -> FloatArray:
    """(chain, draw) log-likelihood of all rows, by a pass over them for each draw."""
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    flat = {
        name: posterior[name].values.reshape(-1, *posterior[name].shape[2:])
        for name in ("weights", "means", "covariances")
    }
    totals = [densities.sum() for densities in log_densities_of_draws(values, **flat)]
    return np.reshape(totals, shape)
