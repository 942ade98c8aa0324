"""Checks at the door: what comes in is turned into plain arrays here, or refused with a reason."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence
from numpy.typing import NDArray
from scipy.sparse import issparse

from bayesgmm.errors import InputError
from bayesgmm.types import FloatArray

CHUNK = 65_536  # rows looked at together, so that no check allocates anything of the data's size
LARGEST = 1e100  # squares and their sums must be numbers too
# Integers that float64 rounds are fine as long as the rounding is this small a share of their column's range.
_WORST_ROUNDING = 1e-8


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
    features : the columns that a fitted mixture expects, in order; a frame's names are held against them, unless they
        are the default names of columns that had none.

    Raises
    ------
    InputError
        `X` is sparse, masked, ragged, not numeric, empty, of another shape, or holds NaN, infinity or values beyond
        1e100; or its columns are not those expected.
    """
    names = _column_names(X, name)
    values = _floats(_numbers(X, name), name)
    expected = tuple(features) if features is not None else None
    if expected is not None and (values.shape[1] != len(expected) or names_clash(names, expected)):
        received = f" ({', '.join(names)})" if names else ""
        raise InputError(
            f"{name} has {_count(values.shape[1], 'column')}{received}; this mixture was fitted on "
            f"{len(expected)} ({', '.join(expected)}). Pass the same columns in the same order."
        )
    table = Table(values, names or expected or default_names(values.shape[1]))
    _check_values(table, name)
    return table


def default_names(n_features: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(n_features))


def names_clash(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    """Whether both name the columns, and differently. Default names stand for columns without a name."""
    if one is None or other is None or one == other:
        return False
    return default_names(len(one)) != one and default_names(len(other)) != other


def feature_indices(chosen: Any, features: tuple[str, ...], name: str) -> list[int]:
    """Where the features named (or numbered) in the list `chosen` stand among `features`; each once, at least one."""
    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        raise InputError(f"{name} must be a list of names or numbers of features; received {chosen!r}.")
    chosen = list(chosen)
    index = [_feature_index(feature, features) for feature in chosen]
    if not index or len(set(index)) < len(index):
        raise InputError(f"{name} must name at least one feature, and each once; received {chosen}.")
    return index


def _feature_index(feature: Any, features: tuple[str, ...]) -> int:
    if isinstance(feature, str) and feature in features:
        return features.index(feature)
    is_number = isinstance(feature, Integral) and not isinstance(feature, bool)
    if is_number and 0 <= int(feature) < len(features):
        return int(feature)
    raise InputError(f"There is no feature {feature!r}; this mixture has {', '.join(features)}. Name one of these.")


def check_given(given: Any, features: tuple[str, ...]) -> tuple[list[int], list[int], FloatArray]:
    """Features whose values are `given`, the others, and the values, of a mapping from names or numbers to numbers."""
    if not isinstance(given, Mapping):
        raise InputError(f"given must map features to values, such as {{{features[0]!r}: 1.0}}; received {given!r}.")
    known = feature_indices(list(given), features, "given")
    other = [i for i in range(len(features)) if i not in known]
    if not other:
        raise InputError("given must leave at least one feature; nothing is left to describe.")
    return known, other, as_table([list(given.values())], "given", [features[i] for i in known]).values[0].astype(float)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _is_frame(X: Any) -> bool:
    return hasattr(X, "to_numpy") and hasattr(X, "columns")


def _column_names(X: Any, name: str) -> tuple[str, ...] | None:
    if not _is_frame(X):
        series_name = getattr(X, "name", None) if getattr(X, "ndim", 1) == 1 else None
        return (series_name,) if isinstance(series_name, str) and series_name else None
    names = tuple(str(column) for column in X.columns)
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise InputError(f"{name} has several columns called {', '.join(repeated)}. Give each a name of its own.")
    return names


def _numbers(X: Any, name: str) -> NDArray[Any]:
    """`X` as a two-dimensional array of a numeric type."""
    if issparse(X):
        raise InputError(f"{name} is a sparse matrix; dense rows are needed. Pass {name}.toarray().")
    if np.ma.is_masked(X):
        raise InputError(
            f"{name} has {_count(int(np.ma.count_masked(X)), 'masked value')}; no value may be missing. "
            f"Fill them or leave their rows out before the call."
        )
    values = _array_of_frame(X, name) if _is_frame(X) else _array(X, name)
    if values.size == 0 and values.ndim:
        raise InputError(f"{name} is empty: shape {values.shape}. At least one row and one column are needed.")
    if values.ndim == 0:
        raise InputError(
            f"{name} must be an array or a data frame of numbers, (n_samples, n_features); received "
            f"{type(X).__name__}, which cannot be read as rows."
        )
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
            f"shape {values.shape}. One feature may be passed as a 1-D array."
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
        raise InputError(
            f"{name} must be an array or a data frame of numbers, (n_samples, n_features); received "
            f"{type(X).__name__}, which cannot be read as rows."
        ) from error


def _not_numbers(name: str, dtype: Any) -> InputError:
    return InputError(
        f"{name} must hold numbers; it has dtype {dtype}. Convert it, for instance with "
        f"numpy.asarray({name}, dtype=float)."
    )


def _array_of_frame(X: Any, name: str) -> NDArray[Any]:
    wrong = [f"{column} ({dtype})" for column, dtype in zip(X.columns, X.dtypes, strict=True) if not _is_numeric(dtype)]
    if wrong:
        raise InputError(
            f"{name} must hold numbers only; not numeric: {', '.join(wrong)}. Select the numeric columns or convert "
            f"them."
        )
    values = np.asarray(X.to_numpy())
    if values.dtype.kind in "fiub" or values.size == 0:
        return values
    return np.column_stack([_array_of_series(X[column]) for column in X.columns])


def _array_of_series(column: Any) -> NDArray[Any]:
    values = np.asarray(column.to_numpy())
    if values.dtype.kind in "fiub":
        return values
    # Numbers of a nullable type: missing entries become NaN, and are reported as such.
    if hasattr(column.dtype, "kind"):
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return values.astype(np.float64)


def _is_numeric(dtype: Any) -> bool:
    if hasattr(dtype, "kind"):  # NumPy and pandas
        return dtype.kind in "fiub"
    return bool(dtype.is_numeric() or str(dtype) == "Boolean")  # Polars


def _floats(values: NDArray[Any], name: str) -> NDArray[Any]:
    """float32 and float64 as they are, other numbers as float64."""
    if values.dtype in (np.dtype(np.float64), np.dtype(np.float32)) and values.dtype.isnative:
        return values
    with np.errstate(over="ignore"):  # beyond float64 is infinite, and reported as such
        floats = values.astype(np.float64)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        low, high = floats.min(axis=0), floats.max(axis=0)
        rounding = np.spacing(np.maximum(-low, high))
        if ((rounding > 1) & (rounding > _WORST_ROUNDING * (high - low))).any():
            raise InputError(
                f"{name} holds whole numbers beyond 2**53, and float64 would round away what tells them apart. "
                f"Subtract an offset before the call, such as {name}.min(axis=0)."
            )
    return floats


def _check_values(table: Table, name: str) -> None:
    chunks = (table.values[begin : begin + CHUNK] for begin in range(0, table.n_samples, CHUNK))
    if all(float(chunk.min()) >= -LARGEST and float(chunk.max()) <= LARGEST for chunk in chunks):  # NaN is not
        return
    _refuse_where(
        lambda x: ~np.isfinite(x), table, name, "NaN or infinite", "Fill them or leave those rows out before the call."
    )
    _refuse_where(
        lambda x: np.abs(x) > LARGEST, table, name, "beyond 1e100", "Change the units: their squares are no numbers."
    )


def _refuse_where(
    wrong: Callable[[NDArray[Any]], NDArray[np.bool]], table: Table, name: str, what: str, remedy: str
) -> None:
    n_wrong = 0
    rows: list[int] = []
    columns: set[int] = set()
    for begin in range(0, table.n_samples, CHUNK):
        where = np.argwhere(wrong(table.values[begin : begin + CHUNK]))
        n_wrong += len(where)
        columns.update(where[:, 1].tolist())
        rows.extend(begin + int(row) for row in np.unique(where[:, 0])[: 5 - len(rows)])
    if n_wrong:
        raise InputError(
            f"{name} holds {_count(n_wrong, 'value')} that {'is' if n_wrong == 1 else 'are'} {what}, in column(s) "
            f"{', '.join(table.features[c] for c in sorted(columns))}; first row(s), counted from 0: "
            f"{', '.join(map(str, rows))}. {remedy}"
        )


def check_n_components(n_components: Any, table: Table, weights: FloatArray | None = None) -> int:
    """Return K as an int; it must be at least 1, and there must be that many distinct rows (of positive weight)."""
    K = check_count(n_components, "n_components")
    if table.n_samples < 2:
        raise InputError("X has one row; a covariance needs at least two. Pass more rows.")
    if table.n_samples < K:
        raise InputError(
            f"X has {_count(table.n_samples, 'row')}, fewer than n_components={K}. Pass more rows or ask for fewer "
            f"components."
        )
    counted = table.values if weights is None or weights.all() else table.values[weights > 0]
    distinct = _count_distinct_rows(counted, enough=K)
    if distinct < K:
        raise InputError(
            f"X has only {_count(distinct, 'distinct row')} (the others repeat them or have weight 0), fewer than "
            f"n_components={K}. Ask for at most {_count(distinct, 'component')}."
        )
    return K


def check_count(value: Any, name: str, minimum: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise InputError(f"{name} must be a whole number of at least {minimum}; received {value!r}.")
    return int(value)


def check_positive(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise InputError(f"{name} must be a finite number above 0; received {value!r}.")
    return float(value)


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


def as_numbers(value: Any, name: str) -> FloatArray:
    """A float64 array of any shape; a new one only where `value` is none. Missing entries become NaN.

    Raises InputError when `value` is masked, complex, ragged, text or no array at all.
    """
    refusal = f"{name} must be real numbers"
    if np.ma.is_masked(value):
        raise InputError(f"{refusal}; it has {_count(int(np.ma.count_masked(value)), 'masked value')}. Fill them.")
    try:
        if np.asarray(value).dtype.kind in "fiubO":
            return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{refusal}; received {type(value).__name__}: {str(error).rstrip('.')}.") from error
    raise InputError(f"{refusal}; received {type(value).__name__} of dtype {np.asarray(value).dtype}.")


def check_weights(sample_weight: Any, n_samples: int) -> FloatArray:
    """Row weights (n_samples,), or an array of length 0 when every row counts once."""
    if sample_weight is None:
        return np.empty(0)
    weights = as_numbers(sample_weight, "sample_weight")
    if weights.shape != (n_samples,):
        raise InputError(
            f"sample_weight must have one weight a row, shape ({n_samples},); it has shape {weights.shape}. "
            f"Pass a 1-D array."
        )
    for wrong, what in (
        (~np.isfinite(weights), "NaN or infinite"),
        (weights < 0, "negative"),
        (weights > LARGEST, "beyond 1e100"),
    ):
        if wrong.any():
            n, first = int(wrong.sum()), ", ".join(map(str, np.flatnonzero(wrong)[:5]))
            raise InputError(
                f"sample_weight must be finite and not negative; {n} {'is' if n == 1 else 'are'} {what}, first at "
                f"row(s) {first}, counted from 0. Give rows that should not count a weight of 0."
            )
    if not weights.any():
        raise InputError("sample_weight is zero for every row; at least some rows must count.")
    return np.ascontiguousarray(weights)


def as_generator(rng: Any) -> np.random.Generator:
    """A `numpy.random.Generator` from an int, a generator, a seed sequence, or None (fresh entropy)."""
    refusal = f"rng must be a whole number of at least 0, a numpy.random.Generator or None; received {rng!r}."
    if isinstance(rng, bool):
        raise InputError(refusal)
    try:
        generator = np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(refusal) from error
    # NumPy's older RandomState has no streams to give to restarts and chains.
    if not isinstance(generator.bit_generator.seed_seq, ISpawnableSeedSequence):
        raise InputError(refusal)
    return generator
