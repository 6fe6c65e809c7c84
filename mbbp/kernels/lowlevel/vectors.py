"""Work on vector registers, written as LLVM IR, which names no instruction: LLVM chooses those that the processor has.

With the JIT disabled, the NumPy twins are used instead.
"""

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import cgutils, ir, types
from mbbp.kernels.lowlevel.processor import HAS_AVX, HAS_AVX512
from mbbp.kernels.lowlevel.views import data_pointer

VECTOR_BYTES = 64 if HAS_AVX512 else 32 if HAS_AVX else 16
PARTIAL_SUMS = 4  # of sum_lanes


class Emitter:
    """Writes LLVM IR on vectors at the place where a Numba builder stands; a few of its methods need a column count."""

    def __init__(self, context, builder, number, columns=None, vector_bytes=VECTOR_BYTES):
        self.context, self.builder = context, builder
        self.bytes = 8 if isinstance(number, ir.DoubleType) else 4
        self.width = vector_bytes // self.bytes
        self.vector = ir.VectorType(number, self.width)
        self.columns = columns

    def index(self, value):
        """Return a constant int64."""
        return ir.Constant(ir.IntType(64), value)

    def opaque(self, value):
        """Return a value as LLVM cannot know where it comes from: an empty piece of assembly returns it."""
        kind = ir.FunctionType(value.type, [value.type])
        return self.builder.call(ir.InlineAsm(kind, "", "=r,0"), [value])

    def splat(self, value):
        """Return a vector with one number in all lanes."""
        kind = ir.VectorType(value.type, self.width)
        undefined = ir.Constant(kind, ir.Undefined)
        lane_0 = self.builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
        return self.shuffle(lane_0, undefined, [0] * self.width)

    def shuffle(self, x, y, lanes):
        """Return the lanes of x and y, counted through both, in this order."""
        order = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
        return self.builder.shuffle_vector(x, y, order)

    def multiply_add(self, x, y, z):
        """Return x y + z."""
        product = self.builder.fmul(x, y, flags=("contract",))
        return self.builder.fadd(product, z, flags=("contract",))

    def load(self, pointer):
        """Load a whole vector."""
        whole = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.load(whole, align=self.bytes)

    def load_some(self, pointer):
        """Load as many lanes as there are columns; 0 in the others."""
        whole = ir.IntType(8 * self.bytes)  # as wide as the numbers: then a compare is the mask
        counts = ir.Constant(ir.VectorType(whole, self.width), list(range(self.width)))
        columns = self.columns if self.bytes == 8 else self.builder.trunc(self.columns, whole)
        mask = self.builder.icmp_signed("<", counts, self.splat(columns))
        kind = self.vector.as_pointer()
        function = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(self.vector, [kind, ir.IntType(32), mask.type, self.vector]),
            f"llvm.masked.load.v{self.width}f{8 * self.bytes}.p0",
        )
        zero = ir.Constant(self.vector, [0.0] * self.width)
        place = self.builder.bitcast(pointer, kind)
        return self.builder.call(function, [place, ir.Constant(ir.IntType(32), self.bytes), mask, zero])

    def store(self, value, pointer):
        """Store a vector, or a piece of one."""
        whole = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, whole, align=self.bytes)

    def prefetch(self, pointer):
        """Ask for the cache line at an address, to write to it."""
        word, place = ir.IntType(32), self.builder.bitcast(pointer, ir.IntType(8).as_pointer())
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(ir.VoidType(), [place.type, word, word, word]), "llvm.prefetch.p0"
        )
        self.builder.call(function, [place, *(ir.Constant(word, value) for value in (1, 3, 1))])

    def store_some(self, value, pointer):
        """Store as many lanes as there are columns: the first half if they fill it, then of what is left, and so on."""
        builder = self.builder
        if value.type.count == 1:
            with builder.if_then(builder.icmp_signed(">=", self.columns, self.index(self.width))):
                self.store(value, pointer)
            return
        rest, place = value, pointer
        size = self.width
        with builder.if_else(builder.icmp_signed(">=", self.columns, self.index(size))) as (fills, spares):
            with fills:
                self.store(value, pointer)
            with spares:
                while size > 1:
                    size //= 2
                    has_piece = builder.icmp_unsigned("!=", builder.and_(self.columns, self.index(size)), self.index(0))
                    undefined = ir.Constant(rest.type, ir.Undefined)
                    low = self.shuffle(rest, undefined, range(size))
                    high = self.shuffle(rest, undefined, range(size, 2 * size))
                    with builder.if_then(has_piece):
                        self.store(low, place)
                    rest = builder.select(has_piece, high, low)
                    place = builder.select(has_piece, builder.gep(place, [self.index(size)]), place)


def _emit_transposed(context, builder, signature, arguments):
    """Write the shuffles that turn rows into columns; whole blocks are loaded without masks."""
    source_step, target_step, rows, columns = (arguments[i] for i in (2, 5, 6, 7))
    emit = Emitter(context, builder, context.get_value_type(signature.args[0].dtype), columns)
    source, target = (
        builder.gep(data_pointer(context, builder, signature.args[i], arguments[i]), [arguments[i + 1]]) for i in (0, 3)
    )
    width = emit.index(emit.width)

    def row_at(number):
        return builder.gep(source, [builder.mul(source_step, number)])

    def some_rows():
        last = builder.sub(rows, emit.index(1))
        for row in range(emit.width):
            # rows that are not there repeat the last one, so that nothing beyond it is read
            is_there = builder.icmp_signed("<", emit.index(row), last)
            yield emit.load_some(row_at(builder.select(is_there, emit.index(row), last)))

    is_whole = builder.and_(builder.icmp_signed("==", rows, width), builder.icmp_signed("==", columns, width))
    with builder.if_else(is_whole) as (whole, not_whole):
        with whole:
            all_rows, all_from = [emit.load(row_at(emit.index(row))) for row in range(emit.width)], builder.block
        with not_whole:
            some, some_from = list(some_rows()), builder.block
    block = []
    for left, right in zip(all_rows, some, strict=True):
        block.append(builder.phi(emit.vector))
        block[-1].add_incoming(left, all_from)
        block[-1].add_incoming(right, some_from)
    for row, vector in enumerate(_transposed(emit, block)):
        emit.store(vector, builder.gep(target, [builder.mul(target_step, emit.index(row))]))
    return context.get_dummy_value()


def _transposed(emit, block):
    """Return the columns of a square block of vectors.

    Pairs of vectors are interleaved, first number by number, then two by two, within pieces of 16 bytes, which one
    instruction does; then piece by piece. Each time, what was one bit of a row's number becomes one of a lane's.
    """
    width, in_piece = emit.width, max(1, 16 // emit.bytes)
    rows = dict(enumerate(block))
    unit = 1
    while unit < in_piece:
        low = [
            lane
            for piece in range(0, width, in_piece)
            for begin in range(piece, piece + in_piece // 2, unit)
            for vector in (0, width)
            for lane in range(vector + begin, vector + begin + unit)
        ]
        rows = _interleaved(emit, rows, unit, low, [lane + in_piece // 2 for lane in low])
        unit *= 2
    pieces = width // in_piece
    bit = in_piece
    order = []
    while bit < width:
        order.append(bit)
        bit *= 2
    for bit in reversed(order):
        low = [
            lane
            for piece in range(pieces // 2)
            for vector in (0, width)
            for lane in range(vector + piece * in_piece, vector + (piece + 1) * in_piece)
        ]
        rows = _interleaved(emit, rows, bit, low, [lane + width // 2 for lane in low])
    # within pieces the bits have changed places
    return [rows[_reversed_low_bits(column, in_piece)] for column in range(width)]


def _interleaved(emit, rows, bit, low, high):
    """Return the low and the high lanes of each pair of vectors whose numbers differ in this bit."""
    after = {}
    for number, vector in rows.items():
        if not number & bit:
            other = rows[number | bit]
            after[number], after[number | bit] = emit.shuffle(vector, other, low), emit.shuffle(vector, other, high)
    return after


def _reversed_low_bits(number, base):
    """Return a number whose bits below `base` are in reverse order."""
    low, turned, bit = number % base, 0, base // 2
    while bit:
        turned |= bit if low & 1 else 0
        low >>= 1
        bit //= 2
    return number - number % base + turned


def _transpose_twin(source, source_at, source_step, target, target_at, target_step, rows, columns):
    """Write a block's columns as rows, in NumPy."""
    for column in range(columns):
        for row in range(rows):
            target[target_at + column * target_step + row] = source[source_at + row * source_step + column]


def _emit_sums(context, builder, signature, arguments):
    def pointer(i):
        return builder.gep(data_pointer(context, builder, signature.args[i], arguments[i]), [arguments[i + 1]])

    emit = Emitter(context, builder, context.get_value_type(signature.args[0].dtype))
    x, totals, step, m = pointer(0), pointer(2), arguments[4], arguments[5]
    partial = [cgutils.alloca_once(builder, emit.vector) for _ in range(PARTIAL_SUMS)]
    for place in partial:
        builder.store(ir.Constant(emit.vector, [0.0] * emit.width), place)

    def add(i, place):
        column = emit.load(builder.gep(x, [builder.mul(i, step)]))
        builder.store(builder.fadd(builder.load(place), column), place)

    several, one = emit.index(PARTIAL_SUMS), emit.index(1)
    whole = builder.sub(m, builder.srem(m, several))
    with cgutils.for_range_slice(builder, emit.index(0), whole, several) as (i, _):
        for k, place in enumerate(partial):
            add(builder.add(i, emit.index(k)), place)
    with cgutils.for_range_slice(builder, whole, m, one) as (i, _):
        add(i, partial[0])
    sums = [builder.load(place) for place in partial]
    while len(sums) > 1:
        sums = [builder.fadd(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
    emit.store(sums[0], totals)
    return context.get_dummy_value()


def _sum_lanes_twin(x, start, totals, at, step, m):
    """Sum as many columns as a register has lanes, in NumPy."""
    lanes = VECTOR_BYTES // x.itemsize
    for j in range(lanes):
        totals[at + j] = sum(x[start + j + i * step] for i in range(m))


def _emit_copy(context, builder, signature, arguments):
    emit = Emitter(context, builder, context.get_value_type(signature.args[0].dtype))
    source, target = (
        builder.gep(data_pointer(context, builder, signature.args[i], arguments[i]), [arguments[i + 1]]) for i in (0, 2)
    )
    emit.store(emit.load(source), target)
    return context.get_dummy_value()


def _copy_vector_twin(source, source_at, target, target_at):
    """Copy as many numbers as a register holds."""
    lanes = VECTOR_BYTES // source.itemsize
    target[target_at : target_at + lanes] = source[source_at : source_at + lanes]


def _emit_scaled(context, builder, signature, arguments):
    emit = Emitter(context, builder, context.get_value_type(signature.args[0].dtype))
    source, target = (
        builder.gep(data_pointer(context, builder, signature.args[i], arguments[i]), [arguments[i + 1]]) for i in (0, 3)
    )
    emit.store(builder.fmul(emit.load(source), emit.splat(arguments[2])), target)
    return context.get_dummy_value()


def _scale_vector_twin(source, source_at, factor, target, target_at):
    """Write the product of a number and as many numbers as a register holds."""
    lanes = VECTOR_BYTES // source.itemsize
    piece = source[source_at : source_at + lanes]  # beyond the end of all memory there is nothing
    target[target_at : target_at + piece.size] = factor * piece


if DISABLED:
    transpose, sum_lanes, copy_vector = _transpose_twin, _sum_lanes_twin, _copy_vector_twin
    scale_vector = _scale_vector_twin
else:

    @intrinsic
    def scale_vector(_, source, source_at, factor, target, target_at):
        """Write the product of a number and as many numbers as a register holds."""
        i = types.int64
        return types.void(source, i, source.dtype, target, i), _emit_scaled

    @intrinsic
    def transpose(_, source, source_at, source_step, target, target_at, target_step, rows, columns):
        """Write the columns of a block, of at most lanes x lanes numbers, as rows: `columns` rows of `rows` numbers.

        A whole block, lanes x lanes numbers, is written to `target`. Numbers beyond `rows` and `columns` mean nothing.
        """
        i = types.int64
        return types.void(source, i, i, target, i, i, i, i), _emit_transposed

    @intrinsic
    def sum_lanes(_, x, start, totals, at, step, m):
        """Write to totals[at], ... the sums of m vectors, which begin at x[start] and are `step` numbers apart."""
        i = types.int64
        return types.void(x, i, totals, i, i, i), _emit_sums

    @intrinsic
    def copy_vector(_, source, source_at, target, target_at):
        """Copy as many numbers as a register holds."""
        i = types.int64
        return types.void(source, i, target, i), _emit_copy
