"""The training loop: mini-batch after mini-batch, with no Python and no allocation in between."""

import math

import numpy as np

from mbbp.kernels.codes import MOMENTUM, SGD
from mbbp.kernels.elementwise import scale
from mbbp.kernels.jit import compiled
from mbbp.kernels.propagation import (
    backward,
    borrowed_examples,
    borrowed_model,
    count_correct,
    forward,
    inputs_of,
    load,
    score,
)
from mbbp.kernels.team import share, share_of_rows, wait
from mbbp.kernels.updates import move, norm, update
from mbbp.kernels.views import borrowed, part

LINE = 16  # numbers: threads that write closer together than a cache line slow each other down


@compiled
def train(model, examples, order, batch_size, optimizer, work, gradient, totals, measure_norm, team):
    """Train on the columns in `order`, `batch_size` at a time; the last mini-batch is what is left.

    Every thread of the team calls this with the same arguments, but for its own place in it.

    Parameters
    ----------
    model, examples, optimizer : Model, Examples, Optimizer
        `model.theta`, `optimizer.state` and `optimizer.steps` are changed.
    order : int64 (n,)
        The columns to use, in this order.
    batch_size : int
        The size of a mini-batch, at least 1.
    work, gradient : vector
        The workspace for `batch_size` examples and as many threads, and room for one gradient. Both are overwritten.
    totals : float64 (4,)
        The summed cost and the number of examples classified rightly are added to the first two; the third is the
        norm of the gradient of the last mini-batch, if it was measured; the last is the cost of the last mini-batch.
    measure_norm : bool
        Whether to measure that norm. It needs the gradient itself, which plain SGD otherwise never stores.
    team : Team
        Who shares the work.

    Returns
    -------
    bool
        Whether the cost stayed finite. If not, the step that would have used it was not taken. False also if the team
        was given up.
    """
    model, examples = borrowed_model(model), borrowed_examples(examples)
    work, gradient, order, totals = borrowed(work), borrowed(gradient), borrowed(order), borrowed(totals)
    number = model.theta.dtype.type
    n = order.size
    is_weighted = examples.weights.size > 0
    clips = optimizer.clip_norm < math.inf
    is_first = team.rank == 0
    steps = optimizer.steps[0]
    for begin in range(0, n, batch_size):
        m = min(batch_size, n - begin)
        columns = part(order, begin, m)
        start, stop = share_of_rows(team, m)
        load(examples, columns, work, start, stop)
        forward(model, inputs_of(model, work, start, stop), work, m, start, stop, team.rank)
        if not wait(team):  # for all outputs
            return False
        if is_first:
            totals[3] = score(model, work, m, is_weighted)
            totals[0] += totals[3]
            totals[1] += count_correct(model, work, columns, examples.labels)
        if not wait(team) or not math.isfinite(totals[3]):  # for the cost
            return False
        steps += 1
        needs_gradient = clips or (measure_norm and begin + m == n)
        rate, decay = optimizer.learning_rate, optimizer.learning_rate * optimizer.weight_decay
        shrink = rate * optimizer.l2 + decay
        keep = number(1.0 - shrink)
        if optimizer.code == SGD and not needs_gradient and abs(1.0 - np.float64(keep) - shrink) <= 0.01 * shrink:
            backward(model, work, m, is_weighted, model.theta, keep, number(1), number(-rate / m), team)
        elif optimizer.code == MOMENTUM and not needs_gradient and optimizer.l2 == 0:
            velocity, mu = borrowed(optimizer.state[0]), number(optimizer.first)
            backward(model, work, m, is_weighted, velocity, mu, mu, number(-rate / m), team)
            if not wait(team):  # for all velocities
                return False
            first, end = share(team, velocity.size, LINE)
            move(velocity, model.sizes, model.theta, 1.0 - decay, first, end)
        else:
            backward(model, work, m, is_weighted, gradient, number(0), number(0), number(1.0 / m), team)
            if not wait(team):  # for the whole gradient
                return False
            first, end = share(team, gradient.size, LINE)
            if needs_gradient:
                length = norm(gradient)
                if not wait(team):  # until all have measured it
                    return False
                if is_first:
                    totals[2] = length
                if length > optimizer.clip_norm:
                    scale(part(gradient, first, end - first), number(optimizer.clip_norm / length))
            update(optimizer, steps, model.sizes, model.theta, gradient, first, end)
        if is_first:
            optimizer.steps[0] = steps
        if not wait(team):  # for all parameters
            return False
    return True
