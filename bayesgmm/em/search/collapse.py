"""The bounds below which a component counts as collapsed."""

import numpy as np

from bayesgmm.em.search.steps import Bounds
from bayesgmm.kernel.rows import Rows
from bayesgmm.kernel.triangular import lower_inverses
from bayesgmm.mixture.covariance import FULL, CovarianceStructure
from bayesgmm.mixture.data_covariance import total_cholesky

# Smallest variance of a component in any direction, as a share of the data's total variance in that direction. A
# covariance below it is a point, a line or a plane, and the likelihood has no bound.
COVARIANCE_FLOOR = 1e-12


def bounds_of(rows: Rows, structure: CovarianceStructure) -> Bounds:
    """Bounds for mixtures of these rows.

    Raises InputError if the rows do not vary in some direction.
    """
    cholesky = total_cholesky(rows, structure)
    return Bounds(
        n_rows=number_of_rows(rows),
        fewest=float(rows.n_features if structure is FULL else 1),
        total_cholesky=cholesky,
        total_whitener=lower_inverses(cholesky[np.newaxis])[0],
        floor=COVARIANCE_FLOOR,
    )


def number_of_rows(rows: Rows) -> float:
    """The number of rows that the weights stand for: their sum, but at least the number of rows of positive weight.

    A row of weight 2 counts as two rows, and a row of weight 0 as none. Weights that are below 1 on average, such as
    weights that sum to 1, are relative: they say nothing about the number of rows.
    """
    n_positive = np.count_nonzero(rows.weights) if rows.weights.size else rows.n_samples
    return max(rows.total_weight, float(n_positive))
