"""Walk through a result, whatever it is made of, and look at its numbers and its text."""

import dataclasses

import numpy as np
import pandas as pd
import xarray as xr


def numbers_in(value, name="result"):
    """Pairs of a name and an array of floats, for every number in a result."""
    if isinstance(value, pd.DataFrame):
        for column in value.select_dtypes("number"):
            yield f"{name}[{column}]", value[column].to_numpy()
    elif isinstance(value, xr.DataTree):
        for node in value.subtree:
            for variable, array in node.to_dataset().data_vars.items():
                if array.dtype.kind == "f":
                    yield f"{name}{node.path}/{variable}", array.values
    elif dataclasses.is_dataclass(value):
        for entry in dataclasses.fields(value):
            yield from numbers_in(getattr(value, entry.name), f"{name}.{entry.name}")
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        yield name, value
    elif isinstance(value, tuple | list):
        for number, entry in enumerate(value):
            yield from numbers_in(entry, f"{name}[{number}]")
    elif isinstance(value, float | int):
        yield name, np.array(value)


def check_numbers(value, *, may_be_nan=()):
    """Fail on a number that is not finite; `may_be_nan` has parts of names whose NaN is documented."""
    for name, array in numbers_in(value):
        if array.dtype.kind == "f" and not any(part in name for part in may_be_nan):
            assert np.isfinite(array).all(), f"{name} is not finite: {array.ravel()[:20]}"


def check_shown(value):
    """Every way to print a result works."""
    repr(value), str(value)
    for method in ("summary", "_repr_html_", "to_markdown", "to_latex"):
        if hasattr(value, method):
            getattr(value, method)()
