"""Addresses in compiled code: numbers behind them, and C functions called by them."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def doubles_at(typingctx, address):
    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(types.int64), codegen


@intrinsic
def singles_at(typingctx, address):
    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(types.int64), codegen


@intrinsic
def call_rows(typingctx, function, first, second):
    """Double function(void *first, void *second), all three given as addresses: `log_posterior.rows_function`."""

    def codegen(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.DoubleType(), [pointer, pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(function, [builder.inttoptr(argument, pointer) for argument in arguments[1:]])

    return types.float64(types.int64, types.int64, types.int64), codegen


@intrinsic
def call_density(typingctx, function, n_dim, theta, gradient, value, user_data):
    """`log_posterior.whitened_log_posterior` by its address; arrays and `user_data` as addresses."""

    def codegen(context, builder, signature, arguments):
        integer, double, pointer = ir.IntType(64), ir.DoubleType().as_pointer(), ir.IntType(8).as_pointer()
        kinds = [integer, double, double, double, pointer]
        function = builder.inttoptr(arguments[0], ir.FunctionType(integer, kinds).as_pointer())
        values = [arguments[1], *(builder.inttoptr(a, kind) for a, kind in zip(arguments[2:], kinds[1:], strict=True))]
        return builder.call(function, values)

    return types.int64(*[types.int64] * 6), codegen
