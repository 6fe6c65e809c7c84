"""Gradient and update of a layer, slab by slab.

The gradient of a large layer, its parameters and the optimizer's states do not fit into the near caches together. If
the whole gradient is written first, and then read by the update, it goes through the far cache twice. Here the gradient
of a few inputs is written to a small piece of memory, always the same one, and their parameters are updated at once.
The numbers are the same to the bit: no sum is over more than the examples of the mini-batch.

With many examples the products take most of the time, and large products are faster than many small ones.
"""

from typing import NamedTuple

from mbbp.kernels.gemm.matrix import Matrix, by_columns
from mbbp.kernels.gemm.products import add_columns, add_outer_products
from mbbp.kernels.gemm.tile import MR
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, PointerTo, Real, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.propagation import Model, inputs_of_layer, mini_batch, multiplier_of
from mbbp.kernels.team import Team, share
from mbbp.kernels.updates import Step, segment

SLAB = 2048  # numbers of a gradient at once: they stay in the nearest cache until the update reads them
MOST_EXAMPLES = 64  # of a mini-batch for which this is faster, measured ...
SMALL = 1 << 14  # ... or the parameters of a network for which it always is


@inlined
def is_faster_in_slabs(m, size):
    """Return whether a step of m examples and so many parameters is faster slab by slab."""
    return m <= MOST_EXAMPLES or size <= SMALL


@record
class Descent(NamedTuple):
    """The update of all layers after the errors were carried back."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    step: Step
    l2: Real  # of this mini-batch
    m: Int
    team: Team


@inlined
def _slab_of(layer, lanes):
    """Return the grain of a layer's inputs, and how many of them make a slab."""
    if layer.n_out < lanes:  # a part of the inputs might be summed in another order
        return layer.n_in, layer.n_in
    return MR, max(MR, SLAB // layer.n_out // MR * MR)


@kernel(Descent)
def descend(at):
    """Update this thread's share of every layer from the errors in the workspace, which are all there."""
    d = at[0]
    model, step, l2, m, team = d.model[0], d.step, d.l2, d.m, d.team
    multiplier = multiplier_of(model, team.rank)
    zero = part(model.theta, ZERO, ZERO).dtype.type(0)
    for index in range(model.n_layers):
        layer = model.layers[index]
        D, A = mini_batch(model, layer.delta, layer.n_out, m), inputs_of_layer(model, index, m)
        grain, width = _slab_of(layer, model.lanes)
        first, end = share(team, layer.n_in, grain)
        place = layer.W + first * layer.n_out
        for begin in range(first, end, width):
            n = min(width, end - begin)
            inputs = Matrix(numbers=rest(A.numbers, begin * A.rs), n=n, m=m, rs=A.rs, cs=A.cs)
            gradient = by_columns(step.target, place, layer.n_out, n)
            add_outer_products(zero, gradient, D, inputs, ZERO, n, multiplier)
            start = layer.W + begin * layer.n_out
            call(step.update, segment(step, model, start, rest(step.target, place), n * layer.n_out, l2, True))
        if team.rank == team.size - 1:
            add_columns(zero, part(step.target, layer.b, layer.n_out), D, multiplier)
            call(step.update, segment(step, model, layer.b, rest(step.target, layer.b), layer.n_out, l2, False))
    return ZERO
