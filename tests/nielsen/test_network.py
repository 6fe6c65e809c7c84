"""The book's network.py: the same results and the same printed lines as the book's algorithm."""

import copy
import inspect
import pickle

import numpy as np
import pytest

from mbbp.nielsen import network
from tests.book import Book
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

TEST = labelled(31, seed=2)


def test_the_interface_is_the_books():
    names = {
        name: [*inspect.signature(getattr(network.Network, name)).parameters][1:]
        for name in ("SGD", "feedforward", "backprop", "update_mini_batch", "evaluate", "cost_derivative")
    }
    assert names == {
        "SGD": ["training_data", "epochs", "mini_batch_size", "eta", "test_data"],
        "feedforward": ["a"],
        "backprop": ["x", "y"],
        "update_mini_batch": ["mini_batch", "eta"],
        "evaluate": ["test_data"],
        "cost_derivative": ["output_activations", "y"],
    }


@pytest.mark.parametrize("sizes", [[4, 10], SIZES, [4, 3, 5, 10]], ids=str)
def test_the_initial_weights_are_the_books(sizes):
    seed()
    net = network.Network(sizes)
    after = states()
    seed()
    twin = Book(sizes)
    assert parameters(net).tobytes() == parameters(twin).tobytes()
    assert after == states()
    assert net.sizes == sizes
    assert net.num_layers == len(sizes)
    assert all(type(one) is list for one in (net.weights, net.biases))
    assert all(w.flags.c_contiguous and w.flags.writeable for w in net.weights)


@pytest.mark.parametrize("m", [1, 5, 10, N, 100])
@pytest.mark.parametrize("sizes", [[4, 10], SIZES, [4, 3, 5, 10]], ids=str)
def test_epochs_are_the_books(sizes, m, capsys, loop_calls):
    def run(kind):
        def train(data):
            net = kind(sizes)
            assert net.SGD(data, 3, m, 3.0, test_data=TEST) is None
            return net

        return train

    assert_same_parameters(*both(capsys, run(network.Network), run(Book), training()))
    assert loop_calls == [N, N, N]


def test_without_test_data_the_lines_say_complete(capsys):
    network.Network(SIZES).SGD(training(), 2, 10, 3.0)
    network.Network(SIZES).SGD(training(), 1, 10, 3.0, [])
    assert capsys.readouterr().out == "Epoch 0 complete\nEpoch 1 complete\nEpoch 0 complete\n"


def test_no_epoch_changes_nothing(capsys):
    net, data = network.Network(SIZES), training()
    before, order = parameters(net), list(data)
    net.SGD(data, 0, 10, 3.0, test_data=TEST)
    assert parameters(net).tobytes() == before.tobytes()
    assert list(map(id, data)) == list(map(id, order))
    assert capsys.readouterr().out == ""


def test_any_iterable_is_accepted_and_used_once(capsys):
    def run(kind):
        def train(data):
            net = kind(SIZES)
            if kind is Book:
                net.SGD(list(data), 2, 10, 3.0, test_data=TEST)
            else:
                given = zip([x for x, _ in data], [y for _, y in data], strict=True)
                net.SGD(given, 2, 10, 3.0, test_data=iter(TEST))
            return net

        return train

    assert_same_parameters(*both(capsys, run(network.Network), run(Book), training()))


def test_the_same_list_may_be_trained_on_again(capsys):
    def run(kind):
        def train(data):
            net = kind(SIZES)
            for eta in (3.0, 0.5):
                net.SGD(data, 2, 7, eta, test_data=data[:0])
            return net

        return train

    assert_same_parameters(*both(capsys, run(network.Network), run(Book), training()))


def test_inputs_in_float32_and_whole_numbers_give_the_same(capsys):
    bytes_ = [((100 * x).astype(np.int8), y) for x, y in training()]

    def run(kind):
        def train(data):
            net = kind(SIZES)
            net.SGD(data, 2, 10, 0.1)
            return net

        return train

    for data in (
        [(x.astype(np.float32), y) for x, y in training()],
        [(x / np.float32(256), y.astype(int)) for x, y in bytes_],
        bytes_,
    ):
        assert_same_parameters(*both(capsys, run(network.Network), run(Book), data))


def test_a_single_output_takes_numbers_for_columns(capsys):
    xor = [(np.array([[p], [q]]), float(p ^ q)) for p in (0, 1) for q in (0, 1)] * 3

    def run(kind):
        def train(data):
            net = kind([2, 3, 1])
            net.SGD(data, 2, 4, 3.0)
            return net

        return train

    assert_same_parameters(*both(capsys, run(network.Network), run(Book), xor))
    assert_same_parameters(*both(capsys, run(network.Network), run(Book), [(x, np.full((1, 1), y)) for x, y in xor]))


def pair(sizes=SIZES):
    seed()
    net = network.Network(sizes)
    seed()
    return net, Book(sizes)


@pytest.mark.parametrize("sizes", [[4, 10], SIZES, [4, 3, 5, 10]], ids=str)
def test_feedforward_and_backprop_are_the_books_to_the_bit(sizes):
    net, twin = pair(sizes)
    for x, y in training(5):
        assert net.feedforward(x).tobytes() == twin.feedforward(x).tobytes()
        for mine, expected in zip(net.backprop(x, y), twin.backprop(x, y), strict=True):
            assert [one.tobytes() for one in mine] == [one.tobytes() for one in expected]
    many = np.hstack([x for x, _ in training(5)])
    assert net.feedforward(many).shape == (10, 5)


@pytest.mark.parametrize("size", [1, 7])
def test_update_mini_batch_is_the_books(size, loop_calls):
    net, twin = pair()
    for start in range(0, 2 * size, size):
        net.update_mini_batch(training()[start : start + size], 3.0)
        twin.step(training()[start : start + size], 3.0)
    assert_same_parameters(net, twin)
    assert loop_calls == [size, size]


def test_evaluate_is_the_books():
    net, twin = pair()
    found = []
    for _ in range(9):
        found.append(net.evaluate(TEST))
        assert found[-1] == net.evaluate(iter(TEST)) == twin.right(TEST)
        for one in (net, twin):
            seed()
            one.SGD(training(), 5, 5, 3.0)
    assert len(set(found)) > 3  # otherwise a constant would pass too
    assert net.evaluate([]) == 0


def test_evaluate_with_one_output_always_answers_0_as_in_the_book():
    net = network.Network([4, 1])
    data = [(x, int(label > 4)) for x, label in TEST]
    assert net.evaluate(data) == sum(label == 0 for _, label in data)


def test_training_does_not_change_the_old_lists():
    net = network.Network(SIZES)
    weights, biases = net.weights, net.biases
    before = parameters(net)
    net.SGD(training(), 1, 10, 3.0)
    assert net.weights is not weights
    assert np.concatenate([one.ravel() for one in weights + biases]).tobytes() == before.tobytes()
    for one in net.weights + net.biases:
        assert one.flags.c_contiguous
        assert one.flags.writeable
        assert one.base is None


def test_weights_may_be_assigned_wholly_or_one_by_one():
    net, twin = pair()
    for one in (net, twin):
        one.weights = [0.1 * w for w in one.weights]
        one.biases[1] = np.ones((10, 1))
        one.weights[0][2, 3] = 7.0
        seed()
        one.SGD(training(), 1, 10, 3.0)
    assert_same_parameters(net, twin)


def test_weights_may_be_of_other_sizes_than_the_network_was_made_for():
    net, twin = network.Network([4, 10]), Book([4, 3, 10])
    net.weights, net.biases = list(twin.weights), list(twin.biases)
    for one in (net, twin):
        seed()
        one.SGD(training(), 1, 10, 3.0)
    assert_same_parameters(net, twin)


def test_a_network_can_be_copied_and_pickled():
    net = network.Network(SIZES)
    net.SGD(training(), 1, 10, 3.0)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        seed()
        other.SGD(training(), 1, 10, 3.0)
        again = copy.deepcopy(net)
        seed()
        again.SGD(training(), 1, 10, 3.0)
        assert parameters(other).tobytes() == parameters(again).tobytes() != parameters(net).tobytes()


def test_float32_is_nearly_the_same_and_stays_float32(loop_calls):
    seed()
    net = network.Network(SIZES, dtype="float32")
    seed()
    twin = Book(SIZES)
    assert {one.dtype for one in net.weights + net.biases} == {np.dtype(np.float32)}
    for one in (net, twin):
        seed()
        one.SGD(training(), 2, 10, 0.5)
    assert loop_calls == [N, N]
    assert {one.dtype for one in net.weights + net.biases} == {np.dtype(np.float32)}
    difference = np.abs(parameters(net) - parameters(twin)).max()
    assert 0 < difference < 1e-5
    assert net.feedforward(training()[0][0].astype(np.float32)).dtype == np.float32
