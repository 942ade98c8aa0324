"""A PyMC model over one flat variable, and values of its variables taken from a mixture."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace

from bayesgmm.bayes.model.variables import AUXILIARY, SPHERICAL_STDS, TIED_STDS, VINE, natural_values
from bayesgmm.mixture.covariance import DIAG, FULL, SPHERICAL, TIED, CovarianceStructure
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

# Names of the data variables of `whitened_model` that hold the centre and the scale, and of its only free variable.
CENTRE, SCALE, FLAT = "whitening_centre", "whitening_scale", "whitened"


def whitened_model(model: pm.Model) -> pm.Model:
    """Return the same model over one flat variable z.

    Its log density is that of `model` at the unconstrained parameters theta = centre + scale @ z, without the constant
    Jacobian log|scale|. The variables of `model` keep their names and dims as deterministics. Centre (P,) and scale
    (P, P) are `pm.Data`, initially 0 and the identity, so that one compilation serves the search for the mode and the
    sampling.
    """
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    P = sum(sizes.values())
    coords = {name: values for name, values in model.coords.items() if values is not None}
    with pm.Model(coords=coords) as whitened:
        centre, scale = pm.Data(CENTRE, np.zeros(P)), pm.Data(SCALE, np.eye(P))
        z = pm.Flat(FLAT, shape=P)
        theta = centre + scale @ z
        replacements, offset = {}, 0
        for value in model.value_vars:
            piece = theta[offset : offset + sizes[value.name]].reshape(shapes[value.name])
            replacements[value] = pt.specify_shape(piece, shapes[value.name]).astype(value.dtype)
            offset += sizes[value.name]
        originals = model.free_RVs + model.deterministics
        graphs = [model.logp(), *model.replace_rvs_by_values(originals)]
        log_density, *variables = graph_replace(graphs, replacements, strict=False)
        pm.Potential("log_posterior", log_density)
        for variable, original in zip(variables, originals, strict=True):
            pm.Deterministic(original.name, variable, dims=model.named_vars_to_dims.get(original.name))
    return whitened


def reported_variables(model: pm.Model) -> list[str]:
    """Names of the variables that a posterior of the model reports, without the auxiliary ones of `build_model`."""
    return [variable.name for variable in model.free_RVs + model.deterministics if variable.name not in AUXILIARY]


def initial_theta(model: pm.Model, mixture: MixtureParameters | None = None) -> FloatArray:
    """Return the model's initial point as one vector theta (P,) of unconstrained parameters.

    With a mixture, the free variables that `build_model` names are set to the mixture's values.
    """
    point = {name: np.asarray(value, dtype=np.float64) for name, value in model.initial_point().items()}
    if mixture is not None:
        point |= unconstrained_values(model, mixture)
    return np.concatenate([np.ravel(point[value.name]) for value in model.value_vars])


def unconstrained_values(model: pm.Model, mixture: MixtureParameters) -> dict[str, FloatArray]:
    """Unconstrained values of a mixture, by the names of the model's value variables.

    A free variable that `build_model` does not know, or that has another number of dimensions, is left out.
    """
    natural = natural_values(mixture, _structure_of(model))
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


def _structure_of(model: pm.Model) -> CovarianceStructure:
    """Covariance structure that the names of the model's free variables imply."""
    names = {variable.name for variable in model.free_RVs}
    if TIED_STDS in names:
        return TIED
    if SPHERICAL_STDS in names:
        return SPHERICAL
    return FULL if VINE in names else DIAG
