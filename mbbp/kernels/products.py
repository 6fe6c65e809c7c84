"""The matrix products of backpropagation: forward, backward, and the gradients of weights and biases.

All matrices are (n, m) in Fortran order, so that in memory an example, or the weights of one input, is a row of
neighbouring neurons. Seen as rows, each product is C = keep Start + A B (see blocking.py).
"""

from mbbp.kernels.blocking import multiply_add
from mbbp.kernels.codes import ONE, ZERO
from mbbp.kernels.jit import inlined
from mbbp.kernels.views import flat, part


@inlined
def affine(W, A, b, Z, multiplier):
    """Z = W A + b."""
    n_out, n_in = W.shape
    m = A.shape[1]
    one = Z.dtype.type(1)
    multiply_add(multiplier, flat(A), n_in, ONE, flat(W), n_out, ONE, b, ZERO, flat(Z), m, n_out, n_in, one)


@inlined
def transposed_product(W, D, out, multiplier):
    """Out = W^T D: the errors of a layer, carried back through its weights."""
    n_out, n_in = W.shape
    m = D.shape[1]
    zero, o = out.dtype.type(0), flat(out)
    multiply_add(multiplier, flat(D), n_out, ONE, flat(W), ONE, n_out, o, n_in, o, m, n_in, n_out, zero)


@inlined
def add_outer_products(keep, G, D, A, first, end, multiplier):
    """G = keep G + D A^T: the outer products delta a^T (BP4) of all examples at once, for the inputs `first` to `end`.

    A factor of 0 starts from zeros, whatever stood in G.
    """
    n_out, n_in = G.shape
    m, n = D.shape[1], end - first
    if n > 0:
        g = part(flat(G), first * n_out, n * n_out)
        a = part(flat(A), first, A.size - first)
        if n_out == 1:  # then G is a row of inputs in memory, as wide as one could wish
            multiply_add(multiplier, flat(D), ONE, ONE, a, n_in, ONE, g, n, g, ONE, n, m, keep)
        else:
            multiply_add(multiplier, a, ONE, n_in, flat(D), n_out, ONE, g, n_out, g, n, n_out, m, keep)


@inlined
def add_columns(keep, g, D, ones, multiplier):
    """G = keep g + D 1: the bias gradients (BP3) of all examples at once, summed before they are added.

    `ones` begins with a 1.
    """
    n_out, m = D.shape
    multiply_add(multiplier, ones, ZERO, ZERO, flat(D), n_out, ONE, g, n_out, g, ONE, n_out, m, keep)
