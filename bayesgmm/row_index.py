"""The index of the rows: read from a data frame, kept in a posterior as a coordinate, and given to results.

NetCDF holds numbers, texts and dates. Other entries, such as those of an index of several levels, are kept as JSON.
"""

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesgmm.escaping import is_writable

_ROW = "row"
_FORM = "index"  # attribute of the coordinate: how to turn it into the index again


def index_of(X: object) -> pd.Index | None:
    """The index of a pandas frame or series; None for anything else, and for rows that are numbered from 0."""
    if not isinstance(X, (pd.DataFrame, pd.Series)):
        return None
    is_numbered = isinstance(X.index, pd.RangeIndex) and X.index.equals(pd.RangeIndex(len(X))) and X.index.name is None
    return None if is_numbered else X.index  # pd.Index would make tuples of several levels


def index_for(X: object, n_rows: int) -> pd.Index:
    """The index of a result with one entry per row of `X`: that of `X`, or numbers from 0."""
    index = index_of(X)
    return _numbers(n_rows) if index is None else index


def row_coordinate(index: pd.Index | None) -> dict[Hashable, Any]:
    """The coordinate `row` of a group with these rows; no coordinate if they are numbered from 0."""
    if index is None:
        return {}
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    kinds = [_kind_of(level) for level in levels]
    encoded = [_KINDS[kind][0](level) for level, kind in zip(levels, kinds, strict=True)]
    form = {"names": [_plain(name) for name in index.names], "kinds": kinds, "details": [_detail(x) for x in levels]}
    values = encoded[0]
    if len(levels) > 1:
        entries = zip(*(_for_json(values) for values in encoded), strict=True)
        values = np.array([json.dumps(entry) for entry in entries], dtype=object)
    return {_ROW: (_ROW, values, {_FORM: json.dumps(form)})}


def index_of_rows(group: xr.Dataset, n_rows: int) -> pd.Index:
    """The index that the coordinate `row` of a group stands for; numbers from 0 if there is none."""
    if _ROW not in group.coords or group.coords[_ROW].shape != (n_rows,):
        return _numbers(n_rows)
    coordinate = group.coords[_ROW]
    try:
        form = json.loads(coordinate.attrs[_FORM])
        names, kinds, details = form["names"], form["kinds"], form["details"]
        encoded = [coordinate.values]
        if len(kinds) > 1:
            encoded = [np.array(level, dtype=object) for level in zip(*map(json.loads, coordinate.values), strict=True)]
        levels = [_KINDS[kind][1](values, detail) for values, kind, detail in zip(encoded, kinds, details, strict=True)]
    except (KeyError, TypeError, ValueError):  # the coordinate is another program's, or was changed
        levels, names = [pd.Index(coordinate.values)], [_ROW]
    index: pd.Index = (
        pd.Index(levels[0], name=names[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=names)
    )
    return index


def coordinate_of(group: xr.Dataset) -> Mapping[Hashable, xr.DataArray]:
    """The coordinate `row` of a group, for another group of the same rows."""
    return {_ROW: group.coords[_ROW]} if _ROW in group.coords else {}


def _numbers(n_rows: int) -> pd.Index:
    return pd.RangeIndex(n_rows, name=_ROW)


def _kind_of(level: pd.Index) -> str:
    if isinstance(level.dtype, np.dtype) and level.dtype.kind in "fiub":
        return "number"
    if isinstance(level, pd.DatetimeIndex):
        return "date" if level.tz is None and not level.hasnans else "zoned date"
    if isinstance(level, pd.PeriodIndex) and not level.hasnans:
        return "period"
    if isinstance(level, pd.TimedeltaIndex) and not level.hasnans:
        return "duration"
    return "text" if all(isinstance(entry, str) and is_writable(entry) for entry in level) else "any"


def _detail(level: pd.Index) -> str:
    if isinstance(level, (pd.DatetimeIndex, pd.TimedeltaIndex)):
        return str(level.dtype)
    return str(level.freqstr) if isinstance(level, pd.PeriodIndex) else ""


def _texts(level: pd.Index) -> np.ndarray[Any, Any]:
    return np.array([str(entry) for entry in level], dtype=object)


def _dates_as_texts(level: pd.Index) -> np.ndarray[Any, Any]:
    return np.array([entry.isoformat() if entry is not pd.NaT else "NaT" for entry in level], dtype=object)


def _as_json(level: pd.Index) -> np.ndarray[Any, Any]:
    return np.array([json.dumps(_plain(entry)) for entry in level], dtype=object)


def _plain(entry: object) -> Any:
    """The entry as a value for JSON; the text of one that JSON does not know."""
    entry = entry.item() if isinstance(entry, np.generic) else entry
    return entry if entry is None or isinstance(entry, (str, int, float)) else str(entry)


def _for_json(values: np.ndarray[Any, Any]) -> list[Any]:
    return [str(value) for value in values] if values.dtype.kind == "M" else values.tolist()


def _dates(values: np.ndarray[Any, Any], dtype: str) -> pd.Index:
    return pd.DatetimeIndex(pd.to_datetime(list(values), utc="," in dtype)).astype(dtype)


# For each kind of entries: how they are kept, and how the index is made again from the values and a detail.
_KINDS: dict[str, tuple[Callable[[pd.Index], Any], Callable[[Any, str], pd.Index]]] = {
    "number": (lambda level: level.to_numpy(), lambda values, _: pd.Index(np.array(np.asarray(values).tolist()))),
    "date": (lambda level: level.to_numpy(), _dates),
    "zoned date": (_dates_as_texts, _dates),
    "duration": (
        lambda level: level.to_numpy().astype("m8[ns]").astype(np.int64),
        lambda values, dtype: pd.TimedeltaIndex(np.asarray(list(values), dtype="m8[ns]")).astype(dtype),
    ),
    "period": (_texts, lambda values, freq: pd.PeriodIndex(list(values), freq=freq)),
    "text": (_texts, lambda values, _: pd.Index(list(values))),
    "any": (_as_json, lambda values, _: pd.Index([json.loads(value) for value in values], dtype=object)),
}
