"""A PyMC model made ready for the sampler: whitened, and compiled by PyTensor with the kernel as an Op."""

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
import nutpie

from bayesgmm.bayes.pymc.whitened import CENTRE, SCALE, initial_theta, reported_variables, whitened_model
from bayesgmm.bayes.sampling.nuts import PYTENSOR
from bayesgmm.bayes.sampling.run import StartingPoint
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray


class CompiledModel:
    """A PyMC model's log posterior in its unconstrained space, and the nutpie model that samples it."""

    calls = PYTENSOR
    density = None

    def __init__(self, model: Any) -> None:
        self.model = model
        self.kept = reported_variables(model)
        self._compiled = nutpie.compile_pymc_model(whitened_model(model), var_names=self.kept)

    @property
    def n_dim(self) -> int:
        return int(self._compiled.n_dim)

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log posterior density and gradient (P,), from the C function that the sampler will call."""
        P = self.n_dim
        theta, gradient, value = np.ascontiguousarray(theta, dtype=np.float64), np.empty(P), np.empty(1)
        double = ctypes.POINTER(ctypes.c_double)
        self._compiled.compiled_logp_func.ctypes(
            P,
            theta.ctypes.data_as(double),
            gradient.ctypes.data_as(double),
            value.ctypes.data_as(double),
            self._compiled.user_data.ctypes.data,
        )
        return float(value[0]), gradient

    def sampler(self, centre: FloatArray, scale: FloatArray, start: StartingPoint) -> Any:
        matrix = np.diag(scale) if scale.ndim == 1 else scale
        return replace(self._compiled.with_data(**{CENTRE: centre, SCALE: matrix}), initial_point_func=start)

    def starts(self, start: MixtureParameters | None, rng: np.random.Generator) -> list[FloatArray]:
        """Where the search for the mode begins: at `start`, or at ten points around the model's own."""
        theta = initial_theta(self.model, start)
        return [theta] if start is not None else [theta + rng.uniform(-1, 1, len(theta)) for _ in range(10)]
