"""Where a component has collapsed."""

import numpy as np

from bayesgmm.em.search.steps import Bounds
from bayesgmm.kernel.rows import Rows
from bayesgmm.kernel.triangular import lower_inverses
from bayesgmm.mixture.covariance import FULL, CovarianceStructure
from bayesgmm.mixture.data_covariance import total_cholesky

# Variance, as a share of the data's total variance in its own direction, below which a covariance is a point,
# a line or a plane and the likelihood has no bound.
COVARIANCE_FLOOR = 1e-12


def bounds_of(rows: Rows, structure: CovarianceStructure) -> Bounds:
    """Where a component of a mixture of these rows has collapsed.

    Raises InputError when the rows do not spread in some direction.
    """
    cholesky = total_cholesky(rows, structure)
    return Bounds(
        n_rows=float(rows.n_samples),
        fewest=float(rows.n_features if structure is FULL else 1),
        total_cholesky=cholesky,
        total_whitener=lower_inverses(cholesky[np.newaxis])[0],
        floor=COVARIANCE_FLOOR,
    )
