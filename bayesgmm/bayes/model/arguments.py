"""The default model as compiled code receives it: named values, and a header of integers for C functions.

A C function that nutpie calls gets one pointer, `user_data`. It points to a `Header`: sizes, switches and the addresses
of arrays. `read_header` and `read_model` turn that pointer back into named values.
"""

from typing import NamedTuple

import numpy as np
from numba import carray

from bayesgmm.bayes.model.native_calls import doubles_at
from bayesgmm.bayes.model.std_priors import STD_ROWS
from bayesgmm.kernel.jit import inner
from bayesgmm.types import FloatArray, RowArray


class Switches(NamedTuple):
    """The covariance structure, and the kind of the prior of standard deviations (LOG_SCALE, INTERVAL or FIXED)."""

    diagonal: bool
    shared: bool
    spherical: bool
    std_kind: int


class ModelArrays(NamedTuple):
    """The arrays of the default model, apart from its rows.

    origin (D,): the kernel works with x - origin; mean_location, mean_scale (D,): the prior of means; std_table
    (STD_ROWS, D): rows v0, c0, ..., c5 of `StdPrior.log_scale_coefficients`, or the two bounds, or the fixed log
    standard deviation, then zeros; constants (3,): the Dirichlet's concentration, LKJ's eta, and the log density's
    constant; rounding (D,): variances of rounding, see `resolution`.
    """

    origin: FloatArray
    mean_location: FloatArray
    mean_scale: FloatArray
    std_table: FloatArray
    constants: FloatArray
    rounding: FloatArray


class ModelArguments(NamedTuple):
    """`Switches` and `ModelArrays` in one value, which compiled functions pass on whole."""

    n_components: int
    diagonal: bool
    shared: bool
    spherical: bool
    std_kind: int
    origin: FloatArray
    mean_location: FloatArray
    mean_scale: FloatArray
    std_table: FloatArray
    constants: FloatArray
    rounding: FloatArray


class Header(NamedTuple):
    """What `user_data` points to: 20 integers of 64 bits.

    Sizes, then switches (0 or 1, `std_kind` excepted), then addresses: of the C function that passes over the rows, of
    the rows, of `ModelArrays`, and of centre (P,) and scale ((P, P) if `dense_scale`, else (P,)).
    """

    n_rows: int
    n_features: int
    n_components: int
    n_dim: int
    diagonal: int
    shared: int
    spherical: int
    std_kind: int
    dense_scale: int
    value_only: int
    rows_function: int
    rows: int
    origin: int
    mean_location: int
    mean_scale: int
    std_table: int
    constants: int
    rounding: int
    centre: int
    scale: int


N_HEADER = len(Header._fields)


def make_header(
    n_components: int,
    switches: Switches,
    arrays: ModelArrays,
    rows: RowArray,
    rows_function: int,
    centre: FloatArray,
    scale: FloatArray,
    *,
    value_only: bool,
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the header as an array of integers.

    It holds addresses: rows, arrays, centre and scale, all in C order, must outlive it. rows_function is the address
    of the C function for rows of this type.
    """
    n_rows, n_features = rows.shape
    header = Header(
        n_rows=n_rows,
        n_features=n_features,
        n_components=n_components,
        n_dim=len(centre),
        diagonal=switches.diagonal,
        shared=switches.shared,
        spherical=switches.spherical,
        std_kind=switches.std_kind,
        dense_scale=scale.ndim == 2,
        value_only=value_only,
        rows_function=rows_function,
        rows=rows.ctypes.data,
        origin=arrays.origin.ctypes.data,
        mean_location=arrays.mean_location.ctypes.data,
        mean_scale=arrays.mean_scale.ctypes.data,
        std_table=arrays.std_table.ctypes.data,
        constants=arrays.constants.ctypes.data,
        rounding=arrays.rounding.ctypes.data,
        centre=centre.ctypes.data,
        scale=scale.ctypes.data,
    )
    return np.array(header, dtype=np.int64)


@inner()
def read_header(user_data: int) -> Header:
    """Return the header behind the pointer."""
    h = carray(user_data, (N_HEADER,), np.int64)
    return Header(
        h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12], h[13], h[14], h[15], h[16],
        h[17], h[18], h[19],
    )  # fmt: skip


@inner()
def read_model(header: Header) -> ModelArguments:
    """Return the model whose switches and addresses the header holds."""
    D = header.n_features
    return ModelArguments(
        header.n_components,
        header.diagonal != 0,
        header.shared != 0,
        header.spherical != 0,
        header.std_kind,
        carray(doubles_at(header.origin), (D,)),
        carray(doubles_at(header.mean_location), (D,)),
        carray(doubles_at(header.mean_scale), (D,)),
        carray(doubles_at(header.std_table), (STD_ROWS, D)),
        carray(doubles_at(header.constants), (3,)),
        carray(doubles_at(header.rounding), (D,)),
    )
