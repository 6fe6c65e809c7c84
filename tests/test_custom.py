"""Custom activations and custom costs."""

import copy
import math
import pickle

import numba
import numpy as np
import pytest

import mbbp
from mbbp import reference
from tests.conftest import JIT


def swish(z):
    return z / (1 + math.exp(-z))


def swish_prime(z):
    s = 1 / (1 + math.exp(-z))
    return s + z * s * (1 - s)


def softsign(z):
    return z / (1 + abs(z))


def softsign_prime(z):
    return 1 / (1 + abs(z)) ** 2


def elu(z):
    if z > 0:
        return z
    return np.exp(z) - 1


def elu_prime(z):
    return 1.0 if z > 0 else np.exp(z)


def logistic(z):
    return 1 / (1 + math.exp(-z))


def logistic_prime(z):
    return logistic_of_jit(z) * (1 - logistic_of_jit(z))


logistic_of_jit = numba.njit(logistic)


def huber(a, y):
    if abs(a - y) < 0.5:
        return 0.5 * (a - y) ** 2
    return 0.5 * (abs(a - y) - 0.25)


def huber_gradient(a, y):
    return max(-0.5, min(0.5, a - y))


def fourth_power(a, y):
    return (a - y) ** 4


def fourth_power_gradient(a, y):
    return 4 * (a - y) ** 3


SWISH = mbbp.Activation("swish", swish, swish_prime)
SOFTSIGN = mbbp.Activation("softsign", softsign, softsign_prime)
ELU = mbbp.Activation("elu", elu, elu_prime, kinks=[0.0])
LOGISTIC = mbbp.Activation("sigmoid", logistic, logistic_prime)
HUBER = mbbp.Cost("huber", huber, huber_gradient)
FOURTH = mbbp.Cost("fourth_power", fourth_power, fourth_power_gradient)

NETWORKS = {
    "hidden": ([SWISH, "sigmoid"], "quadratic"),
    "output": (["tanh", SWISH], "quadratic"),
    "everywhere": (SWISH, "quadratic"),
    "one a layer": ([SWISH, SOFTSIGN, ELU], "quadratic"),
    "mixed with built-in ones": ([ELU, "relu", SWISH, "softmax"], "log_likelihood"),
    "a cost": ("sigmoid", HUBER),
    "a cost of softmax": (["tanh", "softmax"], FOURTH),
    "all of it": ([SWISH, "tanh", SOFTSIGN], HUBER),
}
networks = pytest.mark.parametrize(("activation", "cost"), NETWORKS.values(), ids=NETWORKS)
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def build(activation, cost, dtype="float64", seed=2):
    n_layers = len(activation) if isinstance(activation, list) else 2
    return mbbp.Network([4, *[6] * (n_layers - 1), 3], activation, cost, dtype, rng=seed)


def examples(dtype, m=7):
    rng = np.random.default_rng(6)
    return rng.standard_normal((4, m)).astype(dtype), rng.dirichlet(np.ones(3), m).T.astype(dtype)


def assert_gradient_is_the_textbooks(net):
    X, Y = examples(net.dtype)
    exact, found = reference.gradient(net, X, Y), net.gradient(X, Y)
    assert np.abs(found.theta - exact.theta).max() <= TOLERANCE[net.dtype.name] * np.abs(exact.theta).max()
    assert found.cost == pytest.approx(exact.cost, rel=TOLERANCE[net.dtype.name])
    assert found.theta.dtype == net.dtype


@networks
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_gradient_is_the_textbooks(activation, cost, dtype):
    assert_gradient_is_the_textbooks(build(activation, cost, dtype))


@networks
def test_the_gradient_is_the_numeric_one(activation, cost):
    mbbp.check_gradients(build(activation, cost), *examples("float64"), raise_on_failure=True)


@networks
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_lowers_the_cost(activation, cost, optimizer):
    net = build(activation, cost, "float32")
    X, Y = examples("float32", 20)
    before = net.cost(X, Y)
    history = net.fit(X, Y, epochs=20, learning_rate=0.02, optimizer=optimizer, batch_size=4)
    assert net.cost(X, Y) < 0.9 * before
    assert history[-1].training_cost < history[0].training_cost


def test_networks_with_other_functions_do_not_mix():
    nets = [build(f, cost, dtype) for f in (SWISH, SOFTSIGN, ELU) for cost in (HUBER, FOURTH) for dtype in TOLERANCE]
    for net in [*nets, *reversed(nets)]:
        assert_gradient_is_the_textbooks(net)


def test_functions_that_differ_in_a_constant_or_a_closure_do_not_mix():
    def times(factor):
        return mbbp.Activation("times", lambda z: factor * z, lambda z: factor + 0 * z)

    # both are in the same place, with the same code except for a constant
    two, three = (
        mbbp.Activation("2", lambda z: 2 * z, lambda z: 2.0),
        mbbp.Activation("3", lambda z: 3 * z, lambda z: 3.0),
    )
    for factor, activation in ((2, two), (3, three), (4, times(4.0)), (5, times(5.0))):
        net = mbbp.Network([1, 1], activation, dtype="float64")
        net.theta = [1, 0]
        assert net.feedforward([[1]]) == factor
        assert net.gradient([[1]], [[0]]).theta.tolist() == [factor**2] * 2


def test_a_global_is_read_when_an_activation_is_first_used(monkeypatch):
    for slope in (2.0, 3.0):
        monkeypatch.setitem(globals(), "SLOPE", slope)
        activation = mbbp.Activation("times", lambda z: SLOPE * z, lambda z: SLOPE)
        net = mbbp.Network([1, 1], activation, dtype="float64")
        net.theta = [1, 0]
        assert net.feedforward([[1]]) == slope
        if JIT:
            monkeypatch.setitem(globals(), "SLOPE", 7.0)
            assert copy.deepcopy(net).feedforward([[1]]) == slope


SLOPE = 1.0


def test_functions_outlive_the_names_they_had():
    net = build(mbbp.Activation("square", lambda z: z * z, lambda z: 2 * z), "quadratic")
    X, Y = examples("float64")
    before = net.gradient(X, Y).theta
    for _ in range(5):
        build(mbbp.Activation("other", lambda z: 3 * z, lambda z: 0.0), "quadratic")
    np.testing.assert_array_equal(net.gradient(X, Y).theta, before)


@pytest.mark.parametrize("cost", ["quadratic", HUBER], ids=["quadratic", "huber"])
def test_a_custom_sigmoid_equals_the_built_in_one(cost):
    own, built_in = build(LOGISTIC, cost), build("sigmoid", cost)
    X, Y = examples("float64")
    np.testing.assert_allclose(own.feedforward(X), built_in.feedforward(X), rtol=1e-14)
    np.testing.assert_allclose(own.gradient(X, Y).theta, built_in.gradient(X, Y).theta, rtol=0, atol=1e-15)


def test_a_custom_quadratic_cost_equals_the_built_in_one():
    own, built_in = (
        build("tanh", mbbp.Cost("own", lambda a, y: 0.5 * (a - y) ** 2, lambda a, y: a - y)),
        build("tanh", "quadratic"),
    )
    X, Y = examples("float64")
    assert own.cost(X, Y) == pytest.approx(built_in.cost(X, Y), rel=1e-15)
    np.testing.assert_array_equal(own.gradient(X, Y).theta, built_in.gradient(X, Y).theta)


def test_compiled_functions_are_taken_too():
    jitted = mbbp.Activation("swish", numba.njit(swish), numba.njit(swish_prime))
    X, Y = examples("float64")
    expected = build(SWISH, "quadratic").gradient(X, Y).theta
    np.testing.assert_array_equal(build(jitted, "quadratic").gradient(X, Y).theta, expected)


@networks
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_copies_know_the_functions(activation, cost, copied):
    net = build(activation, cost)
    X, Y = examples("float64")
    other = copied(net)
    np.testing.assert_array_equal(other.gradient(X, Y).theta, net.gradient(X, Y).theta)
    assert_gradient_is_the_textbooks(other)


def returns_text(z):
    return "one"


def reads_a_file(z):
    with open("/dev/null") as file:  # noqa: PTH123
        return len(file.read())


def takes_two(a, b):
    return a + b


@pytest.mark.skipif(not JIT, reason="compiles")
@pytest.mark.parametrize("function", [returns_text, reads_a_file, takes_two])
def test_what_numba_cannot_compile_is_named(function):
    for activation, part in (
        (mbbp.Activation("odd", function, swish_prime), "function"),
        (mbbp.Activation("odd", swish, function), "derivative"),
    ):
        with pytest.raises(TypeError, match=f"activation 'odd', {part}: expected a function of one number"):
            mbbp.Network([2, 2], activation)


@pytest.mark.skipif(not JIT, reason="compiles")
@pytest.mark.parametrize("function", [lambda a, y: "one", swish])
def test_a_cost_that_numba_cannot_compile_is_named(function):
    for cost, part in (
        (mbbp.Cost("odd", function, huber_gradient), "function"),
        (mbbp.Cost("odd", huber, function), "gradient"),
    ):
        with pytest.raises(TypeError, match=f"cost 'odd', {part}: expected a function of 2 numbers"):
            mbbp.Network([2, 2], "sigmoid", cost)


@pytest.mark.parametrize(
    ("build_wrongly", "argument"),
    [
        (lambda: mbbp.Activation("odd", 1, swish_prime), "function"),
        (lambda: mbbp.Activation("odd", swish, "tanh"), "derivative"),
        (lambda: mbbp.Cost("odd", None, huber_gradient), "function"),
        (lambda: mbbp.Cost("odd", huber, 0.5), "gradient"),
    ],
)
def test_what_is_no_function_is_refused(build_wrongly, argument):
    with pytest.raises(TypeError, match=f"{argument}: expected a function of numbers"):
        build_wrongly()


def test_the_twins_are_numpys_functions():
    z = np.array([[-1.0, 0.5], [2.0, -3.0]])
    np.testing.assert_array_equal(ELU.function(z), np.where(z > 0, z, np.exp(z) - 1))
    np.testing.assert_array_equal(ELU.derivative(z), np.where(z > 0, 1, np.exp(z)))
    y = np.zeros_like(z)
    np.testing.assert_array_equal(HUBER.function(z, z, y), [0.375 + 0.875, 0.125 + 1.375])
    np.testing.assert_array_equal(HUBER.gradient(z, y), [[-0.5, 0.5], [0.5, -0.5]])
