"""The kernel's pass over the rows as C functions, one for rows of float64 and one for rows of float32.

The log posterior calls them through their address, because Numba would otherwise compile and optimise the pass a second
time inside the log posterior; see docs/decisions/0030.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import carray, cfunc, types

from bayesgmm.bayes.model.arguments import Header, read_header
from bayesgmm.bayes.model.buffers import kernel_buffers, step
from bayesgmm.bayes.model.native_calls import doubles_at, singles_at
from bayesgmm.kernel import passes
from bayesgmm.types import RowArray


@step()
def _pass(X: RowArray, header: Header, kernel_address: int) -> float:
    """Return the log-likelihood; one pass from the first half of the kernel's buffers to the second."""
    buffers = kernel_buffers(kernel_address, header.n_components, header.n_features)
    counts = buffers.counts
    if header.value_only != 0:
        counts = counts[:0]
    return passes.statistics_of_rows(
        X,
        np.empty(0),
        np.int64(0),  # a literal 0 would have a type of its own, and the kernel be compiled for it
        header.n_rows,
        carray(doubles_at(header.origin), (header.n_features,)),
        buffers.log_scales,
        buffers.centred,
        buffers.whiteners,
        header.diagonal != 0,
        counts,
        buffers.first,
        buffers.second,
    )


def _rows_of_doubles(user_data: int, kernel_address: int) -> float:
    header = read_header(user_data)
    return _pass(carray(doubles_at(header.rows), (header.n_rows, header.n_features)), header, kernel_address)


def _rows_of_singles(user_data: int, kernel_address: int) -> float:
    header = read_header(user_data)
    return _pass(carray(singles_at(header.rows), (header.n_rows, header.n_features)), header, kernel_address)


@cache
def rows_function(dtype: np.dtype[Any]) -> Any:
    """Return the C function double(void *user_data, int64 kernel_address) for rows of float64 or float32."""
    function: Callable[..., Any] = {"f8": _rows_of_doubles, "f4": _rows_of_singles}[dtype.str[1:]]
    return cfunc(types.float64(types.voidptr, types.int64), cache=True, error_model="numpy")(function)
