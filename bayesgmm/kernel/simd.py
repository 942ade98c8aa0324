"""Vectors of doubles in LLVM IR: the vocabulary in which the kernel's inner loops (`tiles.py`) are written.

The functions here run while Numba compiles. Each appends instructions to an LLVM `builder`; its other arguments and
its result are LLVM values, such as a vector of `LANES` doubles or a pointer to a double. Arrays enter through
`pointer`. Only `LANES` depends on the processor.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import config, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic


def _lanes() -> int:
    """Doubles per register of the target processor: this machine's, unless NUMBA_CPU_FEATURES names another."""
    if config.CPU_FEATURES is None:
        features = {name for name, is_present in get_host_cpu_features().items() if is_present}
    else:
        features = {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    return 8 if "avx512f" in features else 4 if "avx" in features else 2


LANES = _lanes()

DOUBLE, INTEGER, LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
BYTES = ir.IntType(8).as_pointer()

# An index into an array: a Python integer or an LLVM value. In a tuple, the product of its members.
type Factor = int | ir.Value
type Term = Factor | tuple[Factor, ...]

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 split in two so that n * ln 2 is subtracted without rounding
_LN2_LOW = 1.90821492927058770002e-10
_ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves round(x) in the low bits
# exp(x) is 0 below this: a responsibility of exp(-500) is negligible, and 0 keeps products out of the denormal numbers,
# which are a hundred times slower.
_EXP_ZERO = -500.0
_TWO_52_BITS = 0x4330000000000000  # the bits of 2.0**52
_TWO_52_AND_BIAS = 4503599627371519.0  # 2**52 plus the exponent's bias, 1023
# Taylor polynomial of degree 13 on |r| <= ln(2)/2, highest power first: truncation error below 1e-17.
_EXP_COEFFICIENTS = [1.0]
for _n in range(1, 14):
    _EXP_COEFFICIENTS.insert(0, _EXP_COEFFICIENTS[0] / _n)


@intrinsic
def pointer(typingctx: Any, array: types.Array, offset: types.Integer) -> Any:
    """Pointer to the element number `offset` of an array in C order, counted over all its axes."""
    if array.layout != "C":
        raise TypingError(f"the kernel takes arrays in C order, not {array}")

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]) -> ir.Value:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.gep(data, [arguments[1]])

    return types.CPointer(types.float64)(array, types.intp), codegen


def procedure(emit: Callable[..., None]) -> Any:
    """Make `emit(builder, *arguments)` a function without a result that compiled code can call.

    Its arguments are pointers and integers.
    """

    def procedure(typingctx: Any, *arguments: types.Type) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            emit(builder, *values)
            return context.get_dummy_value()

        return types.void(*(a if isinstance(a, types.CPointer) else types.intp for a in arguments)), codegen

    # Numba reads the number of arguments from the signature.
    vars(procedure)["__signature__"] = inspect.signature(emit)
    return intrinsic(procedure)


def sized_procedure(*sizes: int) -> Callable[[Callable[..., None]], Any]:
    """Decorator like `procedure` for `emit(builder, size, *arguments)` whose loops over `size` are unrolled.

    While compiling, `emit` runs once for each of `sizes`, with `size` a Python integer. The codes stand behind one
    LLVM switch: the function's first argument selects among them at run time. For any other size it does nothing.
    """

    def decorate(emit: Callable[..., None]) -> Any:
        @wraps(emit)
        def emit_switch(builder: ir.IRBuilder, size: ir.Value, *arguments: ir.Value) -> None:
            end = builder.append_basic_block("end")
            switch = builder.switch(size, end)
            for constant_size in sizes:
                case = builder.append_basic_block(f"size.{constant_size}")
                switch.add_case(INTEGER(constant_size), case)
                builder.position_at_end(case)
                emit(builder, constant_size, *arguments)
                builder.branch(end)
            builder.position_at_end(end)

        return procedure(emit_switch)

    return decorate


def vector_of(kind: ir.Type, value: float, like: ir.Value) -> ir.Constant:
    """Vector of a number of type `kind` in every lane, with as many lanes as the vector `like` has."""
    return ir.Constant(ir.VectorType(kind, like.type.count), [value] * like.type.count)


def constant(value: float, lanes: int = LANES) -> ir.Constant:
    """Vector of doubles with the same number in every lane."""
    return ir.Constant(ir.VectorType(DOUBLE, lanes), [value] * lanes)


def index_of(builder: ir.IRBuilder, *terms: Term) -> ir.Value:
    """Sum of products of integers: `(a, b), c` is a * b + c."""
    total = ir.Constant(INTEGER, 0)
    for term in terms:
        factors = term if isinstance(term, tuple) else (term,)
        product, *others = (INTEGER(factor) if isinstance(factor, int) else factor for factor in factors)
        for factor in others:
            product = builder.mul(product, factor)
        total = builder.add(total, product)
    return total


def _vector_pointer(builder: ir.IRBuilder, base: ir.Value, terms: Sequence[Term], lanes: int) -> ir.Value:
    kind = ir.VectorType(DOUBLE, lanes)
    return builder.bitcast(builder.gep(base, [index_of(builder, *terms)]), kind.as_pointer())


def load(builder: ir.IRBuilder, base: ir.Value, *terms: Term, lanes: int = LANES) -> ir.Value:
    """Vector of consecutive doubles, from the element `index_of(*terms)` after `base`."""
    return builder.load(_vector_pointer(builder, base, terms, lanes), align=8)


def store(builder: ir.IRBuilder, vector: ir.Value, base: ir.Value, *terms: Term) -> None:
    """Write a vector to consecutive doubles, from the element `index_of(*terms)` after `base`."""
    builder.store(vector, _vector_pointer(builder, base, terms, vector.type.count), align=8)


def splat(builder: ir.IRBuilder, base: ir.Value, *terms: Term, lanes: int = LANES) -> ir.Value:
    """Vector with one number from memory in every lane."""
    number = builder.load(builder.gep(base, [index_of(builder, *terms)]), align=8)
    undefined = ir.Constant(ir.VectorType(DOUBLE, lanes), ir.Undefined)
    first_lane = builder.insert_element(undefined, number, ir.Constant(LANE, 0))
    return builder.shuffle_vector(first_lane, undefined, ir.Constant(ir.VectorType(LANE, lanes), [0] * lanes))


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """Vector a * b + c, in one instruction if the processor has one."""
    kind, name = ir.FunctionType(a.type, [a.type] * 3), f"llvm.fmuladd.v{a.type.count}f64"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


class Sum:
    """A vector that loops add to; LLVM keeps it in a register."""

    def __init__(self, builder: ir.IRBuilder, start: ir.Value | None = None) -> None:
        start = constant(0.0) if start is None else start
        self.builder = builder
        self.slot = cgutils.alloca_once(builder, start.type)
        self.value = start

    @property
    def value(self) -> ir.Value:
        """The sum so far."""
        return self.builder.load(self.slot)

    @value.setter
    def value(self, value: ir.Value) -> None:
        self.builder.store(value, self.slot)

    def add(self, a: ir.Value, b: ir.Value | None = None) -> None:
        """Add a, or a * b."""
        if b is None:
            self.value = self.builder.fadd(self.value, a)
        else:
            self.value = multiply_add(self.builder, a, b, self.value)


def add_lane_sums(builder: ir.IRBuilder, sums: Sequence[Sum], targets: Sequence[ir.Value]) -> None:
    """Add the sum of each vector's lanes to the number under its target.

    Each round adds the halves of two vectors into one, until every lane holds one vector's sum.
    """
    vectors, width = [s.value for s in sums], LANES
    while width > 1:
        if len(vectors) % 2:
            vectors.append(constant(0.0))
        low_halves = [group + i for group in range(0, 2 * LANES, width) for i in range(width // 2)]
        masks = [ir.Constant(ir.VectorType(LANE, LANES), [i + shift for i in low_halves]) for shift in (0, width // 2)]
        vectors = [
            builder.fadd(*(builder.shuffle_vector(a, b, mask) for mask in masks))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        width //= 2
    for m, target in enumerate(targets):
        number = builder.extract_element(vectors[m // LANES], ir.Constant(LANE, m % LANES))
        builder.store(builder.fadd(builder.load(target, align=8), number), target, align=8)


def _polynomial(builder: ir.IRBuilder, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """Polynomial in x by Horner's scheme; coefficients from the highest power down."""
    p = vector_of(DOUBLE, coefficients[0], x)
    for c in coefficients[1:]:
        p = multiply_add(builder, p, x, vector_of(DOUBLE, c, x))
    return p


def exponential(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """exp(x) for x <= 0; 0 below -500, NaN for NaN."""
    doubles, integers = partial(vector_of, DOUBLE, like=x), partial(vector_of, INTEGER, like=x)
    is_zero = builder.fcmp_ordered("<", x, doubles(_EXP_ZERO))
    x = builder.select(is_zero, doubles(_EXP_ZERO), x)
    shifted = multiply_add(builder, x, doubles(_LOG2_E), doubles(_ROUND_TO_INTEGER))
    n = builder.fsub(shifted, doubles(_ROUND_TO_INTEGER))
    r = multiply_add(builder, n, doubles(-_LN2_HIGH), x)
    r = multiply_add(builder, n, doubles(-_LN2_LOW), r)
    p = _polynomial(builder, r, _EXP_COEFFICIENTS)
    # Adding n to the exponent bits multiplies by 2**n.
    bits = integers(0).type
    power = builder.shl(builder.bitcast(shifted, bits), integers(52))
    scaled = builder.bitcast(builder.add(builder.bitcast(p, bits), power), x.type)
    return builder.select(is_zero, doubles(0.0), scaled)


def logarithm(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """log(x) for normal x >= 1, NaN for NaN."""
    doubles, integers = partial(vector_of, DOUBLE, like=x), partial(vector_of, INTEGER, like=x)
    one, bits = doubles(1.0), builder.bitcast(x, integers(0).type)
    # The exponent, an integer below 2**52, becomes a double through its bits: many processors cannot convert vectors.
    exponent = builder.or_(builder.lshr(bits, integers(52)), integers(_TWO_52_BITS))
    exponent = builder.fsub(builder.bitcast(exponent, x.type), doubles(_TWO_52_AND_BIAS))
    mantissa = builder.or_(builder.and_(bits, integers(0xFFFFFFFFFFFFF)), integers(0x3FF0000000000000))
    mantissa = builder.bitcast(mantissa, x.type)
    is_large = builder.fcmp_ordered(">", mantissa, doubles(1.4142135623730951))
    mantissa = builder.select(is_large, builder.fmul(mantissa, doubles(0.5)), mantissa)
    n = builder.select(is_large, builder.fadd(exponent, one), exponent)
    f = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
    f_squared = builder.fmul(f, f)
    # log m = 2 artanh(f); |f| <= 0.172, so that eleven terms reach 1e-17.
    p = _polynomial(builder, f_squared, [1.0 / odd for odd in range(21, 1, -2)])
    twice_f = builder.fadd(f, f)
    low = multiply_add(builder, builder.fmul(twice_f, f_squared), p, builder.fmul(n, doubles(_LN2_LOW)))
    result = multiply_add(builder, n, doubles(_LN2_HIGH), builder.fadd(twice_f, low))
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)
