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
full; the columns that it then shares with the vector before get the same numbers twice. A matrix of one whole vector
has tiles of twice as many rows, so that there are sums enough to keep the multipliers busy while each waits for its
last term. Only a matrix that is narrower than one vector leaves lanes empty. There, loads are masked, and stores are
cut into pieces of 8, 4, 2 and 1, because a masked store takes some 25 cycles on Zen 4. If the matrix fits into half a
vector, half vectors are used: Zen 4 does two of them at once.

With the JIT disabled, the NumPy twin at the end of this file is used instead.
"""

import numpy as np

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import cgutils, ir, types
from mbbp.kernels.lowlevel.processor import HAS_32_REGISTERS, HAS_AVX
from mbbp.kernels.lowlevel.vectors import VECTOR_BYTES, Emitter
from mbbp.kernels.lowlevel.views import data_pointer

MR, NR_VECTORS = (8, 3) if HAS_32_REGISTERS else (6, 2)
HALF_VECTOR_BYTES = max(16, VECTOR_BYTES // 2)
MASKS_ARE_CHEAP = HAS_AVX  # elsewhere LLVM makes a branch for every lane of a masked load
PREFETCHED = 48  # terms of a sum that takes so long that the tile of C can be asked for before it
HALF, PARTIAL = 0, -1  # widths of a tile that is masked: half a vector, and one


def lanes(dtype, vectors=1):
    """Return how many numbers of a dtype fit into a tile of so many vectors, or of HALF or PARTIAL ones."""
    return (HALF_VECTOR_BYTES if vectors == HALF else abs(vectors) * VECTOR_BYTES) // np.dtype(dtype).itemsize


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
    with builder.if_then(builder.icmp_signed(">=", depth, emit.index(PREFETCHED))):
        for row in range(rows):
            end_of_row = at(c, builder.add(builder.mul(c_row, emit.index(row)), columns))
            emit.prefetch(at(end_of_row, emit.index(-1)))
            if vectors > 1:
                emit.prefetch(at(c, builder.mul(c_row, emit.index(row))))
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
    tiles = _twin
else:

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
