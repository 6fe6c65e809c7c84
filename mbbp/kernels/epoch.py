"""The training loop: mini-batch after mini-batch, with no Python and no allocation in between."""

import math

from mbbp.kernels.codes import SGD
from mbbp.kernels.elementwise import scale
from mbbp.kernels.jit import compiled
from mbbp.kernels.propagation import backward, borrowed_examples, borrowed_model, count_correct, forward, load, score
from mbbp.kernels.updates import norm, update
from mbbp.kernels.views import borrowed, part


@compiled
def train(model, examples, order, batch_size, optimizer, work, gradient, totals, measure_norm):
    """Train on the columns in `order`, `batch_size` at a time; the last mini-batch is what is left.

    Parameters
    ----------
    model, examples, optimizer : Model, Examples, Optimizer
        `model.theta`, `optimizer.state` and `optimizer.steps` are changed.
    order : int64 (n,)
        The columns to use, in this order.
    batch_size : int
        The size of a mini-batch, at least 1.
    work, gradient : vector
        The workspace for `batch_size` examples, and room for one gradient. Both are overwritten.
    totals : float64 (3,)
        The summed cost and the number of examples classified rightly are added to the first two; the third is the
        norm of the gradient of the last mini-batch, if `measure_norm`.
    measure_norm : bool
        Whether to measure that norm. It needs the gradient itself, which plain SGD otherwise never stores.

    Returns
    -------
    bool
        Whether the cost stayed finite. If not, the step that would have used it was not taken.
    """
    model = borrowed_model(model)
    examples = borrowed_examples(examples)
    work, gradient, order = borrowed(work), borrowed(gradient), borrowed(order)
    number = model.theta.dtype.type
    n = order.size
    is_weighted = examples.weights.size > 0
    clips = optimizer.clip_norm < math.inf
    for start in range(0, n, batch_size):
        m = min(batch_size, n - start)
        columns = part(order, start, m)
        load(examples, columns, work)
        forward(model, work, m)
        cost = score(model, work, m, is_weighted)
        totals[0] += cost
        totals[1] += count_correct(model, work, columns, examples.labels)
        if not math.isfinite(cost):
            return False
        is_measured = measure_norm and start + m == n
        rate = optimizer.learning_rate
        keep = number(1.0 - rate * (optimizer.l2 + optimizer.weight_decay))
        # keep = 0 would tell `backward` to clear the biases too
        if optimizer.code == SGD and not clips and not is_measured and keep != 0:
            optimizer.steps[0] += 1
            backward(model, work, m, is_weighted, model.theta, keep, number(-rate / m))
            continue
        backward(model, work, m, is_weighted, gradient, number(0), number(1.0 / m))
        if clips or is_measured:
            length = norm(gradient)
            if is_measured:
                totals[2] = length
            if length > optimizer.clip_norm:
                scale(gradient, number(optimizer.clip_norm / length))
        update(optimizer, model.sizes, model.theta, gradient)
    return True
