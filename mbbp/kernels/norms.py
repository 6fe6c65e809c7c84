"""The norm of the gradient of each example of a mini-batch, without forming the gradient.

In every layer the gradient of one example is an outer product, delta a^T, with delta for the biases. So its square norm
is ||delta||^2 (||a||^2 + 1), summed over the layers (I. Goodfellow, *Efficient per-example gradient computations*,
2015).
"""

import math
from typing import NamedTuple

from mbbp.kernels.lowlevel.compiling import FAST, ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, PointerTo, Reals, record
from mbbp.kernels.lowlevel.views import part
from mbbp.kernels.propagation import Model, inputs_of_layer, mini_batch

WIDE = 64  # numbers: a shorter column is summed faster across the columns than along them


@record
class MiniBatchNorms(NamedTuple):
    """The norms of the gradients of the examples in the workspace, after their errors were carried back."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    m: Int
    norms: Reals  # (m,)


@inlined
def _add_square_norms(X, totals):
    """Add the square norm of each column of a matrix."""
    if X.rs == 1 and X.n >= WIDE:
        for i in range(X.m):
            x, total = part(X.numbers, i * X.cs, X.n), totals.dtype.type(0)
            for j in range(X.n):
                total += x[j] * x[j]
            totals[i] += total
    elif X.rs == 1:
        x = part(X.numbers, ZERO, X.n * X.m)
        for i in range(X.m):
            total = totals.dtype.type(0)
            for j in range(X.n):
                total += x[i * X.n + j] * x[i * X.n + j]
            totals[i] += total
    else:
        for j in range(X.n):
            x = part(X.numbers, j * X.rs, X.m)
            for i in range(X.m):
                totals[i] += x[i] * x[i]


@kernel(MiniBatchNorms, fastmath=FAST)
def gradient_norms(at):
    """Set the norms of the gradients of the mini-batch; `spare` is used."""
    b = at[0]
    model, m = b.model[0], b.m
    norms = part(b.norms, ZERO, m)
    of_a, of_delta = part(model.work, model.spare, m), part(model.work, model.spare + m, m)
    for i in range(m):
        norms[i] = 0
    for index in range(model.n_layers):
        layer = model.layers[index]
        for i in range(m):
            of_a[i], of_delta[i] = 1, 0
        _add_square_norms(inputs_of_layer(model, index, m), of_a)
        _add_square_norms(mini_batch(model, layer.delta, layer.n_out, m), of_delta)
        for i in range(m):
            norms[i] += of_a[i] * of_delta[i]
    for i in range(m):
        norms[i] = math.sqrt(norms[i])
    return ZERO
