"""Optimizers that users write themselves: each against its formula in plain NumPy, and those that cannot work."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import mbbp
from tests.conftest import JIT
from tests.problems import N, labelled, network
from tests.test_optimizers import BATCH, EPOCHS, OPTIONS, expected, step


@dataclass(frozen=True)
class Root(mbbp.Optimizer):
    """Has no state."""

    name = "root"

    @staticmethod
    def update(gradient, learning_rate):
        return -learning_rate * math.copysign(math.sqrt(abs(gradient)), gradient)


@dataclass(frozen=True)
class Falling(mbbp.Optimizer):
    """Has no state, and a rate that falls from step to step."""

    power: float = 0.5
    name = "falling"

    @staticmethod
    def coefficients(learning_rate, step, power):
        return (learning_rate / step**power,)

    @staticmethod
    def update(gradient, rate):
        return -rate * gradient


@dataclass(frozen=True)
class Bounded(mbbp.Optimizer):
    """Has one state and two settings."""

    beta: float = 0.9
    most: float = 0.5
    name, n_states = "bounded", 1

    @staticmethod
    def update(gradient, mean, learning_rate, beta, most):
        mean = beta * mean + (1 - beta) * gradient
        return -learning_rate * max(-most, min(most, mean)), mean


@dataclass(frozen=True)
class Corrected(mbbp.Optimizer):
    """Has one state, whose beginning at zero is made up for."""

    beta: float = 0.9
    name, n_states = "corrected", 1

    @staticmethod
    def coefficients(learning_rate, step, beta):
        return learning_rate / (1.0 - beta**step), beta

    @staticmethod
    def update(gradient, mean, rate, beta):
        mean = beta * mean + (1.0 - beta) * gradient
        return -rate * mean, mean


@dataclass(frozen=True)
class TwoSpeeds(mbbp.Optimizer):
    """Has two states."""

    fast: float = 0.5
    slow: float = 0.9
    name, n_states = "two speeds", 2

    @staticmethod
    def update(gradient, first, second, learning_rate, fast, slow):
        first = fast * first + gradient
        second = slow * second + gradient
        return -learning_rate * (first - 0.3 * second), first, second


@dataclass(frozen=True)
class Adamax(mbbp.Optimizer):
    """Has two states, of which one is the largest gradient (Kingma and Ba 2015, algorithm 2)."""

    beta1: float = 0.9
    beta2: float = 0.999
    name, n_states = "adamax", 2

    @staticmethod
    def coefficients(learning_rate, step, beta1, beta2):
        return learning_rate / (1.0 - beta1**step), beta1, beta2

    @staticmethod
    def update(gradient, mean, largest, rate, beta1, beta2):
        mean = beta1 * mean + (1.0 - beta1) * gradient
        largest = max(beta2 * largest, abs(gradient))
        return -rate * mean / (largest + 1e-8), mean, largest


def bounded(eta, g, state, t, beta=0.9, most=0.5):
    state["m"] = beta * state.get("m", 0) + (1 - beta) * g
    return -eta * np.clip(state["m"], -most, most)


def corrected(eta, g, state, t, beta=0.9):
    state["m"] = beta * state.get("m", 0) + (1 - beta) * g
    return -eta * state["m"] / (1 - beta**t)


def two_speeds(eta, g, state, t, fast=0.5, slow=0.9):
    state["f"], state["s"] = fast * state.get("f", 0) + g, slow * state.get("s", 0) + g
    return -eta * (state["f"] - 0.3 * state["s"])


def adamax(eta, g, state, t, beta1=0.9, beta2=0.999):
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["u"] = np.maximum(beta2 * state.get("u", 0), abs(g))
    return -eta / (1 - beta1**t) * state["m"] / (state["u"] + 1e-8)


CUSTOM = {
    "no state": (Root(), lambda eta, g, state, t: -eta * np.sign(g) * np.sqrt(abs(g))),
    "no state, coefficients": (Falling(power=0.7), lambda eta, g, state, t: -eta / t**0.7 * g),
    "one state": (Bounded(most=0.01), lambda *given: bounded(*given, most=0.01)),
    "one state, coefficients": (Corrected(), corrected),
    "two states": (TwoSpeeds(slow=0.8), lambda *given: two_speeds(*given, slow=0.8)),
    "two states, coefficients": (Adamax(), adamax),
}
custom = pytest.mark.parametrize(("optimizer", "formula"), CUSTOM.values(), ids=CUSTOM)


@custom
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_users_own_optimizer_follows_its_formula(optimizer, formula, options):
    X, y = labelled()
    net = network()
    theta = expected(net, X, y, formula, 0.02, **options)
    net.fit(X, y, epochs=EPOCHS, batch_size=BATCH, learning_rate=0.02, optimizer=optimizer, **options)
    np.testing.assert_allclose(net.theta, theta, rtol=0, atol=1e-12)
    assert net.optimizer_state.moments.shape == (optimizer.n_states, net.theta.size)


@custom
def test_a_users_own_optimizer_in_float32(optimizer, formula):
    X, y = labelled()
    net, exact = network(dtype="float32"), network()
    exact.theta = net.theta
    theta = expected(exact, X, y, formula, 0.02, l2=2.0, weight_decay=0.3)
    net.fit(X, y, epochs=EPOCHS, batch_size=BATCH, learning_rate=0.02, optimizer=optimizer, l2=2.0, weight_decay=0.3)
    np.testing.assert_allclose(net.theta, theta, rtol=0, atol=2e-5)


def test_the_same_settings_go_on_with_the_same_state():
    whole, pieces = network(), network()
    whole.fit(*labelled(), epochs=4, optimizer=Corrected())
    for _ in range(4):
        pieces.fit(*labelled(), epochs=1, optimizer=Corrected())
    assert pieces.theta.tobytes() == whole.theta.tobytes()
    pieces.fit(*labelled(), epochs=1, batch_size=N, optimizer=Corrected(beta=0.5))
    assert pieces.optimizer_state.steps == 1


def standing(kind, n_states):
    """Return an optimizer of a kind whose own update changes nothing."""
    updates = [lambda g, *rest: 0.0 * g, lambda g, v, *rest: (0.0 * g, v), lambda g, m, v, *rest: (0.0 * g, m, v)]
    update = staticmethod(updates[n_states])
    return dataclass(frozen=True)(type("Standing", (kind,), {"update": update}))()


OVERRIDDEN = [mbbp.SGD, mbbp.Momentum, mbbp.Nesterov, mbbp.Adam, mbbp.RMSprop, mbbp.Adagrad]


@pytest.mark.parametrize("kind", OVERRIDDEN, ids=lambda kind: kind.__name__)
def test_a_subclass_has_its_own_update_called(kind):
    _, moved = step(standing(kind, kind.n_states), batch_size=4, learning_rate=0.1)
    assert not moved.any()
    _, moved = step(kind(), batch_size=4, learning_rate=0.1)
    assert moved.all()


def failing(n_states=0, **functions):
    functions = {name: staticmethod(function) for name, function in functions.items()}
    return dataclass(frozen=True)(type("Odd", (mbbp.Optimizer,), {"name": "odd", "n_states": n_states} | functions))()


REFUSED = {
    "three states": (failing(3, update=lambda g, a, b, c, rate: (g, a, b, c)), ValueError, "n_states: .*got 3"),
    "no update": (failing(), TypeError, "optimizer: expected .* update function"),
}
NOT_COMPILED = {
    "text": failing(update=lambda g, rate: "one"),
    "too few arguments": failing(1, update=lambda g, rate: -rate * g),
    "no new state": failing(1, update=lambda g, v, rate: -rate * g),
    "a file": failing(update=lambda g, rate: len(open("/dev/null").read())),  # noqa: PTH123, SIM115
    "a coefficient that is no tuple": failing(update=lambda g, rate: g, coefficients=lambda rate, step: rate),
}
if JIT:
    REFUSED |= {name: (one, TypeError, "optimizer 'odd', update: expected") for name, one in NOT_COMPILED.items()}


@pytest.mark.parametrize(("optimizer", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_an_optimizer_that_cannot_work_is_refused_by_name(optimizer, error, message):
    net = network()
    before = net.theta.tobytes()
    with pytest.raises(error, match=message):
        net.fit(*labelled(), epochs=1, optimizer=optimizer)
    with pytest.raises(error, match=message):
        net.trainer(optimizer=optimizer).step(*labelled())
    assert net.theta.tobytes() == before
    assert net.optimizer_state is None
    assert len(net.history) == 0
