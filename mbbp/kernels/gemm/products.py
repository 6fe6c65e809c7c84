"""The matrix products of backpropagation: forward, backward, and the gradients of weights and biases.

A product C = A B is made by tiles that need contiguous rows of B and C (see tile.py). If C has contiguous columns, its
transpose C^T = B^T A^T has contiguous rows, and is the same memory. So each matrix may have either order, and that of C
decides which factor is spread over the lanes of a register. If that factor has the other order, blocks of it are
transposed on the way (see blocking.py).
"""

from typing import NamedTuple

from mbbp.kernels.gemm.blocking import SMALL, Product
from mbbp.kernels.gemm.matrix import Matrix, by_rows, columns, transposed
from mbbp.kernels.gemm.sums import Sums
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ONE, ZERO, inlined
from mbbp.kernels.lowlevel.records import Address, Int, Numbers, record
from mbbp.kernels.lowlevel.views import part, rest


@record
class Multiplier(NamedTuple):
    """What a product needs besides its matrices."""

    multiply_add: Address  # the kernels
    sum_columns: Address
    panel: Numbers  # room for PANEL numbers
    scratch: Numbers  # room for a layer's biases, and for its weights if it has fewer neurons than lanes
    lanes: Int  # of a vector register


@inlined
def _set_product(C, A, B, beta, start, rs_start, multiplier):
    """C = beta Start + A B. Row i of Start, or of its transpose if C has contiguous columns, is at i rs_start."""
    if C.cs == 1:
        left, right, rs_c = A, B, C.rs
    else:
        left, right, rs_c = transposed(B), transposed(A), C.cs
    product = Product(
        a=left.numbers,
        rs_a=left.rs,
        cs_a=left.cs,
        b=right.numbers,
        rs_b=right.rs,
        cs_b=right.cs,
        start=start,
        rs_start=rs_start,
        c=C.numbers,
        rs_c=rs_c,
        n_rows=left.n,
        n_columns=right.m,
        depth=left.m,
        beta=beta,
        panel=multiplier.panel,
    )
    call(multiplier.multiply_add, product)


@inlined
def affine(W, A, b, Z, multiplier):
    """Z = W A + b."""
    one = b.dtype.type(1)
    if Z.cs == 1:
        for j in range(Z.n):
            for i in range(Z.m):
                Z.numbers[j * Z.rs + i] = b[j]
        _set_product(Z, W, A, one, Z.numbers, Z.rs, multiplier)
    else:  # b is the row of Z^T that each row starts from
        _set_product(Z, W, A, one, rest(b, ZERO), ZERO, multiplier)


@inlined
def accumulate_product(A, B, out, beta, multiplier):
    """Out = beta Out + A B."""
    _set_product(out, A, B, beta, out.numbers, out.rs if out.cs == 1 else out.cs, multiplier)


@inlined
def transposed_product(W, D, out, multiplier):
    """Out = W^T D: the errors of a layer, carried back through its weights."""
    zero = part(out.numbers, ZERO, ZERO).dtype.type(0)
    _set_product(out, transposed(W), D, zero, out.numbers, ZERO, multiplier)


@inlined
def add_outer_products(beta, G, D, A, first, end, multiplier):
    """G = beta G + D A^T: the outer products delta a^T (BP4) of all examples at once, for the inputs `first` to `end`.

    With beta = 0, G is not read.
    """
    n = end - first
    if n <= 0:
        return
    part_of_G = columns(G, first, end)
    part_of_A = Matrix(numbers=rest(A.numbers, first * A.rs), n=n, m=A.m, rs=A.rs, cs=A.cs)
    g, n_out = part_of_G.numbers, G.n
    if n_out == 1:  # then its columns are the numbers of one contiguous row
        row = by_rows(g, ZERO, ONE, n)
        _set_product(row, D, transposed(part_of_A), beta, g, n, multiplier)
    elif n_out < multiplier.lanes and n_out <= n:
        # too few neurons to fill the lanes: the inputs fill them, and the result is turned
        turned = by_rows(multiplier.scratch, first * n_out, n_out, n)
        _set_product(turned, D, transposed(part_of_A), type(beta)(0), turned.numbers, n, multiplier)
        for i in range(n):
            for j in range(n_out):
                total = turned.numbers[j * n + i]
                g[i * n_out + j] = total if beta == 0 else total + beta * g[i * n_out + j]
    else:
        _set_product(part_of_G, D, transposed(part_of_A), beta, g, n_out, multiplier)


@inlined
def add_columns(beta, g, D, multiplier):
    """G = beta g + D 1: the bias gradients (BP3) of all examples at once, summed before they are added."""
    if D.n * D.m <= SMALL:
        for j in range(D.n):
            total = g.dtype.type(0)
            for i in range(D.m):
                total += D.numbers[j * D.rs + i * D.cs]
            g[j] = total if beta == 0 else beta * g[j] + total
        return
    call(
        multiplier.sum_columns,
        Sums(
            x=D.numbers,
            n=D.n,
            m=D.m,
            rs=D.rs,
            cs=D.cs,
            beta=beta,
            sums=rest(g, ZERO),
            totals=multiplier.scratch,
        ),
    )
