"""The sum of the columns of a matrix, in several partial sums.

An addition to a register waits for the one before it, some four cycles. With partial sums in several registers the next
addition begins at once.
"""

from typing import NamedTuple

from mbbp.kernels.lowlevel.compiling import FAST, ZERO
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Number, Numbers, record
from mbbp.kernels.lowlevel.vectors import VECTOR_BYTES, sum_lanes
from mbbp.kernels.lowlevel.views import BOUNDLESS, part


@record
class Sums(NamedTuple):
    """Sums = beta sums + X 1 for a matrix X (n, m), whose number (j, i) is x[j rs + i cs].

    With beta = 0 the old sums are not read.
    """

    x: Numbers
    n: Int
    m: Int
    rs: Int
    cs: Int
    beta: Number
    sums: Numbers  # (n,)
    totals: Numbers  # room for n numbers


@kernel(Sums, fastmath=FAST)
def sum_columns(at):
    """Set sums = beta sums + X 1."""
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
            sum_lanes(x, first, totals, first, s.cs, m)
    for j in range(n):
        sums[j] = totals[j] if beta == 0 else beta * sums[j] + totals[j]
    return ZERO
