"""Names and natural values of the model's free variables, the same in the compiled density and in PyMC."""

import numpy as np

from bayesgmm.mixture.covariance import CovarianceStructure
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray

STDS, TIED_STDS, SPHERICAL_STDS, VINE = "stds", "tied_stds", "spherical_stds", "lkj_vine"
# The potential that holds the factor of the prior's resolution.
RESOLUTION = "resolution"
# Free variables from which the model makes `stds` and `correlations`; a posterior does not report them.
AUXILIARY = (TIED_STDS, SPHERICAL_STDS, VINE)
# Values of a mixture are kept this far from the ends of their range, where unconstrained parameters are infinite.
_SMALLEST_WEIGHT, _SMALLEST_BETA = 1e-8, 1e-9


def std_name(structure: CovarianceStructure) -> str:
    """Return the name of the free variable that holds the structure's standard deviations."""
    return TIED_STDS if structure.shared else SPHERICAL_STDS if structure.spherical else STDS


def natural_values(parameters: MixtureParameters, structure: CovarianceStructure) -> dict[str, FloatArray]:
    """Return the value of each free variable of `build_model` for a mixture projected onto the structure.

    weights (K,), means and stds (K, D), tied_stds (D,), spherical_stds (K,), and lkj_vine (K, D (D - 1) / 2), or
    (D (D - 1) / 2,) for a shared covariance: (1 + p) / 2 of the partial correlations p, row by row.
    """
    weights = np.maximum(parameters.weights, _SMALLEST_WEIGHT)
    weights = weights / weights.sum()
    covariances = structure.project(parameters.covariances * weights[:, np.newaxis, np.newaxis], weights)
    stds = np.sqrt(np.einsum("kii->ki", covariances))
    factors = np.linalg.cholesky(covariances / (stds[:, :, np.newaxis] * stds[:, np.newaxis, :]))
    rows, columns = np.tril_indices(parameters.n_features, -1)
    squares = np.square(factors)
    residual = np.sqrt(np.maximum(1 - np.cumsum(squares, axis=2) + squares, 1e-300))
    vine = (1 + factors[:, rows, columns] / residual[:, rows, columns]) / 2
    vine = np.clip(vine, _SMALLEST_BETA, 1 - _SMALLEST_BETA)
    return {
        "weights": weights,
        "means": np.asarray(parameters.means),
        STDS: stds,
        TIED_STDS: stds[0],
        SPHERICAL_STDS: stds[:, 0],
        VINE: vine[0] if structure.shared else vine,
    }
