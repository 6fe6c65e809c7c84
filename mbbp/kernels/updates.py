"""How a step changes the parameters.

The backward pass writes target = beta target + alpha gradient to a vector that the optimizer chooses: room for the
gradient, the velocities, or the parameters themselves. Then a kernel of the optimizer updates the parameters from the
target; if the target is the parameters, there is nothing left to do. All this is data, in a `Step`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import FAST, ZERO, inlined, scalars
from mbbp.kernels.lowlevel.freezing import compiled_once
from mbbp.kernels.lowlevel.kernel import Kernel, kernel
from mbbp.kernels.lowlevel.records import Address, Int, Integers, Numbers, Real, Reals, record
from mbbp.kernels.lowlevel.tuples import numbers_of, reals_of
from mbbp.kernels.lowlevel.views import part, rest
from mbbp.kernels.square_root import square_root


@record
class Step(NamedTuple):
    """A step of training, as an optimizer asks for it."""

    target: Numbers  # what the backward pass writes to
    is_gradient: Int  # whether the target is memory for the gradient alone, which nobody reads after the update
    beta: Real  # factor of the old target, for weights ...
    beta_of_biases: Real  # ... and for biases
    alpha: Real  # of the mean gradient
    update: Address  # of a kernel that takes a Segment, or 0: then the target is the parameters
    state: Numbers  # (n_states, n_parameters): velocities, moments
    settings: Reals  # the optimizer's own numbers
    steps: Integers  # (1,): how many steps were taken
    learning_rate: Real
    l2: Real  # lambda / n: added to the gradient of the weights, times the weights
    weight_decay: Real  # decoupled: each step subtracts learning_rate * weight_decay * W
    clip_norm: Real  # the largest norm of a gradient, or inf
    measures_norm: Int  # whether the norm of the gradient is needed


@record
class Segment(NamedTuple):
    """Some neighbouring parameters with all that their update needs."""

    theta: Numbers
    target: Numbers
    state: Numbers  # of the first of them
    stride: Int  # from one state of a parameter to its next one
    n: Int
    settings: Reals
    learning_rate: Real
    step: Int  # its number, from 1
    l2: Real
    retained: Real  # the share of theta that decay leaves


@kernel(Segment, fastmath=FAST)
def sgd(at):
    """Theta = theta - eta grad."""
    s = at[0]
    theta, gradient = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n)
    number = theta.dtype.type
    rate, l2, retained = number(s.learning_rate), number(s.l2), number(s.retained)
    for i in range(theta.size):
        theta[i] = retained * theta[i] - rate * (gradient[i] + l2 * theta[i])
    return ZERO


@kernel(Segment, fastmath=FAST)
def momentum(at):
    """V = mu v - eta grad; theta = theta + v."""
    s = at[0]
    theta, gradient, velocity = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n), part(s.state, ZERO, s.n)
    number = theta.dtype.type
    rate, l2, retained, mu = number(s.learning_rate), number(s.l2), number(s.retained), number(s.settings[0])
    for i in range(theta.size):
        velocity[i] = mu * velocity[i] - rate * (gradient[i] + l2 * theta[i])
        theta[i] = retained * theta[i] + velocity[i]
    return ZERO


@kernel(Segment, fastmath=FAST)
def move(at):
    """Theta = theta + v, where the target is the velocities and has had its share of the gradient."""
    s = at[0]
    theta, velocity = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n)
    retained = theta.dtype.type(s.retained)
    for i in range(theta.size):
        theta[i] = retained * theta[i] + velocity[i]
    return ZERO


@kernel(Segment, fastmath=FAST)
def nesterov(at):
    """V = mu v - eta grad; theta = theta + mu v - eta grad (Bengio, Boulanger-Lewandowski, Pascanu 2013, eq. 7)."""
    s = at[0]
    theta, gradient, velocity = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n), part(s.state, ZERO, s.n)
    number = theta.dtype.type
    rate, l2, retained, mu = number(s.learning_rate), number(s.l2), number(s.retained), number(s.settings[0])
    for i in range(theta.size):
        pull = rate * (gradient[i] + l2 * theta[i])
        velocity[i] = mu * velocity[i] - pull
        theta[i] = retained * theta[i] + mu * velocity[i] - pull
    return ZERO


@inlined
def _adam(s, epsilon):
    """Move by rate_t m / (sqrt(v) + epsilon), where rate_t undoes the bias towards zero of the first steps."""
    theta, gradient = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n)
    mean, square = part(s.state, ZERO, s.n), part(s.state, s.stride, s.n)
    number = theta.dtype.type
    unbiased = math.sqrt(1.0 - s.settings[1] ** s.step) / (1.0 - s.settings[0] ** s.step)
    rate, l2, retained = number(s.learning_rate * unbiased), number(s.l2), number(s.retained)
    beta1, beta2, small = number(s.settings[0]), number(s.settings[1]), number(epsilon)
    # 1 - beta in float32 would lose half its digits
    new1, new2 = number(1.0 - s.settings[0]), number(1.0 - s.settings[1])
    for i in range(theta.size):
        g = gradient[i] + l2 * theta[i]
        mean[i] = beta1 * mean[i] + new1 * g
        square[i] = beta2 * square[i] + new2 * g * g
        theta[i] = retained * theta[i] - rate * mean[i] / (square_root(square[i]) + small)


@kernel(Segment, fastmath=FAST)
def adam(at):
    """Kingma and Ba 2015, algorithm 1, with both corrections of the bias in one factor."""
    s = at[0]
    _adam(s, s.settings[2] * math.sqrt(1.0 - s.settings[1] ** s.step))
    return ZERO


@kernel(Segment, fastmath=FAST)
def adam_epsilon_hat(at):
    """Kingma and Ba 2015, the end of section 2: epsilon is added before the bias of the second moment is corrected."""
    s = at[0]
    _adam(s, s.settings[2])
    return ZERO


@kernel(Segment, fastmath=FAST)
def rmsprop(at):
    """Tieleman and Hinton 2012: r = rho r + (1 - rho) grad^2; theta = theta - eta grad / (sqrt(r) + epsilon)."""
    s = at[0]
    theta, gradient, square = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n), part(s.state, ZERO, s.n)
    number = theta.dtype.type
    rate, l2, retained = number(s.learning_rate), number(s.l2), number(s.retained)
    rho, new, epsilon = number(s.settings[0]), number(1.0 - s.settings[0]), number(s.settings[1])
    for i in range(theta.size):
        g = gradient[i] + l2 * theta[i]
        square[i] = rho * square[i] + new * g * g
        theta[i] = retained * theta[i] - rate * g / (square_root(square[i]) + epsilon)
    return ZERO


@compiled_once
def custom(update: Callable[..., Any], coefficients: Callable[..., Any], n_states: int, n_settings: int) -> Kernel:
    """Return the kernel of a custom optimizer; see `mbbp.Optimizer` for the two functions.

    `coefficients` is called once a step, in float64; `update` once for every parameter, in the network's dtype.
    """
    if n_states not in (0, 1, 2):
        raise ValueError(f"n_states: expected 0, 1 or 2, got {n_states!r}")
    compiled_scalar = scalars().compiled_scalar
    change, prepare = compiled_scalar(update), compiled_scalar(coefficients)

    def without_state(at: Any) -> Any:
        s = at[0]
        theta, gradient = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n)
        number = theta.dtype.type
        l2, retained = number(s.l2), number(s.retained)
        c = numbers_of(prepare(s.learning_rate, s.step, *reals_of(s.settings, n_settings)), theta)
        for i in range(theta.size):
            theta[i] = retained * theta[i] + change(gradient[i] + l2 * theta[i], *c)
        return ZERO

    def with_one(at: Any) -> Any:
        s = at[0]
        theta, gradient, state = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n), part(s.state, ZERO, s.n)
        number = theta.dtype.type
        l2, retained = number(s.l2), number(s.retained)
        c = numbers_of(prepare(s.learning_rate, s.step, *reals_of(s.settings, n_settings)), theta)
        for i in range(theta.size):
            moved, state[i] = change(gradient[i] + l2 * theta[i], state[i], *c)
            theta[i] = retained * theta[i] + moved
        return ZERO

    def with_two(at: Any) -> Any:
        s = at[0]
        theta, gradient = part(s.theta, ZERO, s.n), part(s.target, ZERO, s.n)
        first, second = part(s.state, ZERO, s.n), part(s.state, s.stride, s.n)
        number = theta.dtype.type
        l2, retained = number(s.l2), number(s.retained)
        c = numbers_of(prepare(s.learning_rate, s.step, *reals_of(s.settings, n_settings)), theta)
        for i in range(theta.size):
            moved, first[i], second[i] = change(gradient[i] + l2 * theta[i], first[i], second[i], *c)
            theta[i] = retained * theta[i] + moved
        return ZERO

    return Kernel((without_state, with_one, with_two)[n_states], Segment, FAST, is_cached=False)


@record(returns=Real)
class Vector(NamedTuple):
    """A vector of numbers."""

    x: Numbers
    n: Int


@kernel(Vector, fastmath=FAST)
def norm(at):
    """Return the Euclidean norm of a vector, summed in float64."""
    vector = at[0]
    x = part(vector.x, ZERO, vector.n)
    total = 0.0
    for i in range(x.size):
        value = np.float64(x[i])  # to Numba, float() leaves a float32 what it is
        total += value * value
    return math.sqrt(total)


@inlined
def segment(step, model, start, target, n, l2, is_weights):
    """Return the n parameters from `start` on, with their target; L2 and decay act on the weights alone."""
    last = model.layers[model.n_layers - 1]
    return Segment(
        theta=rest(model.theta, start),
        target=target,
        state=rest(step.state, start),
        stride=last.b + last.n_out,
        n=n,
        settings=step.settings,
        learning_rate=step.learning_rate,
        step=step.steps[0],
        l2=l2 if is_weights else 0.0,
        retained=1.0 - step.learning_rate * step.weight_decay if is_weights else 1.0,
    )


@inlined
def update_parameters(step, model, l2, first, end):
    """Update the parameters from `first` to `end`."""
    for index in range(2 * model.n_layers):
        layer = model.layers[index // 2]
        is_weights = index % 2 == 0
        begin = layer.W if is_weights else layer.b
        size = layer.n_out * layer.n_in if is_weights else layer.n_out
        start, stop = max(begin, first), min(begin + size, end)
        if start < stop:
            call(step.update, segment(step, model, start, rest(step.target, start), stop - start, l2, is_weights))
