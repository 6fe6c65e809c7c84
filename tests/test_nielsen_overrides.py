"""Subclasses, cost classes of the reader's own, replaced functions: their code is called, and the numbers follow."""

import random

import numpy as np
import pytest

import mbbp.kernels.epoch
import tests.book
from mbbp.nielsen import network, network2
from tests.book import Book, Book2, unit_vector
from tests.nielsen import SIZES, N, assert_same_parameters, both, labelled, parameters, seed, training

TEST = labelled(31, seed=2)


@pytest.fixture
def engine(monkeypatch):
    """Return a list of the calls of the compiled loop."""
    calls, train = [], mbbp.kernels.epoch.train
    monkeypatch.setattr(mbbp.kernels.epoch, "train", lambda *given: calls.append(given[2].size) or train(*given))
    return calls


def train(kind, epochs=2, **options):
    """Return a function that trains a network of this kind, by the twin's interface or ours."""

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
    """What readers make of update_mini_batch in the exercises of chapter 3."""

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
        (Momentum, TwinMomentum, [10, 10, 3] * 2),  # each of its steps still goes through the engine
        (Clipped, TwinClipped, []),
    ],
)
def test_what_a_subclass_changes_of_training_counts(kind, twin, sizes_of_steps, engine, capsys):
    net, wanted = both(capsys, train(kind, test_data=TEST), train(twin, test_data=TEST), training())
    assert_same_parameters(net, wanted)
    assert engine == sizes_of_steps
    seed()
    plain = train(network.Network)(training())
    assert np.abs(parameters(plain) - parameters(net)).max() > 1e-4  # the override did something


def test_an_override_in_float32_stays_in_float32(capsys):
    net = CubedError(SIZES, dtype="float32")
    net.SGD([(x.astype(np.float32), y) for x, y in training()], 1, 10, 0.5)
    assert {one.dtype for one in net.weights + net.biases} == {np.dtype(np.float32)}


class Watching(network.Network):
    """Looks at everything between epochs, and changes some of it."""

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


def test_an_evaluate_of_ones_own_sees_and_changes_all_between_epochs(engine, capsys):
    def run(kind):
        def train(data):
            net = kind(SIZES)
            net.data = data
            net.SGD(data, 3, 10, 0.5, test_data=TEST)
            return net

        return train

    net, twin = both(capsys, run(Watching), run(TwinWatching), training())
    assert_same_parameters(net, twin)
    assert engine == [N, N, N]
    for (mine, order), (wanted, wanted_order) in zip(net.seen, twin.seen, strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-11)
        assert len(set(order)) == N
        places = [{one: place for place, one in enumerate(run.seen[0][1])} for run in (net, twin)]
        assert [places[0][one] for one in order] == [places[1][one] for one in wanted_order]


class Replacing(Watching):
    """Puts another pair into the list that is being trained on."""

    def evaluate(self, test_data):
        self.data[3] = training(50, seed=9)[40]
        return 0


class TwinReplacing(Book):
    def right(self, test_data):
        self.data[3] = training(50, seed=9)[40]
        return 0


def test_a_list_that_is_changed_between_epochs_is_read_again(engine, capsys):
    nets = []
    for kind in (Replacing, TwinReplacing):
        seed()
        net = kind(SIZES)
        net.data = training()
        net.SGD(net.data, 3, 10, 0.5, test_data=TEST)
        nets.append(net)
    assert_same_parameters(*nets)
    assert engine == [N, N, N]


class Offset(network.Network):
    def feedforward(self, a):
        return super().feedforward(a) + np.arange(10).reshape(-1, 1)


def test_a_feedforward_of_ones_own_is_what_evaluate_calls(engine, capsys):
    net = Offset(SIZES)
    net.SGD(training(), 2, 10, 0.5, test_data=TEST)
    nines = sum(label == 9 for _, label in TEST)
    assert capsys.readouterr().out == f"Epoch 0: {nines} / 31\nEpoch 1: {nines} / 31\n"
    assert net.evaluate(TEST) == nines
    assert engine == [N, N]


def test_a_method_put_on_the_instance_or_the_class_counts_too(engine, capsys, monkeypatch):
    net = network.Network(SIZES)
    net.evaluate = lambda test_data: 77
    net.SGD(training(), 1, 10, 0.5, test_data=TEST)
    assert capsys.readouterr().out == "Epoch 0: 77 / 31\n"
    assert engine == [N]
    monkeypatch.setattr(network.Network, "cost_derivative", lambda self, a, y: 0 * a)
    net = network.Network(SIZES)
    before = parameters(net)
    net.SGD(training(), 1, 10, 0.5)
    assert (parameters(net) == before).all()
    assert engine == [N]


def test_examples_that_only_an_override_understands_go_in(capsys):
    class Own(network.Network):
        seen = 0

        def update_mini_batch(self, mini_batch, eta):
            Own.seen += len(mini_batch)
            assert eta == "any"

    Own(SIZES).SGD(list("some text"), 2, 4, "any")
    assert Own.seen == 18


# -------------------------------------------------------------------------------------------------- replaced functions


@pytest.mark.parametrize("module", [network, network2])
def test_a_replaced_sigmoid_is_the_one_that_counts(module, engine, capsys, monkeypatch):
    twin = Book if module is network else Book2
    flags = {} if module is network else {"evaluation_data": TEST}
    for where in (module, tests.book):
        monkeypatch.setattr(where, "sigmoid", np.tanh)
        monkeypatch.setattr(where, "sigmoid_prime", lambda z: 1 - np.tanh(z) ** 2)
    net, wanted = both(capsys, train(module.Network, **flags), train(twin, **flags), training())
    assert_same_parameters(net, wanted)
    assert engine == []
    x, _ = TEST[0]
    assert (net.feedforward(x) < 0).any()
    count = sum(int(np.argmax(net.feedforward(x)) == label) for x, label in TEST)
    assert (net.evaluate(TEST) if module is network else net.accuracy(TEST)) == count


def test_a_replaced_sigmoid_counts_in_its_own_module_alone(engine, capsys, monkeypatch):
    monkeypatch.setattr(network2, "sigmoid", np.tanh)
    network.Network(SIZES).SGD(training(), 1, 10, 0.5)
    assert engine == [N]
    network2.Network(SIZES).SGD(training(), 1, 10, 0.5)
    assert engine == [N]


def test_sigmoid_prime_alone_counts_too(engine, capsys, monkeypatch):
    monkeypatch.setattr(network, "sigmoid_prime", lambda z: np.ones_like(z))
    monkeypatch.setattr(tests.book, "sigmoid_prime", lambda z: np.ones_like(z))
    assert_same_parameters(*both(capsys, train(network.Network), train(Book), training()))
    assert engine == []


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
def test_a_replaced_shuffle_is_called_with_the_list(shuffle, engine, capsys, monkeypatch):
    monkeypatch.setattr(random, "shuffle", shuffle)
    assert_same_parameters(*both(capsys, train(network.Network, 3), train(Book, 3), training()))
    assert engine == [N, N, N]


# ------------------------------------------------------------------------------------------------------ network2's own


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
def test_a_cost_of_ones_own_is_the_one_that_counts(cost, twin, calls, engine, capsys):
    def ours(data):
        net = network2.Network(SIZES, cost=cost)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, monitor_evaluation_cost=True, monitor_training_cost=True)

    def theirs(data):
        net = twin(SIZES)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, "evaluation_cost", "training_cost")

    (net, mine), (wanted, lists) = both(capsys, ours, theirs, training())
    assert_same_parameters(net, wanted)
    np.testing.assert_allclose(mine[0] + mine[2], lists[0] + lists[2], rtol=1e-11)
    assert engine == calls


def test_a_cost_that_is_exchanged_between_epochs_counts_from_then_on(engine, capsys):
    class Exchanging(network2.Network):
        def accuracy(self, data, convert=False):
            self.cost = CubicCost if self.cost is network2.QuadraticCost else network2.QuadraticCost
            return 0

    net = Exchanging(SIZES)
    seed(3)
    net.default_weight_initializer()
    net.SGD(training(), 3, 10, 0.5, monitor_training_accuracy=True)
    assert engine == [N, N]
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


def test_monitors_of_ones_own_are_called_as_the_book_calls_them(engine, capsys):
    flags = ("evaluation_cost", "evaluation_accuracy", "training_cost", "training_accuracy")

    def ours(data):
        net = Plotting(SIZES)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, **{f"monitor_{flag}": True for flag in flags})

    def theirs(data):
        net = Book2(SIZES)
        return net, net.SGD(data, 2, 10, 0.5, 0.1, TEST, *flags)

    (net, mine), (_, wanted) = both(capsys, ours, theirs, training())
    np.testing.assert_allclose(mine, wanted, rtol=1e-11)
    assert engine == [N, N]
    assert net.calls == 2 * (
        ("total_cost", N, False),
        ("accuracy", N, True),
        ("total_cost", 31, True),
        ("accuracy", 31, False),
        ("accuracy", 31, False),  # for the line that is printed
    )


def test_a_vectorized_result_of_ones_own_is_the_one_that_counts(capsys, monkeypatch):
    monkeypatch.setattr(network2, "vectorized_result", lambda j: unit_vector(9 - j))
    net = network2.Network(SIZES)
    turned = [(x, unit_vector(9 - label)) for x, label in TEST]
    assert net.total_cost(TEST, 0.0, convert=True) == pytest.approx(net.total_cost(turned, 0.0), rel=1e-12)


def test_an_initializer_of_ones_own_is_called_by_the_constructor():
    class Zeros(network2.Network):
        def default_weight_initializer(self):
            self.biases = [np.zeros((n, 1)) for n in self.sizes[1:]]
            self.weights = [np.zeros((n, n_in)) for n_in, n in zip(self.sizes, self.sizes[1:], strict=False)]

    assert not parameters(Zeros(SIZES)).any()
