"""Forward and backward through the whole network, a mini-batch at once.

The workspace is one vector. For a mini-batch of m examples it holds, each (n, m) with a column contiguous: the inputs
a^1, the targets y, one factor for each example's cost, and then for every computing layer z, a and delta. At its end is
the panel, room for the products.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbbp.kernels.codes import ZERO
from mbbp.kernels.costs import output_delta, summed_cost
from mbbp.kernels.elementwise import activate, multiply_by_derivative
from mbbp.kernels.jit import compiled, inlined
from mbbp.kernels.products import PANEL, add_columns, add_outer_products, affine, transposed_product

Array = NDArray[Any]


class Model(NamedTuple):
    """A network as the kernels see it."""

    theta: Array  # every weight and bias, see mbbp.parameters
    sizes: Array  # neurons in each layer, int64 (L,)
    rules: Array  # int64 (L, 3): a row (code, address, address) for each computing layer, and one for the cost


class Examples(NamedTuple):
    """Examples as the kernels see them.

    All three are read-only and in C order, so that one compilation serves every caller's arrays: Numba takes a matrix
    of one row or one column, which is in both orders, for C.
    """

    inputs: Array  # (n, n_in): the columns of X are its rows
    targets: Array  # (n, n_L)
    weights: Array  # (n,), or (0,) where every example counts alike

    @property
    def X(self) -> Array:  # noqa: N802
        """The inputs (n_in, n), one example a column."""
        return self.inputs.T

    @property
    def Y(self) -> Array:  # noqa: N802
        """The targets (n_L, n), one example a column."""
        return self.targets.T


def workspace_size(sizes: Any, m: int) -> int:
    """Return how many numbers the workspace of a mini-batch of m examples holds."""
    return int(m * (sizes[0] + sizes[-1] + 1 + 3 * sum(sizes[1:]))) + PANEL


def layer_block(work: Array, sizes: Any, m: int, index: int) -> tuple[Array, Array, Array]:
    """Return z, a and delta of a computing layer as (n, m) views of the workspace."""
    n = sizes[index + 1]
    start = m * (sizes[0] + sizes[-1] + 1 + 3 * sum(sizes[1 : index + 1]))
    z, a, delta = work[start : start + 3 * n * m].reshape(3, m, n)
    return z.T, a.T, delta.T


@compiled
def matrix(vector, start, n, m):
    """Return an (n, m) view of a vector from `start` on."""
    return vector[start : start + n * m].reshape(m, n).T


@compiled
def load(examples, columns, work):
    """Copy the examples of these columns into the workspace, side by side."""
    m = columns.size
    n_in, n_out = examples.inputs.shape[1], examples.targets.shape[1]
    A, Y = matrix(work, ZERO, n_in, m), matrix(work, n_in * m, n_out, m)
    factors = work[(n_in + n_out) * m : (n_in + n_out + 1) * m]
    for i in range(m):
        column = columns[i]
        for j in range(n_in):
            A[j, i] = examples.inputs[column, j]
        for j in range(n_out):
            Y[j, i] = examples.targets[column, j]
        factors[i] = examples.weights[column] if examples.weights.size else factors.dtype.type(1)


@inlined
def _first_block(sizes, m):
    return m * (sizes[0] + sizes[-1] + 1)


@compiled
def forward(model, work, m):
    """Feedforward: for every layer Z = W A + b and the next A = sigma(Z), from the inputs in the workspace on."""
    theta, sizes, rules = model
    A, panel = matrix(work, ZERO, sizes[0], m), work[work.size - PANEL :]
    parameter, block = ZERO, _first_block(sizes, m)
    for layer in range(sizes.size - 1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        W = matrix(theta, parameter, n_out, n_in)
        b = theta[parameter + n_out * n_in : parameter + n_out * (n_in + 1)]
        Z, A_next = matrix(work, block, n_out, m), matrix(work, block + n_out * m, n_out, m)
        affine(W, A, b, Z, panel)
        activate(rules[layer], Z, A_next)
        A = A_next
        parameter += n_out * (n_in + 1)
        block += 3 * n_out * m


@compiled
def backward(model, work, m, target, keep, rate):
    """Errors from the output back, and each layer's gradient added as it is had: target = keep target + rate gradient.

    The gradient is the sum over the mini-batch, so rate = 1/m with keep = 0 leaves the mean gradient in `target`. With
    `target` the parameters themselves it is a step of gradient descent (`keep` shrinks the weights, not the biases): a
    layer's weights are used to carry the error back before they change.
    """
    theta, sizes, rules = model
    panel = work[work.size - PANEL :]
    last = sizes.size - 2
    n_out = sizes[-1]
    parameter, block = theta.size, _first_block(sizes, m)
    for layer in range(last + 1):
        block += 3 * sizes[layer + 1] * m
    block -= 3 * n_out * m
    Y = matrix(work, sizes[0] * m, n_out, m)
    factors = work[(sizes[0] + n_out) * m : (sizes[0] + n_out + 1) * m]
    Z, A = matrix(work, block, n_out, m), matrix(work, block + n_out * m, n_out, m)
    D = matrix(work, block + 2 * n_out * m, n_out, m)
    output_delta(rules[-1], rules[last], Z, A, Y, D)
    for i in range(m):
        if factors[i] != 1:
            for j in range(n_out):
                D[j, i] *= factors[i]

    for layer in range(last, -1, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        parameter -= n_out * (n_in + 1)
        D = matrix(work, block + 2 * n_out * m, n_out, m)
        if layer > 0:
            block -= 3 * n_in * m
            A = matrix(work, block + n_in * m, n_in, m)
            Z, D_back = matrix(work, block, n_in, m), matrix(work, block + 2 * n_in * m, n_in, m)
            transposed_product(matrix(theta, parameter, n_out, n_in), D, D_back, panel)
            multiply_by_derivative(rules[layer - 1], Z, A, D_back)
        else:
            A = matrix(work, ZERO, n_in, m)
        G = matrix(target, parameter, n_out, n_in)
        g = target[parameter + n_out * n_in : parameter + n_out * (n_in + 1)]
        if keep == 0:
            g[:] = g.dtype.type(0)
        add_outer_products(keep, G, rate, D, A, panel)
        add_columns(rate, D, g, panel)


@compiled
def score(model, work, m):
    """Return the summed cost of the mini-batch in the workspace, and how many examples are classified rightly."""
    sizes, rules = model.sizes, model.rules
    n_in, n_out = sizes[0], sizes[-1]
    block = _first_block(sizes, m)
    for layer in range(sizes.size - 2):
        block += 3 * sizes[layer + 1] * m
    Y = matrix(work, n_in * m, n_out, m)
    factors = work[(n_in + n_out) * m : (n_in + n_out + 1) * m]
    Z, A = matrix(work, block, n_out, m), matrix(work, block + n_out * m, n_out, m)
    return summed_cost(rules[-1], Z, A, Y, factors), _count_correct(A, Y)


@compiled
def _label(A, i):
    """Return the row of the largest entry of column i."""
    best = 0
    for j in range(1, A.shape[0]):
        if A[j, i] > A[best, i]:
            best = j
    return best


@compiled
def _count_correct(A, Y):
    correct = 0
    if A.shape[0] == 1:
        for i in range(A.shape[1]):
            correct += (A[0, i] > 0.5) == (Y[0, i] > 0.5)
        return correct
    for i in range(A.shape[1]):
        correct += _label(A, i) == _label(Y, i)
    return correct


@compiled
def evaluate(model, examples, start, stop, chunk, work, costs, correct):
    """Score the examples from `start` to `stop`, chunk by chunk; the figures of chunk c go to costs[c], correct[c]."""
    for begin in range(start, stop, chunk):
        columns = np.arange(begin, min(begin + chunk, stop))
        load(examples, columns, work)
        forward(model, work, columns.size)
        costs[begin // chunk], correct[begin // chunk] = score(model, work, columns.size)


@compiled
def predict(model, inputs, start, stop, chunk, work, out):
    """Write the outputs for the examples in the rows of `inputs` from `start` to `stop` into those of `out`."""
    sizes = model.sizes
    n_in, n_out = sizes[0], sizes[-1]
    for begin in range(start, stop, chunk):
        m = min(chunk, stop - begin)
        A = matrix(work, ZERO, n_in, m)
        for i in range(m):
            for j in range(n_in):
                A[j, i] = inputs[begin + i, j]
        forward(model, work, m)
        block = _first_block(sizes, m)
        for layer in range(sizes.size - 2):
            block += 3 * sizes[layer + 1] * m
        A = matrix(work, block + n_out * m, n_out, m)
        for i in range(m):
            for j in range(n_out):
                out[begin + i, j] = A[j, i]


@compiled
def gradient(model, examples, work, target, input_target):
    """Write the mean gradient of the examples into `target`, and of each example with respect to its input if asked.

    `input_target` is (m, n_in), or (0, n_in) where it is not asked for. The workspace keeps z, a and delta. Returns the
    mean cost.
    """
    theta, sizes, _ = model
    m = examples.inputs.shape[0]
    load(examples, np.arange(m), work)
    forward(model, work, m)
    cost, _ = score(model, work, m)
    zero, one = theta.dtype.type(0), theta.dtype.type(1)
    backward(model, work, m, target, zero, one / theta.dtype.type(m))
    if input_target.shape[0] > 0:
        D = matrix(work, _first_block(sizes, m) + 2 * sizes[1] * m, sizes[1], m)
        transposed_product(matrix(theta, ZERO, sizes[1], sizes[0]), D, input_target.T, work[work.size - PANEL :])
    return cost / m
