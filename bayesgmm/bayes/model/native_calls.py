"""Addresses in compiled code: pointers to the numbers at an address, and calls of the C functions at an address."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def doubles_at(typingctx: Any, address: Any) -> Any:
    """Return the address as a pointer to float64, for `numba.carray`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(types.int64), codegen


@intrinsic
def singles_at(typingctx: Any, address: Any) -> Any:
    """Return the address as a pointer to float32, for `numba.carray`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(types.int64), codegen


@intrinsic
def call_rows(typingctx: Any, function: Any, user_data: Any, kernel_address: Any) -> Any:
    """Call `log_posterior.rows_function`, double(void *user_data, int64 kernel_address); all three are addresses."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.DoubleType(), [pointer, ir.IntType(64)])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(function, [builder.inttoptr(arguments[1], pointer), arguments[2]])

    return types.float64(types.int64, types.int64, types.int64), codegen


@intrinsic
def call_density(
    typingctx: Any, function: Any, n_dim: Any, theta: Any, gradient: Any, value: Any, user_data: Any
) -> Any:
    """Call `log_posterior.whitened_log_posterior`; the function, the arrays and `user_data` are addresses."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integer, double, pointer = ir.IntType(64), ir.DoubleType().as_pointer(), ir.IntType(8).as_pointer()
        kinds = [integer, double, double, double, pointer]
        function = builder.inttoptr(arguments[0], ir.FunctionType(integer, kinds).as_pointer())
        values = [arguments[1], *(builder.inttoptr(a, kind) for a, kind in zip(arguments[2:], kinds[1:], strict=True))]
        return builder.call(function, values)

    return types.int64(*[types.int64] * 6), codegen
