"""The norm of the gradient of each example of a mini-batch, without forming the gradient.

In every layer the gradient of one example is an outer product, delta a^T, with delta for the biases. So its square norm
is ||delta||^2 (||a||^2 + 1), summed over the layers (I. Goodfellow, *Efficient per-example gradient computations*,
2015).
"""

import math
from typing import NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.compiling import FAST, ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, PointerTo, Real, Reals, record
from mbbp.kernels.lowlevel.views import part
from mbbp.kernels.propagation import Model, inputs_of_layer, mini_batch

WIDE = 64  # numbers: a shorter column is summed faster across the columns than along them


@record
class MiniBatchNorms(NamedTuple):
    """The norms of the gradients of the examples in the workspace, after their errors were carried back."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    m: Int
    norms: Reals  # (m,)
    sums: Reals  # (2 m,), for the kernel
    least: Real  # is added to ||delta||^2 for each neuron, so that no square is lost where it underflows; or 0


@inlined
def _add_square_norms(X, totals):
    """Add the square norm of each column of a matrix, in float64: squares of float32 over- and underflow soon."""
    if X.rs == 1 and X.n >= WIDE:
        for i in range(X.m):
            x, total = part(X.numbers, i * X.cs, X.n), 0.0
            for j in range(X.n):
                value = np.float64(x[j])
                total += value * value
            totals[i] += total
    elif X.rs == 1:
        x = part(X.numbers, ZERO, X.n * X.m)
        for i in range(X.m):
            total = 0.0
            for j in range(X.n):
                value = np.float64(x[i * X.n + j])
                total += value * value
            totals[i] += total
    else:
        for j in range(X.n):
            x = part(X.numbers, j * X.rs, X.m)
            for i in range(X.m):
                value = np.float64(x[i])
                totals[i] += value * value


@kernel(MiniBatchNorms, fastmath=FAST)
def gradient_norms(at):
    """Set the norms of the gradients of the mini-batch."""
    b = at[0]
    model, m = b.model[0], b.m
    norms, of_a, of_delta = part(b.norms, ZERO, m), part(b.sums, ZERO, m), part(b.sums, m, m)
    for i in range(m):
        norms[i] = 0.0
    for index in range(model.n_layers):
        layer = model.layers[index]
        for i in range(m):
            of_a[i], of_delta[i] = 1.0, b.least * layer.n_out
        _add_square_norms(inputs_of_layer(model, index, m), of_a)
        _add_square_norms(mini_batch(model, layer.delta, layer.n_out, m), of_delta)
        for i in range(m):
            norms[i] += of_a[i] * of_delta[i]
    for i in range(m):
        norms[i] = math.sqrt(norms[i])
    return ZERO
