"""What is asked of a network: its cost and accuracy, its outputs, its gradient."""

from typing import NamedTuple

from mbbp.kernels.examples import Inputs, Source, gather_inputs, gather_targets, label_of
from mbbp.kernels.finite import all_finite
from mbbp.kernels.gemm.products import transposed_product
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.records import (
    Int,
    Integers,
    Numbers,
    PointerTo,
    Real,
    Reals,
    call,
    kernel,
    record,
    typed,
)
from mbbp.kernels.lowlevel.views import matrix, part, rest
from mbbp.kernels.propagation import (
    Backward,
    Model,
    columns,
    forward_pass,
    multiplier_of,
    output_block_of,
    outputs_of,
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
    inputs: Numbers  # (m, n_in): receives the gradients by the inputs
    wants_inputs: Int
    team: Team  # of one


@inlined
def summed_cost(model, m):
    """Return the sum of the costs C_x of the mini-batch in the workspace, each times its weight."""
    if not model.is_weighted:
        return call(model.cost, output_block_of(model, ZERO, m))
    weights = part(model.work, model.weights, m)
    total = 0.0
    for i in range(m):
        total += call(model.cost, output_block_of(model, i, i + 1)) * weights[i]
    return total


@inlined
def count_correct(model, order, m, source):
    """Return how many of the examples in the workspace, which are those of `order`, are given their label."""
    A = outputs_of(model, m)
    n_out = A.shape[0]
    correct = ZERO
    for i in range(m):
        label = label_of(source, order[i])
        if n_out == 1:
            correct += (A[0, i] > 0.5) == (label == 1) and A[0, i] == A[0, i]  # NaN is never right
            continue
        output = A[label, i]
        beaten = 0
        for j in range(n_out):  # of equal ones, the first counts as the largest
            beaten += output > A[j, i] if j < label else output >= A[j, i]
        correct += beaten == n_out
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
        gather_targets(source, order, model, ZERO, m)
        forward_pass(e.model, model.work, ZERO, m, ZERO)
        e.costs[begin // e.chunk] = summed_cost(model, m)
        if source.has_labels:
            e.correct[begin // e.chunk] = count_correct(model, order, m, source)
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
        forward_pass(p.model, inputs, ZERO, m, ZERO)
        A = outputs_of(model, m)
        out = part(p.out, begin * n_out, m * n_out)
        for i in range(m):
            for j in range(n_out):
                out[i * n_out + j] = A[j, i]
    return 1


@kernel(GradientCall)
def gradient(at):
    """Write the mean gradient of the examples, leave z, a and delta in the workspace, and return the mean cost."""
    g = at[0]
    model, source, m = g.model[0], g.source[0], g.m
    gather_inputs(source.inputs, g.order, model, ZERO, m)
    gather_targets(source, g.order, model, ZERO, m)
    forward_pass(g.model, model.work, ZERO, m, ZERO)
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
            target=target,
            beta=number(0),
            beta_of_biases=number(0),
            alpha=number(1),
            team=g.team,
        ),
    )
    factor = number(1) / number(m)
    for i in range(target.size):
        target[i] *= factor
    if g.wants_inputs:
        first = model.layers[0]
        W = matrix(model.theta, first.W, first.n_out, first.n_in)
        D = columns(model.work, first.delta, first.n_out, ZERO, m)
        transposed_product(W, D, matrix(g.inputs, ZERO, first.n_in, m), multiplier_of(model, ZERO))
    return cost / m
