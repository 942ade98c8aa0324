"""A PyMC model made ready for the sampler: whitened, and compiled by PyTensor with the kernel as an Op."""

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace

from bayesgmm.bayes.model.density import natural_values
from bayesgmm.bayes.model.pymc_model import AUXILIARY
from bayesgmm.bayes.sampling.nuts import PYTENSOR
from bayesgmm.bayes.sampling.run import StartingPoint
from bayesgmm.mixture.covariance import STRUCTURES
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

CENTRE, SCALE = "whitening_centre", "whitening_scale"
FLAT = "whitened"


def whitened_model(model: pm.Model) -> pm.Model:
    """The same model over one flat variable z: its log density as a potential at centre + scale z.

    Variables keep their names and dims as deterministics. Centre (P,) and scale (P, P) are data, 0 and the identity
    at first, so that one compilation serves the search for the mode and the sampling.
    """
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    P = sum(sizes.values())
    coords = {name: values for name, values in model.coords.items() if values is not None}
    with pm.Model(coords=coords) as whitened:
        centre, scale = pm.Data(CENTRE, np.zeros(P)), pm.Data(SCALE, np.eye(P))
        z = pm.Flat(FLAT, shape=P)
        theta = centre + scale @ z
        values, offset = {}, 0
        for value in model.value_vars:
            piece = theta[offset : offset + sizes[value.name]].reshape(shapes[value.name])
            values[value] = pt.specify_shape(piece, shapes[value.name]).astype(value.dtype)
            offset += sizes[value.name]
        named = model.free_RVs + model.deterministics
        graphs = [model.logp(), *model.replace_rvs_by_values(named)]
        log_density, *variables = graph_replace(graphs, values, strict=False)
        pm.Potential("log_posterior", log_density)
        for variable, original in zip(variables, named, strict=True):
            pm.Deterministic(original.name, variable, dims=model.named_vars_to_dims.get(original.name))
    return whitened


class CompiledModel:
    """A PyMC model's log posterior in its unconstrained space, and the nutpie model that samples it."""

    calls = PYTENSOR
    density = None

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        self._point = model.initial_point()
        kept = [v.name for v in model.free_RVs + model.deterministics if v.name not in AUXILIARY]
        self.kept = kept
        self._compiled = nutpie.compile_pymc_model(whitened_model(model), var_names=kept)

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
        point = {name: np.asarray(value, dtype=np.float64) for name, value in self._point.items()}
        if start is not None:
            point |= self._unconstrained(start)
        theta = np.concatenate([np.ravel(point[value.name]) for value in self.model.value_vars])
        return [theta] if start is not None else [theta + rng.uniform(-1, 1, len(theta)) for _ in range(10)]

    def _unconstrained(self, start: MixtureParameters) -> dict[str, FloatArray]:
        names = {variable.name for variable in self.model.free_RVs}
        covariance = "tied" if "tied_stds" in names else "spherical" if "spherical_stds" in names else "full"
        natural = natural_values(
            start, STRUCTURES["diag" if "lkj_vine" not in names and covariance == "full" else covariance]
        )
        values = {}
        for variable in self.model.free_RVs:
            if variable.name not in natural or variable.type.ndim != natural[variable.name].ndim:
                continue
            transform = self.model.rvs_to_transforms[variable]
            graph = pt.as_tensor(natural[variable.name])
            if transform is not None:
                graph = transform.forward(graph, *variable.owner.inputs)
            values[self.model.rvs_to_values[variable].name] = np.asarray(graph.eval(mode="FAST_COMPILE"))
        return values
