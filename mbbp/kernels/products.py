"""The three matrix products of backpropagation: forward, backward, and the weight gradient.

All matrices are in Fortran order, so the first index, the neuron, is the one that runs along memory and through the
vector lanes. The loops are blocked in registers: an inner loop over neurons does eight multiply-adds for every six
numbers that it loads, because it takes four terms of the sum and two examples at a time.
"""

from mbbp.kernels.jit import compiled_fast


@compiled_fast
def affine(W, A, b, Z):
    """Z = W A + b."""
    n_out, n_in = W.shape
    m = A.shape[1]
    for i in range(m):
        for j in range(n_out):
            Z[j, i] = b[j]
    pairs, quads = m - m % 2, n_in - n_in % 4
    for k in range(0, quads, 4):
        for i in range(0, pairs, 2):
            a0, a1, a2, a3 = A[k, i], A[k + 1, i], A[k + 2, i], A[k + 3, i]
            c0, c1, c2, c3 = A[k, i + 1], A[k + 1, i + 1], A[k + 2, i + 1], A[k + 3, i + 1]
            for j in range(n_out):
                w0, w1, w2, w3 = W[j, k], W[j, k + 1], W[j, k + 2], W[j, k + 3]
                Z[j, i] += w0 * a0 + w1 * a1 + w2 * a2 + w3 * a3
                Z[j, i + 1] += w0 * c0 + w1 * c1 + w2 * c2 + w3 * c3
        for i in range(pairs, m):
            a0, a1, a2, a3 = A[k, i], A[k + 1, i], A[k + 2, i], A[k + 3, i]
            for j in range(n_out):
                Z[j, i] += W[j, k] * a0 + W[j, k + 1] * a1 + W[j, k + 2] * a2 + W[j, k + 3] * a3
    for k in range(quads, n_in):
        for i in range(m):
            a0 = A[k, i]
            for j in range(n_out):
                Z[j, i] += W[j, k] * a0


@compiled_fast
def transposed_product(W, D, out):
    """Out = W^T D: the errors of a layer, carried back through its weights."""
    n_out, n_in = W.shape
    m = D.shape[1]
    zero = W.dtype.type(0)
    pairs, twos = m - m % 2, n_in - n_in % 2
    for k in range(0, twos, 2):
        for i in range(0, pairs, 2):
            s00, s01, s10, s11 = zero, zero, zero, zero
            for j in range(n_out):
                s00 += W[j, k] * D[j, i]
                s01 += W[j, k] * D[j, i + 1]
                s10 += W[j, k + 1] * D[j, i]
                s11 += W[j, k + 1] * D[j, i + 1]
            out[k, i], out[k, i + 1], out[k + 1, i], out[k + 1, i + 1] = s00, s01, s10, s11
    for i in range(m):
        for k in range(0 if i >= pairs else twos, n_in):
            s00 = zero
            for j in range(n_out):
                s00 += W[j, k] * D[j, i]
            out[k, i] = s00


@compiled_fast
def scale(keep, G):
    """G = keep G; a factor of 0 sets zeros, whatever stood there."""
    n, n_columns = G.shape
    if keep == 0:
        G[:, :] = G.dtype.type(0)
    elif keep != 1:
        for k in range(n_columns):
            for j in range(n):
                G[j, k] *= keep


@compiled_fast
def add_outer_products(rate, D, A, G):
    """G = G + rate D A^T: the outer products delta a^T (BP4) of all examples at once."""
    n_out, n_in = G.shape
    m = D.shape[1]
    fours, twos = m - m % 4, n_in - n_in % 2
    for k in range(0, twos, 2):
        for i in range(0, fours, 4):
            a0, a1, a2, a3 = rate * A[k, i], rate * A[k, i + 1], rate * A[k, i + 2], rate * A[k, i + 3]
            c0, c1, c2, c3 = (
                rate * A[k + 1, i],
                rate * A[k + 1, i + 1],
                rate * A[k + 1, i + 2],
                rate * A[k + 1, i + 3],
            )
            for j in range(n_out):
                d0, d1, d2, d3 = D[j, i], D[j, i + 1], D[j, i + 2], D[j, i + 3]
                G[j, k] += d0 * a0 + d1 * a1 + d2 * a2 + d3 * a3
                G[j, k + 1] += d0 * c0 + d1 * c1 + d2 * c2 + d3 * c3
        for i in range(fours, m):
            a0, c0 = rate * A[k, i], rate * A[k + 1, i]
            for j in range(n_out):
                G[j, k] += D[j, i] * a0
                G[j, k + 1] += D[j, i] * c0
    for k in range(twos, n_in):
        for i in range(m):
            a0 = rate * A[k, i]
            for j in range(n_out):
                G[j, k] += D[j, i] * a0


@compiled_fast
def add_columns(rate, D, g):
    """G = g + rate D 1: the bias gradients (BP3) of all examples at once."""
    for i in range(D.shape[1]):
        for j in range(D.shape[0]):
            g[j] += rate * D[j, i]
