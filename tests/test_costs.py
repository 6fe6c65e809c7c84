"""The costs as a user meets them: parameters, targets, labels, and how they are copied and shown."""

import copy
import math
import pickle

import numpy as np
import pytest

import mbbp
from mbbp.costs import COSTS, get_cost
from tests.conftest import JIT

X = np.random.default_rng(0).standard_normal((3, 40))
BITS = (X[0] + X[1] > 0).astype(int)
CLASSES = np.arange(40) % 3
WITH_PARAMETER = [mbbp.costs.huber(1 / 3), mbbp.costs.quantile(0.1)]


def network(n_out, cost, activation="tanh", **options):
    return mbbp.Network([3, 5, n_out], activation, cost, **{"dtype": "float64", "rng": 0} | options)


# ----------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("cost", WITH_PARAMETER, ids=str)
@pytest.mark.parametrize("back", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_the_parameter(cost, back):
    assert back(cost) == cost
    assert back(cost).parameter == cost.parameter
    net = network(1, cost)
    again = back(net)
    assert again.cost_function == cost
    assert repr(again) == repr(net)
    assert again.cost(X, X[:1]) == net.cost(X, X[:1])


def test_costs_are_equal_if_their_parameters_are():
    assert mbbp.costs.huber(0.5) == mbbp.costs.huber(0.5) != mbbp.costs.huber(0.25)
    assert hash(mbbp.costs.huber(0.5)) == hash(mbbp.costs.huber(0.5))
    assert mbbp.costs.huber() == get_cost("huber") == COSTS["huber"]
    assert mbbp.costs.quantile() == get_cost("quantile") != get_cost("huber")


def test_the_parameter_is_shown():
    assert str(mbbp.costs.huber(0.1)) == "huber(delta=0.1)"
    assert "cost=quantile(q=0.9)" in repr(network(1, mbbp.costs.quantile(0.9)))
    assert "cost huber(delta=1.0)" in network(1, "huber")._repr_html_()
    assert "cost='quadratic'" in repr(network(1, "quadratic"))
    assert "0.1" in repr(mbbp.costs.quantile(0.1))


@pytest.mark.parametrize(("make", "name"), [(mbbp.costs.huber, "delta"), (mbbp.costs.quantile, "q")])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf, 10**400])
def test_a_parameter_out_of_range_is_refused_by_name(make, name, value):
    with pytest.raises(ValueError, match=rf"^{name}: expected a finite number above 0"):
        make(value)


@pytest.mark.parametrize(("make", "name"), [(mbbp.costs.huber, "delta"), (mbbp.costs.quantile, "q")])
@pytest.mark.parametrize("value", [None, "1", [0.5], np.array([0.5]), 0.5j])
def test_what_is_no_number_is_refused_by_name(make, name, value):
    with pytest.raises(TypeError, match=rf"^{name}: expected a finite number"):
        make(value)


def test_a_quantile_is_below_1():
    with pytest.raises(ValueError, match=r"^q: expected a finite number above 0 and below 1, got 1"):
        mbbp.costs.quantile(1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernels_read_the_parameter(dtype):
    Y = X[:1] + 3.0
    costs = {q: network(1, mbbp.costs.quantile(q), dtype=dtype).cost(X, Y) for q in (0.2, 0.4, 0.8)}
    assert costs[0.4] == pytest.approx(2 * costs[0.2], rel=1e-5)  # all targets are above the outputs
    assert costs[0.8] == pytest.approx(4 * costs[0.2], rel=1e-5)


@pytest.mark.skipif(not JIT, reason="a training of some length")
@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_the_outputs_learn_the_quantile(q):
    rng = np.random.default_rng(1)
    inputs, targets = np.ones((1, 2000)), rng.exponential(size=(1, 2000))
    net = mbbp.Network([1, 1], "identity", mbbp.costs.quantile(q), "float64", rng=0)
    net.fit(inputs, targets, epochs=60, batch_size=100, learning_rate=mbbp.schedules.Cosine(0.2, 60))
    assert net.feedforward([[1.0]]).item() == pytest.approx(np.quantile(targets, q), abs=0.03)


@pytest.mark.skipif(not JIT, reason="a training of some length")
def test_a_poisson_network_learns_the_rate():
    rng = np.random.default_rng(2)
    inputs = rng.uniform(-1, 1, (1, 3000))
    net = mbbp.Network([1, 1], "exp", "poisson", "float64", rng=0)
    net.fit(inputs, rng.poisson(np.exp(0.5 + inputs)), epochs=20, learning_rate=0.05)
    assert net.layers[0].W.item() == pytest.approx(1.0, abs=0.1)
    assert net.layers[0].b.item() == pytest.approx(0.5, abs=0.1)


# -------------------------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("cost", "Y", "says"),
    [
        (
            "poisson",
            [[1.0, -0.5]],
            "Y: expected numbers of at least 0 for the poisson cost, got numbers from -0.5 to 1",
        ),
        ("squared_hinge", [[0.0, -1.0]], "Y: expected 0 or 1 for every class for the squared_hinge cost, got -1"),
        ("squared_hinge", [[0.0, 0.5]], "Y: expected 0 or 1 for every class for the squared_hinge cost, got 0.5"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        lambda net, X, Y: net.cost(X, Y),
        lambda net, X, Y: net.gradient(X, Y),
        lambda net, X, Y: net.gradient(X, Y, example_weights=[1, 2]),
        lambda net, X, Y: net.trainer().step(X, Y),
    ],
    ids=["cost", "gradient", "weighted gradient", "trainer"],
)
def test_targets_that_do_not_fit_are_refused_by_name(cost, Y, says, call):
    net = network(1, cost)
    before = net.theta.copy()
    with pytest.raises(ValueError, match=f"^{says}"):
        call(net, X[:, :2], np.array(Y))
    np.testing.assert_array_equal(net.theta, before)


def test_counts_of_a_single_output_are_numbers():
    net = network(1, "poisson")
    counts = np.arange(40)
    assert net.engine.is_regression
    assert net.cost(X, counts) == pytest.approx(net.cost(X, counts.reshape(1, -1)), rel=1e-15)
    assert net.gradient(X, counts).cost == pytest.approx(mbbp.reference.cost(net, X, counts.reshape(1, -1)), rel=1e-12)


def test_numbers_of_a_poisson_network_name_no_class():
    net = network(1, "poisson")
    net.fit(X, np.arange(40) % 5, epochs=1, learning_rate=0.01)
    with pytest.raises(ValueError, match="classify: expected a network that was trained on classes"):
        net.classify(X)


# --------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_single_output_above_0_is_the_label_1_for_squared_hinge(dtype):
    net = network(1, "squared_hinge", dtype=dtype)
    assert net.layers[-1].activation.name == "identity"
    assert not net.engine.is_regression
    net.fit(X, BITS, epochs=100, learning_rate=0.05)
    outputs = net.feedforward(X)[0]
    np.testing.assert_array_equal(net.classify(X), outputs > 0)
    assert net.accuracy(X, BITS) == (net.classify(X) == BITS).mean() > 0.9
    assert net.history[-1].training_accuracy is not None


def test_the_threshold_is_the_costs_in_python_and_in_the_kernels():
    hinge, quadratic = (mbbp.Network([1, 1], "identity", cost, "float64") for cost in ("squared_hinge", "quadratic"))
    inputs = np.array([[-1.0, -0.1, 0.1, 0.4, 0.6]])
    for net, labels in ((hinge, [0, 0, 1, 1, 1]), (quadratic, [0, 0, 0, 0, 1])):
        net.theta = [1.0, 0.0]
        np.testing.assert_array_equal(net.classify(inputs), labels)
        assert net.accuracy(inputs, np.array([labels])) == 1.0
        assert net.accuracy(inputs, 1 - np.array([labels])) == 0.0


def test_several_outputs_of_squared_hinge():
    net = network(3, "squared_hinge")
    net.fit(X + 2 * np.eye(3)[CLASSES].T, CLASSES, epochs=100, learning_rate=0.05)
    inputs = X + 2 * np.eye(3)[CLASSES].T
    np.testing.assert_array_equal(net.classify(inputs), net.feedforward(inputs).argmax(axis=0))
    assert net.accuracy(inputs, CLASSES) > 0.8
    assert net.cost(inputs, CLASSES) == pytest.approx(net.cost(inputs, np.eye(3)[CLASSES].T), rel=1e-14)


def test_several_labels_of_an_example_are_targets_of_squared_hinge_too():
    net = network(3, "squared_hinge")
    several = (X > 0).astype(float)
    assert net.cost(X, several) == pytest.approx(mbbp.reference.cost(net, X, several), rel=1e-12)
    mbbp.check_gradients(net, X, several, raise_on_failure=True)


# ------------------------------------------------------------------------------------------------------ gradient checks


@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("hidden", ["gelu", "silu", "elu", "softplus"])
def test_the_gradients_are_the_numeric_ones(hidden, cost, dtype, method):
    output = COSTS[cost].usual_activation or "identity"
    mbbp.check_gradients(
        network(3, cost, [hidden, output], dtype=dtype), X[:, :7], CLASSES[:7], method=method, raise_on_failure=True
    )


@pytest.mark.parametrize("cost", ["absolute", "quantile"])
def test_a_gradient_check_skips_the_kink_of_a_cost(cost):
    net = network(1, cost, ["tanh", "identity"])
    Y = net.feedforward(X[:, :5])
    Y[0, 1:] += 1.0  # the first output is at the kink, the others are not
    check = mbbp.check_gradients(net, X[:, :5], Y, raise_on_failure=True)
    assert all(one.skipped > 0 for one in check.layers if one.layer == 1)


def test_a_gradient_check_still_finds_a_wrong_gradient(monkeypatch):
    right = COSTS["huber"].kernels
    wrong = mbbp.Cost(
        "huber",
        COSTS["huber"].function,
        COSTS["huber"].gradient,
        right._replace(output_error=COSTS["absolute"].kernels.output_error),
    )
    assert not mbbp.check_gradients(network(1, wrong), X, X[:1]).passed
