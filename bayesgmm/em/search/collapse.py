"""The bounds below which a component counts as collapsed."""

import numpy as np

from bayesgmm.em.search.steps import Bounds
from bayesgmm.kernel.rows import Rows
from bayesgmm.kernel.triangular import lower_inverses
from bayesgmm.mixture.covariance import FULL, CovarianceStructure
from bayesgmm.mixture.data_covariance import total_cholesky
from bayesgmm.types import FloatArray

# Smallest variance of a component in any direction, as a share of the data's total variance in that direction. A
# covariance below it is a point, a line or a plane, and the likelihood has no bound.
COVARIANCE_FLOOR = 1e-12
# The same for a covariance that all components share. Its likelihood has a bound unless it is singular, also where one
# stray row makes the data's variance 1e12 times as large as that of the components; this is far above rounding.
SHARED_COVARIANCE_FLOOR = 1e-20
# A shared covariance is singular when one feature is a linear function of the others to within rounding. Any covariance
# of which this is true cannot be written in float64.
_LEAST_UNEXPLAINED = 1e-14
# A component of a shared covariance may hold a single row. One of fewer rows than this is empty.
_EMPTY = 1e-6


def bounds_of(rows: Rows, structure: CovarianceStructure) -> Bounds:
    """Bounds for mixtures of these rows.

    Raises InputError if the rows do not vary in some direction.
    """
    cholesky = _metric(rows, structure)
    return Bounds(
        n_rows=number_of_rows(rows),
        fewest=_EMPTY if structure.shared else float(rows.n_features if structure is FULL else 1),
        total_cholesky=cholesky,
        total_whitener=lower_inverses(cholesky[np.newaxis])[0],
        floor=SHARED_COVARIANCE_FLOOR if structure.shared else COVARIANCE_FLOOR,
        least_unexplained=_LEAST_UNEXPLAINED if structure.shared else 0.0,
    )


def _metric(rows: Rows, structure: CovarianceStructure) -> FloatArray:
    """Cholesky factor (D, D) of the covariance of the data, of the structure that is fitted.

    So distances in its metric are unchanged under the maps of the data that leave the fit unchanged: invertible affine
    maps, other units of each feature if diagonal, rotations and one common unit if spherical.
    """
    cholesky = total_cholesky(rows, structure)
    if structure.spherical:
        return np.asarray(np.eye(rows.n_features) * np.sqrt(np.square(cholesky).sum() / rows.n_features))
    return cholesky


def number_of_rows(rows: Rows) -> float:
    """The number of rows that the weights stand for: their sum, but at least the number of rows of positive weight.

    A row of weight 2 counts as two rows, and a row of weight 0 as none. Weights that are below 1 on average, such as
    weights that sum to 1, are relative: they say nothing about the number of rows.
    """
    n_positive = np.count_nonzero(rows.weights) if rows.weights.size else rows.n_samples
    return max(rows.total_weight, float(n_positive))
