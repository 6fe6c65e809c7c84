"""Derivatives along a direction, forward and backward through the network: Pearlmutter's R-operator.

If the parameters change by t V, and the inputs by t R, every z, a and delta of a mini-batch has a derivative by t at
t = 0, its tangent (B. A. Pearlmutter, *Fast exact multiplication by the Hessian*, Neural Computation 6, 1994):

    forward    R{Z} = V_W A + W R{A} + v_b        R{A'} = sigma'(Z) * R{Z}
    backward   R{E} = W^T R{D'} + V_W^T D'        R{D} = sigma'(Z) * R{E} + sigma''(Z) * R{Z} * E

where E = W^T D' is the error before it is multiplied by sigma'. So a product with the Hessian costs about as much as
two gradients, and the Hessian is never there. Without the terms of the second derivatives of the network, it is the
product with the Gauss-Newton matrix (N. N. Schraudolph, *Fast curvature matrix-vector products*, 2002).
"""

from typing import NamedTuple

from mbbp.kernels.activations import Block
from mbbp.kernels.costs import Outputs
from mbbp.kernels.examples import Source, copy_targets, gather_inputs
from mbbp.kernels.gemm.matrix import Matrix, by_columns, transposed
from mbbp.kernels.gemm.products import (
    accumulate_product,
    add_columns,
    add_outer_products,
    affine,
)
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ONE, ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, Numbers, PointerTo, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.propagation import (
    Model,
    forward_pass,
    inputs_of_layer,
    mini_batch,
    multiplier_of,
    multiply_columns,
    output_block_of,
    weights_of,
    write_outputs,
)
from mbbp.kernels.second_derivatives import Bend


@record
class Tangents(NamedTuple):
    """Some examples, and the direction in which the parameters, or the inputs, or both change."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    propagate: Address  # of the kernel `propagate_tangents`
    chunk: Int  # how many go through the network together
    direction: Numbers  # of the form of theta
    has_direction: Int
    inputs: Numbers  # (n, n_in): the change of each input
    has_inputs: Int
    out: Numbers  # (n, n_L): receives the change of the outputs


@record
class Curvature(NamedTuple):
    """A product with the Hessian, or the Gauss-Newton matrix, of the summed cost of some examples."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    propagate: Address  # of the kernel `propagate_tangents`
    chunk: Int
    direction: Numbers  # of the form of theta
    error_tangent: Address  # of a cost, see second_derivatives.py, or 0
    is_hessian: Int
    target: Numbers  # receives the product


@record
class SecondOrder(NamedTuple):
    """The first and the second derivatives of the outputs along directions in the space of the inputs."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    propagate: Address  # of the kernel `propagate_tangents`
    chunk: Int
    directions: Numbers  # (k, n_in)
    k: Int
    outputs: Numbers  # (n, n_L)
    first: Numbers  # (k, n, n_L)
    second: Numbers  # (k, n, n_L)


@inlined
def _block_with(model, layer, delta, m):
    """Return z and a of a layer, with the matrix that begins at `delta` in the place of its own delta."""
    Z = mini_batch(model, layer.z, layer.n_out, m)
    return Block(
        z=rest(model.work, layer.z),
        a=rest(model.work, layer.a),
        delta=rest(model.work, delta),
        n=layer.n_out,
        m=m,
        rs=Z.rs,
        cs=Z.cs,
        spare=rest(model.work, model.spare),
    )


@inlined
def _numbers_at(model, layer, start, m):
    """Return the numbers of a matrix of a layer."""
    return part(model.work, start, layer.n_out * m)


@inlined
def _copy_derivative(model, layer, source, target, m):
    """Set one matrix of a layer to another one times sigma'."""
    x, y = _numbers_at(model, layer, source, m), _numbers_at(model, layer, target, m)
    for i in range(x.size):
        y[i] = x[i]
    if layer.multiply_by_derivative:
        call(layer.multiply_by_derivative, _block_with(model, layer, target, m))


@inlined
def _add_bend(model, layer, m):
    """Add sigma''(z) times the tangent of z times the error to the tangent of delta; the error is written."""
    if layer.bend:
        Z = mini_batch(model, layer.z, layer.n_out, m)
        call(
            layer.bend,
            Bend(
                z=rest(model.work, layer.z),
                a=rest(model.work, layer.a),
                error=rest(model.work, layer.error),
                tangent=rest(model.work, layer.tangent_z),
                n=layer.n_out,
                m=m,
                rs=Z.rs,
                cs=Z.cs,
            ),
        )
        x, y = _numbers_at(model, layer, layer.error, m), _numbers_at(model, layer, layer.tangent_delta, m)
        for i in range(x.size):
            y[i] += x[i]


@inlined
def _tangent_of_inputs(model, index, m):
    """Return the tangent of a layer's inputs, (n_in, m)."""
    layer = model.layers[index]
    if index == 0:
        return by_columns(model.work, model.tangent_inputs, layer.n_in, m)
    return mini_batch(model, model.layers[index - 1].tangent_a, layer.n_in, m)


@record
class ForwardTangents(NamedTuple):
    """The mini-batch in the workspace, after its forward pass, and the direction in which everything changes."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    direction: Numbers  # of the form of theta
    has_direction: Int
    has_inputs: Int  # whether the workspace holds a tangent of the inputs
    m: Int


@kernel(ForwardTangents)
def propagate_tangents(at):
    """Set the tangents of z and a of all layers."""
    f = at[0]
    model, m, direction, has_direction, has_inputs = f.model[0], f.m, f.direction, f.has_direction, f.has_inputs
    multiplier = multiplier_of(model, ZERO)
    zero, one = part(model.theta, ZERO, ZERO).dtype.type(0), part(model.theta, ZERO, ZERO).dtype.type(1)
    for index in range(model.n_layers):
        layer = model.layers[index]
        tangent = mini_batch(model, layer.tangent_z, layer.n_out, m)
        W, T = weights_of(model, layer, model.theta), _tangent_of_inputs(model, index, m)
        if has_direction:
            V, v = weights_of(model, layer, direction), part(direction, layer.b, layer.n_out)
            affine(V, inputs_of_layer(model, index, m), v, tangent, multiplier)
        if index > 0 or has_inputs:
            accumulate_product(W, T, tangent, one if has_direction else zero, multiplier)
        _copy_derivative(model, layer, layer.tangent_z, layer.tangent_a, m)
    return ZERO


@kernel(Tangents)
def forward_tangents(at):
    """Write the derivative of the outputs along a direction."""
    t = at[0]
    model, source = t.model[0], t.source[0]
    n_in = model.layers[0].n_in
    for begin in range(0, t.n, t.chunk):
        m = min(t.chunk, t.n - begin)
        gather_inputs(source.inputs, rest(t.order, begin), model, ZERO, m)
        forward_pass(t.model, model.work, ZERO, m, m, ZERO, ZERO)
        if t.has_inputs:
            x, y = part(t.inputs, begin * n_in, m * n_in), part(model.work, model.tangent_inputs, m * n_in)
            for i in range(x.size):
                y[i] = x[i]
        call(
            t.propagate,
            ForwardTangents(
                model=t.model, direction=t.direction, has_direction=t.has_direction, has_inputs=t.has_inputs, m=m
            ),
        )
        write_outputs(model, model.layers[model.n_layers - 1].tangent_a, t.out, begin, m)
    return ZERO


@inlined
def _set_output_errors(model, c, m):
    """Set the output layer's delta, its tangent, and its error before it is multiplied by sigma'."""
    last = model.layers[model.n_layers - 1]
    call(model.output_error, output_block_of(model, ZERO, m, m))
    tangent, change = (
        _numbers_at(model, last, last.tangent_a, m),
        _numbers_at(model, last, last.tangent_delta, m),
    )
    for i in range(tangent.size):
        change[i] = tangent[i]
    if c.error_tangent:
        call(c.error_tangent, _outputs_with(model, last.tangent_delta, m))
    if not model.is_fused:
        delta, error = _numbers_at(model, last, last.delta, m), _numbers_at(model, last, last.error, m)
        for i in range(delta.size):
            error[i] = delta[i]
        if last.multiply_by_derivative:
            call(last.multiply_by_derivative, _block_with(model, last, last.delta, m))
            call(last.multiply_by_derivative, _block_with(model, last, last.tangent_delta, m))
        if c.is_hessian:
            _add_bend(model, last, m)
    if model.is_weighted:
        weights = part(model.work, model.weights, m)
        multiply_columns(mini_batch(model, last.delta, last.n_out, m), weights)
        multiply_columns(mini_batch(model, last.tangent_delta, last.n_out, m), weights)


@inlined
def _outputs_with(model, delta, m):
    """Return the output layer's z, a and y, with the matrix that begins at `delta` in the place of its delta."""
    outputs = output_block_of(model, ZERO, m, m)
    return Outputs(
        z=outputs.z,
        a=outputs.a,
        y=outputs.y,
        delta=rest(model.work, delta),
        n=outputs.n,
        m=m,
        rs=outputs.rs,
        cs=outputs.cs,
        spare=outputs.spare,
        parameter=outputs.parameter,
        threshold=outputs.threshold,
    )


@inlined
def _carry_back(model, c, index, m, multiplier):
    """Set delta and its tangent of the layer before.

    The products are in a loop, so that they are compiled once: W^T R{D}, and for the Hessian V^T D and W^T D.
    """
    layer, before = model.layers[index], model.layers[index - 1]
    zero, one = part(model.theta, ZERO, ZERO).dtype.type(0), part(model.theta, ZERO, ZERO).dtype.type(1)
    for k in range(3 if c.is_hessian else 1):
        W = weights_of(model, layer, rest(c.direction if k == 1 else model.theta, ZERO))
        D = mini_batch(model, layer.tangent_delta if k == 0 else layer.delta, layer.n_out, m)
        out = mini_batch(model, before.error if k == 2 else before.tangent_delta, before.n_out, m)
        accumulate_product(transposed(W), D, out, one if k == 1 else zero, multiplier)
    if c.is_hessian:
        _copy_derivative(model, before, before.error, before.delta, m)
    if before.multiply_by_derivative:
        call(before.multiply_by_derivative, _block_with(model, before, before.tangent_delta, m))
    if c.is_hessian:
        _add_bend(model, before, m)


@inlined
def _add_products_of_layer(model, c, index, m, beta, multiplier):
    """Add the part of a layer to the product: R{D} A^T, and for the Hessian D R{A}^T."""
    layer = model.layers[index]
    G, one = weights_of(model, layer, c.target), part(model.theta, ZERO, ZERO).dtype.type(1)
    for k in range(2 if c.is_hessian and index > 0 else 1):
        D = mini_batch(model, layer.tangent_delta if k == 0 else layer.delta, layer.n_out, m)
        A = inputs_of_layer(model, index, m)
        start = layer.inputs if k == 0 else model.layers[max(index - 1, 0)].tangent_a
        X = Matrix(numbers=rest(model.work, start), n=A.n, m=m, rs=A.rs, cs=A.cs)
        add_outer_products(beta if k == 0 else one, G, D, X, ZERO, layer.n_in, multiplier)
    D_tangent = mini_batch(model, layer.tangent_delta, layer.n_out, m)
    add_columns(beta, part(c.target, layer.b, layer.n_out), D_tangent, multiplier)


@kernel(Curvature)
def curvature_product(at):
    """Write the product of the Hessian, or the Gauss-Newton matrix, of the summed cost with a direction."""
    c = at[0]
    model, source = c.model[0], c.source[0]
    multiplier = multiplier_of(model, ZERO)
    number = part(c.target, ZERO, ZERO).dtype.type
    for begin in range(0, c.n, c.chunk):
        m = min(c.chunk, c.n - begin)
        order = rest(c.order, begin)
        gather_inputs(source.inputs, order, model, ZERO, m)
        copy_targets(c.source, order, model, ZERO, m, m)
        forward_pass(c.model, model.work, ZERO, m, m, ZERO, ZERO)
        call(
            c.propagate,
            ForwardTangents(model=c.model, direction=c.direction, has_direction=ONE, has_inputs=ZERO, m=m),
        )
        _set_output_errors(model, c, m)
        beta = number(0) if begin == 0 else number(1)
        for index in range(model.n_layers - 1, -1, -1):
            _add_products_of_layer(model, c, index, m, beta, multiplier)
            if index > 0:
                _carry_back(model, c, index, m, multiplier)
    return ZERO


@inlined
def _second_tangents(model, m, multiplier):
    """Set the second derivatives of a of all layers, in the place of the tangents of delta, after the tangents."""
    for index in range(model.n_layers):
        layer = model.layers[index]
        x, error = _numbers_at(model, layer, layer.tangent_z, m), _numbers_at(model, layer, layer.error, m)
        for i in range(x.size):
            error[i] = x[i]
        second = mini_batch(model, layer.tangent_delta, layer.n_out, m)
        if index > 0:
            before = model.layers[index - 1]
            T = mini_batch(model, before.tangent_delta, before.n_out, m)
            zero = part(model.theta, ZERO, ZERO).dtype.type(0)
            accumulate_product(weights_of(model, layer, model.theta), T, second, zero, multiplier)
            if layer.multiply_by_derivative:
                call(layer.multiply_by_derivative, _block_with(model, layer, layer.tangent_delta, m))
        else:
            numbers = _numbers_at(model, layer, layer.tangent_delta, m)
            for i in range(numbers.size):
                numbers[i] = 0
        _add_bend(model, layer, m)


@kernel(SecondOrder)
def second_tangents(at):
    """Write the outputs, and their first and second derivatives along each direction."""
    s = at[0]
    model, source = s.model[0], s.source[0]
    multiplier, last = multiplier_of(model, ZERO), model.layers[model.n_layers - 1]
    n_in, n_out = model.layers[0].n_in, last.n_out
    for begin in range(0, s.n, s.chunk):
        m = min(s.chunk, s.n - begin)
        gather_inputs(source.inputs, rest(s.order, begin), model, ZERO, m)
        forward_pass(s.model, model.work, ZERO, m, m, ZERO, ZERO)
        write_outputs(model, last.a, s.outputs, begin, m)
        for k in range(s.k):
            direction = part(s.directions, k * n_in, n_in)
            inputs = part(model.work, model.tangent_inputs, m * n_in)
            for i in range(m):
                for j in range(n_in):
                    inputs[i * n_in + j] = direction[j]
            call(
                s.propagate,
                ForwardTangents(model=s.model, direction=model.theta, has_direction=ZERO, has_inputs=ONE, m=m),
            )
            _second_tangents(model, m, multiplier)
            write_outputs(model, last.tangent_a, rest(s.first, k * s.n * n_out), begin, m)
            write_outputs(model, last.tangent_delta, rest(s.second, k * s.n * n_out), begin, m)
    return ZERO
