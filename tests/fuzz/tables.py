"""Tables for the fuzzer: ordinary ones, awkward ones, and objects that are no tables.

A `Recipe` holds a seed and a few names, so that a failing example shrinks to a small recipe and is printed in one line.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from scipy import sparse


def _clusters(rng, N, D):
    return rng.standard_normal((N, D)) + 6.0 * rng.integers(0, 3, N)[:, np.newaxis]


def _with_last(column):
    """Normal rows whose last column is column(rows, rng)."""

    def make(rng, N, D):
        values = rng.standard_normal((N, D))
        values[:, -1] = column(values, rng)
        return values

    return make


def _outlier(rng, N, D):
    values = rng.standard_normal((N, D))
    values[-1] *= 10.0 ** rng.integers(3, 13)
    return values


SHAPES = {
    "clusters": _clusters,
    "normal": lambda rng, N, D: rng.standard_normal((N, D)),
    "uniform": lambda rng, N, D: rng.random((N, D)),
    "whole numbers": lambda rng, N, D: rng.integers(-3, 4, (N, D)).astype(float),
    "two values": lambda rng, N, D: rng.integers(0, 2, (N, D)).astype(float),
    "heavy tails": lambda rng, N, D: rng.standard_cauchy((N, D)),
    "skewed": lambda rng, N, D: np.exp(2 * rng.standard_normal((N, D))),
    "clipped": lambda rng, N, D: rng.standard_normal((N, D)).clip(-0.5, 0.5),
    "constant column": _with_last(lambda values, rng: 3.0),
    "column of two values": _with_last(lambda values, rng: rng.integers(0, 2, len(values))),
    "column of many zeros": _with_last(lambda values, rng: np.maximum(values[:, -1], 0)),
    "column of one other value": _with_last(lambda values, rng: np.arange(len(values)) == 0),
    "duplicated column": _with_last(lambda values, rng: values[:, 0]),
    "nearly collinear": _with_last(lambda values, rng: values[:, :-1].sum(axis=1) + 1e-7 * values[:, -1]),
    "row numbers": _with_last(lambda values, rng: np.arange(len(values))),
    "one outlier": _outlier,
    "three rows repeated": lambda rng, N, D: rng.standard_normal((3, D))[rng.integers(0, 3, N)],
    "equal rows": lambda rng, N, D: np.tile(rng.standard_normal(D), (N, 1)),
    "limits of float64": lambda rng, N, D: rng.choice([0.0, -0.0, 5e-324, 1e-300, 1e99, -1e99, 1e100, 1.0], (N, D)),
}
# Shapes without ties, collinear columns and outliers.
PLAIN = ("clusters", "normal", "uniform")


def _odd_frame(values):
    names = ["a b", "$x_1$", "naïve, 'q'", "=SUM(A1)", "\x1b[31mred", "line\nbreak"]
    return pd.DataFrame(values, columns=names[: values.shape[1]], index=[f"row {i % 7}" for i in range(len(values))])


def _whole(values, dtype):
    limits = np.iinfo(dtype)
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    largest = min(limits.max, 2**52)
    return finite.round().clip(max(limits.min, -(2**52)), largest).astype(dtype)


def _float32(values):
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32)


def _strided(values):
    larger = np.full((2 * values.shape[0], 3 * values.shape[1]), -1.0)
    larger[::2, ::3] = values
    return larger[::2, ::3]


def _read_only(values):
    copy = values.copy()
    copy.flags.writeable = False
    return copy


# Containers of real numbers: each is a function of an array (N, D) of float64.
NUMERIC = {
    "array": lambda values: values,
    "Fortran order": np.asfortranarray,
    "strided": _strided,
    "rows reversed": lambda values: values[::-1].copy()[::-1],
    "read-only": _read_only,
    "big-endian": lambda values: values.astype(">f8"),
    "longdouble": lambda values: values.astype(np.longdouble),
    "float32": _float32,
    "int64": lambda values: _whole(values, np.int64),
    "int8": lambda values: _whole(values, np.int8),
    "uint64": lambda values: _whole(values, np.uint64),
    "bool": lambda values: values > np.median(values),
    "list": lambda values: values.tolist(),
    "tuple of tuples": lambda values: tuple(map(tuple, values.tolist())),
    "frame": pd.DataFrame,
    "odd frame": _odd_frame,
    "frame of float32": lambda values: pd.DataFrame(_float32(values), columns=list("abcdef")[: values.shape[1]]),
    "nullable frame": lambda values: pd.DataFrame(values).convert_dtypes(),
    "Polars frame": lambda values: pl.DataFrame(values, schema=[f"c{i}" for i in range(values.shape[1])]),
    "first column, 1-D": lambda values: values[:, 0],
    "first column, series": lambda values: pd.Series(values[:, 0], name="length", index=range(5, 5 + len(values))),
}
# Objects that are no tables of real numbers; some of them hold numbers that are understood all the same.
OTHER = {
    "object": lambda values: values.astype(object),
    "strings": lambda values: values.astype(str),
    "frame of objects": lambda values: pd.DataFrame(values.astype(object)),
    "frame with text": lambda values: pd.DataFrame(values).assign(name="a"),
    "frame of dates": lambda values: pd.DataFrame({"when": pd.date_range("2020", periods=len(values))}),
    "frame of categories": lambda values: pd.DataFrame(_whole(values, np.int8)).astype("category"),
    "names twice": lambda values: pd.DataFrame(np.column_stack([values, values]), columns=["a"] * 2 * values.shape[1]),
    "several levels of names": lambda values: pd.concat({"top": pd.DataFrame(values)}, axis=1),
    "complex": lambda values: values.astype(complex),
    "masked": lambda values: np.ma.masked_greater(values, np.median(values)),
    "sparse": sparse.csr_matrix,
    "3-D": lambda values: values[np.newaxis],
    "0-D": lambda values: values[0, 0],
    "no rows": lambda values: values[:0],
    "no columns": lambda values: values[:, :0],
    "ragged": lambda values: [*values.tolist(), [1.0]],
    "structured": lambda values: np.zeros(len(values), dtype=[("a", float), ("b", float)]),
    "dict": lambda values: {"a": values[:, 0]},
    "text": lambda values: "X",
    "None": lambda values: None,
    "set": lambda values: set(values[:, 0].tolist()),
    "huge whole numbers": lambda values: [[10**400 + i] for i in range(len(values))],
    "generator": lambda values: (row for row in values),
}
CONTAINERS = NUMERIC | OTHER
# What is done to one value of the table.
FAULTS = {"none": None, "NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf, "beyond 1e100": -1e101}


class Built(NamedTuple):
    """X: the object that is passed. numbers: (N, D) float64, the numbers that it stands for, or None."""

    X: object
    numbers: np.ndarray | None


@dataclass(frozen=True)
class Recipe:
    """How a table is made; `build` makes it, always the same."""

    seed: int = 0
    n_rows: int = 10
    n_columns: int = 1
    shape: str = "normal"
    container: str = "array"
    exponent: int = 0  # the values are multiplied by 10**exponent,
    exponent_step: int = 0  # column d besides by 10**(d * exponent_step),
    offset: float = 0.0  # and offset standard deviations are added
    fault: str = "none"

    @property
    def is_plain(self):
        """Whether nothing about the table is awkward."""
        return (
            self.shape in PLAIN
            and self.container in ("array", "Fortran order", "strided", "read-only", "list", "frame", "Polars frame")
            and abs(self.exponent) <= 20
            and abs(self.exponent_step) <= 3
            and abs(self.offset) <= 1e6
            and self.fault == "none"
        )

    def values(self):
        """(N, D) float64, before it is put into the container."""
        rng = np.random.default_rng(self.seed)
        values = SHAPES[self.shape](rng, self.n_rows, self.n_columns)
        values = (values + self.offset) * 10.0**self.exponent * 10.0 ** (self.exponent_step * np.arange(self.n_columns))
        if FAULTS[self.fault] is not None:
            values[rng.integers(self.n_rows), rng.integers(self.n_columns)] = FAULTS[self.fault]
        return np.ascontiguousarray(values)

    def build(self):
        """The object to pass, and the numbers that it stands for."""
        with np.errstate(over="ignore", invalid="ignore"):
            X = CONTAINERS[self.container](self.values())
        if self.container not in NUMERIC:
            return Built(X, None)
        numbers = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
        numbers = np.asarray(numbers, dtype=np.float64)
        return Built(X, numbers.reshape(len(numbers), -1))


def usually(ordinary, other, times=3):
    """The ordinary strategy, and once in `times` + 1 cases the other one."""
    return st.integers(0, times).flatmap(lambda number: other if number == times else ordinary)


N_ROWS = usually(st.integers(10, 60), st.integers(1, 12))
SHAPE = usually(st.sampled_from(PLAIN), st.sampled_from(list(SHAPES)), times=1)
EXPONENTS = usually(st.integers(-12, 12), st.integers(-150, 80))
OFFSETS = st.sampled_from([0.0, 0.0, 0.0, 1.0, -1e3, 1e6, 1e9, 1e13])


def _recipes(**changes):
    usual = {
        "seed": st.integers(0, 999),
        "n_rows": N_ROWS,
        "n_columns": st.integers(1, 6),
        "shape": SHAPE,
        "container": usually(st.just("array"), st.sampled_from(list(NUMERIC)), times=1),
        "exponent": EXPONENTS,
        "exponent_step": usually(st.just(0), st.sampled_from([1, -3, 9])),
        "offset": OFFSETS,
    }
    return st.builds(Recipe, **usual | changes)


numeric_recipes = _recipes()
_WILD = {
    "container": _recipes(container=st.sampled_from(list(CONTAINERS))),
    "fault": _recipes(fault=st.sampled_from(list(FAULTS)), container=st.sampled_from(list(CONTAINERS))),
    "exponent": _recipes(exponent=st.sampled_from([-320, -300, -160, 99, 110, 300])),
}
all_recipes = usually(numeric_recipes, st.sampled_from(list(_WILD)).flatmap(_WILD.get), times=1)
# Tables that every public function has to answer for, as far as their size allows.
plain_recipes = st.builds(
    Recipe,
    seed=st.integers(0, 999),
    n_rows=st.integers(4, 60),
    n_columns=st.integers(1, 4),
    shape=st.sampled_from(PLAIN),
    exponent=st.integers(-12, 12),
    offset=st.sampled_from([0.0, 1.0, -1e3, 1e6]),
)
