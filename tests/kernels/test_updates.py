"""How optimizers change the parameters, against their formulas for whole vectors."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.kernels import updates
from mbbp.kernels.updates import Segment, Vector
from mbbp.optimizer_state import Rates
from mbbp.solvers import OPTIMIZERS
from tests.kernels.matrices import assert_close, dtypes, run, seeds, widths


@given(size=widths, dtype=dtypes, seed=seeds)
def test_norm(size, dtype, seed):
    gradient = np.random.default_rng(seed).standard_normal(size).astype(dtype)
    expected = np.linalg.norm(gradient.astype(np.float64))
    assert run(updates.norm, Vector, x=gradient, n=size) == pytest.approx(expected, rel=1e-14)


def test_the_norm_of_float32_does_not_overflow():
    assert run(updates.norm, Vector, x=np.full(4, 1e30, np.float32), n=4) == pytest.approx(2e30)


def textbook_step(optimizer, theta, gradient, state, step, learning_rate, l2, retained):
    """Return theta after a step, by the optimizer's formula for whole vectors."""
    mu, eta, decayed = getattr(optimizer, "momentum", 0.0), learning_rate, gradient + l2 * theta
    theta = retained * theta
    if optimizer.name == "sgd":
        return theta - eta * decayed
    if optimizer.name in ("momentum", "nesterov"):
        state[0] = mu * state[0] - eta * decayed
        return theta + (state[0] if optimizer.name == "momentum" else mu * state[0] - eta * decayed)
    if optimizer.name == "rmsprop":
        state[0] = optimizer.rho * state[0] + (1 - optimizer.rho) * decayed**2
        return theta - eta * decayed / (np.sqrt(state[0]) + optimizer.epsilon)
    if optimizer.name == "adagrad":
        state[0] = state[0] + decayed**2
        return theta - eta * decayed / (np.sqrt(state[0]) + optimizer.epsilon)
    beta1, beta2 = optimizer.beta1, optimizer.beta2
    state[0] = beta1 * state[0] + (1 - beta1) * decayed
    state[1] = beta2 * state[1] + (1 - beta2) * decayed**2
    return theta - eta * (state[0] / (1 - beta1**step)) / (np.sqrt(state[1] / (1 - beta2**step)) + optimizer.epsilon)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@given(size=st.integers(2, 40), dtype=dtypes, seed=seeds)
def test_update(optimizer, size, dtype, seed):
    rng = np.random.default_rng(seed)
    learning_rate, l2, retained = 0.1, 0.25, 0.9
    theta, exact_state = rng.standard_normal(size), np.zeros((2, size))
    computed, state = theta.astype(dtype), np.zeros(optimizer.n_states * size, dtype)
    theta = computed.astype(np.float64)
    for step in (1, 2, 3):
        gradient = rng.standard_normal(size).astype(dtype)
        exact = gradient.astype(np.float64)
        theta = textbook_step(optimizer, theta, exact, exact_state, step, learning_rate, l2, retained)
        for first, end in ((0, size // 3), (size // 3, size)):  # as two threads share it
            run(
                optimizer.kernel(),
                Segment,
                theta=computed[first:end],
                target=gradient[first:end],
                state=state[first:] if optimizer.n_states else state,
                stride=size,
                n=end - first,
                settings=optimizer.settings,
                learning_rate=learning_rate,
                step=step,
                l2=l2,
                retained=retained,
            )
    assert_close(computed, theta, dtype, 16)


def test_what_the_backward_pass_leaves_in_the_velocities_moves_the_parameters():
    theta, velocity = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    record = SimpleNamespace(
        theta=theta,
        target=velocity,
        state=velocity,
        stride=2,
        n=2,
        settings=np.empty(0),
        learning_rate=0.1,
        step=1,
        l2=0.0,
    )
    run(updates.move, Segment, **vars(record), retained=0.5)
    np.testing.assert_array_equal(theta, [1.0, 0.5])


@pytest.mark.parametrize("l2", [1e-9, 0.5])
def test_sgd_writes_to_the_parameters_only_where_the_decay_is_not_lost_in_rounding(l2):
    sgd = OPTIMIZERS["sgd"]
    theta, gradient = np.ones(3, np.float32), np.empty(3, np.float32)
    step = sgd.step(theta, gradient, sgd.start(3, theta.dtype), Rates(0.1, l2))
    assert (step.target is theta) == (l2 == 0.5)
    assert math.isinf(step.clip_norm)
