"""Vectors of doubles in LLVM's own language: what the kernel's inner loops are written in.

Pointers (`at`) go into arrays whose rows are whole vectors; nothing here depends on the processor but `LANES`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import config, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic


def _lanes():
    """Doubles in a register of the processor that Numba compiles for: this machine's, unless it was told another."""
    if config.CPU_FEATURES is None:
        features = {name for name, has in get_host_cpu_features().items() if has}
    else:
        features = {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    return 8 if "avx512f" in features else 4 if "avx" in features else 2


LANES = _lanes()

DOUBLE, INTEGER, LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
BYTES = ir.IntType(8).as_pointer()

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 split in two so that n * ln 2 is subtracted without rounding
_LN2_LOW = 1.90821492927058770002e-10
_ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves round(x) in the low bits
# Below exp(-500) a responsibility is nothing beside 1; as 0 it keeps products out of the denormal numbers, which are
# computed a hundred times slower.
_EXP_ZERO = -500.0
_TWO_52_BITS = 0x4330000000000000  # the bits of 2.0**52
_TWO_52_AND_BIAS = 4503599627371519.0  # 2**52 and the exponent's bias, 1023
# Taylor polynomial of degree 13 on |r| <= ln(2)/2: truncation below 1e-17.
_EXP_COEFFICIENTS = [1.0]
for _n in range(1, 14):
    _EXP_COEFFICIENTS.insert(0, _EXP_COEFFICIENTS[0] / _n)


@intrinsic
def at(typingctx, array, offset):
    """Pointer to the element `offset` of a contiguous array."""
    if array.layout != "C":
        raise TypingError(f"the kernel takes arrays in C order, not {array}")

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.gep(data, [arguments[1]])

    return types.CPointer(types.float64)(array, types.intp), codegen


def procedure(emit: Callable[..., None]) -> Any:
    """`emit(builder, *arguments)` as a function without result that compiled code can call."""

    def procedure(typingctx, *arguments):
        def codegen(context, builder, signature, values):
            emit(builder, *values)
            return context.get_dummy_value()

        return types.void(*(a if isinstance(a, types.CPointer) else types.intp for a in arguments)), codegen

    # Numba wants to know how many arguments there are.
    vars(procedure)["__signature__"] = inspect.signature(emit)
    return intrinsic(procedure)


def vector_of(kind, value, like):
    return ir.Constant(ir.VectorType(kind, like.type.count), [value] * like.type.count)


def constant(value, lanes=LANES):
    return ir.Constant(ir.VectorType(DOUBLE, lanes), [value] * lanes)


def index_of(builder, *terms):
    """Sum of products of integers: `(a, b), c` is a * b + c."""
    total = ir.Constant(INTEGER, 0)
    for term in terms:
        a, *rest = (INTEGER(f) if isinstance(f, int) else f for f in (term if isinstance(term, tuple) else (term,)))
        for b in rest:
            a = builder.mul(a, b)
        total = builder.add(total, a)
    return total


def _vector_at(builder, pointer, terms, lanes):
    kind = ir.VectorType(DOUBLE, lanes)
    return builder.bitcast(builder.gep(pointer, [index_of(builder, *terms)]), kind.as_pointer())


def load(builder, pointer, *terms, lanes=LANES):
    return builder.load(_vector_at(builder, pointer, terms, lanes), align=8)


def store(builder, value, pointer, *terms):
    builder.store(value, _vector_at(builder, pointer, terms, value.type.count), align=8)


def splat(builder, pointer, *terms, lanes=LANES):
    """One number in every lane."""
    number = builder.load(builder.gep(pointer, [index_of(builder, *terms)]), align=8)
    nothing = ir.Constant(ir.VectorType(DOUBLE, lanes), ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(LANE, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(LANE, lanes), [0] * lanes))


def multiply_add(builder, a, b, c):
    """A * b + c, in one instruction where there is one."""
    kind, name = ir.FunctionType(a.type, [a.type] * 3), f"llvm.fmuladd.v{a.type.count}f64"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


class Sum:
    """A vector that loops add to; LLVM keeps it in a register."""

    def __init__(self, builder, start=None):
        start = constant(0.0) if start is None else start
        self.builder = builder
        self.slot = cgutils.alloca_once(builder, start.type)
        self.value = start

    @property
    def value(self):
        return self.builder.load(self.slot)

    @value.setter
    def value(self, value):
        self.builder.store(value, self.slot)

    def add(self, a, b=None):
        """Add a, or a * b."""
        if b is None:
            self.value = self.builder.fadd(self.value, a)
        else:
            self.value = multiply_add(self.builder, a, b, self.value)


def add_sums_of_lanes(builder, sums, targets):
    """Add the sum of each vector's lanes to the number under its target, by halving pairs of vectors together."""
    vectors, width = [s.value for s in sums], LANES
    while width > 1:
        if len(vectors) % 2:
            vectors.append(constant(0.0))
        low = [group + i for group in range(0, 2 * LANES, width) for i in range(width // 2)]
        masks = [ir.Constant(ir.VectorType(LANE, LANES), [i + shift for i in low]) for shift in (0, width // 2)]
        vectors = [
            builder.fadd(*(builder.shuffle_vector(a, b, mask) for mask in masks))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        width //= 2
    for m, target in enumerate(targets):
        number = builder.extract_element(vectors[m // LANES], ir.Constant(LANE, m % LANES))
        builder.store(builder.fadd(builder.load(target, align=8), number), target, align=8)


def _polynomial(builder, x, coefficients):
    """Horner's scheme, highest power first."""
    p = vector_of(DOUBLE, coefficients[0], x)
    for c in coefficients[1:]:
        p = multiply_add(builder, p, x, vector_of(DOUBLE, c, x))
    return p


def exponential(builder, x):
    """exp(x) for x <= 0; 0 below -500, NaN for NaN."""
    doubles, integers = partial(vector_of, DOUBLE, like=x), partial(vector_of, INTEGER, like=x)
    below = builder.fcmp_ordered("<", x, doubles(_EXP_ZERO))
    x = builder.select(below, doubles(_EXP_ZERO), x)
    shifted = multiply_add(builder, x, doubles(_LOG2_E), doubles(_ROUND_TO_INTEGER))
    n = builder.fsub(shifted, doubles(_ROUND_TO_INTEGER))
    r = multiply_add(builder, n, doubles(-_LN2_HIGH), x)
    r = multiply_add(builder, n, doubles(-_LN2_LOW), r)
    p = _polynomial(builder, r, _EXP_COEFFICIENTS)
    # Adding n to the exponent bits multiplies by 2**n.
    bits = integers(0).type
    power = builder.shl(builder.bitcast(shifted, bits), integers(52))
    scaled = builder.bitcast(builder.add(builder.bitcast(p, bits), power), x.type)
    return builder.select(below, doubles(0.0), scaled)


def logarithm(builder, x):
    """log(x) for normal x >= 1, NaN for NaN."""
    doubles, integers = partial(vector_of, DOUBLE, like=x), partial(vector_of, INTEGER, like=x)
    one, bits = doubles(1.0), builder.bitcast(x, integers(0).type)
    # An integer below 2**52 becomes a double by way of its bits, where many processors have no conversion of vectors.
    exponent = builder.or_(builder.lshr(bits, integers(52)), integers(_TWO_52_BITS))
    exponent = builder.fsub(builder.bitcast(exponent, x.type), doubles(_TWO_52_AND_BIAS))
    mantissa = builder.or_(builder.and_(bits, integers(0xFFFFFFFFFFFFF)), integers(0x3FF0000000000000))
    mantissa = builder.bitcast(mantissa, x.type)
    large = builder.fcmp_ordered(">", mantissa, doubles(1.4142135623730951))
    mantissa = builder.select(large, builder.fmul(mantissa, doubles(0.5)), mantissa)
    n = builder.select(large, builder.fadd(exponent, one), exponent)
    f = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
    s = builder.fmul(f, f)
    # log m = 2 artanh(f); |f| <= 0.172, so eleven terms reach 1e-17.
    p = _polynomial(builder, s, [1.0 / odd for odd in range(21, 1, -2)])
    twice = builder.fadd(f, f)
    low = multiply_add(builder, builder.fmul(twice, s), p, builder.fmul(n, doubles(_LN2_LOW)))
    result = multiply_add(builder, n, doubles(_LN2_HIGH), builder.fadd(twice, low))
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)
