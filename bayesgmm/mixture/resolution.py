"""The resolution of data: the smallest spacing between distinct values of a feature."""

import numpy as np

from bayesgmm.types import FloatArray, RowArray

# Values closer than this many units of rounding of the largest value count as equal.
_ROUNDING_UNITS = 16


def resolution_of(values: RowArray) -> FloatArray:
    """Smallest spacing (D,) between distinct values of each feature of rows (N, D).

    Values that differ by rounding count as equal. n equal rows determine a mean to a fraction 1 / n of the spacing, so
    that spacings below n units of rounding are passed over too, n the largest number of equal values.
    """
    return np.array([_smallest_spacing(column) for column in values.T])


def _smallest_spacing(column: RowArray) -> float:
    ordered = np.sort(column).astype(np.float64)
    spacings = np.diff(ordered)
    rounding = _ROUNDING_UNITS * float(np.finfo(column.dtype).eps) * max(abs(ordered[0]), abs(ordered[-1]))
    ends_of_groups = np.concatenate([[-1], np.flatnonzero(spacings > rounding), [len(ordered) - 1]])
    floor = rounding * int(np.diff(ends_of_groups).max())
    return float(spacings.min(initial=np.inf, where=spacings > floor)) if (spacings > floor).any() else floor
