"""The training loop: mini-batch after mini-batch, with no Python and no allocation in between."""

import math
from typing import NamedTuple

from mbbp.kernels.descent import Descent, is_faster_in_slabs
from mbbp.kernels.evaluation import correct_outputs, summed_cost
from mbbp.kernels.examples import Source, gather, prefetch_first_rows
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ONE, ZERO, inlined
from mbbp.kernels.lowlevel.denormals import set_back, take_denormals_as_zero
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, PointerTo, Real, record
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.objective import MiniBatch
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
    penalty: Real  # 1/2 l2 ||W||^2 as it was at each mini-batch, summed in the same way


@record
class Training(NamedTuple):
    """Steps of training, one for each mini-batch. Every thread of the team has the same, but for its rank."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    source: PointerTo(Source)  # type: ignore[valid-type]
    order: Integers  # (n,): the examples to use, in this order
    n: Int
    batch_size: Int  # the last mini-batch is what is left
    step: Step
    l2: Real  # besides that of the step: of a mini-batch, divided by what its mean is divided by
    squared_norm: Address  # of the kernel for the L2 term, or 0
    divisor: Address  # of the kernel that says what a mean is divided by; 0 for the number of examples
    goes_on: Int  # whether to take the steps of costs that are not finite
    norm: Address  # of the kernel that measures a gradient
    descend: Address  # of the kernel that updates slab by slab; 0 for a step that needs the whole gradient, or none
    totals: PointerTo(Totals)  # type: ignore[valid-type]  # one
    team: Team


@inlined
def _add_to_totals(training, m, divisor):
    """Count the mini-batch in the workspace."""
    totals, model, source = training.totals[0], training.model[0], training.source[0]
    cost, examples = summed_cost(model, m), m / divisor  # for each unit of weight; exactly 1 without weights
    penalty = 0.0
    if training.l2 > 0:
        penalty = 0.5 * training.l2 * call(training.squared_norm, MiniBatch(model=training.model, m=m)) * examples
    correct = ZERO
    if source.has_labels:
        correct = correct_outputs(model, m)
    training.totals[0] = Totals(
        cost=totals.cost + cost * examples,
        correct=totals.correct + correct,
        gradient_norm=totals.gradient_norm,
        last_cost=cost,
        penalty=totals.penalty + penalty,
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
            cost=totals.cost,
            correct=totals.correct,
            gradient_norm=length,
            last_cost=totals.last_cost,
            penalty=totals.penalty,
        )
    if length > step.clip_norm:
        first, end = share(team, size, LINE)
        gradient = part(step.target, first, end - first)
        factor = gradient.dtype.type(step.clip_norm / length)
        for i in range(gradient.size):
            gradient[i] *= factor
    return True


@inlined
def _update(training, size, l2):
    """Update this thread's share of the parameters; return whether all threads reached the barriers."""
    step, team = training.step, training.team
    if not wait(team):  # for the whole target
        return False
    if (step.measures_norm or step.clip_norm < math.inf) and not _clip(training, size):
        return False
    first, end = share(team, size, LINE)
    update_parameters(step, training.model[0], l2, first, end)
    return True


@kernel(Training)
def train(at):
    """Train. Return 1 if the cost stayed finite; if not, the step that would have used it was not taken, and 0.

    With `goes_on`, such steps are taken, too. 0 also if the team was given up.
    """
    t, register = at[0], take_denormals_as_zero()
    model, source, team, step = t.model[0], t.source[0], t.team, t.step
    last = model.layers[model.n_layers - 1]
    size = last.b + last.n_out
    number = part(model.theta, ZERO, ZERO).dtype.type
    beta, beta_of_biases = number(step.beta), number(step.beta_of_biases)
    is_finite = 0
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
            break
        divisor = call(t.divisor, MiniBatch(model=t.model, m=m)) if t.divisor else float(m)
        if team.rank == 0:
            _add_to_totals(t, m, divisor)
            step.steps[0] += 1
        if not wait(team) or not (t.goes_on or math.isfinite(t.totals[0].last_cost)):  # for the cost
            if team.rank == 0:
                step.steps[0] -= 1
            break
        in_slabs = t.descend != 0 and is_faster_in_slabs(m, size)
        call(
            model.backward,
            Backward(
                model=t.model,
                m=m,
                step=steps,
                target=step.target,
                beta=beta,
                beta_of_biases=beta_of_biases,
                alpha=number(step.alpha / divisor),
                has_target=ZERO if in_slabs else ONE,
                team=team,
            ),
        )
        l2 = step.l2 + t.l2 / divisor
        if in_slabs:
            if not wait(team):  # for all errors
                break
            call(t.descend, Descent(model=t.model, step=step, l2=l2, m=m, team=team))
        elif step.update and not _update(t, size, l2):
            break
        if not wait(team):  # for all parameters
            break
    else:
        is_finite = 1
    set_back(register)
    return is_finite
