"""Checks at the door: what comes in is turned into plain arrays here, or refused with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from bayesgmm.exceptions import InputError

type FloatArray = NDArray[np.float64]

CHUNK = 65_536  # rows looked at together, so that no check allocates anything of the data's size


@dataclass(frozen=True)
class Table:
    """Rows to fit or predict. values (n_samples, n_features), float64 or float32; features: column names."""

    values: NDArray[Any]
    features: tuple[str, ...]

    @property
    def n_samples(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        return int(self.values.shape[1])


def as_table(X: Any, name: str = "X", features: Sequence[str] | None = None) -> Table:
    """Turn an array or data frame into a `Table`, without a copy where that is possible.

    Parameters
    ----------
    X : (n_samples, n_features) array, pandas or Polars frame; a 1-D array or series is one feature.
    name : how messages call it.
    features : the columns that a fitted mixture expects, in order; a frame's names are held against them.

    Raises
    ------
    InputError
        `X` is sparse, masked, ragged, not numeric, empty, of another shape, or holds NaN or infinity;
        or its columns are not those expected.
    """
    names = _column_names(X, name)
    values = _numeric(_array(X, name), X, name, names)
    expected = tuple(features) if features is not None else None
    if expected is not None and (values.shape[1] != len(expected) or names not in (None, expected)):
        received = f" ({', '.join(names)})" if names else ""
        raise InputError(
            f"{name} has {_count(values.shape[1], 'column')}{received}; this mixture was fitted on "
            f"{len(expected)} ({', '.join(expected)}). Pass the same columns in the same order."
        )
    table = Table(values, names or expected or default_names(values.shape[1]))
    _check_finite(table, name)
    return table


def default_names(n_features: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(n_features))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _column_names(X: Any, name: str) -> tuple[str, ...] | None:
    if not hasattr(X, "to_numpy"):
        return None
    if not hasattr(X, "columns"):  # a series
        series_name = getattr(X, "name", None)
        return (series_name,) if isinstance(series_name, str) and series_name else None
    names = tuple(str(column) for column in X.columns)
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise InputError(f"{name} has several columns called {', '.join(repeated)}. Give each a name of its own.")
    return names


def _array(X: Any, name: str) -> NDArray[Any]:
    if issparse(X):
        raise InputError(f"{name} is a sparse matrix; dense rows are needed. Pass {name}.toarray().")
    if np.ma.is_masked(X):
        raise InputError(
            f"{name} has {int(np.ma.count_masked(X))} masked values; no value may be missing. "
            f"Fill them or leave their rows out before the call."
        )
    try:
        values = np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X)
    except ValueError as error:
        raise InputError(f"{name} is not a table: its rows differ in length. Pass (n_samples, n_features).") from error
    if values.ndim == 1 and values.dtype != object:
        values = values[:, np.newaxis]
    if values.ndim != 2 and values.dtype != object:
        raise InputError(
            f"{name} must be two-dimensional, (n_samples, n_features); it has {_count(values.ndim, 'dimension')}, "
            f"shape {values.shape}. One feature may be passed as a 1-D array."
        )
    return values


def _numeric(values: NDArray[Any], X: Any, name: str, names: tuple[str, ...] | None) -> NDArray[Any]:
    if values.dtype.kind == "c":
        raise InputError(
            f"{name} holds complex numbers; real numbers are needed. Pass real and imaginary parts as columns."
        )
    if values.dtype.kind not in "fiub":
        if names is not None and hasattr(X, "columns"):
            bad = [column for column in X.columns if not _is_numeric_column(X[column])]
            if not bad:  # numbers behind a nullable type: missing entries become NaN and are reported as such
                return _numeric(np.column_stack([_as_float64(X[column]) for column in X.columns]), X, name, names)
            described = ", ".join(f"{column} ({X[column].dtype})" for column in bad)
            raise InputError(
                f"{name} must hold numbers only; not numeric: {described}. Select the numeric columns or convert them."
            )
        raise InputError(
            f"{name} must hold numbers; it has dtype {values.dtype}. Convert it, for instance with "
            f"numpy.asarray({name}, dtype=float)."
        )
    if values.shape[0] == 0 or values.shape[1] == 0:
        raise InputError(f"{name} is empty: shape {values.shape}. At least one row and one column are needed.")
    native_float = values.dtype in (np.dtype(np.float64), np.dtype(np.float32)) and values.dtype.isnative
    return values if native_float else values.astype(np.float64)


def _is_numeric_column(column: Any) -> bool:
    try:
        _as_float64(column)
    except (TypeError, ValueError):
        return False
    return "str" not in str(column.dtype).lower() and str(column.dtype) not in ("object", "category")


def _as_float64(column: Any) -> FloatArray:
    try:
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    except TypeError:  # not pandas: the method takes no such arguments
        return np.asarray(column.to_numpy(), dtype=np.float64)


def _check_finite(table: Table, name: str) -> None:
    n_bad = 0
    rows: list[int] = []
    columns: set[int] = set()
    for begin in range(0, table.n_samples, CHUNK):
        finite = np.isfinite(table.values[begin : begin + CHUNK])
        if finite.all():
            continue
        n_bad += int((~finite).sum())
        where = np.argwhere(~finite)
        columns.update(where[:, 1].tolist())
        rows.extend(begin + int(row) for row in np.unique(where[:, 0])[: 5 - len(rows)])
    if n_bad:
        raise InputError(
            f"{name} holds {_count(n_bad, 'value')} that {'is' if n_bad == 1 else 'are'} NaN or infinite, in column(s) "
            f"{', '.join(table.features[c] for c in sorted(columns))}; first row(s): {', '.join(map(str, rows))}. "
            f"Fill them or leave those rows out before the call."
        )


def check_n_components(n_components: Any, table: Table, weights: FloatArray | None = None) -> int:
    """Return K as an int; it must be at least 1, and there must be that many distinct rows (of positive weight)."""
    K = check_count(n_components, "n_components")
    if table.n_samples < 2:
        raise InputError("X has one row; a covariance needs at least two. Pass more rows.")
    if table.n_samples < K:
        raise InputError(
            f"X has {_count(table.n_samples, 'row')}, fewer than n_components={K}. Pass more rows or ask for fewer components."
        )
    counted = table.values if weights is None or weights.all() else table.values[weights > 0]
    distinct = _count_distinct_rows(counted, enough=K)
    if distinct < K:
        raise InputError(
            f"X has only {distinct} distinct rows (the others repeat them or have weight 0), fewer than n_components={K}. "
            f"Ask for at most {distinct} components."
        )
    return K


def check_count(value: Any, name: str, minimum: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}; received {value!r}.")
    return int(value)


def check_positive(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} must be a finite number above 0; received {value!r}.")
    return number


def check_fraction(value: Any, name: str) -> float:
    number = check_positive(value, name)
    if number >= 1:
        raise InputError(f"{name} must lie between 0 and 1; received {value!r}.")
    return number


def _count_distinct_rows(values: NDArray[Any], enough: int) -> int:
    """Count distinct rows, up to `enough`; looks at no more rows than it takes."""
    seen: set[tuple[float, ...]] = set()
    begin, size = 0, 4 * enough
    while begin < len(values) and len(seen) < enough:
        seen.update(map(tuple, values[begin : begin + size].tolist()))
        begin, size = begin + size, min(2 * size, CHUNK)
    return min(len(seen), enough)


def check_weights(sample_weight: Any, n_samples: int) -> FloatArray:
    """Row weights (n_samples,), or an array of length 0 when every row counts once."""
    if sample_weight is None:
        return np.empty(0)
    try:
        weights = np.ascontiguousarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("sample_weight must be an array of numbers, one a row.") from error
    if weights.shape != (n_samples,):
        raise InputError(
            f"sample_weight must have one weight a row, shape ({n_samples},); it has shape {weights.shape}."
        )
    for wrong, what in ((~np.isfinite(weights), "NaN or infinite"), (weights < 0, "negative")):
        if wrong.any():
            first = ", ".join(map(str, np.flatnonzero(wrong)[:5]))
            raise InputError(
                f"sample_weight must be finite and not negative; {int(wrong.sum())} are {what}, first at row(s) {first}."
            )
    if not weights.any():
        raise InputError("sample_weight is zero for every row; at least some rows must count.")
    return weights


def as_generator(rng: Any) -> np.random.Generator:
    """A `numpy.random.Generator` from an int, a generator, a seed sequence, or None (fresh entropy)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"rng must be a whole number of at least 0, a numpy.random.Generator or None; received {rng!r}."
        ) from error
