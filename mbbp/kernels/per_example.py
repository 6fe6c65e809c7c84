"""The gradients of single examples: written out, only their norms, or their sum with each cut to a norm.

The gradient of one example is an outer product in every layer, delta a^T, with delta for the biases (norms.py has its
norm). The sum of gradients times factors is the usual product of a mini-batch, with each delta times its factor.
"""

from typing import NamedTuple

from mbbp.kernels.evaluation import summed_cost
from mbbp.kernels.examples import Source, copy_targets, gather_inputs
from mbbp.kernels.gemm.matrix import by_columns
from mbbp.kernels.gemm.products import add_columns, add_outer_products, transposed_product
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, Numbers, PointerTo, Real, Reals, record
from mbbp.kernels.lowlevel.vectors import scale_vector
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.norms import MiniBatchNorms
from mbbp.kernels.propagation import (
    Backward,
    Model,
    forward_pass,
    inputs_of_layer,
    mini_batch,
    multiplier_of,
    multiply_columns,
    weights_of,
)
from mbbp.kernels.team import Team


@record
class Rows(NamedTuple):
    """A row for each example: the gradient of its cost, or of each of its outputs."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    start: Int  # the first example, and the one after the last
    stop: Int
    chunk: Int  # how many go through the network together
    of_outputs: Int  # whether there is a row for each output, and not for the cost
    by_inputs: Int  # whether it is the gradient by the inputs, and not by the parameters
    out: Numbers  # (n_L or 1, n, stride): each row begins with n_parameters or n_in numbers
    stride: Int
    targets: Numbers  # of all examples, (n, n_L)
    has_residuals: Int  # whether a row goes on with the residual a - y, for which `targets` are needed
    team: Team  # of one


@record(returns=Real)
class Clipping(NamedTuple):
    """The norms of the gradients of some examples, and the sum of the clipped gradients."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    chunk: Int
    measure: Address  # of the kernel `gradient_norms`
    norms: Reals  # (n,): receives the norms
    sums: Reals  # (2 chunk,), for the kernel that measures them
    clip_norm: Real
    target: Numbers  # receives the sum
    has_target: Int
    team: Team  # of one


@inlined
def carry_errors_back(at_model, m, team):
    """Set delta of all layers, each example's own."""
    model = at_model[0]
    number = part(model.theta, ZERO, ZERO).dtype.type
    call(
        model.backward,
        Backward(
            model=at_model,
            m=m,
            step=ZERO,
            target=model.theta,
            beta=number(0),
            beta_of_biases=number(0),
            alpha=number(1),
            has_target=ZERO,
            team=team,
        ),
    )


@inlined
def _set_targets_to_unit_vectors(model, k, m):
    layer = model.layers[model.n_layers - 1]
    Y = mini_batch(model, model.targets, layer.n_out, m)
    for i in range(m):
        for j in range(layer.n_out):
            Y.numbers[j * Y.rs + i * Y.cs] = j == k


@inlined
def _write_rows(model, out, stride, m):
    """Write the gradient by the parameters of each example in the workspace, one per row.

    A row has the columns of delta a^T one after the other, and then delta. Each is written in whole vectors, and what
    they hold beyond the column is written over later. Only at the end of a row they must end, too.
    """
    lanes, last = model.lanes, model.layers[model.n_layers - 1]
    size, one = last.b + last.n_out, part(out, ZERO, ZERO).dtype.type(1)
    for index in range(model.n_layers):
        layer = model.layers[index]
        A, D = inputs_of_layer(model, index, m), mini_batch(model, layer.delta, layer.n_out, m)
        n_in, n_out = layer.n_in, layer.n_out
        errors, step = rest(D.numbers, ZERO), D.cs
        if D.rs != 1 and n_out > 1:  # the errors of one example must be neighbours
            errors, step = rest(model.work, model.panels), n_out
            for j in range(n_out):
                for i in range(m):
                    errors[i * n_out + j] = D.numbers[j * D.rs + i]
        width = (n_out + lanes - 1) // lanes * lanes
        whole = min(n_in, max(ZERO, (size - layer.W - width) // n_out + 1))
        if n_out == 1:
            whole = ZERO
        for i in range(m):
            at, d = i * stride + layer.W, i * step
            row, delta = part(out, at, (n_in + 1) * n_out), part(errors, d, n_out)
            for c in range(whole):
                a = A.numbers[c * A.rs + i * A.cs]
                for j in range(0, n_out, lanes):
                    scale_vector(errors, d + j, a, out, at + c * n_out + j)
            if n_out == 1:
                for c in range(n_in):
                    row[c] = A.numbers[c * A.rs + i * A.cs] * delta[0]
                row[n_in] = delta[0]
            elif layer.b + width <= size:
                for j in range(0, n_out, lanes):
                    scale_vector(errors, d + j, one, out, at + n_in * n_out + j)
            else:
                for c in range(whole, n_in):
                    a = A.numbers[c * A.rs + i * A.cs]
                    for j in range(n_out):
                        row[c * n_out + j] = a * delta[j]
                for j in range(n_out):
                    row[n_in * n_out + j] = delta[j]


@inlined
def _write_residuals(model, r, out, order, k, m):
    """Write the residual of output k of each example in the workspace, times its weight."""
    layer = model.layers[model.n_layers - 1]
    A, weights = mini_batch(model, layer.a, layer.n_out, m), part(model.work, model.weights, m)
    for i in range(m):
        residual = A.numbers[k * A.rs + i * A.cs] - r.targets[order[i] * layer.n_out + k]
        out[i * r.stride] = residual * weights[i] if model.is_weighted else residual


@kernel(Rows)
def write_rows(at):
    """Write the gradients of the examples from `start` to `stop`, one per row."""
    r = at[0]
    model, source = r.model[0], r.source[0]
    first, last = model.layers[0], model.layers[model.n_layers - 1]
    for begin in range(r.start, r.stop, r.chunk):
        m = min(r.chunk, r.stop - begin)
        order = rest(r.order, begin)
        gather_inputs(source.inputs, order, model, ZERO, m)
        if model.is_weighted or not r.of_outputs:
            copy_targets(r.source, order, model, ZERO, m, m)
        forward_pass(r.model, model.work, ZERO, m, m, ZERO, ZERO)
        for k in range(last.n_out if r.of_outputs else 1):
            if r.of_outputs:
                _set_targets_to_unit_vectors(model, k, m)
            carry_errors_back(r.model, m, r.team)
            out = rest(r.out, (k * r.n + begin) * r.stride)
            if r.by_inputs:
                W, D = weights_of(model, first, model.theta), mini_batch(model, first.delta, first.n_out, m)
                transposed_product(W, D, by_columns(out, ZERO, first.n_in, m), multiplier_of(model, ZERO))
            else:
                _write_rows(model, out, r.stride, m)
                if r.has_residuals:
                    _write_residuals(model, r, rest(out, last.b + last.n_out), order, k, m)
    return ZERO


@inlined
def scale_errors(model, factors, m):
    """Multiply delta of each example by its factor, in all layers."""
    for index in range(model.n_layers):
        layer = model.layers[index]
        multiply_columns(mini_batch(model, layer.delta, layer.n_out, m), factors)


@inlined
def add_gradient(model, target, beta, m, multiplier):
    """Target = beta target + the gradient of the mini-batch, from the errors in the workspace."""
    for index in range(model.n_layers):
        layer = model.layers[index]
        D = mini_batch(model, layer.delta, layer.n_out, m)
        A = inputs_of_layer(model, index, m)
        add_outer_products(beta, weights_of(model, layer, target), D, A, ZERO, layer.n_in, multiplier)
        add_columns(beta, part(target, layer.b, layer.n_out), D, multiplier)


@inlined
def set_clipping_factors(norms, clip_norm, factors):
    """Set the factor of each gradient that makes its norm at most `clip_norm`; of NaN it is NaN."""
    for i in range(factors.size):
        factors[i] = 1.0 if norms[i] <= clip_norm else clip_norm / norms[i]


@kernel(Clipping)
def clip(at):
    """Write the norms and, if there is a target, the sum of the clipped gradients; return the summed cost."""
    c = at[0]
    model, source = c.model[0], c.source[0]
    number, total = part(model.theta, ZERO, ZERO).dtype.type, 0.0
    multiplier = multiplier_of(model, ZERO)
    for begin in range(0, c.n, c.chunk):
        m = min(c.chunk, c.n - begin)
        order, norms = rest(c.order, begin), part(c.norms, begin, m)
        gather_inputs(source.inputs, order, model, ZERO, m)
        copy_targets(c.source, order, model, ZERO, m, m)
        forward_pass(c.model, model.work, ZERO, m, m, ZERO, ZERO)
        total += summed_cost(model, m)
        carry_errors_back(c.model, m, c.team)
        call(c.measure, MiniBatchNorms(model=c.model, m=m, norms=norms, sums=c.sums, least=0.0))
        if c.has_target:
            factors = part(model.work, model.spare, m)
            set_clipping_factors(norms, c.clip_norm, factors)
            scale_errors(model, factors, m)
            add_gradient(model, c.target, number(0) if begin == 0 else number(1), m, multiplier)
    return total
