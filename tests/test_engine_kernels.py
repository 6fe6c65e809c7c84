"""The engine's own elementwise, cost and update kernels against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS
from mbbp.kernels import costs, elementwise, updates
from mbbp.optimizers import OPTIMIZERS
from mbbp.parameters import parameter_count, parameter_views
from tests.matrices import dtypes, on_columns, seeds, widths

activate = on_columns(2, lambda Z, A, rule: elementwise.activate(rule, Z, A))
multiply_by_derivative = on_columns(3, lambda Z, A, D, rule: elementwise.multiply_by_derivative(rule, Z, A, D))


def whole_output_delta(Z, A, Y, D, rule, activation):
    if costs.output_delta(rule, A, Y, D):
        elementwise.multiply_by_derivative(activation, Z, A, D)


output_delta = on_columns(4, whole_output_delta)
summed_cost = on_columns(3, lambda Z, A, Y, rule, factors: costs.summed_cost(rule, Z, A, Y, factors))

FITTING = [
    *(("quadratic", output) for output in ACTIVATIONS),
    ("cross_entropy", "sigmoid"),
    ("log_likelihood", "softmax"),
]
fitting = pytest.mark.parametrize(("cost", "output"), FITTING)
activations = pytest.mark.parametrize("name", ACTIVATIONS)


def rule(entry, dtype=np.float32):
    return np.array(entry.rule(np.dtype(dtype)), np.int64)


def drawn(seed, dtype, n, m, count=1):
    """Return matrices of weighted inputs, some large."""
    return [3 * np.random.default_rng(seed + i).standard_normal((n, m)).astype(dtype) for i in range(count)]


def probabilities(seed, dtype, n, m):
    return np.random.default_rng(seed).dirichlet(np.ones(n), m).T.astype(dtype)


def assert_close(result, exact, dtype, terms=1):
    """Assert that a result is right to a few roundings, of numbers as large as the largest one."""
    atol = 8 * terms * np.finfo(dtype).eps * max(1.0, np.abs(exact).max(initial=0))
    np.testing.assert_allclose(result, exact, rtol=0, atol=atol)


@activations
@given(n=widths, m=widths, dtype=dtypes, seed=seeds)
def test_activate(name, n, m, dtype, seed):
    (Z,) = drawn(seed, dtype, n, m)
    A = np.empty_like(Z)
    activate(Z, A, rule(ACTIVATIONS[name]))
    assert_close(A, ACTIVATIONS[name].function(Z.astype(np.float64)), dtype)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_activations_pass_nan_through_alone(name, dtype):
    Z = np.array([[0.5, np.nan, 2.0]], dtype)
    A = np.empty_like(Z)
    activate(Z, A, rule(ACTIVATIONS[name]))
    np.testing.assert_array_equal(np.isnan(A), [[False, True, False]])


def test_tanh_of_small_numbers_loses_no_digit():
    Z = np.array([[1e-30, -1e-10, 1e-4, -1e-2]])
    A = np.empty_like(Z)
    activate(Z, A, rule(ACTIVATIONS["tanh"]))
    np.testing.assert_allclose(A, np.tanh(Z), rtol=1e-15)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
@given(n=widths, m=widths, dtype=dtypes, seed=seeds)
def test_multiply_by_derivative(name, n, m, dtype, seed):
    Z, D = drawn(seed, dtype, n, m, 2)
    A = ACTIVATIONS[name].function(Z).astype(dtype)
    expected = D.astype(np.float64) * ACTIVATIONS[name].derivative(Z.astype(np.float64))
    multiply_by_derivative(Z, A, D, rule(ACTIVATIONS[name]))
    assert_close(D, expected, dtype)


@given(n=widths, m=widths, dtype=dtypes, seed=seeds)
def test_softmax_multiplies_by_its_jacobian(n, m, dtype, seed):
    Z, D = drawn(seed, dtype, n, m, 2)
    A = ACTIVATIONS["softmax"].function(Z).astype(dtype)
    wide = A.astype(np.float64)
    jacobians = [np.diag(a) - np.outer(a, a) for a in wide.T]
    expected = np.column_stack([J @ d for J, d in zip(jacobians, D.T.astype(np.float64), strict=True)])
    multiply_by_derivative(Z, A, D, rule(ACTIVATIONS["softmax"]))
    assert_close(D, expected, dtype, n)


@fitting
@given(n=widths, m=widths, dtype=dtypes, seed=seeds)
def test_output_delta(cost, output, n, m, dtype, seed):
    (Z,) = drawn(seed, dtype, n, m)
    Y, A, D = probabilities(seed, dtype, n, m), ACTIVATIONS[output].function(Z).astype(dtype), np.empty_like(Z)
    wide = [array.astype(np.float64) for array in (Z, A, Y)]
    expected = COSTS[cost].delta(ACTIVATIONS[output], *wide)
    output_delta(Z, A, Y, D, rule(COSTS[cost]), rule(ACTIVATIONS[output]))
    assert_close(D, expected, dtype, n)


@fitting
@pytest.mark.parametrize("weighted", [False, True])
@given(n=widths, m=widths, dtype=dtypes, seed=seeds)
def test_summed_cost(cost, output, weighted, n, m, dtype, seed):
    (Z,) = drawn(seed, dtype, n, m)
    Y, A = probabilities(seed, dtype, n, m), ACTIVATIONS[output].function(Z).astype(dtype)
    factors = np.random.default_rng(seed).integers(0, 3, m).astype(dtype) if weighted else np.ones(m, dtype)
    given = factors if weighted else factors[:0]
    expected = factors @ COSTS[cost].function(*(array.astype(np.float64) for array in (Z, A, Y)))
    assert_close(summed_cost(Z, A, Y, rule(COSTS[cost]), given), expected, dtype, n)


@pytest.mark.parametrize("cost", ["cross_entropy", "log_likelihood"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_the_cost_of_a_saturated_output_is_its_weighted_input(cost, dtype):
    Z, A, Y = (np.array(column, dtype)[:, None] for column in ([1e4, -1e4], [1, 0], [0, 1]))
    assert summed_cost(Z, A, Y, rule(COSTS[cost]), np.ones(1, dtype)) == 20000


def test_the_quadratic_cost_of_float32_does_not_overflow():
    Z, Y = np.full((2, 2), 1e30, np.float32), np.zeros((2, 2), np.float32)
    for factors in ([1, 1], [2, 0]):
        cost = summed_cost(Z, Z, Y, rule(COSTS["quadratic"]), np.array(factors, np.float32))
        assert cost == pytest.approx(2e60)


@given(size=widths, dtype=dtypes, seed=seeds)
def test_norm_and_scale(size, dtype, seed):
    gradient = np.random.default_rng(seed).standard_normal(size).astype(dtype)
    expected = np.linalg.norm(gradient.astype(np.float64))
    assert updates.norm(gradient) == pytest.approx(expected, rel=1e-14)
    half = gradient * dtype(0.5)
    elementwise.scale(gradient, dtype(0.5))
    np.testing.assert_array_equal(gradient, half)


def test_the_norm_of_float32_does_not_overflow():
    assert updates.norm(np.full(4, 1e30, np.float32)) == pytest.approx(2e30)


@given(x=st.lists(st.floats(width=32), max_size=20), dtype=dtypes)
def test_all_finite(x, dtype):
    with np.errstate(invalid="ignore"):
        assert elementwise.all_finite(np.array(x, dtype)) == bool(np.isfinite(x).all())


def textbook_step(optimizer, theta, gradient, state, step, learning_rate, l2):
    """Return theta after a step, by the optimizer's formula for whole vectors; `l2` and the decay are vectors too."""
    mu, eta, decayed = getattr(optimizer, "momentum", 0.0), learning_rate, gradient + l2 * theta
    theta = theta * (1 - eta * optimizer.weight_decay * (l2 != 0))
    if optimizer.name == "sgd":
        return theta - eta * decayed
    if optimizer.name in ("momentum", "nesterov"):
        state[0] = mu * state[0] - eta * decayed
        return theta + (state[0] if optimizer.name == "momentum" else mu * state[0] - eta * decayed)
    beta1, beta2 = optimizer.beta1, optimizer.beta2
    state[0] = beta1 * state[0] + (1 - beta1) * decayed
    state[1] = beta2 * state[1] + (1 - beta2) * decayed**2
    return theta - eta * (state[0] / (1 - beta1**step)) / (np.sqrt(state[1] / (1 - beta2**step)) + optimizer.epsilon)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@given(sizes=st.lists(st.integers(1, 8), min_size=2, max_size=4), dtype=dtypes, seed=seeds)
def test_update(optimizer, sizes, dtype, seed):
    rng = np.random.default_rng(seed)
    learning_rate, l2, size = 0.1, 0.25, parameter_count(sizes)
    l2_of_weights = np.zeros(size)
    for W in parameter_views(l2_of_weights, sizes)[0]:
        W[...] = l2  # biases have none
    theta, exact_state = rng.standard_normal(size), np.zeros((2, size))
    computed, (state, steps) = theta.astype(dtype), optimizer.start(size, np.dtype(dtype))
    compiled = optimizer.compiled(learning_rate, l2, None, state, steps)
    theta = computed.astype(np.float64)
    for step in (1, 2, 3):
        gradient = rng.standard_normal(size).astype(dtype)
        theta = textbook_step(
            optimizer, theta, gradient.astype(np.float64), exact_state, step, learning_rate, l2_of_weights
        )
        for first, end in ((0, size // 3), (size // 3, size)):
            updates.update(compiled, step, np.array(sizes), computed, gradient, first, end)
    assert_close(computed, theta, dtype, 3)
