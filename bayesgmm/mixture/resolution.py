"""The resolution of data: the spacing of the distinct values of a feature, and its most frequent value."""

from typing import NamedTuple

import numpy as np

from bayesgmm.types import FloatArray, RowArray

# Values closer than this many units of rounding of the largest value count as equal.
_ROUNDING_UNITS = 16


class Repetition(NamedTuple):
    """The most frequent value of a feature, and the number of rows that have it."""

    value: float
    n_rows: int


def resolution_of(values: RowArray) -> FloatArray:
    """Smallest spacing (D,) between distinct values of each feature of rows (N, D).

    Values that differ by rounding count as equal. n equal rows determine a mean to a fraction 1 / n of the spacing, so
    that spacings below n units of rounding are passed over too, n the largest number of equal values.
    """
    return np.array([_smallest_spacing(column) for column in values.T])


def most_repeated(values: RowArray) -> list[Repetition]:
    """The most frequent value of each feature of rows (N, D)."""
    repetitions = []
    for column in values.T:
        distinct, counts = np.unique(column, return_counts=True)
        most = int(counts.argmax())
        repetitions.append(Repetition(float(distinct[most]), int(counts[most])))
    return repetitions


def _smallest_spacing(column: RowArray) -> float:
    ordered = np.sort(column).astype(np.float64)
    spacings = np.diff(ordered)
    rounding = _ROUNDING_UNITS * float(np.finfo(column.dtype).eps) * max(abs(ordered[0]), abs(ordered[-1]))
    ends_of_groups = np.concatenate([[-1], np.flatnonzero(spacings > rounding), [len(ordered) - 1]])
    floor = rounding * int(np.diff(ends_of_groups).max())
    return float(spacings.min(initial=np.inf, where=spacings > floor)) if (spacings > floor).any() else floor
