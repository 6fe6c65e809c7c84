"""Subclasses, custom cost classes and replaced functions: their code is called, and the results are right."""

import random

import numpy as np
import pytest

import tests.book
from mbbp.nielsen import network, network2
from tests.book import Book, Book2, unit_vector
from tests.nielsen.helpers import (
    SIZES,
    N,
    assert_same_parameters,
    both,
    labelled,
    parameters,
    seed,
    training,
)

TEST = labelled(31, seed=2)


def train(kind, epochs=2, **options):
    """Return a function that trains a network of this kind; the interface is the same for ours and the twin."""

    def run(data):
        net = kind(SIZES)
        net.SGD(data, epochs, 10, 0.5, **options)
        return net

    return run


# --------------------------------------------------------------------------------------------------- network's methods


class CubedError(network.Network):
    def cost_derivative(self, output_activations, y):
        return (output_activations - y) ** 3


class TwinCubedError(Book):
    def output_error(self, z, a, y):
        return (a - y) ** 3 * tests.book.sigmoid_prime(z)


class Momentum(network.Network):
    """A change of update_mini_batch that an exercise of chapter 3 asks for."""

    velocity = 0.0

    def update_mini_batch(self, mini_batch, eta):
        before = self.weights[0]
        super().update_mini_batch(mini_batch, eta)
        self.velocity = 0.5 * self.velocity + (self.weights[0] - before)
        self.weights[0] = before + self.velocity


class TwinMomentum(Book):
    velocity = 0.0

    def step(self, mini_batch, eta, keep=1.0):
        before = self.weights[0]
        super().step(mini_batch, eta, keep)
        self.velocity = 0.5 * self.velocity + (self.weights[0] - before)
        self.weights[0] = before + self.velocity


class Clipped(network.Network):
    def backprop(self, x, y):
        nabla_b, nabla_w = super().backprop(x, y)
        return nabla_b, [np.clip(one, -0.01, 0.01) for one in nabla_w]


class TwinClipped(Book):
    def backprop(self, x, y):
        nabla_b, nabla_w = super().backprop(x, y)
        return nabla_b, [np.clip(one, -0.01, 0.01) for one in nabla_w]


@pytest.mark.parametrize(
    ("kind", "twin", "sizes_of_steps"),
    [
        (CubedError, TwinCubedError, []),
        (Momentum, TwinMomentum, [10, 10, 3] * 2),  # each of its steps still calls the compiled code
        (Clipped, TwinClipped, []),
    ],
)
def test_what_a_subclass_changes_is_used(kind, twin, sizes_of_steps, loop_calls, capsys):
    net, expected = both(capsys, train(kind, test_data=TEST), train(twin, test_data=TEST), training())
    assert_same_parameters(net, expected)
    assert loop_calls == sizes_of_steps
    seed()
    plain = train(network.Network)(training())
    assert np.abs(parameters(plain) - parameters(net)).max() > 1e-4  # the override had an effect


def test_an_override_in_float32_stays_in_float32(capsys):
    net = CubedError(SIZES, dtype="float32")
    net.SGD([(x.astype(np.float32), y) for x, y in training()], 1, 10, 0.5)
    assert {one.dtype for one in net.weights + net.biases} == {np.dtype(np.float32)}


class Watching(network.Network):
    """Reads everything between epochs, and changes some of it."""

    data = None

    def evaluate(self, test_data):
        assert type(test_data) is list
        self.seen = [*getattr(self, "seen", []), (parameters(self), list(map(id, self.data)))]
        self.weights[0] *= 0.9
        self.biases = [b + 0.1 for b in self.biases]
        random.random()
        return len(self.seen)


class TwinWatching(Book):
    data = None

    def right(self, test_data):
        self.seen = [*getattr(self, "seen", []), (parameters(self), list(map(id, self.data)))]
        self.weights[0] *= 0.9
        self.biases = [b + 0.1 for b in self.biases]
        random.random()
        return len(self.seen)


def test_a_custom_evaluate_sees_and_changes_everything_between_epochs(loop_calls, capsys):
    def run(kind):
        def train(data):
            net = kind(SIZES)
            net.data = data
            net.SGD(data, 3, 10, 0.5, test_data=TEST)
            return net

        return train

    net, twin = both(capsys, run(Watching), run(TwinWatching), training())
    assert_same_parameters(net, twin)
    assert loop_calls == [N, N, N]
    for (mine, order), (expected, expected_order) in zip(net.seen, twin.seen, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-11)
        assert len(set(order)) == N
        places = [{one: place for place, one in enumerate(run.seen[0][1])} for run in (net, twin)]
        assert [places[0][one] for one in order] == [places[1][one] for one in expected_order]


class Replacing(Watching):
    """Puts another pair into the list that is being trained on."""

    def evaluate(self, test_data):
        self.data[3] = training(50, seed=9)[40]
        return 0


class TwinReplacing(Book):
    def right(self, test_data):
        self.data[3] = training(50, seed=9)[40]
        return 0


def test_a_list_that_is_changed_between_epochs_is_read_again(loop_calls, capsys):
    nets = []
    for kind in (Replacing, TwinReplacing):
        seed()
        net = kind(SIZES)
        net.data = training()
        net.SGD(net.data, 3, 10, 0.5, test_data=TEST)
        nets.append(net)
    assert_same_parameters(*nets)
    assert loop_calls == [N, N, N]


class Offset(network.Network):
    def feedforward(self, a):
        return super().feedforward(a) + np.arange(10).reshape(-1, 1)


def test_evaluate_calls_a_custom_feedforward(loop_calls, capsys):
    net = Offset(SIZES)
    net.SGD(training(), 2, 10, 0.5, test_data=TEST)
    nines = sum(label == 9 for _, label in TEST)
    assert capsys.readouterr().out == f"Epoch 0: {nines} / 31\nEpoch 1: {nines} / 31\n"
    assert net.evaluate(TEST) == nines
    assert loop_calls == [N, N]


def test_a_method_assigned_to_the_instance_or_the_class_is_called(loop_calls, capsys, monkeypatch):
    net = network.Network(SIZES)
    net.evaluate = lambda test_data: 77
    net.SGD(training(), 1, 10, 0.5, test_data=TEST)
    assert capsys.readouterr().out == "Epoch 0: 77 / 31\n"
    assert loop_calls == [N]
    monkeypatch.setattr(network.Network, "cost_derivative", lambda self, a, y: 0 * a)
    net = network.Network(SIZES)
    before = parameters(net)
    net.SGD(training(), 1, 10, 0.5)
    assert (parameters(net) == before).all()
    assert loop_calls == [N]


def test_examples_that_only_an_override_understands_are_accepted(capsys):
    class Own(network.Network):
        seen = 0

        def update_mini_batch(self, mini_batch, eta):
            Own.seen += len(mini_batch)
            assert eta == "any"

    Own(SIZES).SGD(list("some text"), 2, 4, "any")
    assert Own.seen == 18


# -------------------------------------------------------------------------------------------------- replaced functions


@pytest.mark.parametrize("module", [network, network2])
def test_a_replaced_sigmoid_is_called(module, loop_calls, capsys, monkeypatch):
    twin = Book if module is network else Book2
    flags = {} if module is network else {"evaluation_data": TEST}
    for where in (module, tests.book):
        monkeypatch.setattr(where, "sigmoid", np.tanh)
        monkeypatch.setattr(where, "sigmoid_prime", lambda z: 1 - np.tanh(z) ** 2)
    net, expected = both(capsys, train(module.Network, **flags), train(twin, **flags), training())
    assert_same_parameters(net, expected)
    assert loop_calls == []
    x, _ = TEST[0]
    assert (net.feedforward(x) < 0).any()
    count = sum(int(np.argmax(net.feedforward(x)) == label) for x, label in TEST)
    assert (net.evaluate(TEST) if module is network else net.accuracy(TEST)) == count


def test_a_replaced_sigmoid_changes_its_own_module_only(loop_calls, capsys, monkeypatch):
    monkeypatch.setattr(network2, "sigmoid", np.tanh)
    network.Network(SIZES).SGD(training(), 1, 10, 0.5)
    assert loop_calls == [N]
    network2.Network(SIZES).SGD(training(), 1, 10, 0.5)
    assert loop_calls == [N]


def test_a_replaced_sigmoid_prime_is_called(loop_calls, capsys, monkeypatch):
    monkeypatch.setattr(network, "sigmoid_prime", lambda z: np.ones_like(z))
    monkeypatch.setattr(tests.book, "sigmoid_prime", lambda z: np.ones_like(z))
    assert_same_parameters(*both(capsys, train(network.Network), train(Book), training()))
    assert loop_calls == []


@pytest.mark.parametrize(
    "shuffle",
    [
        lambda data: None,
        lambda data: data.reverse(),
        lambda data: data.sort(key=lambda pair: pair[0][0, 0]),
        lambda data: data.insert(0, data.pop()),
    ],
    ids=["none", "reverse", "sort", "rotate"],
)
def test_a_replaced_shuffle_is_called_with_the_list(shuffle, loop_calls, capsys, monkeypatch):
    monkeypatch.setattr(random, "shuffle", shuffle)
    assert_same_parameters(*both(capsys, train(network.Network, 3), train(Book, 3), training()))
    assert loop_calls == [N, N, N]


# -------------------------------------------------------------------------------------------------- network2's methods


class CubicCost:
    @staticmethod
    def fn(a, y):
        return np.sum(np.abs(a - y) ** 3)

    @staticmethod
    def delta(z, a, y):
        return 3 * (a - y) * np.abs(a - y) * network2.sigmoid_prime(z)


class TwinCubic(Book2):
    def output_error(self, z, a, y):
        return 3 * (a - y) * np.abs(a - y) * tests.book.sigmoid_prime(z)

    def cost_of(self, a, y):
        return np.sum(np.abs(a - y) ** 3)


class DoubledDelta(network2.CrossEntropyCost):
    @staticmethod
    def delta(z, a, y):
        return 2 * (a - y)


class TwinDoubled(Book2):
    def output_error(self, z, a, y):
        return 2 * (a - y)


class DoubledValue(network2.CrossEntropyCost):
    @staticmethod
    def fn(a, y):
        return 2 * network2.CrossEntropyCost.fn(a, y)


class TwinDoubledValue(Book2):
    def cost_of(self, a, y):
        return 2 * super().cost_of(a, y)


class SameName(network2.CrossEntropyCost):
    pass


@pytest.mark.parametrize(
    ("cost", "twin", "calls"),
    [
        (CubicCost, TwinCubic, []),
        (CubicCost(), TwinCubic, []),
        (DoubledDelta, TwinDoubled, []),
        (DoubledValue, TwinDoubledValue, [N, N]),
        (SameName, Book2, [N, N]),
    ],
)
def test_a_custom_cost_is_called(cost, twin, calls, loop_calls, capsys):
    def ours(data):
        net = network2.Network(SIZES, cost=cost)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, monitor_evaluation_cost=True, monitor_training_cost=True)

    def theirs(data):
        net = twin(SIZES)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, "evaluation_cost", "training_cost")

    (net, mine), (expected, lists) = both(capsys, ours, theirs, training())
    assert_same_parameters(net, expected)
    np.testing.assert_allclose(mine[0] + mine[2], lists[0] + lists[2], rtol=1e-11)
    assert loop_calls == calls


def test_a_cost_that_is_changed_between_epochs_is_used_from_then_on(loop_calls, capsys):
    class Exchanging(network2.Network):
        def accuracy(self, data, convert=False):
            self.cost = CubicCost if self.cost is network2.QuadraticCost else network2.QuadraticCost
            return 0

    net = Exchanging(SIZES)
    seed(3)
    net.default_weight_initializer()
    net.SGD(training(), 3, 10, 0.5, monitor_training_accuracy=True)
    assert loop_calls == [N, N]
    twins = Book2(SIZES), Book2(SIZES, "quadratic"), TwinCubic(SIZES)
    seed(3)
    twin, data = Book2(SIZES), training()
    for one in twins:
        one.weights, one.biases = twin.weights, twin.biases
        one.epoch(data, 10, 0.5)
        twin = one
    assert_same_parameters(net, twin)


class Plotting(network2.Network):
    calls = ()

    def accuracy(self, data, convert=False):
        assert type(data) is list
        self.calls = (*self.calls, ("accuracy", len(data), convert))
        return super().accuracy(data, convert)

    def total_cost(self, data, lmbda, convert=False):
        assert type(data) is list
        self.calls = (*self.calls, ("total_cost", len(data), convert))
        return super().total_cost(data, lmbda, convert)


def test_custom_monitors_are_called_as_the_book_calls_them(loop_calls, capsys):
    flags = ("evaluation_cost", "evaluation_accuracy", "training_cost", "training_accuracy")

    def ours(data):
        net = Plotting(SIZES)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, **{f"monitor_{flag}": True for flag in flags})

    def theirs(data):
        net = Book2(SIZES)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, *flags)

    (net, mine), (_, expected) = both(capsys, ours, theirs, training())
    np.testing.assert_allclose(mine, expected, rtol=1e-11)
    assert loop_calls == [N, N]
    assert net.calls == 2 * (
        ("total_cost", N, False),
        ("accuracy", N, True),
        ("total_cost", 31, True),
        ("accuracy", 31, False),
        ("accuracy", 31, False),  # for the line that is printed
    )


def test_a_custom_vectorized_result_is_called(capsys, monkeypatch):
    monkeypatch.setattr(network2, "vectorized_result", lambda j: unit_vector(9 - j))
    net = network2.Network(SIZES)
    turned = [(x, unit_vector(9 - label)) for x, label in TEST]
    assert net.total_cost(TEST, 0.0, convert=True) == pytest.approx(net.total_cost(turned, 0.0), rel=1e-12)


def test_the_constructor_calls_a_custom_initializer():
    class Zeros(network2.Network):
        def default_weight_initializer(self):
            self.biases = [np.zeros((n, 1)) for n in self.sizes[1:]]
            self.weights = [np.zeros((n, n_in)) for n_in, n in zip(self.sizes, self.sizes[1:], strict=False)]

    assert not parameters(Zeros(SIZES)).any()
