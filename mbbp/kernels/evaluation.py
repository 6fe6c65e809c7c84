"""What is asked of a network: its cost and accuracy, its outputs, its gradient."""

from typing import NamedTuple

import numpy as np

from mbbp.kernels.costs import Outputs
from mbbp.kernels.examples import Inputs, Source, copy_targets, gather_inputs
from mbbp.kernels.finite import all_finite
from mbbp.kernels.gemm.matrix import by_columns
from mbbp.kernels.gemm.products import transposed_product
from mbbp.kernels.lowlevel.calls import call, typed
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, Numbers, PointerTo, Real, Reals, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.norms import MiniBatchNorms
from mbbp.kernels.propagation import (
    Backward,
    Model,
    forward_pass,
    mini_batch,
    multiplier_of,
    output_block_of,
    outputs_of,
    weights_of,
)
from mbbp.kernels.team import Team


@record
class Evaluation(NamedTuple):
    """The scoring of some examples, chunk by chunk."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): which examples
    start: Int  # the first entry of `order`; a multiple of `chunk`
    stop: Int  # the one after the last
    chunk: Int  # how many go through the network together
    costs: Reals  # receives the summed cost of each chunk
    correct: Integers  # receives how many of each chunk are classified correctly


@record
class Prediction(NamedTuple):
    """The outputs for some examples, chunk by chunk."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    inputs: Inputs
    order: Integers  # (n,): 0, 1, 2, ...; only for a gather kernel
    start: Int
    stop: Int
    chunk: Int
    out: Numbers  # (n, n_L)


@record(returns=Real)
class GradientCall(NamedTuple):
    """The gradient of the mean cost of some examples."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (m,): 0, 1, 2, ...
    m: Int
    target: Numbers  # receives the gradient by the parameters
    has_target: Int
    inputs: Numbers  # (m, n_in): receives the gradients by the inputs
    wants_inputs: Int
    norms: Reals  # (m,): receives the norm of the gradient of each example
    sums: Reals  # (2 m,), for the kernel that measures them
    measure: Address  # of the kernel `gradient_norms`, or 0
    team: Team  # of one


@record(returns=Real)
class SummedGradient(NamedTuple):
    """The gradient of the summed cost of any number of examples, chunk by chunk."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): 0, 1, 2, ...
    n: Int
    chunk: Int
    target: Numbers  # receives the gradient by the parameters
    inputs: Numbers  # (n, n_in): receives the gradients by the inputs
    wants_inputs: Int
    team: Team  # of one


@inlined
def summed_cost(model, m):
    """Return the sum of the costs C_x of the mini-batch in the workspace, each times its weight."""
    if not model.is_weighted:
        return call(model.cost, output_block_of(model, ZERO, m, m))
    weights = part(model.work, model.weights, m)
    total = 0.0
    for i in range(m):
        total += call(model.cost, output_block_of(model, i, i + 1, m)) * weights[i]
    return total


@inlined
def correct_outputs(model, m):
    """Return how many of the examples in the workspace are classified rightly."""
    return np.int64(call(model.count_correct, output_block_of(model, ZERO, m, m)))


@kernel(Outputs)
def count_correct(at):
    """Return how many examples are given the label that their unit vector y, or 0 or 1, names; `spare` is written.

    Of equal outputs the first counts as the largest. An example with NaN among its outputs is never right.
    """
    outputs = at[0]
    n, m, cs = outputs.n, outputs.m, outputs.cs
    if n == 1:
        return float(_count_of_one_output(part(outputs.a, ZERO, m), part(outputs.y, ZERO, m), outputs.threshold))
    if cs == 1:
        return float(_count_in_rows(outputs))
    correct = ZERO
    for i in range(m):
        a, y = part(outputs.a, i * cs, n), part(outputs.y, i * cs, n)
        largest, is_right = a[0], y[0] == 1
        for j in range(n):
            is_larger = a[j] > largest
            largest = a[j] if is_larger else largest
            is_right = y[j] == 1 if is_larger else is_right
            is_right = is_right and a[j] == a[j]
        correct += is_right
    return float(correct)


@inlined
def _count_of_one_output(a, y, threshold):
    least = a.dtype.type(threshold)
    correct = ZERO
    for i in range(a.size):
        correct += ((a[i] > least) == (y[i] == 1)) & (a[i] == a[i])
    return correct


@inlined
def _count_in_rows(outputs):
    """Go through the outputs of all examples neuron by neuron, so that the examples fill the lanes."""
    m, rs = outputs.m, outputs.rs
    largest, right = part(outputs.spare, ZERO, m), part(outputs.spare, m, m)
    for i in range(m):
        output = outputs.a[i]
        largest[i], right[i] = output, outputs.y[i] + (output - output)  # NaN - NaN is NaN
    for j in range(1, outputs.n):
        a, y = part(outputs.a, j * rs, m), part(outputs.y, j * rs, m)
        for i in range(m):
            right[i] = (y[i] if a[i] > largest[i] else right[i]) + (a[i] - a[i])
            largest[i] = max(largest[i], a[i])
    correct = ZERO
    for i in range(m):
        correct += right[i] == 1
    return correct


@kernel(Evaluation)
def evaluate(at):
    """Score the examples; the figures of chunk c go to costs[c] and correct[c]."""
    e = at[0]
    model, source = e.model[0], e.source[0]
    for begin in range(e.start, e.stop, e.chunk):
        m = min(e.chunk, e.stop - begin)
        order = rest(e.order, begin)
        gather_inputs(source.inputs, order, model, ZERO, m)
        copy_targets(e.source, order, model, ZERO, m, m)
        forward_pass(e.model, model.work, ZERO, m, m, ZERO, ZERO)
        e.costs[begin // e.chunk] = summed_cost(model, m)
        if source.has_labels:
            e.correct[begin // e.chunk] = correct_outputs(model, m)
    return ZERO


@kernel(Prediction)
def predict(at):
    """Write the outputs, one example per row of `out`.

    Return 1, or 0 if an input is not finite; then not all of `out` is written.
    """
    p = at[0]
    model = p.model[0]
    n_in, n_out = model.layers[0].n_in, model.layers[model.n_layers - 1].n_out
    for begin in range(p.start, p.stop, p.chunk):
        m = min(p.chunk, p.stop - begin)
        if p.inputs.gather:
            gather_inputs(p.inputs, rest(p.order, begin), model, ZERO, m)
            inputs = part(model.work, ZERO, m * n_in)
        else:
            inputs = part(typed(p.inputs.values, p.out), begin * n_in, m * n_in)
        if not all_finite(inputs):
            return 0
        forward_pass(p.model, inputs, ZERO, m, m, ZERO, ZERO)
        A = outputs_of(model, m)
        out = part(p.out, begin * n_out, m * n_out)
        for i in range(m):
            for j in range(n_out):
                out[i * n_out + j] = A.numbers[j * A.rs + i * A.cs]
    return 1


@inlined
def _write_gradient_by_inputs(model, out, begin, m):
    """Write the gradients by the inputs of the mini-batch in the workspace to the rows of `out` from `begin` on."""
    first = model.layers[0]
    W, D = weights_of(model, first, model.theta), mini_batch(model, first.delta, first.n_out, m)
    columns = by_columns(out, begin * first.n_in, first.n_in, m)
    transposed_product(W, D, columns, multiplier_of(model, ZERO))


@kernel(GradientCall)
def gradient(at):
    """Write the mean gradient of the examples, leave z, a and delta in the workspace, and return the mean cost."""
    g = at[0]
    model, source, m = g.model[0], g.source[0], g.m
    gather_inputs(source.inputs, g.order, model, ZERO, m)
    copy_targets(g.source, g.order, model, ZERO, m, m)
    forward_pass(g.model, model.work, ZERO, m, m, ZERO, ZERO)
    cost = summed_cost(model, m)
    last = model.layers[model.n_layers - 1]
    target = part(g.target, ZERO, last.b + last.n_out)
    number = target.dtype.type
    # with alpha = 1, so that the errors left in the workspace are each example's own
    call(
        model.backward,
        Backward(
            model=g.model,
            m=m,
            step=ZERO,
            target=target,
            beta=number(0),
            beta_of_biases=number(0),
            alpha=number(1),
            has_target=g.has_target,
            team=g.team,
        ),
    )
    if g.measure:
        call(g.measure, MiniBatchNorms(model=g.model, m=m, norms=g.norms, sums=g.sums, least=0.0))
    factor = number(1) / number(m)
    for i in range(target.size if g.has_target else 0):
        target[i] *= factor
    if g.wants_inputs:
        _write_gradient_by_inputs(model, g.inputs, ZERO, m)
    return cost / m


@kernel(SummedGradient)
def summed_gradient(at):
    """Write the gradient of the summed cost of the examples, and return this cost."""
    g = at[0]
    model, source = g.model[0], g.source[0]
    number, total = part(g.target, ZERO, ZERO).dtype.type, 0.0
    for begin in range(0, g.n, g.chunk):
        m = min(g.chunk, g.n - begin)
        order = rest(g.order, begin)
        gather_inputs(source.inputs, order, model, ZERO, m)
        copy_targets(g.source, order, model, ZERO, m, m)
        forward_pass(g.model, model.work, ZERO, m, m, ZERO, ZERO)
        total += summed_cost(model, m)
        beta = number(0) if begin == 0 else number(1)
        call(
            model.backward,
            Backward(
                model=g.model,
                m=m,
                target=g.target,
                beta=beta,
                beta_of_biases=beta,
                alpha=number(1),
                has_target=1,
                team=g.team,
                step=ZERO,
            ),
        )
        if g.wants_inputs:
            _write_gradient_by_inputs(model, g.inputs, begin, m)
    return total


@kernel(Outputs)
def no_cost(at):
    """Return 0, where the caller gives the gradient of a cost that only the caller knows."""
    return 0.0


@kernel(Outputs)
def given_error(at):
    """D = y, where the targets are the gradient of the cost by the outputs."""
    outputs = at[0]
    size = outputs.n * outputs.m
    y, d = part(outputs.y, ZERO, size), part(outputs.delta, ZERO, size)
    for i in range(size):
        d[i] = y[i]
    return 0.0
