"""Checks of the tables, features and numbers of components that users pass; named as in `validation`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from bayesgmm.errors import InputError
from bayesgmm.escaping import is_writable
from bayesgmm.types import BoolArray, FloatArray, RowArray
from bayesgmm.validation import LARGEST, ROWS_SHOWN, check_count
from bayesgmm.wording import count, listed, shown

# Rows checked at a time, so that no check allocates an array as large as the data.
CHUNK = 65_536
# Integers may be rounded to float64 by at most this share of the range of their column.
_WORST_ROUNDING = 1e-8


class HasValues(Protocol):
    """Rows of numbers, (n_samples, n_features): a `Table`, or the `Rows` of the kernel."""

    @property
    def values(self) -> RowArray:
        """(n_samples, n_features) array."""


@dataclass(frozen=True)
class Table:
    """Checked rows.

    Attributes
    ----------
    values : (n_samples, n_features), float64 or float32, in C order.
    features : names of the columns.
    """

    values: RowArray
    features: tuple[str, ...]

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])


def as_table(X: ArrayLike, name: str = "X", features: Sequence[str] | None = None) -> Table:
    """Turn an array or data frame into a `Table`.

    An array of float64 or float32 in C order is not copied; any other array is copied once.

    Parameters
    ----------
    X : (n_samples, n_features) array, pandas or Polars frame; a 1-D array or series is one feature.
    name : name of the argument in messages.
    features : the columns that a fitted mixture expects, in order. A frame that has them all is read by name, in any
        order and with further columns, which are left out. Other names are refused, unless one side has default names
        (see `default_names`) and the numbers of columns are equal.

    Raises
    ------
    InputError
        `X` is sparse, masked, ragged, not numeric, empty, of another shape, or holds NaN, infinity or values beyond
        1e100; or its columns are not those expected.
    """
    expected = tuple(features) if features is not None else None
    if expected is not None:
        X = _columns_by_name(X, expected)
    names = _column_names(X, name)
    values = np.ascontiguousarray(_floats(_numbers(X, name), name))  # see docs/decisions/0010
    if expected is not None and (values.shape[1] != len(expected) or names_clash(names, expected)):
        received = f" ({listed(names)})" if names else ""
        raise InputError(
            f"{name} has {count(values.shape[1], 'column')}{received}; this mixture was fitted on "
            f"{len(expected)} ({listed(expected)}). Pass the same columns: a data frame by name, an array in the "
            f"same order."
        )
    table = Table(values, names or expected or default_names(values.shape[1]))
    _check_values(table, name)
    return table


def default_names(n_features: int) -> tuple[str, ...]:
    """Names of columns that have none: x0, x1, ..."""
    return tuple(f"x{i}" for i in range(n_features))


def names_clash(names: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    """Whether two sets of column names contradict each other; None and default names contradict nothing."""
    if names is None or other is None or names == other:
        return False
    return default_names(len(names)) != names and default_names(len(other)) != other


def check_names(names: Iterable[str], name: str) -> None:
    """Raise InputError if a name of a feature cannot be written to files."""
    wrong = [feature for feature in names if not is_writable(feature)]
    if wrong:
        raise InputError(
            f"{name} has a feature called {shown(wrong[0])}; a name must not hold a NUL character or half of a "
            f"surrogate pair, as files cannot hold them. Rename it."
        )


def as_feature_indices(chosen: Iterable[str | int], features: tuple[str, ...], name: str) -> list[int]:
    """Return the positions among `features` of the chosen names or numbers.

    Raises InputError when `chosen` is not a list of at least one feature, each named once.
    """
    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        raise InputError(f"{name} must be a list of names or numbers of features; received {shown(chosen)}.")
    chosen = list(chosen)
    index = [_feature_index(feature, features) for feature in chosen]
    if not index or len(set(index)) < len(index):
        raise InputError(f"{name} must name at least one feature, and each once; received {shown(chosen)}.")
    return index


def _feature_index(feature: object, features: tuple[str, ...]) -> int:
    if isinstance(feature, str) and feature in features:
        return features.index(feature)
    if isinstance(feature, Integral) and not isinstance(feature, bool) and 0 <= int(feature) < len(features):
        return int(feature)
    raise InputError(f"There is no feature {shown(feature)}; this mixture has {listed(features)}. Name one of these.")


def check_given(given: Mapping[str | int, float], features: tuple[str, ...]) -> tuple[list[int], list[int], FloatArray]:
    """Split the features into those with a given value and the others.

    Parameters
    ----------
    given : from names or numbers of features to their values.
    features : names of all features.

    Returns
    -------
    list of int
        Positions of the features that are given.
    list of int
        Positions of the other features.
    (n_given,) array
        The given values.

    Raises
    ------
    InputError
        `given` is not a mapping, names no feature, an unknown one or all of them, or a value is not a finite number.
    """
    if not isinstance(given, Mapping):
        raise InputError(
            f"given must map features to values, such as {{{features[0]!r}: 1.0}}; received {shown(given)}."
        )
    known = as_feature_indices(list(given), features, "given")
    other = [i for i in range(len(features)) if i not in known]
    if not other:
        raise InputError("given must leave at least one feature; it names all of them. Leave one out.")
    return known, other, as_table([list(given.values())], "given", [features[i] for i in known]).values[0].astype(float)


def _is_frame(X: Any) -> bool:
    return hasattr(X, "to_numpy") and hasattr(X, "columns")


def _columns_by_name(X: Any, expected: tuple[str, ...]) -> Any:
    """The expected columns of a frame, in their order; anything else, and a frame without them all, as it is."""
    if not _is_frame(X):
        return X
    columns = list(X.columns)
    positions: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        positions.setdefault(str(column), []).append(i)
    if [str(column) for column in columns] == list(expected) or any(len(positions.get(c, ())) != 1 for c in expected):
        return X
    return X[[columns[positions[column][0]] for column in expected]]


def _column_names(X: Any, name: str) -> tuple[str, ...] | None:
    if not _is_frame(X):
        series_name = getattr(X, "name", None) if getattr(X, "ndim", 1) == 1 else None
        if not isinstance(series_name, str) or not series_name:
            return None
        check_names([series_name], name)
        return (series_name,)
    names = tuple(str(column) for column in X.columns)
    check_names(names, name)
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise InputError(f"{name} has several columns called {listed(repeated)}. Give each a name of its own.")
    return names


def _numbers(X: Any, name: str) -> NDArray[Any]:
    """Return `X` as a two-dimensional array of a numeric type."""
    if issparse(X):
        raise InputError(f"{name} is a sparse matrix; dense rows are needed. Pass {name}.toarray().")
    if np.ma.is_masked(X):
        raise InputError(
            f"{name} has {count(int(np.ma.count_masked(X)), 'masked value')}; no value may be missing. "
            f"Fill them or leave their rows out before the call."
        )
    values = _array_of_frame(X, name) if _is_frame(X) else _array(X, name)
    if values.size == 0 and values.ndim:
        raise InputError(f"{name} is empty: shape {values.shape}. At least one row and one column are needed.")
    if values.ndim == 0:
        raise _not_rows(name, X)
    if values.dtype.names:
        raise InputError(f"{name} is a structured array; plain columns are needed. Pass pandas.DataFrame({name}).")
    if values.dtype.kind == "c":
        raise InputError(
            f"{name} holds complex numbers; real numbers are needed. Pass real and imaginary parts as columns."
        )
    if values.dtype.kind not in "fiub":
        raise _not_numbers(name, values.dtype)
    if values.ndim > 2:
        raise InputError(
            f"{name} must be two-dimensional, (n_samples, n_features); it has {values.ndim} dimensions, "
            f"shape {values.shape}. Reshape it; one feature may be passed as a 1-D array."
        )
    return values[:, np.newaxis] if values.ndim == 1 else values


def _array(X: Any, name: str) -> NDArray[Any]:
    if hasattr(X, "to_numpy"):  # a series
        if not _is_numeric(X.dtype):
            raise _not_numbers(name, X.dtype)
        return _array_of_series(X)
    try:
        return np.asarray(X)
    except ValueError as error:
        raise InputError(f"{name} is not a table: its rows differ in length. Pass (n_samples, n_features).") from error
    except TypeError as error:
        raise _not_rows(name, X) from error


def _not_rows(name: str, X: object) -> InputError:
    return InputError(
        f"{name} must be an array or a data frame of numbers, (n_samples, n_features); received {type(X).__name__}, "
        f"which cannot be read as rows. Convert it to an array."
    )


def _not_numbers(name: str, dtype: object) -> InputError:
    return InputError(
        f"{name} must hold numbers; it has dtype {dtype}. Convert it, for instance with "
        f"numpy.asarray({name}, dtype=float)."
    )


def _array_of_frame(X: Any, name: str) -> NDArray[Any]:
    wrong = [f"{column} ({dtype})" for column, dtype in zip(X.columns, X.dtypes, strict=True) if not _is_numeric(dtype)]
    if wrong:
        raise InputError(
            f"{name} must hold numbers only; not numeric: {listed(wrong)}. Select the numeric columns or convert them."
        )
    values = np.asarray(X.to_numpy())
    if values.dtype.kind in "fiub" or values.size == 0:
        return values
    return np.column_stack([_array_of_series(X[column]) for column in X.columns])


def _array_of_series(column: Any) -> NDArray[Any]:
    values = np.asarray(column.to_numpy())
    if values.dtype.kind in "fiub":
        return values
    # The type is nullable: missing entries become NaN, and `_check_values` reports them.
    if hasattr(column.dtype, "kind"):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return values.astype(np.float64)


def _is_numeric(dtype: Any) -> bool:
    if hasattr(dtype, "kind"):  # NumPy and pandas
        return dtype.kind in "fiub"
    return bool(dtype.is_numeric() or str(dtype) == "Boolean")  # Polars


def _floats(values: NDArray[Any], name: str) -> RowArray:
    """Return float32 and float64 unchanged, other numbers as float64."""
    if values.dtype in (np.dtype(np.float64), np.dtype(np.float32)) and values.dtype.isnative:
        return values
    with np.errstate(over="ignore"):  # a value beyond float64 becomes infinite, and `_check_values` reports it
        floats = values.astype(np.float64)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        lowest, highest = floats.min(axis=0), floats.max(axis=0)
        rounding = np.spacing(np.maximum(-lowest, highest))
        if ((rounding > 1) & (rounding > _WORST_ROUNDING * (highest - lowest))).any():
            raise InputError(
                f"{name} holds whole numbers beyond 2**53, and float64 would round away the differences between them. "
                f"Subtract an offset before the call, such as {name}.min(axis=0)."
            )
    return floats


def _check_values(table: Table, name: str) -> None:
    chunks = (table.values[begin : begin + CHUNK] for begin in range(0, table.n_samples, CHUNK))
    # NaN fails both comparisons.
    if all(float(chunk.min()) >= -LARGEST and float(chunk.max()) <= LARGEST for chunk in chunks):
        return
    _refuse_where(
        lambda x: ~np.isfinite(x), table, name, "NaN or infinite", "Fill them or leave those rows out before the call."
    )
    _refuse_where(
        lambda x: np.abs(x) > LARGEST, table, name, "beyond 1e100", "Change the units: the squares would overflow."
    )


def _refuse_where(is_wrong: Callable[[RowArray], BoolArray], table: Table, name: str, fault: str, remedy: str) -> None:
    n_wrong = 0
    rows: list[int] = []
    columns: set[int] = set()
    for begin in range(0, table.n_samples, CHUNK):
        where = np.argwhere(is_wrong(table.values[begin : begin + CHUNK]))
        n_wrong += len(where)
        columns.update(where[:, 1].tolist())
        rows.extend(begin + int(row) for row in np.unique(where[:, 0])[: ROWS_SHOWN - len(rows)])
    if n_wrong:
        raise InputError(
            f"{name} holds {count(n_wrong, 'value')} that {'is' if n_wrong == 1 else 'are'} {fault}, in column(s) "
            f"{listed([table.features[c] for c in sorted(columns)])}; first row(s), counted from 0: "
            f"{', '.join(map(str, rows))}. {remedy}"
        )


def check_n_components(n_components: object, rows: HasValues, weights: FloatArray | None = None) -> int:
    """Return K as an int.

    Raises InputError when K is below 1, when there is one row, or when fewer than K distinct rows have a positive
    weight. weights: (n_samples,), or (0,) when every row counts once.
    """
    K = check_count(n_components, "n_components")
    n_samples = len(rows.values)
    if n_samples < 2:
        raise InputError("X has one row; a covariance needs at least two. Pass more rows.")
    if n_samples < K:
        raise InputError(
            f"X has {count(n_samples, 'row')}, fewer than n_components={K}. Pass more rows or ask for fewer components."
        )
    counted = rows.values if weights is None or weights.all() else rows.values[weights > 0]
    distinct = _count_distinct_rows(counted, enough=K)
    if distinct < K:
        raise InputError(
            f"X has only {count(distinct, 'distinct row')} (the others repeat them or have weight 0), fewer than "
            f"n_components={K}. Ask for at most {count(distinct, 'component')}."
        )
    return K


def _count_distinct_rows(values: RowArray, enough: int) -> int:
    """Count distinct rows up to `enough`, and stop at the row that reaches it."""
    distinct: set[tuple[float, ...]] = set()
    begin, size = 0, 4 * enough
    while begin < len(values) and len(distinct) < enough:
        distinct.update(map(tuple, values[begin : begin + size].tolist()))
        begin, size = begin + size, min(2 * size, CHUNK)
    return min(len(distinct), enough)
