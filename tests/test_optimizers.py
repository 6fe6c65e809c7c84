"""The optimizers: each against its formula in plain NumPy, with every kind of decay and with clipping."""

from itertools import product

import numpy as np
import pytest

import mbbp
from mbbp.solvers import OPTIMIZERS, get_optimizer
from tests.problems import N, continuous, is_weight, labelled, mini_batches, network

BATCH = 5
EPOCHS = 8  # of five steps
RATES = {"sgd": 0.5, "momentum": 0.1, "nesterov": 0.1, "adam": 0.02, "adamw": 0.02, "rmsprop": 0.01, "adagrad": 0.1}


def sgd(eta, g, state, t):
    return -eta * g


def momentum(eta, g, state, t, mu=0.9):
    state["v"] = mu * state.get("v", 0) - eta * g
    return state["v"]


def nesterov(eta, g, state, t, mu=0.9):
    state["v"] = mu * state.get("v", 0) - eta * g
    return mu * state["v"] - eta * g


def adam(eta, g, state, t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
    return -eta * (state["m"] / (1 - beta1**t)) / (np.sqrt(state["v"] / (1 - beta2**t)) + epsilon)


def rmsprop(eta, g, state, t, rho=0.99, epsilon=1e-8):
    state["v"] = rho * state.get("v", 0) + (1 - rho) * g**2
    return -eta * g / (np.sqrt(state["v"]) + epsilon)


def adagrad(eta, g, state, t, epsilon=1e-10):
    state["v"] = state.get("v", 0) + g**2
    return -eta * g / (np.sqrt(state["v"]) + epsilon)


FORMULAS = {"sgd": sgd, "momentum": momentum, "nesterov": nesterov, "adam": adam, "adamw": adam}
FORMULAS |= {"rmsprop": rmsprop, "adagrad": adagrad}


def expected(net, X, y, formula, eta, l2=0.0, weight_decay=0.0, clip_norm=np.inf, **settings):
    """Return the parameters after the mini-batches that `fit` is about to take, by the formula, in float64."""
    net.theta, start = net.theta, net.theta.copy()
    weights, state, theta = is_weight(net), {}, np.array(net.theta, np.float64)
    for t, batch in enumerate(mini_batches(net.rng, N, BATCH, EPOCHS), 1):
        net.theta = theta
        g = mbbp.reference.gradient(net, X[:, batch], y[batch]).theta
        g *= min(1.0, clip_norm / np.linalg.norm(g))
        g += l2 / N * weights * theta
        theta = theta - eta * weight_decay * weights * theta + formula(eta, g, state, t, **settings)
    net.theta = start
    return theta


OPTIONS = [
    {},
    {"weight_decay": 0.3},
    {"l2": 2.0},
    {"clip_norm": 0.05},
    {"weight_decay": 0.3, "l2": 2.0, "clip_norm": 0.05},
    {"l2": 2.0, "clip_norm": 1e300},
]


@pytest.mark.parametrize(("name", "options"), list(product(OPTIMIZERS, OPTIONS)), ids=str)
def test_training_follows_the_formula(name, options):
    X, y = labelled()
    net = network()
    options = {"weight_decay": 0.0} | options
    theta = expected(net, X, y, FORMULAS[name], RATES[name], **options)
    net.fit(X, y, epochs=EPOCHS, batch_size=BATCH, learning_rate=RATES[name], optimizer=name, **options)
    np.testing.assert_allclose(net.theta, theta, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_in_float32_follows_the_formula_too(name):
    X, y = labelled()
    net, exact = network(dtype="float32"), network()
    exact.theta = net.theta
    theta = expected(exact, X, y, FORMULAS[name], RATES[name], l2=2.0, weight_decay=0.3)
    net.fit(X, y, epochs=EPOCHS, batch_size=BATCH, learning_rate=RATES[name], optimizer=name, l2=2.0, weight_decay=0.3)
    np.testing.assert_allclose(net.theta, theta, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (mbbp.Momentum(momentum=0.5), {"mu": 0.5}),
        (mbbp.Momentum(momentum=0), {"mu": 0}),
        (mbbp.Nesterov(momentum=0.5), {"mu": 0.5}),
        (mbbp.Adam(beta1=0.5, beta2=0.9, epsilon=0.1), {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}),
        (mbbp.AdamW(beta1=0, beta2=0, weight_decay=0.1), {"beta1": 0, "beta2": 0, "weight_decay": 0.1}),
        (mbbp.AdamW(), {"weight_decay": 0.01}),
        (mbbp.SGD(weight_decay=0.2), {"weight_decay": 0.2}),
    ],
    ids=str,
)
def test_an_optimizers_own_settings_are_used(optimizer, settings):
    X, y = labelled()
    net = network()
    theta = expected(net, X, y, FORMULAS[optimizer.name], 0.05, **settings)
    net.fit(X, y, epochs=EPOCHS, batch_size=BATCH, learning_rate=0.05, optimizer=optimizer)
    np.testing.assert_allclose(net.theta, theta, rtol=0, atol=1e-11)


def test_the_fused_step_of_sgd_is_the_step():
    fused, apart = network(), network()
    for net, clip_norm in ((fused, None), (apart, 1e300)):  # clipping needs the gradient itself
        net.fit(*labelled(), epochs=6, batch_size=4, learning_rate=0.3, l2=1.0, weight_decay=0.1, clip_norm=clip_norm)
    np.testing.assert_allclose(fused.theta, apart.theta, rtol=0, atol=1e-13)
    assert fused.optimizer_state.steps == apart.optimizer_state.steps == 6 * 6


# --------------------------------------------------------------------------------------------------- decay and clipping


def step(optimizer="sgd", batch_size=N, epochs=1, **options):
    """Return a trained network and the change of its parameters."""
    net = network()
    before = net.theta.copy()
    net.fit(*labelled(), epochs=epochs, batch_size=batch_size, optimizer=optimizer, **options)
    return net, net.theta - before


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("decay", [{"l2": 5.0, "weight_decay": 0.0}, {"weight_decay": 0.5}], ids=str)
def test_decay_is_of_the_weights_never_the_biases(name, decay):
    plain, plain_step = step(name, learning_rate=0.01, weight_decay=0.0)
    _, decayed_step = step(name, learning_rate=0.01, **decay)
    weights = is_weight(plain)
    np.testing.assert_array_equal(decayed_step[~weights], plain_step[~weights])
    assert (decayed_step[weights] != plain_step[weights]).mean() > 0.5


@pytest.mark.parametrize("batch_size", [4, N])
def test_a_decay_that_takes_all_of_a_weight_takes_nothing_of_a_bias(batch_size):
    options = {"learning_rate": 0.5, "weight_decay": 2.0, "batch_size": batch_size}  # 1 - 0.5 * 2 = 0
    fused, _ = step(**options)
    apart, _ = step(**options, clip_norm=1e300)
    np.testing.assert_allclose(fused.theta, apart.theta, rtol=0, atol=1e-14)


@pytest.mark.parametrize("clip_norm", [1e-3, 0.02])
@pytest.mark.parametrize("batch_size", [1, N])
def test_a_clipped_step_is_no_longer_than_allowed(clip_norm, batch_size):
    moved = [step(learning_rate=0.5, batch_size=batch_size, clip_norm=c)[1] for c in (clip_norm, 1e300)]
    steps = -(-N // batch_size)
    lengths = [np.linalg.norm(move) for move in moved]
    assert lengths[0] <= 0.5 * clip_norm * steps * (1 + 1e-12)
    assert lengths[1] > lengths[0]
    if steps == 1:  # as long as allowed, in the direction of the gradient
        assert lengths[0] == pytest.approx(0.5 * clip_norm)
        np.testing.assert_allclose(moved[0] / lengths[0], moved[1] / lengths[1], rtol=1e-10)


def test_adam_steps_by_the_learning_rate_at_first():
    _, moved = step("adam", learning_rate=0.01)
    np.testing.assert_allclose(abs(moved), 0.01, rtol=1e-2)


def test_adamw_without_decay_is_adam():
    assert step("adamw", weight_decay=0.0)[1].tobytes() == step("adam")[1].tobytes()
    assert step("adamw")[1].tobytes() != step("adam")[1].tobytes()


# -------------------------------------------------------------------------------------------------- names and settings


@pytest.mark.parametrize("problem", [labelled, continuous])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_default_learning_rate_lowers_the_cost(name, problem):
    X, y = problem(200)
    net = network()
    before = net.cost(X, y)
    history = net.fit(X, y, epochs=3, optimizer=name)
    assert history["learning_rate"] == [OPTIMIZERS[name].default_learning_rate] * 3
    costs = [before, *history["training_cost"], net.cost(X, y)]
    assert costs[0] > costs[2] > costs[3] > costs[4]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_means_the_optimizer_with_its_defaults(name):
    kind = type(OPTIMIZERS[name])
    assert get_optimizer(name) == kind()
    assert get_optimizer(name, 0.25) == get_optimizer(kind(), 0.25) == kind(weight_decay=0.25)
    assert get_optimizer(kind(weight_decay=0.5)).weight_decay == 0.5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mbbp.SGD(weight_decay=-1), ValueError, "weight_decay: expected a finite number of at least 0"),
        (lambda: mbbp.SGD(weight_decay=np.nan), ValueError, "weight_decay"),
        (lambda: mbbp.Momentum(momentum=1), ValueError, "momentum: expected .* below 1, got 1"),
        (lambda: mbbp.Nesterov(momentum=-0.1), ValueError, "momentum"),
        (lambda: mbbp.Momentum(momentum="0.9"), TypeError, "momentum: .*got '0.9'"),
        (lambda: mbbp.Adam(beta1=1.0), ValueError, "beta1"),
        (lambda: mbbp.Adam(beta2=1.5), ValueError, "beta2"),
        (lambda: mbbp.AdamW(beta2=np.nan), ValueError, "beta2"),
        (lambda: mbbp.Adam(epsilon=0), ValueError, "epsilon: expected a finite number above 0"),
        (lambda: get_optimizer("adam", np.inf), ValueError, "weight_decay"),
        (lambda: get_optimizer("rprop"), ValueError, "optimizer: expected one of adagrad, .*, got 'rprop'"),
        (lambda: get_optimizer(mbbp.Adam), TypeError, "optimizer: expected a name or an mbbp.Optimizer"),
        (lambda: get_optimizer(None), TypeError, "optimizer: .*got None"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_shrinkage_that_float32_rounds_away_is_not_lost(rng):
    X, Y = rng.random((5, 100)), rng.random((2, 100))

    def trained(dtype, **options):
        net = mbbp.Network([5, 4, 2], dtype=dtype, rng=0)
        net.fit(X, Y, epochs=60, batch_size=10, learning_rate=0.01, shuffle=False, progress=False, **options)
        return net.theta.astype(float)

    l2 = 2e-6 * 100
    exact, rounded, without = trained("float64", l2=l2), trained("float32", l2=l2), trained("float64")
    assert np.abs(rounded - exact).max() < 0.5 * np.abs(without - exact).max()
