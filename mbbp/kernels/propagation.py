"""Forward and backward through the whole network, a mini-batch at once.

The workspace is one vector. For a mini-batch of m examples it holds, each (n, m) with a column contiguous: the inputs
a^1, the targets y, one factor for each example's cost, and then for every computing layer z, a and delta. At its end
are a 1, and the panel, room for the products.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbbp.kernels.blocking import PANEL, Multiplier
from mbbp.kernels.codes import ZERO
from mbbp.kernels.costs import output_delta, summed_cost
from mbbp.kernels.elementwise import activate, multiply_by_derivative, scale
from mbbp.kernels.jit import compiled, inlined
from mbbp.kernels.products import add_columns, add_outer_products, affine, transposed_product
from mbbp.kernels.views import borrowed, flat, matrix, part

Array = NDArray[Any]


class Model(NamedTuple):
    """A network as the kernels see it."""

    theta: Array  # every weight and bias, see mbbp.parameters
    sizes: Array  # neurons in each layer, int64 (L,)
    rules: Array  # int64 (L, 3): a row (code, address, address) for each computing layer, and one for the cost
    multiplier: int  # the address of the compiled product, see blocking.py


class Examples(NamedTuple):
    """Examples as the kernels see them.

    All are read-only and in C order, so that one compilation serves every caller's arrays: Numba takes a matrix
    of one row or one column, which is in both orders, for C.
    """

    inputs: Array  # (n, n_in): the columns of X are its rows
    targets: Array  # (n, n_L)
    weights: Array  # (n,), or (0,) where every example counts alike
    labels: Array  # int64 (n,): the row of the largest target; of a single one, whether it is over 1/2

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
    return int(m * (sizes[0] + sizes[-1] + 1 + 3 * sum(sizes[1:]))) + 1 + PANEL


def layer_block(work: Array, sizes: Any, m: int, index: int) -> tuple[Array, Array, Array]:
    """Return z, a and delta of a computing layer as (n, m) views of the workspace."""
    n = sizes[index + 1]
    start = m * (sizes[0] + sizes[-1] + 1 + 3 * sum(sizes[1 : index + 1]))
    z, a, delta = work[start : start + 3 * n * m].reshape(3, m, n)
    return z.T, a.T, delta.T


@inlined
def borrowed_model(model):
    """Return the model, whose arrays are not counted."""
    return Model(borrowed(model.theta), borrowed(model.sizes), borrowed(model.rules), model.multiplier)


@inlined
def borrowed_examples(examples):
    """Return the examples, whose arrays are not counted."""
    return Examples(
        borrowed(examples.inputs), borrowed(examples.targets), borrowed(examples.weights), borrowed(examples.labels)
    )


@inlined
def load(examples, columns, work):
    """Copy the examples of these columns into the workspace, side by side."""
    m = columns.size
    n_in, n_out = examples.inputs.shape[1], examples.targets.shape[1]
    A, Y = matrix(work, ZERO, n_in, m), matrix(work, n_in * m, n_out, m)
    for i in range(m):
        column = columns[i]
        for j in range(n_in):
            A[j, i] = examples.inputs[column, j]
        for j in range(n_out):
            Y[j, i] = examples.targets[column, j]
    if examples.weights.size:
        factors = part(work, (n_in + n_out) * m, m)
        for i in range(m):
            factors[i] = examples.weights[columns[i]]


@inlined
def _multiplier(model, work):
    return Multiplier(model.multiplier, part(work, work.size - PANEL, PANEL))


@inlined
def _first_block(sizes, m):
    return m * (sizes[0] + sizes[-1] + 1)


@inlined
def _last_block(sizes, m):
    block = m * (sizes[0] + sizes[-1] + 1)
    for layer in range(sizes.size - 2):
        block += 3 * sizes[layer + 1] * m
    return block


@compiled
def forward(model, work, m):
    """Feedforward: for every layer Z = W A + b and the next A = sigma(Z), from the inputs in the workspace on."""
    theta, sizes, rules, _ = model
    A, multiplier = matrix(work, ZERO, sizes[0], m), _multiplier(model, work)
    parameter, block = ZERO, _first_block(sizes, m)
    for layer in range(sizes.size - 1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        W = matrix(theta, parameter, n_out, n_in)
        b = part(theta, parameter + n_out * n_in, n_out)
        Z, A_next = matrix(work, block, n_out, m), matrix(work, block + n_out * m, n_out, m)
        affine(W, A, b, Z, multiplier)
        activate(rules[layer], Z, A_next)
        A = A_next
        parameter += n_out * (n_in + 1)
        block += 3 * n_out * m


@compiled
def backward(model, work, m, is_weighted, target, keep, rate):
    """Errors from the output back, and each layer's gradient added as it is had: target = keep target + rate gradient.

    The gradient is the sum over the mini-batch, so rate = 1/m with keep = 0 leaves the mean gradient in `target`. With
    `target` the parameters themselves it is a step of gradient descent (`keep` shrinks the weights, not the biases): a
    layer's weights are used to carry the error back before they change. What is carried back is rate times the error,
    so that nothing is left to be scaled when gradients are added.
    """
    theta, sizes, rules, _ = model
    multiplier, one = _multiplier(model, work), part(work, work.size - PANEL - 1, 1)
    one[0] = keep_biases = one.dtype.type(1)
    if keep == 0:
        keep_biases = keep
    last = sizes.size - 2
    n_out = sizes[-1]
    parameter, block = theta.size, _first_block(sizes, m)
    for layer in range(last + 1):
        block += 3 * sizes[layer + 1] * m
    block -= 3 * n_out * m
    Y = matrix(work, sizes[0] * m, n_out, m)
    Z, A = matrix(work, block, n_out, m), matrix(work, block + n_out * m, n_out, m)
    D = matrix(work, block + 2 * n_out * m, n_out, m)
    if output_delta(rules[-1], A, Y, D):
        multiply_by_derivative(rules[last], Z, A, D)
    if is_weighted:
        factors = part(work, (sizes[0] + n_out) * m, m)
        for i in range(m):
            for j in range(n_out):
                D[j, i] *= factors[i]
    if rate != 1:
        scale(flat(D), rate)

    for layer in range(last, -1, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        parameter -= n_out * (n_in + 1)
        D = matrix(work, block + 2 * n_out * m, n_out, m)
        if layer > 0:
            block -= 3 * n_in * m
            A = matrix(work, block + n_in * m, n_in, m)
            Z, D_back = matrix(work, block, n_in, m), matrix(work, block + 2 * n_in * m, n_in, m)
            transposed_product(matrix(theta, parameter, n_out, n_in), D, D_back, multiplier)
            multiply_by_derivative(rules[layer - 1], Z, A, D_back)
        else:
            A = matrix(work, ZERO, n_in, m)
        G = matrix(target, parameter, n_out, n_in)
        add_outer_products(keep, G, D, A, multiplier)
        g = part(target, parameter + n_out * n_in, n_out)
        add_columns(keep_biases, g, D, one, multiplier)


@inlined
def score(model, work, m, is_weighted):
    """Return the summed cost of the mini-batch in the workspace."""
    sizes, rules = model.sizes, model.rules
    n_in, n_out = sizes[0], sizes[-1]
    block = _last_block(sizes, m)
    Y = matrix(work, n_in * m, n_out, m)
    factors = part(work, (n_in + n_out) * m, is_weighted * m)
    Z, A = matrix(work, block, n_out, m), matrix(work, block + n_out * m, n_out, m)
    return summed_cost(rules[-1], Z, A, Y, factors)


@inlined
def count_correct(model, work, columns, labels):
    """Return how many of the examples in the workspace, those of `columns`, are given their label."""
    sizes, m = model.sizes, columns.size
    n_out = sizes[-1]
    A = matrix(work, _last_block(sizes, m) + n_out * m, n_out, m)
    correct = 0
    for i in range(m):
        label = labels[columns[i]]
        if n_out == 1:
            correct += (A[0, i] > 0.5) == (label == 1)
            continue
        output = A[label, i]
        beaten = 0
        for j in range(n_out):  # of equal ones, the first counts as the largest
            beaten += output > A[j, i] if j < label else output >= A[j, i]
        correct += beaten == n_out
    return correct


@compiled
def evaluate(model, examples, start, stop, chunk, work, costs, correct):
    """Score the examples from `start` to `stop`, chunk by chunk; the figures of chunk c go to costs[c], correct[c]."""
    for begin in range(start, stop, chunk):
        columns = np.arange(begin, min(begin + chunk, stop))
        load(examples, columns, work)
        forward(model, work, columns.size)
        costs[begin // chunk] = score(model, work, columns.size, examples.weights.size > 0)
        correct[begin // chunk] = count_correct(model, work, columns, examples.labels)


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
        A = matrix(work, _last_block(sizes, m) + n_out * m, n_out, m)
        for i in range(m):
            for j in range(n_out):
                out[begin + i, j] = A[j, i]


@compiled
def gradient(model, examples, work, target, input_target):
    """Write the mean gradient of the examples into `target`, and of each example with respect to its input if asked.

    `input_target` is (m, n_in), or (0, n_in) where it is not asked for. The workspace keeps z, a and delta. Returns the
    mean cost.
    """
    theta, sizes, _, _ = model
    m = examples.inputs.shape[0]
    is_weighted = examples.weights.size > 0
    load(examples, np.arange(m), work)
    forward(model, work, m)
    cost = score(model, work, m, is_weighted)
    zero, one = theta.dtype.type(0), theta.dtype.type(1)
    backward(model, work, m, is_weighted, target, zero, one)  # the errors that are left in the workspace are not scaled
    scale(target, one / theta.dtype.type(m))
    if input_target.shape[0] > 0:
        D = matrix(work, _first_block(sizes, m) + 2 * sizes[1] * m, sizes[1], m)
        transposed_product(matrix(theta, ZERO, sizes[1], sizes[0]), D, input_target.T, _multiplier(model, work))
    return cost / m
