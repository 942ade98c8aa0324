"""Rows of a mixture made from standard normal noise, whether random or quasi-random."""

import numpy as np

from bayesgmm.types import FloatArray


def rows_from_noise(means: FloatArray, choleskys: FloatArray, noise: FloatArray) -> FloatArray:
    """Return mean + L noise for each row.

    Parameters
    ----------
    means : (..., D), the mean of each row's component.
    choleskys : (..., D, D), the lower Cholesky factor L of the covariance of each row's component.
    noise : (..., D) standard normal.

    Returns
    -------
    (..., D) array
    """
    return np.asarray(means + np.einsum("...ij,...j->...i", choleskys, noise))
