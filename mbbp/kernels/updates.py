"""How a gradient changes the parameters: one pass over the flat vectors, with the optimizer's state beside them."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbbp.kernels.codes import ADAM, MOMENTUM, NESTEROV, SGD, ZERO
from mbbp.kernels.jit import compiled_fast, inlined
from mbbp.kernels.views import part

Array = NDArray[Any]


class Optimizer(NamedTuple):
    """An optimizer as the kernels see it."""

    code: int  # one of mbbp.kernels.codes
    first: float  # momentum, or Adam's beta_1
    second: float  # Adam's beta_2
    epsilon: float  # Adam's epsilon
    learning_rate: float
    l2: float  # lambda / n: added to the gradient of the weights, times the weights
    weight_decay: float  # decoupled: the share of each weight taken off per unit of learning rate
    clip_norm: float  # the largest norm of a gradient, or inf
    state: Array  # (k, n_parameters): velocities, or Adam's two moments
    steps: Array  # int64 (1,): how many steps were taken


@compiled_fast
def norm(gradient):
    """Return the Euclidean length of a vector, summed in float64."""
    total = 0.0
    for i in range(gradient.size):
        value = np.float64(gradient[i])  # to Numba, float() leaves a float32 what it is
        total += value * value
    return math.sqrt(total)


@inlined
def _descend(theta, gradient, rate, l2, keep):
    for i in range(theta.size):
        theta[i] = keep * theta[i] - rate * (gradient[i] + l2 * theta[i])


@inlined
def _momentum(theta, gradient, velocity, rate, l2, keep, momentum):
    """V = mu v - eta grad; theta = theta + v."""
    for i in range(theta.size):
        velocity[i] = momentum * velocity[i] - rate * (gradient[i] + l2 * theta[i])
        theta[i] = keep * theta[i] + velocity[i]


@inlined
def _nesterov(theta, gradient, velocity, rate, l2, keep, momentum):
    """V = mu v - eta grad; theta = theta + mu v - eta grad (Bengio, Boulanger-Lewandowski, Pascanu 2013, eq. 7)."""
    for i in range(theta.size):
        pull = rate * (gradient[i] + l2 * theta[i])
        velocity[i] = momentum * velocity[i] - pull
        theta[i] = keep * theta[i] + momentum * velocity[i] - pull


@inlined
def _adam(theta, gradient, mean, square, rate, l2, keep, beta1, beta2, new1, new2, mean_scale, square_scale, epsilon):
    """Kingma and Ba 2015, algorithm 1; the two scales undo the bias towards zero of the first steps.

    `new1` and `new2` are 1 - beta1 and 1 - beta2, which in float32 would lose half their digits.
    """
    for i in range(theta.size):
        g = gradient[i] + l2 * theta[i]
        mean[i] = beta1 * mean[i] + new1 * g
        square[i] = beta2 * square[i] + new2 * g * g
        theta[i] = keep * theta[i] - rate * (mean[i] * mean_scale) / (math.sqrt(square[i] * square_scale) + epsilon)


@inlined
def _update_segment(optimizer, step, theta, gradient, start, stop, l2, keep):
    number, n = theta.dtype.type, max(0, stop - start)
    values, slope = part(theta, start, n), part(gradient, start, n)
    rate, pull, rest = number(optimizer.learning_rate), number(l2), number(keep)
    if optimizer.code == SGD:
        _descend(values, slope, rate, pull, rest)
    elif optimizer.code == MOMENTUM:
        _momentum(values, slope, optimizer.state[0, start : start + n], rate, pull, rest, number(optimizer.first))
    elif optimizer.code == NESTEROV:
        _nesterov(values, slope, optimizer.state[0, start : start + n], rate, pull, rest, number(optimizer.first))
    elif optimizer.code == ADAM:
        mean_scale = number(1.0 / (1.0 - optimizer.first**step))
        square_scale = number(1.0 / (1.0 - optimizer.second**step))
        _adam(
            values,
            slope,
            optimizer.state[0, start : start + n],
            optimizer.state[1, start : start + n],
            rate,
            pull,
            rest,
            number(optimizer.first),
            number(optimizer.second),
            number(1.0 - optimizer.first),
            number(1.0 - optimizer.second),
            mean_scale,
            square_scale,
            number(optimizer.epsilon),
        )


@inlined
def _segment(sizes, number, start, first, end):
    """Return where the parameters of a kind begin and end, weights and biases in turn, and which of them are wanted."""
    layer, is_weights = number // 2, number % 2 == 0
    n = sizes[layer + 1] * (sizes[layer] if is_weights else 1)
    return is_weights, max(start, first), min(start + n, end), start + n


@compiled_fast
def update(optimizer, step, sizes, theta, gradient, first, end):
    """Change the parameters from `first` to `end` in step number `step`; L2 and decay act on the weights alone."""
    keep = 1.0 - optimizer.learning_rate * optimizer.weight_decay
    following = ZERO
    for number in range(2 * (sizes.size - 1)):
        is_weights, start, stop, following = _segment(sizes, number, following, first, end)
        l2, rest = (optimizer.l2, keep) if is_weights else (0.0, 1.0)
        _update_segment(optimizer, step, theta, gradient, start, stop, l2, rest)


@compiled_fast
def move(velocity, sizes, theta, keep, first, end):
    """Move the parameters from `first` to `end` by their velocities, weights after they have shrunk to `keep`."""
    following = ZERO
    for number in range(2 * (sizes.size - 1)):
        is_weights, start, stop, following = _segment(sizes, number, following, first, end)
        rest = theta.dtype.type(keep if is_weights else 1.0)
        here, pace = part(theta, start, max(0, stop - start)), part(velocity, start, max(0, stop - start))
        for i in range(here.size):
            here[i] = rest * here[i] + pace[i]
