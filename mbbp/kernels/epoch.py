"""The training loop: mini-batch after mini-batch, with no Python and no allocation in between."""

import math
from typing import NamedTuple

from mbbp.kernels.evaluation import correct_outputs, summed_cost
from mbbp.kernels.examples import Source, gather, prefetch_first_rows
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, PointerTo, Real, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.propagation import Backward, Model, forward_pass
from mbbp.kernels.team import Team, share, share_of_rows, wait
from mbbp.kernels.updates import Step, Vector, update_parameters

LINE = 16  # numbers: threads that write closer together than a cache line slow each other down


@record
class Totals(NamedTuple):
    """What the loop counts."""

    cost: Real  # summed over the examples
    correct: Int  # examples that were classified rightly
    gradient_norm: Real  # of the last gradient that was measured
    last_cost: Real  # summed over the last mini-batch


@record
class Training(NamedTuple):
    """Steps of training, one for each mini-batch. Every thread of the team has the same, but for its rank."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): the examples to use, in this order
    n: Int
    batch_size: Int  # the last mini-batch is what is left
    step: Step
    norm: Address  # of the kernel that measures a gradient
    totals: PointerTo(Totals)  # type: ignore[valid-type]  # one
    team: Team


@inlined
def _add_to_totals(training, m):
    """Count the mini-batch in the workspace."""
    totals, model, source = training.totals[0], training.model[0], training.source[0]
    cost = summed_cost(model, m)
    correct = ZERO
    if source.has_labels:
        correct = correct_outputs(model, m)
    training.totals[0] = Totals(
        cost=totals.cost + cost,
        correct=totals.correct + correct,
        gradient_norm=totals.gradient_norm,
        last_cost=cost,
    )


@inlined
def _clip(training, size):
    """Measure the whole gradient, and shorten this thread's share of it if it is too long.

    Return whether all threads reached the barriers.
    """
    step, team = training.step, training.team
    length = call(training.norm, Vector(x=step.target, n=size))
    if not wait(team):  # until all have measured it
        return False
    if team.rank == 0:
        totals = training.totals[0]
        training.totals[0] = Totals(
            cost=totals.cost, correct=totals.correct, gradient_norm=length, last_cost=totals.last_cost
        )
    if length > step.clip_norm:
        first, end = share(team, size, LINE)
        gradient = part(step.target, first, end - first)
        factor = gradient.dtype.type(step.clip_norm / length)
        for i in range(gradient.size):
            gradient[i] *= factor
    return True


@inlined
def _update(training, size):
    """Update this thread's share of the parameters; return whether all threads reached the barriers."""
    step, team = training.step, training.team
    if not wait(team):  # for the whole target
        return False
    if (step.measures_norm or step.clip_norm < math.inf) and not _clip(training, size):
        return False
    first, end = share(team, size, LINE)
    update_parameters(step, training.model[0], first, end)
    return True


@kernel(Training)
def train(at):
    """Train. Return 1 if the cost stayed finite; if not, the step that would have used it was not taken, and 0.

    0 also if the team was given up.
    """
    t = at[0]
    model, source, team, step = t.model[0], t.source[0], t.team, t.step
    last = model.layers[model.n_layers - 1]
    size = last.b + last.n_out
    number = part(model.theta, ZERO, ZERO).dtype.type
    beta, beta_of_biases = number(step.beta), number(step.beta_of_biases)
    for begin in range(0, t.n, t.batch_size):
        m = min(t.batch_size, t.n - begin)
        order, steps = rest(t.order, begin), step.steps[0]  # before the first thread counts this one
        start, stop = share_of_rows(team, m)
        gather(t.source, order, model, start, stop, m)
        if source.inputs.ahead:
            next_start, next_stop = share_of_rows(team, min(t.batch_size, t.n - begin - m))
            prefetch_first_rows(source, rest(order, m), model, next_start, next_stop)
        forward_pass(t.model, rest(model.work, start * model.layers[0].n_in), start, stop, m, team.rank, steps)
        if not wait(team):  # for all outputs
            return 0
        if team.rank == 0:
            _add_to_totals(t, m)
            step.steps[0] += 1
        if not wait(team) or not math.isfinite(t.totals[0].last_cost):  # for the cost
            if team.rank == 0:
                step.steps[0] -= 1
            return 0
        call(
            model.backward,
            Backward(
                model=t.model,
                m=m,
                step=steps,
                target=step.target,
                beta=beta,
                beta_of_biases=beta_of_biases,
                alpha=number(step.alpha / m),
                team=team,
            ),
        )
        if step.update and not _update(t, size):
            return 0
        if not wait(team):  # for all parameters
            return 0
    return 1
