"""The values of features: the smallest spacing between distinct ones, and features that have few of them."""

from collections.abc import Iterable

import numpy as np

from bayesgmm.types import FloatArray, RowArray

# Values closer than this many units of rounding of the largest value count as equal.
_ROUNDING_UNITS = 16
# A feature with at most this many distinct values, each found in this many rows on average, is no measurement.
_FEW_VALUES, _ROWS_PER_VALUE = 10, 5


def resolution_of(values: RowArray) -> FloatArray:
    """Smallest spacing (D,) between distinct values of each feature of rows (N, D).

    Values that differ by rounding count as equal. n equal rows determine a mean to a fraction 1 / n of the spacing, so
    that spacings below n units of rounding are passed over too, n the largest number of equal values.
    """
    return np.array([_smallest_spacing(column) for column in values.T])


def few_values(pieces: Iterable[RowArray], n_rows: float) -> dict[int, int]:
    """Features with few distinct values, each of them in several rows: number of the feature -> number of its values.

    pieces : the rows, (n, D) at a time. n_rows : their number, or the sum of their weights.
    """
    values: dict[int, RowArray] = {}
    for number, piece in enumerate(pieces):
        for d in range(piece.shape[1]) if number == 0 else list(values):
            seen = np.unique(piece[:, d])
            values[d] = np.union1d(values[d], seen) if d in values else seen
            if len(values[d]) > _FEW_VALUES:
                del values[d]
    return {d: len(distinct) for d, distinct in values.items() if _ROWS_PER_VALUE * len(distinct) <= n_rows}


def _smallest_spacing(column: RowArray) -> float:
    ordered = np.sort(column).astype(np.float64)
    spacings = np.diff(ordered)
    rounding = _ROUNDING_UNITS * float(np.finfo(column.dtype).eps) * max(abs(ordered[0]), abs(ordered[-1]))
    ends_of_groups = np.concatenate([[-1], np.flatnonzero(spacings > rounding), [len(ordered) - 1]])
    floor = rounding * int(np.diff(ends_of_groups).max())
    return float(spacings.min(initial=np.inf, where=spacings > floor)) if (spacings > floor).any() else floor
