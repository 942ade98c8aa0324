"""A PyMC model in coordinates in which its posterior can be whitened, and what else is read of the model."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace

from bayesgmm.bayes.model.density import natural_values
from bayesgmm.bayes.model.pymc_model import AUXILIARY
from bayesgmm.mixture.covariance import STRUCTURES
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import CovarianceName, FloatArray
from bayesgmm.validation import Table

CENTRE, SCALE = "whitening_centre", "whitening_scale"
FLAT = "whitened"
_N_RANDOM_STARTS = 10


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


def kept_variables(model: pm.Model) -> list[str]:
    """Names of the variables that the draws of a model hold."""
    return [v.name for v in model.free_RVs + model.deterministics if v.name not in AUXILIARY]


def observed_rows(model: pm.Model) -> Table | None:
    """The model's observed `X` with its coordinate `feature`; None for a model without them."""
    observed = {variable.name: variable for variable in model.observed_RVs}
    features = model.coords.get("feature")
    if "X" not in observed or features is None:
        return None
    values = np.asarray(model.rvs_to_values[observed["X"]].eval())
    if values.ndim != 2 or len(features) != values.shape[1]:
        return None
    return Table(values, tuple(map(str, features)))


def starting_points(model: pm.Model, start: MixtureParameters | None, rng: np.random.Generator) -> list[FloatArray]:
    """Points theta (P,) where the search for the mode begins: `start`, or random ones around the model's own."""
    point = {name: np.asarray(value, dtype=np.float64) for name, value in model.initial_point().items()}
    if start is not None:
        point |= _unconstrained(model, start)
    theta = np.concatenate([np.ravel(point[value.name]) for value in model.value_vars])
    if start is not None:
        return [theta]
    return [theta + rng.uniform(-1, 1, len(theta)) for _ in range(_N_RANDOM_STARTS)]


def _unconstrained(model: pm.Model, start: MixtureParameters) -> dict[str, FloatArray]:
    """Values of the model's value variables at a mixture, for the variables that the default model has too."""
    names = {variable.name for variable in model.free_RVs}
    covariance: CovarianceName = (
        "tied" if "tied_stds" in names else "spherical" if "spherical_stds" in names else "full"
    )
    if "lkj_vine" not in names and covariance == "full":
        covariance = "diag"
    natural = natural_values(start, STRUCTURES[covariance])
    values = {}
    for variable in model.free_RVs:
        if variable.name not in natural or variable.type.ndim != natural[variable.name].ndim:
            continue
        transform = model.rvs_to_transforms[variable]
        graph = pt.as_tensor(natural[variable.name])
        if transform is not None:
            graph = transform.forward(graph, *variable.owner.inputs)
        values[model.rvs_to_values[variable].name] = np.asarray(graph.eval(mode="FAST_COMPILE"))
    return values
