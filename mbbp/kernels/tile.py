"""The micro-kernel: a small tile of a matrix product, held in registers.

All three products of backpropagation are C = keep C + rate A B with B and C row after row in memory (rows are examples
or inputs, columns are neurons). How fast that goes is decided by how often a number is loaded for each multiply-add. A
loop that updates C in memory loads two or three; a processor has room for one. So a tile of C, ROWS rows by a few
vectors of columns, stays in registers while the sum over k runs:

    for each k:   load the tile's vectors of row k of B             (1 to MOST_VECTORS loads)
                  for each of the tile's rows:
                      broadcast one number of A, multiply, add      (1 load for MOST_VECTORS multiply-adds)

With 8 rows by 3 vectors that is 11 loads for 24 vector multiply-adds. The accumulators must fit into the registers,
with room for the vectors of B and one broadcast: 24 + 3 + 1 of the 32 that AVX-512 and NEON have, 12 + 2 + 1 of the 16
of AVX and SSE.

LLVM would have to guess all this from a scalar loop, and does not. So the tile is written as LLVM vector IR, which names
no instruction: <16 x float> becomes what the processor has. Where the columns do not fill the last vector, its spare
lanes are masked, in loads and stores alike, so that there is no scalar tail.

With the JIT disabled, the NumPy twin at the end of this file stands in for it.
"""

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mbbp.kernels.jit import DISABLED

_FEATURES = llvm.get_host_cpu_features()
_HAS_AVX512 = bool(_FEATURES.get("avx512f", False))
_HAS_AVX = bool(_FEATURES.get("avx", False))
_HAS_MANY_REGISTERS = _HAS_AVX512 or "aarch64" in llvm.get_default_triple() or "arm64" in llvm.get_default_triple()

VECTOR_BYTES = 64 if _HAS_AVX512 else 32 if _HAS_AVX else 16
ROWS, MOST_VECTORS = (8, 3) if _HAS_MANY_REGISTERS else (6, 2)
MASKS_ARE_CHEAP = _HAS_AVX  # elsewhere LLVM makes a branch for every lane of a masked load


def lanes(dtype):
    """Return how many numbers of a dtype a vector register holds."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


def _emit(context, builder, signature, arguments):
    """Write the tile as LLVM IR: the sum over k as a loop whose accumulators are phi nodes, then the update of C."""
    rows, vectors = (signature.args[i].literal_value for i in (0, 1))
    number = context.get_value_type(signature.args[2].dtype)
    width = VECTOR_BYTES // (8 if isinstance(number, ir.DoubleType) else 4)
    vector, index = ir.VectorType(number, width), ir.IntType(64)
    align = 8 if isinstance(number, ir.DoubleType) else 4

    def start_of(i):
        data = context.make_array(signature.args[i])(context, builder, arguments[i]).data
        return builder.gep(data, [arguments[i + 1]])

    a, a_row, a_step = start_of(2), arguments[4], arguments[5]
    b, b_step = start_of(6), arguments[8]
    c, c_row = start_of(9), arguments[11]
    depth, last_lanes, keep, rate = arguments[12:16]

    def splat(value):
        single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
        return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)

    def multiply_add(x, y, z):
        return builder.fadd(builder.fmul(x, y, flags=("contract",)), z, flags=("contract",))

    counts = ir.VectorType(index, width)
    limit = builder.insert_element(ir.Constant(counts, ir.Undefined), last_lanes, ir.Constant(ir.IntType(32), 0))
    limit = builder.shuffle_vector(
        limit, ir.Constant(counts, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    )
    mask = builder.icmp_signed("<", ir.Constant(counts, list(range(width))), limit)
    zero = ir.Constant(vector, [0.0] * width)
    suffix = f"v{width}f{align * 8}.p0"

    def load(pointer, is_last):
        pointer = builder.bitcast(pointer, vector.as_pointer())
        if not is_last:
            return builder.load(pointer, align=align)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector.as_pointer(), ir.IntType(32), mask.type, vector]),
            f"llvm.masked.load.{suffix}",
        )
        return builder.call(function, [pointer, ir.Constant(ir.IntType(32), align), mask, zero])

    def store(value, pointer, is_last):
        pointer = builder.bitcast(pointer, vector.as_pointer())
        if not is_last:
            builder.store(value, pointer, align=align)
            return
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), ir.IntType(32), mask.type]),
            f"llvm.masked.store.{suffix}",
        )
        builder.call(function, [value, pointer, ir.Constant(ir.IntType(32), align), mask])

    def at(pointer, *steps):
        for step in steps:
            pointer = builder.gep(pointer, [step])
        return pointer

    def times(value, factor):
        return builder.mul(value, ir.Constant(index, factor))

    row_starts = [at(a, times(a_row, row)) for row in range(rows)]
    entry = builder.block
    loop, done = builder.append_basic_block("sum"), builder.append_basic_block("update")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(index)
    k.add_incoming(ir.Constant(index, 0), entry)
    sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
    for phi in (phi for row in sums for phi in row):
        phi.add_incoming(zero, entry)
    b_k = at(b, builder.mul(k, b_step))
    row_of_b = [load(at(b_k, ir.Constant(index, v * width)), v == vectors - 1) for v in range(vectors)]
    a_k = builder.mul(k, a_step)
    added = []
    for row in range(rows):
        factor = splat(builder.load(at(row_starts[row], a_k)))
        added.append([multiply_add(factor, row_of_b[v], sums[row][v]) for v in range(vectors)])
    following = builder.add(k, ir.Constant(index, 1))
    for row in range(rows):
        for v in range(vectors):
            sums[row][v].add_incoming(added[row][v], builder.block)
    k.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)

    builder.position_at_end(done)
    keeps, rates = splat(keep), splat(rate)
    for row in range(rows):
        for v in range(vectors):
            place = at(c, times(c_row, row), ir.Constant(index, v * width))
            old = builder.fmul(keeps, load(place, v == vectors - 1))
            store(multiply_add(rates, added[row][v], old), place, v == vectors - 1)
    return context.get_dummy_value()


def _typed(
    typing_context, rows, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, last, keep, rate
):
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    i = types.int64
    return types.void(rows, vectors, a, i, i, i, b, i, i, c, i, i, i, i, c.dtype, c.dtype), _emit


def _twin(rows, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, last, keep, rate):
    """C = keep C + rate A B for one tile, in NumPy."""
    columns = (vectors - 1) * lanes(c.dtype) + last

    def view(array, start, shape, steps):
        flat = array.T.reshape(-1) if array.flags.f_contiguous else array.reshape(-1)
        size = flat.itemsize
        return np.lib.stride_tricks.as_strided(flat[start:], shape, [step * size for step in steps])

    A = view(a, a_at, (rows, depth), (a_row, a_step))
    B = view(b, b_at, (depth, columns), (b_step, 1))
    C = view(c, c_at, (rows, columns), (c_row, 1))
    C[...] = keep * C + rate * (A @ B)


if DISABLED:
    tile = _twin
else:

    @intrinsic(prefer_literal=True)
    def tile(
        typing_context, rows, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, last, keep, rate
    ):
        """C = keep C + rate A B for one tile of `rows` by `vectors` vectors, of whose last one `last` lanes count.

        `rows` and `vectors` are literals. A is read from `a_at` on, `a_row` numbers from row to row and `a_step` along
        the sum; B from `b_at` on, `b_step` from row to row; C from `c_at` on, `c_row` from row to row. The sum has
        `depth` terms, at least one.
        """
        return _typed(
            typing_context,
            rows,
            vectors,
            a,
            a_at,
            a_row,
            a_step,
            b,
            b_at,
            b_step,
            c,
            c_at,
            c_row,
            depth,
            last,
            keep,
            rate,
        )
