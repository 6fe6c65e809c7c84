"""The sum of the columns of a matrix, in several partial sums.

An addition to a register waits for the one before it, some four cycles. With partial sums in several registers the next
addition begins at once.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mbbp.kernels.gemm.tile import VECTOR_BYTES, Emitter
from mbbp.kernels.lowlevel.compiling import DISABLED, FAST, ZERO
from mbbp.kernels.lowlevel.records import Int, Number, Numbers, kernel, record
from mbbp.kernels.lowlevel.views import BOUNDLESS, data_pointer, part

PARTIAL_SUMS = 4


@record
class Sums(NamedTuple):
    """Sums = beta sums + X 1 for a matrix X (n, m), whose number (j, i) is x[j rs + i cs]; with beta = 0 sums are new."""

    x: Numbers
    n: Int
    m: Int
    rs: Int
    cs: Int
    beta: Number
    sums: Numbers  # (n,)
    totals: Numbers  # room for n numbers


def _emit(context, builder, signature, arguments):
    def pointer(i):
        return builder.gep(data_pointer(context, builder, signature.args[i], arguments[i]), [arguments[i + 1]])

    emit = Emitter(context, builder, context.get_value_type(signature.args[0].dtype))
    x, totals, step, m = pointer(0), pointer(2), *arguments[4:]
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


if DISABLED:
    _sum_lanes = _sum_lanes_twin
else:

    @intrinsic
    def _sum_lanes(_, x, start, totals, at, step, m):
        """Write to totals[at], ... the sums of m vectors, which begin at x[start] and are `step` numbers apart."""
        i = types.int64
        return types.void(x, i, totals, i, i, i), _emit


@kernel(Sums, fastmath=FAST)
def sum_columns(at):
    """Sums = beta sums + X 1."""
    s = at[0]
    n, m, beta = s.n, s.m, s.beta
    x, sums, totals = part(s.x, ZERO, BOUNDLESS), part(s.sums, ZERO, n), part(s.totals, ZERO, n)
    lanes = VECTOR_BYTES // x.itemsize
    if s.cs == 1:
        for j in range(n):
            row = part(x, j * s.rs, m)
            total = x.dtype.type(0)
            for i in range(m):
                total += row[i]
            totals[j] = total
    elif n < lanes:
        for j in range(n):
            total = x.dtype.type(0)
            for i in range(m):
                total += x[j + i * s.cs]
            totals[j] = total
    else:
        for j in range(0, n, lanes):
            first = min(j, n - lanes)  # the last vector is moved back until it is full
            _sum_lanes(x, first, totals, first, s.cs, m)
    for j in range(n):
        sums[j] = totals[j] if beta == 0 else beta * sums[j] + totals[j]
    return ZERO
