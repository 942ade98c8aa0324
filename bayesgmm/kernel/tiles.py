"""The kernel's inner loops as vector instructions: each handles `LANES` rows at a time and keeps its sums in registers.

Written as LLVM IR because Numba's auto-vectoriser spills the sums to memory and uses half the register width on many
CPUs. Here the sums of a tile of `TILE` x `TILE` entries stay in registers from the first row of a block to the last.

The functions take pointers (`simd.pointer`) into arrays whose rows begin at whole vectors. Blocks are padded to whole
strips, so no loop has a remainder. docs/kernel.md shows the layout; docs/decisions/0001 says why it is LLVM IR.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any

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
    add_lane_sums,
    constant,
    exponential,
    index_of,
    load,
    logarithm,
    multiply_add,
    procedure,
    sized_procedure,
    splat,
    store,
)

# Rows of a matrix per tile. The first tile has WIDEST rows if D % TILE == 1, so that no tile of one row follows.
TILE, WIDEST = 4, 5
# Data rows per strip: whitened together, and their exponentials and logarithms taken together.
STRIP = 4 * LANES
# Stands for log 0: lower than any log density of finite data, yet finite, so that responsibilities are never NaN.
_LOG_ZERO = -1e300


@intrinsic
def prefetch(typingctx: Any, X: types.Array, row: types.Integer, column: types.Integer) -> Any:
    """Fetch into the nearest cache the line that is `column` entries after X[row, 0] in memory.

    In C order it holds X[row, column]. Any address is allowed: one outside of X has no effect.
    """

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]) -> ir.Value:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        row_stride = cgutils.unpack_tuple(builder, array.strides)[0]
        offset = index_of(builder, (arguments[1], row_stride), (arguments[2], array.itemsize))
        address = builder.inttoptr(builder.add(builder.ptrtoint(array.data, INTEGER), offset), BYTES)
        kind = ir.FunctionType(ir.VoidType(), [BYTES, LANE, LANE, LANE])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, LANE(0), LANE(3), LANE(1)])  # for reading, nearest cache, data
        return context.get_dummy_value()

    return types.void(X, types.intp, types.intp), codegen


@intrinsic
def gather(
    typingctx: Any,
    X: types.Array,
    row: types.Integer,
    column: types.Integer,
    origin: types.CPointer,
    x: types.CPointer,
) -> Any:
    """Copy `LANES` entries of a column of X, from `row` on, minus the origin's entry into x as doubles."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Sequence[ir.Value]) -> ir.Value:
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


@sized_procedure(*range(1, WIDEST + 1))
def whiten(
    builder: ir.IRBuilder,
    rows: int,
    x: ir.Value,
    mean: ir.Value,
    whitener: ir.Value,
    D: ir.Value,
    i: ir.Value,
    difference: ir.Value,
    y: ir.Value,
    stride: ir.Value,
    squares: ir.Value,
) -> None:
    """Write rows i to i + rows - 1 of y = whitener (x - mean) for a strip of data rows; add their y^2 to squares.

    `x`, `mean`, `whitener` and `y` point to row i. The tile with i = 0 overwrites squares (STRIP,), later ones add.
    Every tile but the last leaves its rows of x - mean in `difference` (D, STRIP), where the later tiles read them.
    """
    if rows != TILE:
        i = INTEGER(0)  # only the first tile has another height: its code needs no loop over earlier rows
    strip = range(0, STRIP, LANES)
    sums = [[Sum(builder) for _ in strip] for _ in range(rows)]

    def add_column(values: list[ir.Value], j: ir.Value, first_row: int) -> None:
        for r in range(first_row, rows):
            factor = splat(builder, whitener, (r, D), j)
            for s, value in zip(sums[r], values, strict=True):
                s.add(factor, value)

    def differences(r: int) -> list[ir.Value]:
        mu = splat(builder, mean, r)
        return [builder.fsub(load(builder, x, (r, stride), b), mu) for b in strip]

    with cgutils.for_range(builder, i) as loop:
        add_column([load(builder, difference, (loop.index, STRIP), b) for b in strip], loop.index, 0)
    for r in range(rows):  # the whitener is 0 above its diagonal
        add_column(differences(r), index_of(builder, i, r), r)
    is_first = builder.icmp_signed("==", i, INTEGER(0))
    for v, b in enumerate(strip):
        square = builder.select(is_first, constant(0.0), load(builder, squares, b))
        for r in range(rows):
            value = sums[r][v].value
            store(builder, value, y, (r, stride), b)
            square = multiply_add(builder, value, value, square)
        store(builder, square, squares, b)
    with builder.if_then(builder.icmp_signed("<", index_of(builder, i, rows), D)):
        for r in range(rows):  # computed a second time: a branch between the columns would cost registers
            for b, value in zip(strip, differences(r), strict=True):
                store(builder, value, difference, (index_of(builder, i, r), STRIP), b)


@sized_procedure(*range(1, WIDEST + 1))
def add_scatter_triangle(
    builder: ir.IRBuilder,
    rows: int,
    r: ir.Value,
    y: ir.Value,
    stride: ir.Value,
    n_vectors: ir.Value,
    weighted: ir.Value,
    first: ir.Value,
    second: ir.Value,
    D: ir.Value,
) -> None:
    """Add sum r y to first and the lower triangle of sum r y y' to second, for the tile of `rows` rows of y.

    Leaves r y in `weighted` (rows, block) for `add_scatter_rectangle`.
    """
    totals = [Sum(builder) for _ in range(rows)]
    pairs = [(i, j, Sum(builder)) for i in range(rows) for j in range(i + 1)]
    with cgutils.for_range(builder, n_vectors) as loop:
        b = builder.mul(loop.index, INTEGER(LANES))
        responsibility = load(builder, r, b)
        values = [load(builder, y, (i, stride), b) for i in range(rows)]
        products = [builder.fmul(responsibility, value) for value in values]
        for i, (product, total) in enumerate(zip(products, totals, strict=True)):
            store(builder, product, weighted, (i, stride), b)
            total.add(product)
        for i, j, s in pairs:
            s.add(products[i], values[j])
    add_lane_sums(
        builder,
        [*totals, *(s for *_, s in pairs)],
        [
            *(builder.gep(first, [INTEGER(i)]) for i in range(rows)),
            *(builder.gep(second, [index_of(builder, (i, D), j)]) for i, j, _ in pairs),
        ],
    )


@sized_procedure(*range(2, WIDEST + 1))
def add_scatter_rectangle(
    builder: ir.IRBuilder,
    columns: int,
    weighted: ir.Value,
    y: ir.Value,
    stride: ir.Value,
    n_vectors: ir.Value,
    second: ir.Value,
    D: ir.Value,
) -> None:
    """Add sum weighted y' to second: the `TILE` rows of weighted = r y times an earlier tile of `columns` rows of y."""
    pairs = [(i, j, Sum(builder)) for i in range(TILE) for j in range(columns)]
    with cgutils.for_range(builder, n_vectors) as loop:
        b = builder.mul(loop.index, INTEGER(LANES))
        products = [load(builder, weighted, (i, stride), b) for i in range(TILE)]
        values = [load(builder, y, (j, stride), b) for j in range(columns)]
        for i, j, s in pairs:
            s.add(products[i], values[j])
    add_lane_sums(
        builder,
        [s for *_, s in pairs],
        [builder.gep(second, [index_of(builder, (i, D), j)]) for i, j, _ in pairs],
    )


@procedure
def whiten_diagonal(
    builder: ir.IRBuilder,
    x: ir.Value,
    stride: ir.Value,
    mean: ir.Value,
    whitener: ir.Value,
    D: ir.Value,
    squares: ir.Value,
) -> None:
    """Write the sum over the features of y^2, y = (x - mean) / sd, to squares (STRIP,) for a strip of data rows."""
    strip = range(0, STRIP, LANES)
    sums = [Sum(builder) for _ in strip]
    with cgutils.for_range(builder, D) as loop:
        mu = splat(builder, mean, loop.index)
        factor = splat(builder, whitener, (loop.index, D), loop.index)
        for s, b in zip(sums, strip, strict=True):
            value = builder.fmul(builder.fsub(load(builder, x, (loop.index, stride), b), mu), factor)
            s.add(value, value)
    for s, b in zip(sums, strip, strict=True):
        store(builder, s.value, squares, b)


@sized_procedure(1, TILE)
def add_scatter_diagonal(
    builder: ir.IRBuilder,
    features: int,
    r: ir.Value,
    x: ir.Value,
    stride: ir.Value,
    n_vectors: ir.Value,
    mean: ir.Value,
    factor: ir.Value,
    first: ir.Value,
    second: ir.Value,
    D: ir.Value,
) -> None:
    """Add sum r y to first and sum r y^2 to the diagonal of second, for `features` features from x on.

    y = (x - mean) factor, with the factors on the diagonal of a matrix (D, D) from `factor` on.
    """
    means = [splat(builder, mean, i) for i in range(features)]
    factors = [splat(builder, factor, (i, D), i) for i in range(features)]
    firsts, seconds = ([Sum(builder) for _ in range(features)] for _ in range(2))
    with cgutils.for_range(builder, n_vectors) as loop:
        b = builder.mul(loop.index, INTEGER(LANES))
        responsibility = load(builder, r, b)
        for i in range(features):
            value = builder.fmul(builder.fsub(load(builder, x, (i, stride), b), means[i]), factors[i])
            product = builder.fmul(responsibility, value)
            firsts[i].add(product)
            seconds[i].add(product, value)
    add_lane_sums(
        builder,
        [*firsts, *seconds],
        [
            *(builder.gep(first, [INTEGER(i)]) for i in range(features)),
            *(builder.gep(second, [index_of(builder, (i, D), i)]) for i in range(features)),
        ],
    )


@procedure
def exponentiate(
    builder: ir.IRBuilder,
    joint: ir.Value,
    stride: ir.Value,
    n_rows: ir.Value,
    log_scales: ir.Value,
    K: ir.Value,
    largest: ir.Value,
    total: ir.Value,
) -> None:
    """Replace squared distances in `joint` (K, rows) by joint densities relative to the largest of their row.

    largest (rows,): logarithm of the row's largest joint density; total (rows,): the row's sum over `joint`, from 1
    to K.
    """
    # exp is one long chain of dependent instructions: several vectors side by side keep the processor busy.
    read, whole = partial(load, lanes=STRIP), partial(constant, lanes=STRIP)
    with _strips(builder, n_rows) as b:
        zero = whole(_LOG_ZERO)
        maximum, row_sum = Sum(builder, zero), Sum(builder, whole(0.0))
        with cgutils.for_range(builder, K) as loop:
            scale = splat(builder, log_scales, loop.index, lanes=STRIP)
            value = multiply_add(builder, read(builder, joint, (loop.index, stride), b), whole(-0.5), scale)
            value = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
            store(builder, value, joint, (loop.index, stride), b)
            maximum.value = builder.select(builder.fcmp_ordered(">", value, maximum.value), value, maximum.value)
        with cgutils.for_range(builder, K) as loop:
            value = builder.fsub(read(builder, joint, (loop.index, stride), b), maximum.value)
            density = exponential(builder, value)
            store(builder, density, joint, (loop.index, stride), b)
            row_sum.add(density)
        store(builder, maximum.value, largest, b)
        store(builder, row_sum.value, total, b)


@procedure
def divide_by_totals(
    builder: ir.IRBuilder, joint: ir.Value, stride: ir.Value, n_rows: ir.Value, K: ir.Value, total: ir.Value
) -> None:
    """Divide the rows of `joint` (K, rows) by total (rows,): they become responsibilities."""
    read = partial(load, lanes=STRIP)
    with _strips(builder, n_rows) as b:
        inverse = builder.fdiv(constant(1.0, STRIP), read(builder, total, b))
        with cgutils.for_range(builder, K) as loop:
            responsibility = builder.fmul(read(builder, joint, (loop.index, stride), b), inverse)
            store(builder, responsibility, joint, (loop.index, stride), b)


@procedure
def add_logarithms(builder: ir.IRBuilder, total: ir.Value, n_rows: ir.Value, log_density: ir.Value) -> None:
    """Add log(total) to log_density, row by row."""
    read = partial(load, lanes=STRIP)
    with _strips(builder, n_rows) as b:
        log_total = logarithm(builder, read(builder, total, b))
        store(builder, builder.fadd(read(builder, log_density, b), log_total), log_density, b)


@procedure
def sum_log_densities(
    builder: ir.IRBuilder, largest: ir.Value, total: ir.Value, n_rows: ir.Value, target: ir.Value
) -> None:
    """Add sum(largest + log(total)) to the number under `target`, over whole strips of at most 256 rows.

    The totals of a lane are multiplied before one logarithm is taken of their product. A lane has at most 32 rows, so
    that the product is at most K^32.
    """
    read, whole = partial(load, lanes=STRIP), partial(constant, lanes=STRIP)
    log_sum, product = Sum(builder, whole(0.0)), Sum(builder, whole(1.0))
    with _strips(builder, n_rows) as b:
        log_sum.add(read(builder, largest, b))
        product.value = builder.fmul(product.value, read(builder, total, b))
    log_sum.add(logarithm(builder, product.value))
    lanes = [ir.Constant(ir.VectorType(LANE, LANES), list(range(b, b + LANES))) for b in range(0, STRIP, LANES)]
    vectors = [builder.shuffle_vector(log_sum.value, log_sum.value, mask) for mask in lanes]
    add_lane_sums(builder, [Sum(builder, reduce(builder.fadd, vectors))], [target])


@contextmanager
def _strips(builder: ir.IRBuilder, n_rows: ir.Value) -> Iterator[ir.Value]:
    """A loop over the first row of every strip."""
    n_steps = builder.sdiv(builder.add(n_rows, INTEGER(STRIP - 1)), INTEGER(STRIP))
    with cgutils.for_range(builder, n_steps) as loop:
        yield builder.mul(loop.index, INTEGER(STRIP))
