"""Forward and backward through the whole network, a mini-batch at once.

Threads share a step (see team.py): forward, and when errors are carried back, each has its own examples; of a gradient,
which sums over all examples, each has its own inputs.
"""

from typing import NamedTuple

from mbbp.kernels.activations import Block
from mbbp.kernels.costs import Outputs
from mbbp.kernels.gemm.blocking import PANEL
from mbbp.kernels.gemm.products import Multiplier, add_columns, add_outer_products, affine, transposed_product
from mbbp.kernels.gemm.tile import MR
from mbbp.kernels.layout import LayerRow
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.records import Address, Int, Number, Numbers, PointerTo, call, kernel, record
from mbbp.kernels.lowlevel.views import matrix, part, rest
from mbbp.kernels.team import Team, share, share_of_rows, wait


@record
class Model(NamedTuple):
    """A network as the kernels see it: parameters, table, workspace, and the kernels that it is made of."""

    theta: Numbers
    layers: PointerTo(LayerRow)  # type: ignore[valid-type]
    n_layers: Int  # of the table: the layers that compute
    work: Numbers
    targets: Int  # where these begin in the workspace, see layout.py
    weights: Int
    panels: Int
    one: Int
    is_weighted: Int  # whether the workspace holds a weight for each example
    multiply_add: Address
    forward: Address
    backward: Address
    cost: Address
    output_error: Address
    is_fused: Int  # whether the output error needs no sigma'


@record
class Forward(NamedTuple):
    """The forward pass of the examples from `start` to `stop` in the workspace, whose inputs may lie elsewhere."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    inputs: Numbers  # of those examples
    start: Int
    stop: Int
    rank: Int  # of the thread, whose panel is used


@record
class Backward(NamedTuple):
    """The backward pass of the m examples in the workspace: target = beta target + alpha gradient.

    The gradient is the sum over the mini-batch. With alpha = 1/m and beta = 0 the mean gradient is left in `target`.
    With `target` the parameters themselves it is a step of gradient descent. With the velocities it is momentum.
    """

    model: PointerTo(Model)  # type: ignore[valid-type]
    m: Int
    target: Numbers
    beta: Number
    beta_of_biases: Number
    alpha: Number
    team: Team


@inlined
def columns(work, offset, n, start, stop):
    """Return the examples from `start` to `stop` of an (n, m) block of the workspace."""
    return matrix(work, offset + start * n, n, stop - start)


@inlined
def multiplier_of(model, rank):
    """Return what the products of a thread need."""
    return Multiplier(model.multiply_add, rest(model.work, model.panels + rank * PANEL))


@inlined
def forward_pass(model, inputs, start, stop, rank):
    """Call the forward pass of the network that `model` points to."""
    call(model[0].forward, Forward(model=model, inputs=inputs, start=start, stop=stop, rank=rank))


@inlined
def outputs_of(model, m):
    """Return the output layer's a of the mini-batch, (n_L, m)."""
    layer = model.layers[model.n_layers - 1]
    return columns(model.work, layer.a, layer.n_out, ZERO, m)


@inlined
def block_of(model, layer, start, stop):
    """Return z, a and delta of a layer for the examples from `start` to `stop`."""
    return Block(
        z=rest(model.work, layer.z + start * layer.n_out),
        a=rest(model.work, layer.a + start * layer.n_out),
        delta=rest(model.work, layer.delta + start * layer.n_out),
        n=layer.n_out,
        m=stop - start,
    )


@inlined
def output_block_of(model, start, stop):
    """Return z, a, y and delta of the output layer for the examples from `start` to `stop`."""
    layer = model.layers[model.n_layers - 1]
    return Outputs(
        z=rest(model.work, layer.z + start * layer.n_out),
        a=rest(model.work, layer.a + start * layer.n_out),
        y=rest(model.work, model.targets + start * layer.n_out),
        delta=rest(model.work, layer.delta + start * layer.n_out),
        n=layer.n_out,
        m=stop - start,
    )


@kernel(Forward)
def forward(at):
    """For every layer Z = W A + b and the next A = sigma(Z)."""
    p = at[0]
    model = p.model[0]
    multiplier = multiplier_of(model, p.rank)
    A = matrix(p.inputs, ZERO, model.layers[0].n_in, p.stop - p.start)
    for index in range(model.n_layers):
        layer = model.layers[index]
        W = matrix(model.theta, layer.W, layer.n_out, layer.n_in)
        b = part(model.theta, layer.b, layer.n_out)
        affine(W, A, b, columns(model.work, layer.z, layer.n_out, p.start, p.stop), multiplier)
        call(layer.activate, block_of(model, layer, p.start, p.stop))
        A = columns(model.work, layer.a, layer.n_out, p.start, p.stop)
    return ZERO


@inlined
def _set_output_error(model, start, stop, alpha):
    """Set delta^L of these examples (BP1), times their weights and alpha, so that gradients need no factor."""
    layer = model.layers[model.n_layers - 1]
    call(model.output_error, output_block_of(model, start, stop))
    if not model.is_fused and layer.multiply_by_derivative:
        call(layer.multiply_by_derivative, block_of(model, layer, start, stop))
    D = columns(model.work, layer.delta, layer.n_out, start, stop)
    if model.is_weighted:
        weights = part(model.work, model.weights + start, stop - start)
        for i in range(stop - start):
            for j in range(layer.n_out):
                D[j, i] *= weights[i]
    if alpha != 1:
        for i in range(stop - start):
            for j in range(layer.n_out):
                D[j, i] *= alpha


@kernel(Backward)
def backward(at):
    """Carry the errors from the output back, and add each layer's gradient to the target as soon as it is known.

    A layer's weights are used to carry the error back before they change, so the target may be the parameters.
    """
    p = at[0]
    model, team, m = p.model[0], p.team, p.m
    work = model.work
    multiplier, ones = multiplier_of(model, team.rank), part(work, model.one, 1)
    is_last_thread = team.rank == team.size - 1
    if is_last_thread:
        ones[0] = ones.dtype.type(1)
    start, stop = share_of_rows(team, m)
    _set_output_error(model, start, stop, p.alpha)
    last = model.n_layers - 1
    for index in range(last, -1, -1):
        layer = model.layers[index]
        if index > 0:
            before = model.layers[index - 1]
            W = matrix(model.theta, layer.W, layer.n_out, layer.n_in)
            D = columns(work, layer.delta, layer.n_out, start, stop)
            transposed_product(W, D, columns(work, before.delta, before.n_out, start, stop), multiplier)
            if before.multiply_by_derivative:
                call(before.multiply_by_derivative, block_of(model, before, start, stop))
        # for all errors of this layer and the one before, and for all threads that need the weights unchanged
        if (index > 0 or last == 0) and not wait(team):
            return ZERO
        D, A = columns(work, layer.delta, layer.n_out, ZERO, m), columns(work, layer.inputs, layer.n_in, ZERO, m)
        # a single neuron's weights are one row, which in two parts might be summed in another order
        first, end = share(team, layer.n_in, MR if layer.n_out > 1 else layer.n_in)
        G = matrix(p.target, layer.W, layer.n_out, layer.n_in)
        add_outer_products(p.beta, G, D, A, first, end, multiplier)
        if is_last_thread:
            add_columns(p.beta_of_biases, part(p.target, layer.b, layer.n_out), D, ones, multiplier)
    return ZERO
