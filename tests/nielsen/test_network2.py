"""The book's network2.py: costs, regularization, monitoring, early stopping."""

import inspect

import numpy as np
import pytest
from numba.core import event

from mbbp.nielsen import network, network2
from mbbp.nielsen.compiled_sgd import CompiledSGD
from mbbp.nielsen.pairs import Pairs
from tests.book import Book2, unit_vector
from tests.conftest import JIT
from tests.nielsen.helpers import (
    SIZES,
    N,
    assert_same_parameters,
    both,
    labelled,
    parameters,
    seed,
    states,
    training,
)

EVALUATION = labelled(31, seed=2)
COSTS = {"quadratic": network2.QuadraticCost, "cross_entropy": network2.CrossEntropyCost}
FLAGS = ("evaluation_cost", "evaluation_accuracy", "training_cost", "training_accuracy")


def test_the_interface_is_the_books():
    names = {
        name: [*inspect.signature(getattr(network2.Network, name)).parameters][1:]
        for name in ("__init__", "SGD", "update_mini_batch", "accuracy", "total_cost", "save")
    }
    assert names == {
        "__init__": ["sizes", "cost", "dtype"],
        "SGD": [
            "training_data",
            "epochs",
            "mini_batch_size",
            "eta",
            "lmbda",
            "evaluation_data",
            *(f"monitor_{flag}" for flag in FLAGS),
            "early_stopping_n",
        ],
        "update_mini_batch": ["mini_batch", "eta", "lmbda", "n"],
        "accuracy": ["data", "convert"],
        "total_cost": ["data", "lmbda", "convert"],
        "save": ["filename"],
    }
    assert network2.Network(SIZES).cost is network2.CrossEntropyCost


@pytest.mark.parametrize("is_large", [False, True])
def test_the_initial_weights_are_the_books(is_large):
    seed()
    net = network2.Network(SIZES)
    if is_large:
        seed()
        net.large_weight_initializer()
    after = states()
    seed()
    twin = Book2(SIZES, is_large=is_large)
    assert parameters(net).tobytes() == parameters(twin).tobytes()
    assert after == states()


def run(kind, epochs, m, eta, lmbda=0.0, monitored=(), patience=0, cost="cross_entropy", evaluation=EVALUATION):
    """Return a function that trains a network of this kind and returns it and what SGD returned."""

    def train(data):
        if kind is Book2:
            net = Book2(SIZES, cost)
            return net, net.SGD(data, epochs, m, eta, lmbda, evaluation, *monitored, patience=patience)
        net = network2.Network(SIZES, cost=COSTS[cost])
        flags = {f"monitor_{name}": True for name in monitored}
        return net, net.SGD(data, epochs, m, eta, lmbda, evaluation, early_stopping_n=patience, **flags)

    return train


def assert_same_lists(mine, expected):
    assert type(mine) is tuple
    assert [len(one) for one in mine] == [len(one) for one in expected]
    for one, other in zip(mine, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)
    assert mine[1] == expected[1]
    assert mine[3] == expected[3]


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(("m", "lmbda"), [(1, 0.0), (5, 3.0), (10, 0.1), (N, 0.0), (100, 3.0)])
def test_epochs_and_what_is_monitored_are_the_books(cost, m, lmbda, capsys, loop_calls):
    settings = {"epochs": 3, "m": m, "eta": 0.5, "lmbda": lmbda, "monitored": FLAGS, "cost": cost}
    (net, mine), (twin, expected) = both(capsys, run(network2.Network, **settings), run(Book2, **settings), training())
    assert_same_parameters(net, twin)
    assert_same_lists(mine, expected)
    assert all(len(one) == 3 for one in mine)
    assert loop_calls == [N, N, N]


def test_inputs_in_float32_are_monitored_in_float64(capsys):
    data = [(x.astype(np.float32), y) for x, y in training()]
    settings = {"epochs": 2, "m": 10, "eta": 0.5, "lmbda": 0.1, "monitored": FLAGS}
    (net, mine), (twin, expected) = both(capsys, run(network2.Network, **settings), run(Book2, **settings), data)
    assert_same_parameters(net, twin)
    assert_same_lists(mine, expected)


@pytest.mark.parametrize("monitored", [(), *[(flag,) for flag in FLAGS]], ids=str)
def test_each_flag_alone(monitored, capsys):
    settings = {"epochs": 2, "m": 10, "eta": 0.5, "lmbda": 0.1, "monitored": monitored}
    (_, mine), (_, expected) = both(capsys, run(network2.Network, **settings), run(Book2, **settings), training())
    assert_same_lists(mine, expected)
    assert [len(one) for one in mine] == [2 if flag in monitored else 0 for flag in FLAGS]


def test_the_lines_are_the_books(capsys):
    net = network2.Network(SIZES)
    found = net.SGD(
        training(),
        2,
        10,
        0.5,
        evaluation_data=EVALUATION,
        monitor_evaluation_cost=True,
        monitor_evaluation_accuracy=True,
        monitor_training_cost=True,
        monitor_training_accuracy=True,
    )
    cost, accuracy, training_cost, training_accuracy = (one[1] for one in found)
    assert capsys.readouterr().out.split("\n")[6:] == [
        "Epoch 1 training complete",
        f"Cost on training data: {training_cost}",
        f"Accuracy on training data: {training_accuracy} / {N}",
        f"Cost on evaluation data: {cost}",
        f"Accuracy on evaluation data: {accuracy} / 31",
        "",
        "",
    ]


def test_weight_decay_by_the_whole_weight_is_the_books(capsys):
    settings = {"epochs": 2, "m": 10, "eta": 0.5, "lmbda": 2.0 * N}  # 1 - eta lmbda / n = 0
    (net, _), (twin, _) = both(capsys, run(network2.Network, **settings), run(Book2, **settings), training())
    assert_same_parameters(net, twin)


@pytest.mark.parametrize("monitored", [("evaluation_accuracy",), ("training_accuracy",), FLAGS], ids=str)
@pytest.mark.parametrize("patience", [1, 2, 4])
def test_early_stopping_is_that_of_the_translations(patience, monitored, capsys):
    settings = {"epochs": 12, "m": 10, "eta": 0.05, "monitored": monitored, "patience": patience}
    (net, mine), (twin, expected) = both(capsys, run(network2.Network, **settings), run(Book2, **settings), training())
    assert_same_lists(mine, expected)
    assert_same_parameters(net, twin)
    assert patience < max(map(len, mine)) < 12


def test_early_stopping_goes_by_the_evaluation_data_where_both_are_monitored(capsys):
    class Told(network2.Network):
        def accuracy(self, data, convert=False):
            self.asked = getattr(self, "asked", 0) + 1
            return self.asked if convert else 3

    flags = {"monitor_evaluation_accuracy": True, "monitor_training_accuracy": True}
    found = Told(SIZES).SGD(training(), 9, 10, 0.5, evaluation_data=EVALUATION, early_stopping_n=2, **flags)
    assert found[1] == [3, 3, 3]
    assert len(found[3]) == 3


def test_early_stopping_needs_an_accuracy():
    net = network2.Network(SIZES)
    before = parameters(net)
    with pytest.raises(
        ValueError, match="early_stopping_n: expected 0 where no accuracy is monitored, got 3; pass mon"
    ):
        net.SGD(training(), 2, 10, 0.5, early_stopping_n=3, monitor_training_cost=True)
    assert parameters(net).tobytes() == before.tobytes()


@pytest.mark.skipif(not JIT, reason="compiles")
@pytest.mark.parametrize(("dtype", "of_inputs"), [("float32", "f4"), ("float64", "f4"), ("float64", "f8")])
def test_nothing_is_compiled_twice(dtype, of_inputs, capsys):
    data, test = ([(x.astype(of_inputs), y) for x, y in pairs] for pairs in (training(1200), EVALUATION))
    network.Network(SIZES, dtype=dtype).SGD(data, 1, 10, 3, test_data=test)
    flags = {f"monitor_{flag}": True for flag in FLAGS}
    network2.Network([4, 10], dtype=dtype).SGD(data[:7], 2, 3, 1.0, 2.0, test, **flags)
    with event.install_recorder("numba:run_pass") as compilation:
        net = network2.Network([4, 10], dtype=dtype)
        net.SGD(data[:7], 2, 3, 1, 2, test, **flags)
        net.SGD([(np.asfortranarray(x), y) for x, y in data], 1, 100, np.float32(0.5), 0.5, test, **flags)
        net.update_mini_batch(data[:1], 1, 0, 7)
        net.weights = [np.asfortranarray(w, "f4") for w in net.weights]
        net.SGD(data, 1, np.int32(4), True, 0)
    assert compilation.buffer == []


def pair(cost="cross_entropy"):
    seed()
    net = network2.Network(SIZES, cost=COSTS[cost])
    seed()
    return net, Book2(SIZES, cost)


@pytest.mark.parametrize("cost", COSTS)
def test_update_mini_batch_and_backprop_are_the_books(cost):
    net, twin = pair(cost)
    for mine, expected in zip(net.backprop(*training()[3]), twin.backprop(*training()[3]), strict=True):
        assert [one.tobytes() for one in mine] == [one.tobytes() for one in expected]
    net.update_mini_batch(training()[:7], 0.5, 3.0, 20)
    twin.step(training()[:7], 0.5, 1 - 0.5 * (3.0 / 20))
    assert_same_parameters(net, twin)


@pytest.mark.parametrize("cost", COSTS)
def test_accuracy_and_total_cost_are_the_books(cost):
    net, twin = pair(cost)
    found = set()
    for _ in range(6):
        for one in (net, twin):
            seed()
            one.SGD(training(), 4, 5, 1.0)
        found.add(net.accuracy(EVALUATION))
        assert net.accuracy(EVALUATION) == twin.right(EVALUATION)
        assert net.accuracy(training(), convert=True) == twin.right(labelled())
        assert net.total_cost(training(), 0.7) == pytest.approx(twin.total_cost(training(), 0.7), rel=1e-12)
        columns = [(x, unit_vector(label)) for x, label in EVALUATION]
        cost_of_labels = net.total_cost(EVALUATION, 0.7, convert=True)
        assert cost_of_labels == pytest.approx(twin.total_cost(columns, 0.7), rel=1e-12)
    assert len(found) > 2


@pytest.mark.parametrize(("pull", "label"), [(40.0, 3), (-800.0, 3), (40.0, 4), (800.0, 3)])
def test_the_cost_of_saturated_outputs_is_the_books(pull, label):
    """Where an output is 0 or 1 the book's logarithms are infinite, and nan_to_num replaces them."""
    net, twin = pair()
    bias = np.zeros((10, 1))
    bias[3] = pull
    for one in (net, twin):
        one.biases[1] = bias
    data = [(x, unit_vector(label)) for x, _ in labelled()]
    with np.errstate(over="ignore"):
        expected = twin.total_cost(data, 0.0)
    assert net.total_cost(data, 0.0) == pytest.approx(expected, rel=1e-10)


def test_float32_costs_are_right_where_outputs_are_1():
    seed()
    net = network2.Network(SIZES, dtype="float32")
    seed()
    twin = Book2(SIZES)
    for one in (net, twin):
        one.biases[1] = np.zeros((10, 1))
        one.biases[1][3] = 20.0  # in float32 an output of 1, and 1 - a is 0
    for number in (1, 10):
        data = [(x, unit_vector(4)) for x, _ in EVALUATION[:number]]
        expected = twin.total_cost(data, 0.5)
        assert 15 < expected < 40
        assert net.total_cost(data, 0.5) == pytest.approx(expected, rel=1e-5)
        labels = [(x, 4) for x, _ in EVALUATION[:number]]
        assert net.total_cost(labels, 0.5, convert=True) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cost", COSTS)
def test_the_cost_classes_are_the_books(cost):
    _, twin = pair(cost)
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((10, 1)), unit_vector(4)
    a = 1 / (1 + np.exp(-z))
    assert COSTS[cost].fn(a, y) == twin.cost_of(a, y)
    assert COSTS[cost].delta(z, a, y).tobytes() == twin.output_error(z, a, y).tobytes()
    assert network2.CrossEntropyCost.fn(y, y) == 0.0


def test_an_instance_of_a_cost_class_is_accepted(capsys):
    net, twin = pair()
    net.cost = network2.CrossEntropyCost()
    for one in (net, twin):
        seed()
        one.SGD(training(), 2, 10, 0.5)
    assert_same_parameters(net, twin)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of overflow and NaN, as in the book
@pytest.mark.parametrize("cost", COSTS)
def test_what_overflows_goes_on_with_nan_as_in_the_book(cost, capsys):
    """The book's chapter 3 has such a program: eta = 10 and lmbda = 1000, for 1000 examples, multiply weights by -9."""
    settings = {"epochs": 6, "m": 1, "eta": 10.0, "lmbda": 2000.0, "cost": cost}  # multiply by -869, 23 times an epoch
    settings["monitored"] = ("evaluation_accuracy", "training_accuracy")
    (net, mine), (twin, expected) = both(capsys, run(network2.Network, **settings), run(Book2, **settings), training())
    assert mine == expected
    assert np.isnan(parameters(net)).any()
    assert (np.isnan(parameters(net)) == np.isnan(parameters(twin))).all()


@pytest.mark.parametrize("weight", [np.nan, np.inf, 1e300, 1e308])
def test_the_compiled_code_writes_no_parameter_that_is_not_finite(weight):
    """With the last weight, the weighted inputs and the cost become infinite before any parameter does."""
    net, _ = pair()
    net.weights[1] = np.full((10, 6), weight)
    before = net.weights, net.biases
    pairs = Pairs("data", training(), net)
    assert not CompiledSGD(net, "cross_entropy").train(pairs, np.arange(N), N, 1e20, 1.0)
    assert net.weights is before[0]
    assert net.biases is before[1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_step_that_overflows_is_the_books():
    net, twin = pair()
    for one in (net, twin):
        one.weights = [1e300 * w for w in one.weights]
    net.update_mini_batch(training()[:5], 1e20, 1.0, 5)
    twin.step(training()[:5], 1e20, 1 - 1e20 * (1.0 / 5))
    assert not np.isfinite(parameters(twin)).all()
    np.testing.assert_array_equal(parameters(net), parameters(twin))


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("value", [np.array([1, 0]), "yes", 1, None], ids=str)
def test_a_flag_is_checked_before_anything_changes(flag, value, capsys):
    net = network2.Network(SIZES)
    capsys.readouterr()
    data, before, old = training(), states(), parameters(net).tobytes()
    with pytest.raises(TypeError, match=f"monitor_{flag}: expected True or False, got "):
        net.SGD(data, 1, 10, 0.5, **{f"monitor_{flag}": value})
    assert states() == before
    assert parameters(net).tobytes() == old
    assert capsys.readouterr().out == ""
