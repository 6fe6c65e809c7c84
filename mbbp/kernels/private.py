"""Steps of differentially private gradient descent: clipped sums, noise and update, with no Python in between."""

import math
from typing import NamedTuple

from mbbp.kernels.epoch import Totals
from mbbp.kernels.evaluation import correct_outputs, summed_cost
from mbbp.kernels.examples import Source, gather
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ZERO
from mbbp.kernels.lowlevel.denormals import set_back, take_denormals_as_zero
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Bytes, Int, Integers, Number, Numbers, PointerTo, Real, Reals, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.noise import Noise
from mbbp.kernels.norms import MiniBatchNorms
from mbbp.kernels.per_example import add_gradient, carry_errors_back, scale_errors, set_clipping_factors
from mbbp.kernels.propagation import Model, forward_pass, multiplier_of
from mbbp.kernels.team import Team

SMALLEST = 2.3e-308  # no normal number is less


@record
class PrivateSteps(NamedTuple):
    """Some steps, with the examples that each of them has drawn."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # the examples of all steps, side by side
    first: Int  # where those of the first step begin
    ends: Integers  # (n_steps,): where those of each step end
    n_steps: Int
    chunk: Int  # how many examples go through the network together, at most
    clip_norm: Real
    deviation: Number  # of the noise in the sum of the gradients
    rate: Number  # the learning rate, divided by the expected number of examples
    shrinkage: Number  # of the weights in each step, by the L2 term
    bits: Bytes  # for each step `words` words
    words: Int
    word_size: Int  # bytes
    make_noise: Address
    measure: Address  # of the kernel `gradient_norms`
    norms: Reals  # (chunk,)
    sums: Reals  # (2 chunk,)
    gradient: Numbers  # (n_parameters,), and so is the next
    noise: Numbers
    totals: PointerTo(Totals)  # type: ignore[valid-type]  # one
    team: Team  # of one


@kernel(PrivateSteps)
def descend_privately(at):
    """Take the steps; return 1, or 0 if a cost was NaN or inf, with the step not taken."""
    p, register = at[0], take_denormals_as_zero()
    model, source = p.model[0], p.source[0]
    last = model.layers[model.n_layers - 1]
    size = last.b + last.n_out
    multiplier, number = multiplier_of(model, ZERO), part(model.theta, ZERO, ZERO).dtype.type
    gradient, noise, theta = part(p.gradient, ZERO, size), part(p.noise, ZERO, size), part(model.theta, ZERO, size)
    start, is_finite, cost, correct, square = p.first, 1, 0.0, ZERO, 0.0
    for step in range(p.n_steps):
        end = p.ends[step]
        if start == end:
            for i in range(size):
                gradient[i] = 0
        beta = number(0)
        for begin in range(start, end, p.chunk):
            m = min(p.chunk, end - begin)
            gather(p.source, rest(p.order, begin), model, ZERO, m, m)
            forward_pass(p.model, model.work, ZERO, m, m, ZERO, ZERO)
            cost += summed_cost(model, m)
            if source.has_labels:
                correct += correct_outputs(model, m)
            carry_errors_back(p.model, m, p.team)
            # with a least square, no underflow makes a norm smaller than it is
            norms = MiniBatchNorms(model=p.model, m=m, norms=p.norms, sums=p.sums, least=SMALLEST)
            call(p.measure, norms)
            factors = part(model.work, model.spare, m)
            set_clipping_factors(p.norms, p.clip_norm, factors)
            scale_errors(model, factors, m)
            add_gradient(model, p.gradient, beta, m, multiplier)
            beta = number(1)
        start = end
        if not math.isfinite(cost):
            is_finite = 0
            break
        call(p.make_noise, Noise(bits=rest(p.bits, step * p.words * p.word_size), out=p.noise, n=size))
        if p.shrinkage > 0:
            for index in range(model.n_layers):
                layer = model.layers[index]
                W = part(model.theta, layer.W, layer.n_in * layer.n_out)
                for i in range(W.size):
                    W[i] -= p.shrinkage * W[i]
        for i in range(size):
            theta[i] -= p.rate * (gradient[i] + p.deviation * noise[i])
    for i in range(size):
        square += float(gradient[i]) * float(gradient[i])
    totals = p.totals[0]
    p.totals[0] = Totals(
        cost=totals.cost + cost,
        correct=totals.correct + correct,
        gradient_norm=math.sqrt(square),
        last_cost=cost,
        penalty=0.0,
    )
    set_back(register)
    return is_finite
