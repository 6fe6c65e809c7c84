"""The micro-kernel: a small tile of a matrix product, held in registers.

All products of backpropagation are C = beta Start + A B with B and C row after row in memory (rows are examples or
inputs, columns are neurons); Start is C itself, or the biases, the same for every row. How fast that goes is decided by
how often a number is loaded for each multiply-add. A loop that updates C in memory loads two or three numbers for each;
the processor has time for one. So a tile of C, MR rows by a few vectors of columns, stays in registers during the sum
over k:

    for each k:   load the tile's vectors of row k of B             (1 to NR_VECTORS loads)
                  for each of the tile's rows:
                      broadcast one number of A, multiply, add      (1 load for NR_VECTORS multiply-adds)

With 8 rows by 3 vectors that is 11 loads for 24 vector multiply-adds. The accumulators must fit into the registers,
with room for the vectors of B and one broadcast: 24 + 3 + 1 of the 32 that AVX-512 and NEON have, 12 + 2 + 1 of the
16 of AVX and SSE.

LLVM does not find this form from a scalar loop. So the tile is written as LLVM vector IR, which names no instruction:
LLVM turns <16 x float> into the instructions that the processor has.

There is no scalar loop for the columns that are left. If they do not fill the last vector, it is moved back until it is
full; the columns that it then shares with the vector before get the same numbers twice. A matrix of one whole vector has
tiles of twice as many rows, so that there are sums enough to keep the multipliers busy while each waits for its last
term. Only a matrix that is narrower than one vector leaves lanes empty. There, loads are masked, and stores are cut into
pieces of 8, 4, 2 and 1, because a masked store takes some 25 cycles on Zen 4. If the matrix fits into half a vector,
half vectors are used: Zen 4 does two of them at once.

With the JIT disabled, the NumPy twin at the end of this file is used instead.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mbbp.kernels.lowlevel.compiling import DISABLED
from mbbp.kernels.lowlevel.processor import HAS_32_REGISTERS, HAS_AVX, HAS_AVX512
from mbbp.kernels.lowlevel.views import data_pointer

VECTOR_BYTES = 64 if HAS_AVX512 else 32 if HAS_AVX else 16
MR, NR_VECTORS = (8, 3) if HAS_32_REGISTERS else (6, 2)
HALF_VECTOR_BYTES = max(16, VECTOR_BYTES // 2)
MASKS_ARE_CHEAP = HAS_AVX  # elsewhere LLVM makes a branch for every lane of a masked load
HALF, PARTIAL = 0, -1  # widths of a tile that is masked: half a vector, and one


def lanes(dtype, vectors=1):
    """Return how many numbers of a dtype fit into a tile of so many vectors, or of HALF or PARTIAL ones."""
    return (HALF_VECTOR_BYTES if vectors == HALF else abs(vectors) * VECTOR_BYTES) // np.dtype(dtype).itemsize


class Emitter:
    """Writes LLVM IR on vectors at the place where a Numba builder stands; a few of its methods need a column count."""

    def __init__(self, context, builder, number, columns=None, vector_bytes=VECTOR_BYTES):
        self.context, self.builder = context, builder
        self.bytes = 8 if isinstance(number, ir.DoubleType) else 4
        self.width = vector_bytes // self.bytes
        self.vector = ir.VectorType(number, self.width)
        self.columns = columns

    def index(self, value):
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
        product = self.builder.fmul(x, y, flags=("contract",))
        return self.builder.fadd(product, z, flags=("contract",))

    def load(self, pointer):
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
        whole = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, whole, align=self.bytes)

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


def _emit(context, builder, signature, arguments):
    """Write loops that go down the rows: by a whole tile as long as there are so many, then by 4, 2 and 1."""
    vectors = signature.args[0].literal_value
    is_masked = vectors in (HALF, PARTIAL)
    n_rows, depth, columns, beta = arguments[5:]
    emit = Emitter(
        context,
        builder,
        context.get_value_type(signature.args[8]),
        columns,
        HALF_VECTOR_BYTES if vectors == HALF else VECTOR_BYTES,
    )

    def matrix(i):
        """Return where a matrix starts, and its steps."""
        array, start, *steps = cgutils.unpack_tuple(builder, arguments[i])
        data = data_pointer(context, builder, signature.args[i][0], array)
        return builder.gep(data, [start]), *steps

    A, B, start, C = (matrix(i) for i in (1, 2, 3, 4))

    def from_row(row, place, row_step, *rest):
        return builder.gep(place, [builder.mul(row, row_step)]), row_step, *rest

    done = cgutils.alloca_once_value(builder, emit.index(0))
    for rows in (2 * MR if vectors == 1 else MR, 4, 2, 1):
        check, body, after = (builder.append_basic_block(name) for name in ("check", "rows", "after"))
        builder.branch(check)
        builder.position_at_end(check)
        row = builder.load(done)
        following = builder.add(row, emit.index(rows))
        builder.cbranch(builder.icmp_signed("<=", following, n_rows), body, after)
        builder.position_at_end(body)
        here = (from_row(row, *A), B, from_row(row, *start), from_row(row, *C))
        _emit_tile(emit, rows, 1 if is_masked else vectors, is_masked, *here, depth, beta)
        builder.store(following, done)
        builder.branch(check)
        builder.position_at_end(after)
    return context.get_dummy_value()


def _emit_tile(emit, rows, vectors, is_masked, A, B, start, C, depth, beta):
    """Write one tile: the sum over k as a loop whose accumulators are phi nodes, then what C starts from, and C."""
    builder, columns = emit.builder, emit.columns
    (a, a_row, a_step), (b, b_step), (start, start_row), (c, c_row) = A, B, start, C

    def at(pointer, step):
        return builder.gep(pointer, [step])

    places = [emit.index(v * emit.width) for v in range(vectors)]
    if not is_masked:
        places[-1] = builder.sub(columns, emit.index(emit.width))
    # One pointer for every three rows, which LLVM cannot trace. It would walk down all rows with one pointer, and each
    # step of it waits for the one before: with 12 rows, twice as long as the multiply-adds take.
    groups = [at(a, builder.mul(a_row, emit.index(row))) for row in range(0, rows, 3)]
    row_offsets = [emit.index(0), a_row, builder.mul(a_row, emit.index(2))]
    entry = builder.block
    loop, done = builder.append_basic_block("sum"), builder.append_basic_block("update")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(ir.IntType(64))
    sums = [[builder.phi(emit.vector) for _ in range(vectors)] for _ in range(rows)]
    phis = [builder.phi(group.type) for group in groups]
    pointers = [emit.opaque(phi) for phi in phis]
    b_k = at(b, builder.mul(k, b_step))
    load_b = emit.load_some if is_masked and MASKS_ARE_CHEAP else emit.load
    row_of_b = [load_b(at(b_k, place)) for place in places]
    added = []
    for row in range(rows):
        factor = emit.splat(builder.load(at(pointers[row // 3], row_offsets[row % 3])))
        added.append([emit.multiply_add(factor, row_of_b[v], sums[row][v]) for v in range(vectors)])
    following = builder.add(k, emit.index(1))
    k.add_incoming(emit.index(0), entry)
    k.add_incoming(following, loop)
    for phi, group, pointer in zip(phis, groups, pointers, strict=True):
        phi.add_incoming(group, entry)
        phi.add_incoming(at(pointer, a_step), loop)
    zeros = ir.Constant(emit.vector, [0.0] * emit.width)
    for row in range(rows):
        for v in range(vectors):
            sums[row][v].add_incoming(zeros, entry)
            sums[row][v].add_incoming(added[row][v], loop)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)

    builder.position_at_end(done)
    load = emit.load_some if is_masked else emit.load
    store = emit.store_some if is_masked else emit.store
    starts = [at(start, builder.mul(start_row, emit.index(row))) for row in range(rows)]

    def results(combine):
        return [[combine(added[row][v], at(starts[row], places[v])) for v in range(vectors)] for row in range(rows)]

    def branch(condition, then, otherwise):
        """Return phi nodes of what two ways lead to."""
        with builder.if_else(condition) as (yes, no):
            with yes:
                left, left_block = then(), builder.block
            with no:
                right, right_block = otherwise(), builder.block
        merged = [[builder.phi(emit.vector) for _ in range(vectors)] for _ in range(rows)]
        for row in range(rows):
            for v in range(vectors):
                merged[row][v].add_incoming(left[row][v], left_block)
                merged[row][v].add_incoming(right[row][v], right_block)
        return merged

    # the adders stand idle while the multipliers are the bottleneck: a sum is free, a multiply-add is not
    betas = emit.splat(beta)
    finished = branch(
        builder.fcmp_ordered("==", beta, ir.Constant(beta.type, 1.0)),
        lambda: results(lambda total, place: builder.fadd(load(place), total)),
        lambda: branch(
            builder.fcmp_ordered("==", beta, ir.Constant(beta.type, 0.0)),
            lambda: added,  # whatever stands there: 0 times NaN would be NaN
            lambda: results(lambda total, place: emit.multiply_add(betas, load(place), total)),
        ),
    )
    for row in range(rows):
        end = at(c, builder.mul(c_row, emit.index(row)))
        for v in range(vectors):
            store(finished[row][v], at(end, places[v]))


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
    rows = {row: vector for row, vector in enumerate(block)}
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


def _twin(vectors, A, B, start, C, n_rows, depth, columns, beta):
    """C = beta Start + A B for one group of columns, in NumPy."""

    def view(array, at, shape, steps):
        size = array.itemsize
        return np.lib.stride_tricks.as_strided(array[at:], shape, [step * size for step in steps])

    def rows_of(array, at, row, n):
        return view(array, at, (n, columns), (row, 1))

    product = view(*A[:2], (n_rows, depth), A[2:]) @ rows_of(*B, depth)
    rows_of(*C, n_rows)[...] = product if beta == 0 else beta * rows_of(*start, n_rows) + product


if DISABLED:
    tiles, transpose = _twin, _transpose_twin
else:

    @intrinsic
    def transpose(_, source, source_at, source_step, target, target_at, target_step, rows, columns):
        """Write the columns of a block, of at most lanes x lanes numbers, as rows: `columns` rows of `rows` numbers.

        A whole block, lanes x lanes numbers, is written to `target`. Numbers beyond `rows` and `columns` mean nothing.
        """
        i = types.int64
        return types.void(source, i, i, target, i, i, i, i), _emit_transposed

    @intrinsic(prefer_literal=True)
    def tiles(_, vectors, A, B, start, C, n_rows, depth, columns, beta):
        """Set C = beta Start + A B, tile by tile, for one group of columns that needs `vectors` vectors.

        Parameters
        ----------
        vectors : literal int
            The width of the tiles, or HALF or PARTIAL for columns that do not fill half a vector, or one.
        A : (vector, at, row, step)
            The vector that holds the matrix, where the matrix begins in it, and the strides, in numbers, from row to
            row and along the sum.
        B : (vector, at, row)
            Likewise, with contiguous columns. If `MASKS_ARE_CHEAP` is false, whole vectors of it are read.
        start, C : (vector, at, row)
            Likewise; they may be the same.
        n_rows : int
            Of A and C.
        depth : int
            The terms of the sum, at least one.
        columns : int
            Of the group.
        beta : number
            If it is 0, Start is not read.
        """
        if not isinstance(vectors, types.IntegerLiteral):
            return None
        i = types.int64
        return types.void(vectors, A, B, start, C, i, i, i, C[0].dtype), _emit
