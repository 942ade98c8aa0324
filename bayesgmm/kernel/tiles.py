"""The kernel's inner loops as vector instructions: each works on `LANES` rows at a time, with its sums in registers.

Numba's own loops keep sums in memory between two sweeps over a block and use half of the registers' width on many
machines. These are written in LLVM's own language instead: they hold on any processor, the sums of a tile of
`TILE` x `TILE` entries stay in registers from the first row of a block to the last, and nothing is left to chance.

All take pointers (`at`) into arrays whose rows are whole vectors. Blocks are padded, so that there are no odd rows.
"""

from contextlib import contextmanager
from functools import partial, reduce

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from bayesgmm.kernel.simd import (
    BYTES,
    DOUBLE,
    INTEGER,
    LANE,
    LANES,
    Sum,
    add_sums_of_lanes,
    constant,
    exponential,
    index_of,
    load,
    logarithm,
    multiply_add,
    procedure,
    splat,
    store,
)

# Rows of a tile, and of the first tile where one would be left over.
TILE, WIDEST = 4, 5
# Rows that are whitened together, and whose exponentials and logarithms are taken together.
STRIP = 4 * LANES
# Below any log density that a double can tell from -inf, yet finite: r stays defined in every row.
_LOG_ZERO = -1e300


@intrinsic
def prefetch(typingctx, X, row, column):
    """Have the cache line of X[row, 0] or, in rows one after the other, of `column` entries later brought up.

    Nothing happens where there is no such row.
    """

    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        row_stride = cgutils.unpack_tuple(builder, array.strides)[0]
        offset = index_of(builder, (arguments[1], row_stride), (arguments[2], array.itemsize))
        address = builder.inttoptr(builder.add(builder.ptrtoint(array.data, INTEGER), offset), BYTES)
        kind = ir.FunctionType(ir.VoidType(), [BYTES, LANE, LANE, LANE])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, LANE(0), LANE(3), LANE(1)])  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp), codegen


@intrinsic
def gather(typingctx, X, row, column, origin, x):
    """X (LANES,) = entries of one column of X from a row on, as doubles, less the origin's."""

    def codegen(context, builder, signature, arguments):
        (kind, *_), (X, row, column, origin, x) = signature.args, arguments
        array = context.make_array(kind)(context, builder, X)
        row_stride, column_stride = cgutils.unpack_tuple(builder, array.strides)
        element = array.data.type
        start = builder.add(builder.ptrtoint(array.data, INTEGER), index_of(builder, (column, column_stride)))
        values = ir.Constant(ir.VectorType(element.pointee, LANES), ir.Undefined)
        for lane in range(LANES):
            address = builder.add(start, builder.mul(builder.add(row, INTEGER(lane)), row_stride))
            number = builder.load(builder.inttoptr(address, element), align=1)
            values = builder.insert_element(values, number, ir.Constant(LANE, lane))
        if kind.dtype != types.float64:
            values = builder.fpext(values, ir.VectorType(DOUBLE, LANES))
        store(builder, builder.fsub(values, splat(builder, origin, column)), x)
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp, types.CPointer(types.float64), x), codegen


def _whiten(rows):
    @procedure
    def whiten(builder, x, mean, whitener, D, i, difference, y, stride, squares):
        """Rows i, i + 1, ... of y = whitener (x - mean) for a strip; adds y^2 to squares, which rows from 0 on begin.

        All but the last rows leave x - mean in `difference` (D, STRIP), where later ones find it.
        """
        strip = range(0, STRIP, LANES)
        sums = [[Sum(builder) for _ in strip] for _ in range(rows)]

        def column(values, j, first):
            for r in range(first, rows):
                factor = splat(builder, whitener, (r, D), j)
                for s, value in zip(sums[r], values, strict=True):
                    s.add(factor, value)

        with cgutils.for_range(builder, i) as loop:
            column([load(builder, difference, (loop.index, STRIP), b) for b in strip], loop.index, 0)

        def differences(r):
            mu = splat(builder, mean, r)
            return [builder.fsub(load(builder, x, (r, stride), b), mu) for b in strip]

        for r in range(rows):  # the whitener is 0 above its diagonal
            column(differences(r), index_of(builder, i, r), r)
        is_first = builder.icmp_signed("==", i, INTEGER(0))
        for v, b in enumerate(strip):
            square = builder.select(is_first, constant(0.0), load(builder, squares, b))
            for r in range(rows):
                value = sums[r][v].value
                store(builder, value, y, (r, stride), b)
                square = multiply_add(builder, value, value, square)
            store(builder, square, squares, b)
        with builder.if_then(builder.icmp_signed("<", index_of(builder, i, rows), D)):
            for r in range(rows):  # a second time, as a branch between the columns would cost registers
                for b, value in zip(strip, differences(r), strict=True):
                    store(builder, value, difference, (index_of(builder, i, r), STRIP), b)

    return whiten


whiten_1, whiten_2, whiten_3, whiten_4, whiten_5 = (_whiten(rows) for rows in range(1, WIDEST + 1))


def _scatter_triangle(rows):
    @procedure
    def triangle(builder, r, y, stride, n_vectors, weighted, first, second, D):
        """Weighted = r y for some rows of y; adds sum r y to first and the lower triangle of sum r y y' to second."""
        totals = [Sum(builder) for _ in range(rows)]
        pairs = [(i, j, Sum(builder)) for i in range(rows) for j in range(i + 1)]
        with cgutils.for_range(builder, n_vectors) as loop:
            b = builder.mul(loop.index, INTEGER(LANES))
            share = load(builder, r, b)
            values = [load(builder, y, (i, stride), b) for i in range(rows)]
            products = [builder.fmul(share, value) for value in values]
            for i, (product, total) in enumerate(zip(products, totals, strict=True)):
                store(builder, product, weighted, (i, stride), b)
                total.add(product)
            for i, j, s in pairs:
                s.add(products[i], values[j])
        add_sums_of_lanes(
            builder,
            [*totals, *(s for *_, s in pairs)],
            [
                *(builder.gep(first, [INTEGER(i)]) for i in range(rows)),
                *(builder.gep(second, [index_of(builder, (i, D), j)]) for i, j, _ in pairs),
            ],
        )

    return triangle


triangle_1, triangle_2, triangle_3, triangle_4, triangle_5 = (_scatter_triangle(rows) for rows in range(1, WIDEST + 1))


def _scatter_rectangle(columns):
    @procedure
    def rectangle(builder, weighted, y, stride, n_vectors, second, D):
        """Adds sum weighted y' to second: TILE rows of weighted, some rows of y."""
        pairs = [(i, j, Sum(builder)) for i in range(TILE) for j in range(columns)]
        with cgutils.for_range(builder, n_vectors) as loop:
            b = builder.mul(loop.index, INTEGER(LANES))
            left = [load(builder, weighted, (i, stride), b) for i in range(TILE)]
            right = [load(builder, y, (j, stride), b) for j in range(columns)]
            for i, j, s in pairs:
                s.add(left[i], right[j])
        add_sums_of_lanes(
            builder,
            [s for *_, s in pairs],
            [builder.gep(second, [index_of(builder, (i, D), j)]) for i, j, _ in pairs],
        )

    return rectangle


rectangle_2, rectangle_3, rectangle_4, rectangle_5 = (_scatter_rectangle(columns) for columns in range(2, WIDEST + 1))


@procedure
def whiten_diagonal(builder, x, stride, means, whitener, D, squares):
    """Squares = sum over features of y^2 for a strip of rows, y = (x - mean) / standard deviation."""
    sums = [Sum(builder) for _ in range(0, STRIP, LANES)]
    with cgutils.for_range(builder, D) as loop:
        mean = splat(builder, means, loop.index)
        factor = splat(builder, whitener, (loop.index, D), loop.index)
        for s, b in zip(sums, range(0, STRIP, LANES), strict=True):
            value = builder.fmul(builder.fsub(load(builder, x, (loop.index, stride), b), mean), factor)
            s.add(value, value)
    for s, b in zip(sums, range(0, STRIP, LANES), strict=True):
        store(builder, s.value, squares, b)


def _scatter_diagonal(features):
    @procedure
    def scatter_diagonal(builder, r, x, stride, n_vectors, mean, factor, first, second, D):
        """Adds sum r y to first and sum r y^2 to second, for some features from x on, y = (x - mean) factor."""
        means = [splat(builder, mean, i) for i in range(features)]
        factors = [splat(builder, factor, (i, D), i) for i in range(features)]
        firsts, seconds = ([Sum(builder) for _ in range(features)] for _ in range(2))
        with cgutils.for_range(builder, n_vectors) as loop:
            b = builder.mul(loop.index, INTEGER(LANES))
            share = load(builder, r, b)
            for i in range(features):
                value = builder.fmul(builder.fsub(load(builder, x, (i, stride), b), means[i]), factors[i])
                product = builder.fmul(share, value)
                firsts[i].add(product)
                seconds[i].add(product, value)
        add_sums_of_lanes(
            builder,
            [*firsts, *seconds],
            [
                *(builder.gep(first, [INTEGER(i)]) for i in range(features)),
                *(builder.gep(second, [index_of(builder, (i, D), i)]) for i in range(features)),
            ],
        )

    return scatter_diagonal


scatter_diagonal_1, scatter_diagonal_4 = _scatter_diagonal(1), _scatter_diagonal(TILE)


@procedure
def exponentiate(builder, joint, stride, n_rows, log_scales, K, largest, total):
    """Turn squared distances (K, rows) into joint densities over the largest of their row, in place.

    largest (rows,): its logarithm; total (rows,): the sum of what is left in `joint`, from 1 to K.
    """
    # exp is one long chain of dependent instructions: several vectors side by side keep the processor busy.
    read, whole = partial(load, lanes=STRIP), partial(constant, lanes=STRIP)
    with _strips(builder, n_rows) as b:
        zero = whole(_LOG_ZERO)
        most, sum_ = Sum(builder, zero), Sum(builder, whole(0.0))
        with cgutils.for_range(builder, K) as loop:
            scale = splat(builder, log_scales, loop.index, lanes=STRIP)
            value = multiply_add(builder, read(builder, joint, (loop.index, stride), b), whole(-0.5), scale)
            value = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
            store(builder, value, joint, (loop.index, stride), b)
            most.value = builder.select(builder.fcmp_ordered(">", value, most.value), value, most.value)
        with cgutils.for_range(builder, K) as loop:
            value = builder.fsub(read(builder, joint, (loop.index, stride), b), most.value)
            share = exponential(builder, value)
            store(builder, share, joint, (loop.index, stride), b)
            sum_.add(share)
        store(builder, most.value, largest, b)
        store(builder, sum_.value, total, b)


@procedure
def divide(builder, joint, stride, n_rows, K, total):
    """Divide the rows of `joint` (K, rows) by total (rows,): responsibilities."""
    read = partial(load, lanes=STRIP)
    with _strips(builder, n_rows) as b:
        inverse = builder.fdiv(constant(1.0, STRIP), read(builder, total, b))
        with cgutils.for_range(builder, K) as loop:
            share = builder.fmul(read(builder, joint, (loop.index, stride), b), inverse)
            store(builder, share, joint, (loop.index, stride), b)


@procedure
def add_logarithms(builder, total, n_rows, log_density):
    """Add log(total) to log_density, row by row."""
    read = partial(load, lanes=STRIP)
    with _strips(builder, n_rows) as b:
        log_total = logarithm(builder, read(builder, total, b))
        store(builder, builder.fadd(read(builder, log_density, b), log_total), log_density, b)


@procedure
def sum_log_densities(builder, largest, total, n_rows, target):
    """Add sum(largest + log(total)) to the number under target, over whole strips of at most 256 rows.

    Totals are multiplied before their logarithm is taken: 32 in a lane at most, no more than K^32.
    """
    read, whole = partial(load, lanes=STRIP), partial(constant, lanes=STRIP)
    sum_, product = Sum(builder, whole(0.0)), Sum(builder, whole(1.0))
    with _strips(builder, n_rows) as b:
        sum_.add(read(builder, largest, b))
        product.value = builder.fmul(product.value, read(builder, total, b))
    sum_.add(logarithm(builder, product.value))
    lanes = [ir.Constant(ir.VectorType(LANE, LANES), list(range(b, b + LANES))) for b in range(0, STRIP, LANES)]
    vectors = [builder.shuffle_vector(sum_.value, sum_.value, mask) for mask in lanes]
    add_sums_of_lanes(builder, [Sum(builder, reduce(builder.fadd, vectors))], [target])


@contextmanager
def _strips(builder, n_rows):
    """A loop over the first row of every strip."""
    n_steps = builder.sdiv(builder.add(n_rows, INTEGER(STRIP - 1)), INTEGER(STRIP))
    with cgutils.for_range(builder, n_steps) as rows:
        yield builder.mul(rows.index, INTEGER(STRIP))
