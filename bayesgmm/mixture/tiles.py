"""The kernel's inner loops as vector instructions: each works on `LANES` rows at a time, with its sums in registers.

Numba's own loops keep sums in memory between two sweeps over a block and use half of the registers' width on many
machines. These are written in LLVM's own language instead: they hold on any processor, the sums of a tile of
`TILE` x `TILE` entries stay in registers from the first row of a block to the last, and nothing is left to chance.

All take pointers (`at`) into arrays whose rows are whole vectors. Blocks are padded, so that there are no odd rows.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic


def _lanes():
    """Doubles in a register of this machine."""
    features = get_host_cpu_features()
    return 8 if features.get("avx512f") else 4 if features.get("avx") else 2


LANES = _lanes()
TILE = 4
# Rows that are whitened together, and rows whose exponentials are taken together.
STRIP = 4 * LANES
_ABREAST = 4 * LANES

_DOUBLE, _INTEGER, _LANE = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_BYTES = ir.IntType(8).as_pointer()

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # ln 2 split in two so that n * ln 2 is subtracted without rounding
_LN2_LOW = 1.90821492927058770002e-10
_ROUND_TO_INTEGER = 6755399441055744.0  # 1.5 * 2**52: adding it leaves round(x) in the low bits
# Below exp(-500) a responsibility is nothing beside 1; as 0 it keeps products out of the denormal numbers, which are
# computed a hundred times slower.
_EXP_ZERO = -500.0
_TWO_52_BITS = 0x4330000000000000  # the bits of 2.0**52
_TWO_52_AND_BIAS = 4503599627371519.0  # 2**52 and the exponent's bias, 1023
# Below any log density that a double can tell from -inf, yet finite: r stays defined in every row.
_LOG_ZERO = -1e300
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


def _procedure(emit: Callable[..., None]) -> Any:
    """`emit(builder, *arguments)` as a function without result that compiled code can call."""

    def procedure(typingctx, *arguments):
        def codegen(context, builder, signature, values):
            emit(builder, *values)
            return context.get_dummy_value()

        return types.void(*(a if isinstance(a, types.CPointer) else types.intp for a in arguments)), codegen

    # Numba wants to know how many arguments there are.
    vars(procedure)["__signature__"] = inspect.signature(emit)
    return intrinsic(procedure)


def _vector_of(kind, value, like):
    return ir.Constant(ir.VectorType(kind, like.type.count), [value] * like.type.count)


def _constant(value, lanes=LANES):
    return ir.Constant(ir.VectorType(_DOUBLE, lanes), [value] * lanes)


def _index(builder, *terms):
    """Sum of products of integers: `(a, b), c` is a * b + c."""
    total = ir.Constant(_INTEGER, 0)
    for term in terms:
        a, *rest = (_INTEGER(f) if isinstance(f, int) else f for f in (term if isinstance(term, tuple) else (term,)))
        for b in rest:
            a = builder.mul(a, b)
        total = builder.add(total, a)
    return total


def _vector_at(builder, pointer, terms, lanes):
    kind = ir.VectorType(_DOUBLE, lanes)
    return builder.bitcast(builder.gep(pointer, [_index(builder, *terms)]), kind.as_pointer())


def _load(builder, pointer, *terms, lanes=LANES):
    return builder.load(_vector_at(builder, pointer, terms, lanes), align=8)


def _store(builder, value, pointer, *terms):
    builder.store(value, _vector_at(builder, pointer, terms, value.type.count), align=8)


def _splat(builder, pointer, *terms, lanes=LANES):
    """One number in every lane."""
    number = builder.load(builder.gep(pointer, [_index(builder, *terms)]), align=8)
    nothing = ir.Constant(ir.VectorType(_DOUBLE, lanes), ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(_LANE, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_LANE, lanes), [0] * lanes))


def _multiply_add(builder, a, b, c):
    """a * b + c, in one instruction where there is one."""
    kind, name = ir.FunctionType(a.type, [a.type] * 3), f"llvm.fmuladd.v{a.type.count}f64"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


class _Sum:
    """A vector that loops add to; LLVM keeps it in a register."""

    def __init__(self, builder, start=None):
        start = _constant(0.0) if start is None else start
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
            self.value = _multiply_add(self.builder, a, b, self.value)


def _add_sums_of_lanes(builder, sums, targets):
    """Add the sum of each vector's lanes to the number under its target, by halving pairs of vectors together."""
    vectors, width = [s.value for s in sums], LANES
    while width > 1:
        if len(vectors) % 2:
            vectors.append(_constant(0.0))
        low = [group + i for group in range(0, 2 * LANES, width) for i in range(width // 2)]
        masks = [ir.Constant(ir.VectorType(_LANE, LANES), [i + shift for i in low]) for shift in (0, width // 2)]
        vectors = [
            builder.fadd(*(builder.shuffle_vector(a, b, mask) for mask in masks))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        width //= 2
    for m, target in enumerate(targets):
        number = builder.extract_element(vectors[m // LANES], ir.Constant(_LANE, m % LANES))
        builder.store(builder.fadd(builder.load(target, align=8), number), target, align=8)


@intrinsic
def prefetch(typingctx, X, row, column):
    """Have the cache line of X[row, 0] or, in rows one after the other, of `column` entries later brought up.

    Nothing happens where there is no such row.
    """

    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        row_stride = cgutils.unpack_tuple(builder, array.strides)[0]
        offset = _index(builder, (arguments[1], row_stride), (arguments[2], array.itemsize))
        address = builder.inttoptr(builder.add(builder.ptrtoint(array.data, _INTEGER), offset), _BYTES)
        kind = ir.FunctionType(ir.VoidType(), [_BYTES, _LANE, _LANE, _LANE])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, _LANE(0), _LANE(3), _LANE(1)])  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp), codegen


@intrinsic
def gather(typingctx, X, row, column, origin, x):
    """x (LANES,) = entries of one column of X from a row on, as doubles, less the origin's."""

    def codegen(context, builder, signature, arguments):
        (kind, *_), (X, row, column, origin, x) = signature.args, arguments
        array = context.make_array(kind)(context, builder, X)
        row_stride, column_stride = cgutils.unpack_tuple(builder, array.strides)
        element = array.data.type
        start = builder.add(builder.ptrtoint(array.data, _INTEGER), _index(builder, (column, column_stride)))
        values = ir.Constant(ir.VectorType(element.pointee, LANES), ir.Undefined)
        for lane in range(LANES):
            address = builder.add(start, builder.mul(builder.add(row, _INTEGER(lane)), row_stride))
            number = builder.load(builder.inttoptr(address, element), align=1)
            values = builder.insert_element(values, number, ir.Constant(_LANE, lane))
        if kind.dtype != types.float64:
            values = builder.fpext(values, ir.VectorType(_DOUBLE, LANES))
        _store(builder, builder.fsub(values, _splat(builder, origin, column)), x)
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp, types.CPointer(types.float64), x), codegen


def _whiten(rows):
    @_procedure
    def whiten(builder, x, mean, whitener, D, i, difference, y, stride, squares):
        """Rows i, i + 1, ... of y = whitener (x - mean) for a strip; adds y^2 to squares, which rows from 0 on begin.

        All but the last rows leave x - mean in `difference` (D, STRIP), where later ones find it.
        """
        strip = range(0, STRIP, LANES)
        sums = [[_Sum(builder) for _ in strip] for _ in range(rows)]

        def column(values, j, first):
            for r in range(first, rows):
                factor = _splat(builder, whitener, (r, D), j)
                for s, value in zip(sums[r], values, strict=True):
                    s.add(factor, value)

        with cgutils.for_range(builder, i) as loop:
            column([_load(builder, difference, (loop.index, STRIP), b) for b in strip], loop.index, 0)
        more_rows = builder.icmp_signed("<", _index(builder, i, rows), D)
        for r in range(rows):  # the whitener is 0 above its diagonal
            mu, at_r = _splat(builder, mean, r), _index(builder, i, r)
            values = [builder.fsub(_load(builder, x, (r, stride), b), mu) for b in strip]
            column(values, at_r, r)
            with builder.if_then(more_rows):
                for b, value in zip(strip, values, strict=True):
                    _store(builder, value, difference, (at_r, STRIP), b)
        is_first = builder.icmp_signed("==", i, _INTEGER(0))
        for v, b in enumerate(strip):
            square = builder.select(is_first, _constant(0.0), _load(builder, squares, b))
            for r in range(rows):
                value = sums[r][v].value
                _store(builder, value, y, (r, stride), b)
                square = _multiply_add(builder, value, value, square)
            _store(builder, square, squares, b)

    return whiten


whiten_1, whiten_2, whiten_3, whiten_4 = (_whiten(rows) for rows in range(1, TILE + 1))


def _scatter_triangle(rows):
    @_procedure
    def triangle(builder, r, y, stride, n_vectors, weighted, first, second, D):
        """weighted = r y for some rows of y; adds sum r y to first and the lower triangle of sum r y y' to second."""
        totals = [_Sum(builder) for _ in range(rows)]
        pairs = [(i, j, _Sum(builder)) for i in range(rows) for j in range(i + 1)]
        with cgutils.for_range(builder, n_vectors) as loop:
            b = builder.mul(loop.index, _INTEGER(LANES))
            share = _load(builder, r, b)
            values = [_load(builder, y, (i, stride), b) for i in range(rows)]
            products = [builder.fmul(share, value) for value in values]
            for i, (product, total) in enumerate(zip(products, totals, strict=True)):
                _store(builder, product, weighted, (i, stride), b)
                total.add(product)
            for i, j, s in pairs:
                s.add(products[i], values[j])
        _add_sums_of_lanes(
            builder,
            [*totals, *(s for *_, s in pairs)],
            [
                *(builder.gep(first, [_INTEGER(i)]) for i in range(rows)),
                *(builder.gep(second, [_index(builder, (i, D), j)]) for i, j, _ in pairs),
            ],
        )

    return triangle


triangle_1, triangle_2, triangle_3, triangle_4 = (_scatter_triangle(rows) for rows in range(1, TILE + 1))


def _scatter_rectangle(columns):
    @_procedure
    def rectangle(builder, weighted, y, stride, n_vectors, second, D):
        """Adds sum weighted y' to second: TILE rows of weighted, some rows of y."""
        pairs = [(i, j, _Sum(builder)) for i in range(TILE) for j in range(columns)]
        with cgutils.for_range(builder, n_vectors) as loop:
            b = builder.mul(loop.index, _INTEGER(LANES))
            left = [_load(builder, weighted, (i, stride), b) for i in range(TILE)]
            right = [_load(builder, y, (j, stride), b) for j in range(columns)]
            for i, j, s in pairs:
                s.add(left[i], right[j])
        _add_sums_of_lanes(
            builder,
            [s for *_, s in pairs],
            [builder.gep(second, [_index(builder, (i, D), j)]) for i, j, _ in pairs],
        )

    return rectangle


rectangle_1, rectangle_2, rectangle_3, rectangle_4 = (_scatter_rectangle(columns) for columns in range(1, TILE + 1))


@_procedure
def whiten_diagonal(builder, x, stride, means, whitener, D, squares):
    """squares = sum over features of y^2 for a strip of rows, y = (x - mean) / standard deviation."""
    sums = [_Sum(builder) for _ in range(0, STRIP, LANES)]
    with cgutils.for_range(builder, D) as loop:
        mean = _splat(builder, means, loop.index)
        factor = _splat(builder, whitener, (loop.index, D), loop.index)
        for s, b in zip(sums, range(0, STRIP, LANES), strict=True):
            value = builder.fmul(builder.fsub(_load(builder, x, (loop.index, stride), b), mean), factor)
            s.add(value, value)
    for s, b in zip(sums, range(0, STRIP, LANES), strict=True):
        _store(builder, s.value, squares, b)


def _scatter_diagonal(features):
    @_procedure
    def scatter_diagonal(builder, r, x, stride, n_vectors, mean, factor, first, second, D):
        """Adds sum r y to first and sum r y^2 to second, for some features from x on, y = (x - mean) factor."""
        means = [_splat(builder, mean, i) for i in range(features)]
        factors = [_splat(builder, factor, (i, D), i) for i in range(features)]
        firsts, seconds = ([_Sum(builder) for _ in range(features)] for _ in range(2))
        with cgutils.for_range(builder, n_vectors) as loop:
            b = builder.mul(loop.index, _INTEGER(LANES))
            share = _load(builder, r, b)
            for i in range(features):
                value = builder.fmul(builder.fsub(_load(builder, x, (i, stride), b), means[i]), factors[i])
                product = builder.fmul(share, value)
                firsts[i].add(product)
                seconds[i].add(product, value)
        _add_sums_of_lanes(
            builder,
            [*firsts, *seconds],
            [
                *(builder.gep(first, [_INTEGER(i)]) for i in range(features)),
                *(builder.gep(second, [_index(builder, (i, D), i)]) for i in range(features)),
            ],
        )

    return scatter_diagonal


scatter_diagonal_1, scatter_diagonal_4 = _scatter_diagonal(1), _scatter_diagonal(TILE)


def _polynomial(builder, x, coefficients):
    """Horner's scheme, highest power first."""
    p = _vector_of(_DOUBLE, coefficients[0], x)
    for c in coefficients[1:]:
        p = _multiply_add(builder, p, x, _vector_of(_DOUBLE, c, x))
    return p


def exponential(builder, x):
    """exp(x) for x <= 0; 0 below -500, NaN for NaN."""
    doubles, integers = partial(_vector_of, _DOUBLE, like=x), partial(_vector_of, _INTEGER, like=x)
    below = builder.fcmp_ordered("<", x, doubles(_EXP_ZERO))
    x = builder.select(below, doubles(_EXP_ZERO), x)
    shifted = _multiply_add(builder, x, doubles(_LOG2_E), doubles(_ROUND_TO_INTEGER))
    n = builder.fsub(shifted, doubles(_ROUND_TO_INTEGER))
    r = _multiply_add(builder, n, doubles(-_LN2_HIGH), x)
    r = _multiply_add(builder, n, doubles(-_LN2_LOW), r)
    p = _polynomial(builder, r, _EXP_COEFFICIENTS)
    # Adding n to the exponent bits multiplies by 2**n.
    bits = integers(0).type
    power = builder.shl(builder.bitcast(shifted, bits), integers(52))
    scaled = builder.bitcast(builder.add(builder.bitcast(p, bits), power), x.type)
    return builder.select(below, doubles(0.0), scaled)


def logarithm(builder, x):
    """log(x) for normal x >= 1, NaN for NaN."""
    doubles, integers = partial(_vector_of, _DOUBLE, like=x), partial(_vector_of, _INTEGER, like=x)
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
    low = _multiply_add(builder, builder.fmul(twice, s), p, builder.fmul(n, doubles(_LN2_LOW)))
    result = _multiply_add(builder, n, doubles(_LN2_HIGH), builder.fadd(twice, low))
    return builder.select(builder.fcmp_unordered("uno", x, x), x, result)


@_procedure
def normalise(builder, joint, stride, n_rows, log_scales, K, log_density):
    """Turn squared distances (K, rows) into responsibilities, in place; fill log_density (rows,)."""
    # exp is one long chain of dependent instructions: several vectors side by side keep the processor busy.
    load, constant = partial(_load, lanes=_ABREAST), partial(_constant, lanes=_ABREAST)
    n_steps = builder.sdiv(builder.add(n_rows, _INTEGER(_ABREAST - 1)), _INTEGER(_ABREAST))
    with cgutils.for_range(builder, n_steps) as rows:
        b = builder.mul(rows.index, _INTEGER(_ABREAST))
        zero = constant(_LOG_ZERO)
        largest, total = _Sum(builder, zero), _Sum(builder, constant(0.0))
        with cgutils.for_range(builder, K) as loop:
            scale = _splat(builder, log_scales, loop.index, lanes=_ABREAST)
            value = _multiply_add(builder, load(builder, joint, (loop.index, stride), b), constant(-0.5), scale)
            value = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
            _store(builder, value, joint, (loop.index, stride), b)
            largest.value = builder.select(builder.fcmp_ordered(">", value, largest.value), value, largest.value)
        with cgutils.for_range(builder, K) as loop:
            value = builder.fsub(load(builder, joint, (loop.index, stride), b), largest.value)
            share = exponential(builder, value)
            _store(builder, share, joint, (loop.index, stride), b)
            total.add(share)
        _store(builder, builder.fadd(largest.value, logarithm(builder, total.value)), log_density, b)
        inverse = builder.fdiv(constant(1.0), total.value)
        with cgutils.for_range(builder, K) as loop:
            share = builder.fmul(load(builder, joint, (loop.index, stride), b), inverse)
            _store(builder, share, joint, (loop.index, stride), b)
