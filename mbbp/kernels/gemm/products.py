"""The matrix products of backpropagation: forward, backward, and the gradients of weights and biases.

All matrices are (n, m) in Fortran order, so that in memory an example, or the weights of one input, is a row of
neighbouring neurons. Seen as rows, each product is C = beta Start + A B (see blocking.py).
"""

from typing import NamedTuple

from mbbp.kernels.gemm.blocking import Product
from mbbp.kernels.lowlevel.compiling import ONE, ZERO, inlined
from mbbp.kernels.lowlevel.records import Address, Numbers, call, record
from mbbp.kernels.lowlevel.views import flat, part


@record
class Multiplier(NamedTuple):
    """What a product needs besides its matrices."""

    address: Address  # of blocking.multiply_add
    panel: Numbers  # room for PANEL numbers


@inlined
def affine(W, A, b, Z, multiplier):
    """Z = W A + b."""
    n_out, n_in = W.shape
    product = Product(
        a=flat(A),
        rs_a=n_in,
        cs_a=ONE,
        b=flat(W),
        rs_b=n_out,
        cs_b=ONE,
        start=b,
        rs_start=ZERO,
        c=flat(Z),
        n_rows=A.shape[1],
        n_columns=n_out,
        depth=n_in,
        beta=Z.dtype.type(1),
        panel=multiplier.panel,
    )
    call(multiplier.address, product)


@inlined
def transposed_product(W, D, out, multiplier):
    """Out = W^T D: the errors of a layer, carried back through its weights."""
    n_out, n_in = W.shape
    c = flat(out)
    product = Product(
        a=flat(D),
        rs_a=n_out,
        cs_a=ONE,
        b=flat(W),
        rs_b=ONE,
        cs_b=n_out,
        start=c,
        rs_start=n_in,
        c=c,
        n_rows=D.shape[1],
        n_columns=n_in,
        depth=n_out,
        beta=out.dtype.type(0),
        panel=multiplier.panel,
    )
    call(multiplier.address, product)


@inlined
def add_outer_products(beta, G, D, A, first, end, multiplier):
    """G = beta G + D A^T: the outer products delta a^T (BP4) of all examples at once, for the inputs `first` to `end`.

    With beta = 0, G is not read.
    """
    n_out, n_in = G.shape
    m, n = D.shape[1], end - first
    if n > 0:
        g = part(flat(G), first * n_out, n * n_out)
        a = part(flat(A), first, A.size - first)
        d = flat(D)
        if n_out == 1:  # then G is one long row of inputs in memory, and the inputs fill the vectors
            product = Product(
                a=d,
                rs_a=ONE,
                cs_a=ONE,
                b=a,
                rs_b=n_in,
                cs_b=ONE,
                start=g,
                rs_start=n,
                c=g,
                n_rows=ONE,
                n_columns=n,
                depth=m,
                beta=beta,
                panel=multiplier.panel,
            )
        else:
            product = Product(
                a=a,
                rs_a=ONE,
                cs_a=n_in,
                b=d,
                rs_b=n_out,
                cs_b=ONE,
                start=g,
                rs_start=n_out,
                c=g,
                n_rows=n,
                n_columns=n_out,
                depth=m,
                beta=beta,
                panel=multiplier.panel,
            )
        call(multiplier.address, product)


@inlined
def add_columns(beta, g, D, ones, multiplier):
    """G = beta g + D 1: the bias gradients (BP3) of all examples at once, summed before they are added.

    `ones` begins with a 1, which is read again and again.
    """
    n_out, m = D.shape
    call(
        multiplier.address,
        Product(
            a=ones,
            rs_a=ZERO,
            cs_a=ZERO,
            b=flat(D),
            rs_b=n_out,
            cs_b=ONE,
            start=g,
            rs_start=n_out,
            c=g,
            n_rows=ONE,
            n_columns=n_out,
            depth=m,
            beta=beta,
            panel=multiplier.panel,
        ),
    )
