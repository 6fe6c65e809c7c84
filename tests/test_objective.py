"""What a step reduces beyond the mean cost: L2 of each mini-batch, means by weight, and steps that go on."""

import numpy as np
import pytest

import mbbp
from mbbp.kernels.examples import Examples
from mbbp.loop import Loop, Objective
from mbbp.optimizer_state import Rates
from mbbp.optimizers import Adam, AdamEpsilonHat, Nesterov
from mbbp.solvers import OPTIMIZERS

N, BATCH, RATE, L2 = 25, 8, 0.05, 0.7


def problem(weights=True):
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((N, 4)), rng.standard_normal((N, 2))
    given = rng.uniform(0.1, 3.0, N) if weights else np.empty(0)
    return mbbp.Network([4, 5, 2], ["tanh", "identity"], dtype="float64", rng=0), Examples(
        X, Y, np.empty(0, int), given
    )


def textbook(net, examples, optimizer, l2, by_weights):
    """Return theta, the summed costs and the summed penalties after an epoch, by `reference.gradient`."""
    net = mbbp.Network(net.sizes, ["tanh", "identity"], dtype="float64", rng=0)
    is_weight = np.concatenate([np.repeat([True, False], [layer.W.size, layer.b.size]) for layer in net.layers])
    theta, state = net.theta.copy(), np.zeros((2, net.theta.size))
    cost = penalty = 0.0
    for step, begin in enumerate(range(0, N, BATCH), start=1):
        rows = slice(begin, begin + BATCH)
        X, Y = examples.inputs[rows].T, examples.targets[rows].T
        m = X.shape[1]
        weights = examples.weights[rows] if examples.weights.size else np.ones(m)
        divisor = weights.sum() if by_weights else m
        net.theta = theta
        each = [mbbp.reference.gradient(net, X[:, [i]], Y[:, [i]]) for i in range(m)]
        g = (
            sum(w * one.theta for w, one in zip(weights, each, strict=True)) / divisor
            + l2 / divisor * theta * is_weight
        )
        cost += sum(w * one.cost for w, one in zip(weights, each, strict=True)) * m / divisor
        penalty += 0.5 * l2 * (theta[is_weight] ** 2).sum() * m / divisor
        if isinstance(optimizer, Nesterov):
            state[0] = optimizer.momentum * state[0] - RATE * g
            theta = theta + optimizer.momentum * state[0] - RATE * g
        else:
            state[0] = 0.9 * state[0] + 0.1 * g
            state[1] = 0.999 * state[1] + 0.001 * g**2
            mean, square = state[0] / (1 - 0.9**step), state[1] / (1 - 0.999**step)
            extra = 1 / np.sqrt(1 - 0.999**step) if isinstance(optimizer, AdamEpsilonHat) else 1.0
            theta = theta - RATE * mean / (np.sqrt(square) + extra * optimizer.epsilon)
    return theta, cost, penalty


@pytest.mark.parametrize("by_weights", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l2", [0.0, L2])
@pytest.mark.parametrize("optimizer", [Nesterov(momentum=0.9), Adam(epsilon=1e-2), AdamEpsilonHat(epsilon=1e-2)])
def test_an_epoch_is_the_textbooks(optimizer, l2, weighted, by_weights):
    net, examples = problem(weighted)
    if by_weights and not weighted:
        examples = examples._replace(weights=np.ones(N))
    loop = Loop(net.engine, examples, BATCH, Objective(l2=l2, divides_by_weights=by_weights))
    expected, cost, penalty = textbook(net, examples, optimizer, l2, by_weights)
    state = optimizer.start(net.theta.size, net.dtype)
    assert loop.run(np.arange(N), optimizer.step(net.engine.theta, loop.gradient, state, Rates(RATE)))
    np.testing.assert_allclose(net.theta, expected, rtol=0, atol=1e-12)
    assert loop.totals.cost == pytest.approx(cost, rel=1e-12)
    assert loop.totals.penalty == pytest.approx(penalty, rel=1e-12, abs=0)


def test_a_mini_batch_without_weight_changes_nothing():
    net, examples = problem()
    examples = examples._replace(weights=np.zeros(N))
    before, optimizer = net.theta.copy(), OPTIMIZERS["nesterov"]
    loop = Loop(net.engine, examples, BATCH, Objective(divides_by_weights=True))
    state = optimizer.start(net.theta.size, net.dtype)
    assert loop.run(np.arange(N), optimizer.step(net.engine.theta, loop.gradient, state, Rates(RATE)))
    np.testing.assert_array_equal(net.theta, before)
    assert loop.totals.cost == 0.0


@pytest.mark.parametrize("goes_on", [False, True])
def test_steps_go_on_after_a_cost_that_is_not_finite_only_if_asked(goes_on):
    net, examples = problem(weights=False)
    examples.targets[0] = np.inf
    loop = Loop(net.engine, examples, BATCH, Objective(goes_on=goes_on))
    optimizer = OPTIMIZERS["nesterov"]
    state = optimizer.start(net.theta.size, net.dtype)
    step = optimizer.step(net.engine.theta, loop.gradient, state, Rates(RATE))
    assert loop.run(np.arange(N), step) is goes_on
    assert state.steps[0] == (-(-N // BATCH) if goes_on else 0)
    assert np.isfinite(net.theta).all() != goes_on


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_the_gradient_of_a_sum_is_that_of_the_textbook(n, weighted, rng):
    net = mbbp.Network([4, 5, 3], ["tanh", "softmax"], dtype="float64", rng=0)
    X, labels = rng.standard_normal((n, 4)), rng.integers(0, 3, n)
    weights = rng.uniform(0.1, 3.0, n) if weighted else np.empty(0)
    examples = net.engine.examples(X.T, labels, example_weights=weights if weighted else None)
    compute = net.engine.summed_gradient(examples)
    for seed in (0, 1):
        net.theta = np.random.default_rng(seed).standard_normal(net.theta.size)
        cost = compute()
        expected = mbbp.reference.gradient(net, X.T, np.eye(3)[labels].T, example_weights=weights if weighted else None)
        np.testing.assert_allclose(compute.gradient, n * expected.theta, rtol=0, atol=1e-11)
        assert cost == pytest.approx(n * expected.cost, rel=1e-12)


def test_l2_of_the_mini_batch_needs_a_step_that_stores_the_gradient():
    net, examples = problem()
    loop = Loop(net.engine, examples, BATCH, Objective(l2=L2))
    for name in ("sgd", "momentum"):
        optimizer = OPTIMIZERS[name]
        state = optimizer.start(net.theta.size, net.dtype)
        with pytest.raises(ValueError, match="step: expected one that stores the gradient"):
            loop.run(np.arange(N), optimizer.step(net.engine.theta, loop.gradient, state, Rates(RATE)))
