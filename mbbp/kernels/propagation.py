"""Forward and backward through the whole network, a mini-batch at once.

Threads share a step (see team.py): forward, and when errors are carried back, each has its own examples; of a gradient,
which sums over all examples, each has its own inputs.
"""

from typing import NamedTuple

from mbbp.kernels.activations import Block
from mbbp.kernels.costs import Outputs
from mbbp.kernels.dropout import Dropping
from mbbp.kernels.gemm.matrix import by_columns, columns, layer_matrix, stretches
from mbbp.kernels.gemm.products import Multiplier, add_columns, add_outer_products, affine, transposed_product
from mbbp.kernels.gemm.tile import MR
from mbbp.kernels.layout import SPARE_ROWS, LayerRow
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Number, Numbers, PointerTo, Real, record
from mbbp.kernels.lowlevel.views import part, rest
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
    tangent_inputs: Int
    spare: Int
    scratch: Int
    panels: Int
    panel_size: Int
    lanes: Int  # of a vector register
    is_weighted: Int  # whether the workspace holds a weight for each example
    multiply_add: Address
    sum_columns: Address
    forward: Address
    backward: Address
    cost: Address
    count_correct: Address
    output_error: Address
    is_fused: Int  # whether the output error needs no sigma'
    cost_parameter: Real  # see Outputs
    threshold: Real


@record
class Forward(NamedTuple):
    """The forward pass of the examples from `start` to `stop` in the workspace, whose inputs may lie elsewhere."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    inputs: Numbers  # of those examples
    start: Int
    stop: Int
    m: Int  # the examples of the whole mini-batch
    rank: Int  # of the thread, whose panel is used
    step: Int  # how many steps were taken before; read where there is dropout


@record
class Backward(NamedTuple):
    """The backward pass of the m examples in the workspace: target = beta target + alpha gradient.

    The gradient is the sum over the mini-batch. With alpha = 1/m and beta = 0 the mean gradient is left in `target`.
    With `target` the parameters themselves it is a step of gradient descent. With the velocities it is momentum.
    """

    model: PointerTo(Model)  # type: ignore[valid-type]
    m: Int
    step: Int  # as in the forward pass
    target: Numbers
    beta: Number
    beta_of_biases: Number
    alpha: Number
    has_target: Int  # if not, the errors are carried back, and no gradient is written
    team: Team


@inlined
def multiplier_of(model, rank):
    """Return what the products of a thread need."""
    return Multiplier(
        multiply_add=model.multiply_add,
        sum_columns=model.sum_columns,
        panel=rest(model.work, model.panels + rank * model.panel_size),
        scratch=rest(model.work, model.scratch),
        lanes=model.lanes,
    )


@inlined
def weights_of(model, layer, numbers):
    """Return the weights of a layer, (n_out, n_in), in a vector of the form of theta."""
    return by_columns(numbers, layer.W, layer.n_out, layer.n_in)


@inlined
def mini_batch(model, offset, n, m):
    """Return the (n, m) matrix of a layer's neurons that begins here in the workspace."""
    return layer_matrix(model.work, offset, n, m, model.lanes)


@inlined
def inputs_of_layer(model, index, m):
    """Return the inputs of a layer, (n_in, m): the activations of the layer before, or the inputs of the network.

    If inputs of this layer are dropped, they are what is left.
    """
    layer = model.layers[index]
    if index == 0:
        return by_columns(model.work, layer.inputs, layer.n_in, m)
    return mini_batch(model, layer.inputs, layer.n_in, m)


@inlined
def forward_pass(model, inputs, start, stop, m, rank, step):
    """Call the forward pass of the network that `model` points to."""
    call(model[0].forward, Forward(model=model, inputs=inputs, start=start, stop=stop, m=m, rank=rank, step=step))


@inlined
def dropping_of(model, index, source, target, start, stop, m, step):
    """Return the mask of a layer's inputs, from one matrix of this shape in the workspace to another."""
    layer = model.layers[index]
    A = inputs_of_layer(model, index, m)
    first = start * A.cs
    return Dropping(
        source=rest(model.work, source + first),
        target=rest(model.work, target + first),
        n=layer.n_in,
        rs=A.rs,
        cs=A.cs,
        start=start,
        stop=stop,
        rate=layer.dropout,
        seed=layer.seed,
        layer=index,
        step=step,
    )


@inlined
def outputs_of(model, m):
    """Return the output layer's a of the mini-batch, (n_L, m)."""
    layer = model.layers[model.n_layers - 1]
    return mini_batch(model, layer.a, layer.n_out, m)


@inlined
def block_of(model, layer, start, stop, m):
    """Return z, a and delta of a layer for the examples from `start` to `stop` of m."""
    Z = mini_batch(model, layer.z, layer.n_out, m)
    first = start * Z.cs
    return Block(
        z=rest(model.work, layer.z + first),
        a=rest(model.work, layer.a + first),
        delta=rest(model.work, layer.delta + first),
        n=layer.n_out,
        m=stop - start,
        rs=Z.rs,
        cs=Z.cs,
        spare=rest(model.work, model.spare + SPARE_ROWS * start),
    )


@inlined
def output_block_of(model, start, stop, m):
    """Return z, a, y and delta of the output layer for the examples from `start` to `stop` of m."""
    layer = model.layers[model.n_layers - 1]
    Z = mini_batch(model, layer.z, layer.n_out, m)
    first = start * Z.cs
    return Outputs(
        z=rest(model.work, layer.z + first),
        a=rest(model.work, layer.a + first),
        y=rest(model.work, model.targets + first),
        delta=rest(model.work, layer.delta + first),
        n=layer.n_out,
        m=stop - start,
        rs=Z.rs,
        cs=Z.cs,
        spare=rest(model.work, model.spare + SPARE_ROWS * start),
        parameter=model.cost_parameter,
        threshold=model.threshold,
    )


@kernel(Forward)
def forward(at):
    """For every layer Z = W A + b and the next A = sigma(Z)."""
    p = at[0]
    model = p.model[0]
    multiplier = multiplier_of(model, p.rank)
    A = by_columns(p.inputs, ZERO, model.layers[0].n_in, p.stop - p.start)
    for index in range(model.n_layers):
        layer = model.layers[index]
        if index > 0:
            A = columns(inputs_of_layer(model, index, p.m), p.start, p.stop)
        if layer.drop_inputs:  # of the network they lie in the workspace where there is dropout
            source = model.layers[index - 1].a if index > 0 else layer.inputs
            call(layer.drop_inputs, dropping_of(model, index, source, layer.inputs, p.start, p.stop, p.m, p.step))
        W, b = weights_of(model, layer, model.theta), part(model.theta, layer.b, layer.n_out)
        affine(W, A, b, columns(mini_batch(model, layer.z, layer.n_out, p.m), p.start, p.stop), multiplier)
        call(layer.activate, block_of(model, layer, p.start, p.stop, p.m))
    return ZERO


@inlined
def write_outputs(model, start, out, begin, m):
    """Copy a matrix of the output layer to the rows of `out` from `begin` on."""
    layer = model.layers[model.n_layers - 1]
    n = layer.n_out
    A = mini_batch(model, start, n, m)
    rows = part(out, begin * n, m * n)
    for i in range(m):
        for j in range(n):
            rows[i * n + j] = A.numbers[j * A.rs + i * A.cs]


@inlined
def multiply_columns(D, factors):
    """Multiply each column by its factor."""
    if D.rs == 1:
        for i in range(D.m):
            column = part(D.numbers, i * D.cs, D.n)
            for j in range(D.n):
                column[j] *= factors[i]
    else:
        for j in range(D.n):
            row = part(D.numbers, j * D.rs, D.m)
            for i in range(D.m):
                row[i] *= factors[i]


@inlined
def _set_output_error(model, start, stop, m, alpha):
    """Set delta^L of these examples (BP1), times their weights and alpha, so that gradients need no factor."""
    layer = model.layers[model.n_layers - 1]
    call(model.output_error, output_block_of(model, start, stop, m))
    if not model.is_fused and layer.multiply_by_derivative:
        call(layer.multiply_by_derivative, block_of(model, layer, start, stop, m))
    D = columns(mini_batch(model, layer.delta, layer.n_out, m), start, stop)
    if model.is_weighted:  # one loop for both orders: this kernel is compiled for every training
        weights = part(model.work, model.weights + start, stop - start)
        for i in range(D.m):
            for j in range(D.n):
                D.numbers[j * D.rs + i * D.cs] *= weights[i]
    if alpha != 1:
        count, size = stretches(D)
        for k in range(count):
            delta = part(D.numbers, k * D.rs, size)
            for i in range(size):
                delta[i] *= alpha


@kernel(Backward)
def backward(at):
    """Carry the errors from the output back, and add each layer's gradient to the target as soon as it is known.

    A layer's weights are used to carry the error back before they change, so the target may be the parameters.
    """
    p = at[0]
    model, team, m = p.model[0], p.team, p.m
    multiplier = multiplier_of(model, team.rank)
    is_last_thread = team.rank == team.size - 1
    start, stop = share_of_rows(team, m)
    _set_output_error(model, start, stop, m, p.alpha)
    last = model.n_layers - 1
    for index in range(last, -1, -1):
        layer = model.layers[index]
        D = mini_batch(model, layer.delta, layer.n_out, m)
        if index > 0:
            before = model.layers[index - 1]
            D_before = mini_batch(model, before.delta, before.n_out, m)
            transposed_product(
                weights_of(model, layer, model.theta),
                columns(D, start, stop),
                columns(D_before, start, stop),
                multiplier,
            )
            if layer.drop_errors:
                place = before.delta
                call(layer.drop_errors, dropping_of(model, index, place, place, start, stop, m, p.step))
            if before.multiply_by_derivative:
                call(before.multiply_by_derivative, block_of(model, before, start, stop, m))
        if not p.has_target:
            continue
        # for all errors of this layer and the one before, and for all threads that need the weights unchanged
        if (index > 0 or last == 0) and not wait(team):
            return ZERO
        # of a narrow layer a part of the inputs might be summed in another order
        first, end = share(team, layer.n_in, MR if layer.n_out >= model.lanes else layer.n_in)
        G, A = weights_of(model, layer, p.target), inputs_of_layer(model, index, m)
        add_outer_products(p.beta, G, D, A, first, end, multiplier)
        if is_last_thread:
            add_columns(p.beta_of_biases, part(p.target, layer.b, layer.n_out), D, multiplier)
    return ZERO
