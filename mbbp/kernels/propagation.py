"""Forward and backward through the whole network, a mini-batch at once.

The workspace is one vector. For a mini-batch of m examples it holds, each (n, m) with a column contiguous: the inputs
a^1, the targets y, one factor for each example's cost, and then for every computing layer z, a and delta. At its end
are a panel for each thread, room for its products, and a 1.

Threads share a step (see team.py): forward, and when errors are carried back, each has its own examples; of a gradient,
which sums over all examples, each has its own inputs.
"""

import functools
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mbbp.kernels.blocking import PANEL, Multiplier, multiplier_address
from mbbp.kernels.codes import ZERO
from mbbp.kernels.costs import output_delta, summed_cost
from mbbp.kernels.elementwise import activate, all_finite, multiply_by_derivative, scale
from mbbp.kernels.jit import DISABLED, compiled, inlined
from mbbp.kernels.linking import BOUNDLESS, address_of, call
from mbbp.kernels.products import add_columns, add_outer_products, affine, transposed_product
from mbbp.kernels.team import Team, share, share_of_rows, wait
from mbbp.kernels.tile import ROWS
from mbbp.kernels.views import borrowed, flat, matrix, part, rows_as_columns, vector_at

Array = NDArray[Any]

PIXEL = 1 / 255  # what one of a pixel's 255 steps stands for


class Model(NamedTuple):
    """A network as the kernels see it."""

    theta: Array  # every weight and bias, see mbbp.parameters
    sizes: Array  # neurons in each layer, int64 (L,)
    rules: Array  # int64 (L, 3): a row (code, address, address) for each computing layer, and one for the cost
    multiplier: int  # the address of the compiled product, see blocking.py
    forward: int  # and those of the two passes, see linking.py
    backward: int


class Examples(NamedTuple):
    """Examples as the kernels see them.

    All are read-only and in C order, so that one compilation serves every caller's arrays: Numba takes a matrix
    of one row or one column, which is in both orders, for C.
    """

    inputs: Array  # (n, n_in): the columns of X are its rows; or (0, n_in) where they are pixels
    pixels: Array  # uint8 (n, n_in): they stand for a 255th of themselves; or (0, n_in)
    targets: Array  # (n, n_L)
    weights: Array  # (n,), or (0,) where every example counts alike
    labels: Array  # int64 (n,): the row of the largest target; of a single one, whether it is over 1/2

    @property
    def X(self) -> Array:  # noqa: N802
        """The inputs (n_in, n), one example a column, pixels as the numbers that they stand for."""
        pixels = np.multiply(self.pixels, self.targets.dtype.type(PIXEL))
        return (pixels if len(pixels) else self.inputs).T

    @property
    def Y(self) -> Array:  # noqa: N802
        """The targets (n_L, n), one example a column."""
        return self.targets.T


def workspace_size(sizes: Any, m: int, threads: int = 1) -> int:
    """Return how many numbers the workspace of a mini-batch of m examples holds."""
    return int(m * (sizes[0] + sizes[-1] + 1 + 3 * sum(sizes[1:]))) + threads * PANEL + 1


def layer_block(work: Array, sizes: Any, m: int, index: int) -> tuple[Array, Array, Array]:
    """Return z, a and delta of a computing layer as (n, m) views of the workspace."""
    n = sizes[index + 1]
    start = m * (sizes[0] + sizes[-1] + 1 + 3 * sum(sizes[1 : index + 1]))
    z, a, delta = work[start : start + 3 * n * m].reshape(3, m, n)
    return z.T, a.T, delta.T


@inlined
def borrowed_model(model):
    """Return the model, whose arrays are not counted."""
    theta, sizes, rules, multiplier, forward_at, backward_at = model
    return Model(borrowed(theta), borrowed(sizes), borrowed(rules), multiplier, forward_at, backward_at)


@inlined
def borrowed_examples(examples):
    """Return the examples, whose arrays are not counted."""
    inputs, pixels, targets, weights, labels = examples
    return Examples(borrowed(inputs), borrowed(pixels), borrowed(targets), borrowed(weights), borrowed(labels))


@inlined
def load_inputs(inputs, pixels, row, A, i):
    """Copy a row of the inputs, or of the pixels if there are any, into column i."""
    if pixels.shape[0]:
        unit = A.dtype.type(PIXEL)
        for j in range(A.shape[0]):
            A[j, i] = A.dtype.type(pixels[row, j]) * unit
    else:
        for j in range(A.shape[0]):
            A[j, i] = inputs[row, j]


@inlined
def load(examples, columns, work, start, stop):
    """Copy the examples of these columns into the workspace, side by side, from the `start`-th on."""
    m = columns.size
    n_in, n_out = examples.inputs.shape[1], examples.targets.shape[1]
    A, Y = matrix(work, ZERO, n_in, m), matrix(work, n_in * m, n_out, m)
    for i in range(start, stop):
        column = columns[i]
        load_inputs(examples.inputs, examples.pixels, column, A, i)
        for j in range(n_out):
            Y[j, i] = examples.targets[column, j]
    if examples.weights.size:
        factors = part(work, (n_in + n_out) * m, m)
        for i in range(start, stop):
            factors[i] = examples.weights[columns[i]]


@inlined
def _multiplier(model, work, rank):
    return Multiplier(model.multiplier, part(work, work.size - 1 - (rank + 1) * PANEL, PANEL))


@inlined
def _first_block(sizes, m):
    return m * (sizes[0] + sizes[-1] + 1)


@inlined
def _last_block(sizes, m):
    block = m * (sizes[0] + sizes[-1] + 1)
    for layer in range(sizes.size - 2):
        block += 3 * sizes[layer + 1] * m
    return block


@inlined
def _forward(model, A, work, m, start, stop, rank):
    """Feedforward: for every layer Z = W A + b and the next A = sigma(Z), from the inputs A on.

    They are those of the examples from `start` to `stop`, of m in the workspace. The panel is that of thread `rank`.
    """
    theta, sizes, rules = model.theta, model.sizes, model.rules
    multiplier = _multiplier(model, work, rank)
    parameter, block = ZERO, _first_block(sizes, m)
    for layer in range(sizes.size - 1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        W = matrix(theta, parameter, n_out, n_in)
        b = part(theta, parameter + n_out * n_in, n_out)
        Z = _columns(work, block, n_out, start, stop)
        A_next = _columns(work, block + n_out * m, n_out, start, stop)
        affine(W, A, b, Z, multiplier)
        activate(rules[layer], Z, A_next)
        A = A_next
        parameter += n_out * (n_in + 1)
        block += 3 * n_out * m


@inlined
def inputs_of(model, work, start, stop):
    """Return the inputs of the examples from `start` to `stop` in the workspace."""
    return _columns(work, ZERO, model.sizes[0], start, stop)


@inlined
def _columns(work, block, n, start, stop):
    return matrix(work, block + start * n, n, stop - start)


@inlined
def _backward(model, work, m, is_weighted, target, keep, keep_biases, rate, team):
    """Errors from the output back, and each layer's gradient added as it is had: target = keep target + rate gradient.

    The gradient is the sum over the mini-batch, so rate = 1/m with keep = 0 leaves the mean gradient in `target`. With
    `target` the parameters themselves it is a step of gradient descent: a layer's weights are used to carry the error
    back before they change. With the velocities it is momentum. Nothing shrinks biases, so they have a `keep` of their
    own. What is carried back is rate times the error, so that nothing is left to be scaled when gradients are added.
    """
    theta, sizes, rules = model.theta, model.sizes, model.rules
    multiplier, ones = _multiplier(model, work, team.rank), part(work, work.size - 1, 1)
    if team.rank == team.size - 1:
        ones[0] = ones.dtype.type(1)
    start, stop = share_of_rows(team, m)
    last = sizes.size - 2
    n_out = sizes[-1]
    parameter, block = theta.size, _last_block(sizes, m)
    Y = _columns(work, sizes[0] * m, n_out, start, stop)
    Z, A = _columns(work, block, n_out, start, stop), _columns(work, block + n_out * m, n_out, start, stop)
    D = _columns(work, block + 2 * n_out * m, n_out, start, stop)
    if output_delta(rules[-1], A, Y, D):
        multiply_by_derivative(rules[last], Z, A, D)
    if is_weighted:
        factors = part(work, (sizes[0] + n_out) * m + start, stop - start)
        for i in range(stop - start):
            for j in range(n_out):
                D[j, i] *= factors[i]
    if rate != 1:
        scale(flat(D), rate)

    for layer in range(last, -1, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        parameter -= n_out * (n_in + 1)
        errors, A_start = block + 2 * n_out * m, ZERO
        if layer > 0:
            block -= 3 * n_in * m
            A_start = block + n_in * m
            Z, A = _columns(work, block, n_in, start, stop), _columns(work, A_start, n_in, start, stop)
            D_back = _columns(work, block + 2 * n_in * m, n_in, start, stop)
            D = _columns(work, errors, n_out, start, stop)
            transposed_product(matrix(theta, parameter, n_out, n_in), D, D_back, multiplier)
            multiply_by_derivative(rules[layer - 1], Z, A, D_back)
        # for all errors of this layer and the one before, and for all who need the weights as they are
        if (layer > 0 or last == 0) and not wait(team):
            return
        D, A = matrix(work, errors, n_out, m), matrix(work, A_start, n_in, m)
        # a single neuron's weights are a row, and cut short it might be summed in another way
        first, end = share(team, n_in, ROWS if n_out > 1 else n_in)
        add_outer_products(keep, matrix(target, parameter, n_out, n_in), D, A, first, end, multiplier)
        if team.rank == team.size - 1:
            g = part(target, parameter + n_out * n_in, n_out)
            add_columns(keep_biases, g, D, ones, multiplier)


@inlined
def _model_at(theta, n, sizes, n_layers, rules, multiplier):
    theta, sizes, rules = numba.carray(theta, n), numba.carray(sizes, n_layers), numba.carray(rules, (n_layers, 3))
    return Model(theta, sizes, rules, multiplier, 0, 0)


def _forward_on_pointers(theta, n, sizes, n_layers, rules, multiplier, inputs, work, n_work, m, start, stop, rank):
    model = _model_at(theta, n, sizes, n_layers, rules, multiplier)
    A = matrix(numba.carray(inputs, BOUNDLESS), ZERO, model.sizes[0], stop - start)
    _forward(model, A, numba.carray(work, n_work), m, start, stop, rank)


def _backward_on_pointers(
    theta,
    n,
    sizes,
    n_layers,
    rules,
    multiplier,
    work,
    n_work,
    m,
    is_weighted,
    target,
    keep,
    keep_biases,
    rate,
    rank,
    threads,
    arrivals,
):
    model = _model_at(theta, n, sizes, n_layers, rules, multiplier)
    team = Team(rank, threads, numba.carray(arrivals, BOUNDLESS))
    _backward(
        model,
        numba.carray(work, n_work),
        m,
        is_weighted,
        numba.carray(target, n),
        keep,
        keep_biases,
        rate,
        team,
    )


@functools.cache
def pass_addresses(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the addresses of both passes for a dtype, compiling them if they have not been."""
    forward_at = address_of(_forward_on_pointers, "XiIiIi" + "XXiiiii", dtype)
    return forward_at, address_of(_backward_on_pointers, "XiIiIi" + "XiiiXxxxiiI", dtype)


def make_model(theta: Array, sizes: Any, rules: Any) -> Model:
    """Return a network as the kernels see it; what they call by address is compiled if it has not been."""
    addresses = (multiplier_address(theta.dtype), *pass_addresses(theta.dtype))
    return Model(theta, np.array(sizes, np.int64), np.array(rules, np.int64), *addresses)


if DISABLED:
    forward, backward = _forward, _backward

else:

    @inlined
    def _parts(model):
        theta, sizes, rules = model.theta, model.sizes, model.rules
        return theta, theta.size, sizes, sizes.size, rules, model.multiplier

    @inlined
    def forward(model, A, work, m, start, stop, rank):
        """See `_forward`."""
        rest = (flat(A), work, work.size, m, start, stop, rank)
        call(model.forward, _parts(model) + rest)

    @inlined
    def backward(model, work, m, is_weighted, target, keep, keep_biases, rate, team):
        """See `_backward`."""
        place = (team.rank, team.size, team.arrivals)
        rest = (work, work.size, m, np.int64(is_weighted), target, keep, keep_biases, rate)
        call(model.backward, _parts(model) + rest + place)


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
            correct += (A[0, i] > 0.5) == (label == 1) and A[0, i] == A[0, i]  # NaN is never right
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
        m = columns.size
        load(examples, columns, work, ZERO, m)
        forward(model, inputs_of(model, work, ZERO, m), work, m, ZERO, m, ZERO)
        costs[begin // chunk] = score(model, work, m, examples.weights.size > 0)
        correct[begin // chunk] = count_correct(model, work, columns, examples.labels)


@compiled
def predict(model, inputs, pixels, start, stop, chunk, work, out):
    """Write the outputs for the rows of `inputs` or `pixels` from `start` to `stop` into those of `out`.

    Returns whether every input is finite; if not, `out` is not whole.
    """
    sizes = model.sizes
    for begin in range(start, stop, chunk):
        m = min(chunk, stop - begin)
        A = matrix(work, ZERO, sizes[0], m)
        if pixels.shape[0]:
            for i in range(m):
                load_inputs(inputs, pixels, begin + i, A, i)
        else:
            A = rows_as_columns(inputs, begin, m)
            if not all_finite(flat(A)):
                return False
        forward(model, A, work, m, ZERO, m, ZERO)
        _copy_outputs(work, sizes, m, out, begin)
    return True


@inlined
def _copy_outputs(work, sizes, m, out, begin):
    n_out = sizes[-1]
    A = matrix(work, _last_block(sizes, m) + n_out * m, n_out, m)
    for i in range(m):
        for j in range(n_out):
            out[begin + i, j] = A[j, i]


def packed(model: Model) -> Array:
    """Return a model as a single int64 vector, which is sooner handed over than its parts; it does not own theta."""
    ends = [model.theta.ctypes.data, model.theta.size, *model[3:], model.sizes.size]
    return np.concatenate([ends, model.sizes, model.rules.reshape(-1)]).astype(np.int64)


@compiled
def predict_few(packed_model, inputs, work, out):
    """Write the outputs for all rows of `inputs` into those of `out`, and return whether every input is finite."""
    m = inputs.shape[0]
    A = rows_as_columns(inputs, ZERO, m)
    if not all_finite(flat(A)):
        return False
    n_layers = packed_model[5]
    sizes, rules = part(packed_model, 6, n_layers), matrix(packed_model, 6 + n_layers, 3, n_layers).T
    model = Model(
        vector_at(packed_model[0], packed_model[1], work),
        sizes,
        rules,
        packed_model[2],
        packed_model[3],
        packed_model[4],
    )
    forward(model, A, work, m, ZERO, m, ZERO)
    _copy_outputs(work, sizes, m, out, ZERO)
    return True


@compiled
def gradient(model, examples, work, target, input_target, team):
    """Write the mean gradient of the examples into `target`, and of each example with respect to its input if asked.

    `input_target` is (m, n_in), or (0, n_in) where it is not asked for. The workspace keeps z, a and delta. Returns the
    mean cost. The team is of one.
    """
    theta, sizes = model.theta, model.sizes
    m = examples.targets.shape[0]
    is_weighted = examples.weights.size > 0
    load(examples, np.arange(m), work, ZERO, m)
    forward(model, inputs_of(model, work, ZERO, m), work, m, ZERO, m, ZERO)
    cost = score(model, work, m, is_weighted)
    zero, one = theta.dtype.type(0), theta.dtype.type(1)
    # with a rate of 1, so that the errors left in the workspace are each example's own
    backward(model, work, m, is_weighted, target, zero, zero, one, team)
    scale(target, one / theta.dtype.type(m))
    if input_target.shape[0] > 0:
        D = matrix(work, _first_block(sizes, m) + 2 * sizes[1] * m, sizes[1], m)
        transposed_product(matrix(theta, ZERO, sizes[1], sizes[0]), D, input_target.T, _multiplier(model, work, ZERO))
    return cost / m
