"""An error names its argument, and is raised before anything has changed."""

import random
import re

import numpy as np
import pytest

from mbbp.nielsen import network, network2
from tests.book import Book2, unit_vector
from tests.nielsen.helpers import SIZES, labelled, parameters, states, training

TEST = labelled(31, seed=2)


def with_pair(index, x=None, y=None, data=None):
    """Return the training data with another x or y at one place."""
    pairs = data or training()
    old_x, old_y = pairs[index]
    pairs[index] = (old_x if x is None else x, old_y if y is None else y)
    return pairs


def column(*numbers, dtype=np.float64):
    return np.array(numbers, dtype).reshape(-1, 1)


BAD_TRAINING = {
    "none": ([], ValueError, "training_data: expected at least one pair (x, y), got none"),
    "a zip used before": (iter(()), ValueError, "training_data: expected at least one pair (x, y), got none"),
    "a number": (3, TypeError, "training_data: expected a list of pairs (x, y), got 3"),
    "no pairs": ([1, 2], ValueError, "training_data[0]: expected a pair (x, y), got 1"),
    "a triple": ([*training(2), (1, 2, 3)], ValueError, "training_data[2]: expected a pair (x, y), got (1, 2, 3)"),
    "a short x": (
        with_pair(3, x=column(1, 2, 3)),
        ValueError,
        "training_data[3]: expected x of shape (4, 1), got (3, 1)",
    ),
    "a flat x": (
        with_pair(0, x=np.zeros(4)),
        ValueError,
        "training_data[0]: expected x of shape (4, 1), got (4,); pass x.reshape(-1, 1)",
    ),
    "a row": (
        with_pair(0, x=np.zeros((1, 4))),
        ValueError,
        "training_data[0]: expected x of shape (4, 1), got (1, 4)",
    ),
    "a ragged x": (with_pair(5, x=[[1], [2, 3]]), ValueError, "training_data[5]: expected"),
    "a nan": (
        with_pair(22, x=column(1, np.nan, 2, 3)),
        ValueError,
        "training_data[22]: expected finite numbers, got nan in row 1 of x",
    ),
    "an inf": (
        with_pair(1, y=np.full((10, 1), -np.inf)),
        ValueError,
        "training_data[1]: expected finite numbers, got -inf in row 0 of y",
    ),
    "text": (
        with_pair(2, x=np.full((4, 1), "a")),
        TypeError,
        "training_data[2]: expected real numbers in x, got dtype <U1",
    ),
    "complex numbers": (
        with_pair(2, x=column(1, 2, 3, 4j, dtype=complex)),
        TypeError,
        "training_data[2]: expected real numbers in x, got dtype complex128",
    ),
    "labels": (
        labelled(),
        ValueError,
        "training_data[0]: expected y of shape (10, 1), got (); vectorized_result makes such a column from a label",
    ),
    "a long y": (
        with_pair(4, y=np.zeros((11, 1))),
        ValueError,
        "training_data[4]: expected y of shape (10, 1), got (11, 1)",
    ),
}
BAD_TEST = {
    "a zip used before": (iter(()), ValueError, "{}: expected at least one pair (x, y), got none"),
    "a number": (3.5, TypeError, "{}: expected a list of pairs (x, y), got 3.5"),
    "no pairs": ([1, 2], ValueError, "{}[0]: expected a pair (x, y), got 1"),
    "a short x": (
        with_pair(3, x=column(1, 2, 3), data=list(TEST)),
        ValueError,
        "{}[3]: expected x of shape (4, 1), got (3, 1)",
    ),
    "a nan": (
        with_pair(3, x=column(1, 2, 3, np.nan), data=list(TEST)),
        ValueError,
        "{}[3]: expected finite numbers, got nan in row 3 of x",
    ),
    "columns for labels": (training(), ValueError, "{}: expected a label as the y of each pair, got shape (10, 1)"),
    "a label that is nan": (
        with_pair(3, y=np.nan, data=list(TEST)),
        ValueError,
        "{}: expected finite labels, got NaN",
    ),
    "words": ([(x, "one") for x, _ in TEST], TypeError, "{}: expected"),
}
BAD_NUMBERS = {
    "epochs": [(-1, ValueError, "got -1"), (1.5, TypeError, "got 1.5")],
    "mini_batch_size": [(0, ValueError, "got 0"), ("10", TypeError, "got '10'")],
    "eta": [(np.nan, ValueError, "got nan"), ("3", TypeError, "got '3'"), (np.inf, ValueError, "got inf")],
    "lmbda": [(np.nan, ValueError, "got nan"), (-1, ValueError, "got -1"), (None, TypeError, "got None")],
    "early_stopping_n": [(-1, ValueError, "got -1"), (0.5, TypeError, "got 0.5")],
}
NUMBERS = [
    (kind, name, *case)
    for name, cases in BAD_NUMBERS.items()
    for case in cases
    for kind in ([network2.Network] if name in ("lmbda", "early_stopping_n") else [network.Network, network2.Network])
]


def refused(net, run, error, message, capsys):
    """Run a wrong call, and return its error message. The network, generators and output must not change."""
    before = parameters(net).tobytes(), states()
    with pytest.raises(error) as raised:
        run()
    assert str(raised.value).startswith(message)
    assert (parameters(net).tobytes(), states()) == before
    assert capsys.readouterr().out == ""
    return str(raised.value)


@pytest.fixture(params=[network.Network, network2.Network], ids=["network", "network2"])
def net(request):
    return request.param(SIZES)


@pytest.mark.parametrize(("data", "error", "message"), BAD_TRAINING.values(), ids=BAD_TRAINING)
def test_bad_training_data(net, data, error, message, capsys):
    before = list(data) if isinstance(data, list) else None
    refused(net, lambda: net.SGD(data, 2, 10, 3.0), error, message, capsys)
    if before is not None:
        assert list(map(id, data)) == list(map(id, before))


@pytest.mark.parametrize(("data", "error", "message"), BAD_TEST.values(), ids=BAD_TEST)
def test_bad_test_data(data, error, message, capsys):
    net = network.Network(SIZES)
    message = message.format("test_data")
    refused(net, lambda: net.SGD(training(), 2, 10, 3.0, test_data=data), error, message, capsys)
    if not message.endswith("got none"):  # of no pairs, 0 are right
        refused(net, lambda: net.evaluate(data), error, message, capsys)


@pytest.mark.parametrize(("data", "error", "message"), BAD_TEST.values(), ids=BAD_TEST)
def test_bad_evaluation_data(data, error, message, capsys):
    net = network2.Network(SIZES)
    refused(
        net,
        lambda: net.SGD(training(), 2, 10, 0.5, evaluation_data=data, monitor_evaluation_accuracy=True),
        error,
        message.format("evaluation_data"),
        capsys,
    )


@pytest.mark.parametrize(("kind", "name", "value", "error", "message"), NUMBERS)
def test_bad_numbers(kind, name, value, error, message, capsys):
    net = kind(SIZES)
    given = {"training_data": training(), "epochs": 2, "mini_batch_size": 10, "eta": 0.5} | {name: value}
    assert message in refused(net, lambda: net.SGD(**given), error, f"{name}: expected", capsys)


def test_evaluation_data_that_are_needed_but_missing(capsys):
    net = network2.Network(SIZES)
    for flag in ("monitor_evaluation_cost", "monitor_evaluation_accuracy"):
        for data in (None, []):
            given = {"evaluation_data": data, flag: True}
            message = "evaluation_data: expected pairs (x, label), got none; monitor_evaluation_cost and monitor_"
            refused(net, lambda given=given: net.SGD(training(), 2, 10, 0.5, **given), ValueError, message, capsys)


def test_evaluation_data_that_are_not_needed_are_not_checked(capsys):
    network2.Network(SIZES).SGD(training(), 1, 10, 0.5, evaluation_data=[1, 2], monitor_training_cost=True)
    assert "Cost on training data" in capsys.readouterr().out


def test_labels_that_cannot_be_vectorized(capsys):
    net = network2.Network(SIZES)
    for label, word in ((10, "10"), (1.5, "1.5")):
        data = with_pair(7, y=label, data=list(TEST))
        message = f"evaluation_data[7]: expected a label as y, got {word} ("
        run = {"evaluation_data": data, "monitor_evaluation_cost": True}
        refused(net, lambda run=run: net.SGD(training(), 2, 10, 0.5, **run), ValueError, message, capsys)
    three = network2.Network([4, 3])
    with pytest.raises(ValueError, match=r"data\[0\]: expected y of shape \(3, 1\), got \(10, 1\)"):
        three.total_cost(TEST, 0.0, convert=True)


def test_what_accuracy_and_total_cost_refuse(capsys):
    net = network2.Network(SIZES)
    refused(net, lambda: net.accuracy(training()), ValueError, "data: expected a label as the y", capsys)
    refused(net, lambda: net.accuracy(TEST, convert=True), ValueError, "data[0]: expected y of shape (10, 1)", capsys)
    refused(net, lambda: net.total_cost(TEST, 0.0), ValueError, "data[0]: expected y of shape (10, 1)", capsys)
    refused(net, lambda: net.total_cost([], 0.0), ValueError, "data: expected at least one pair (x, y)", capsys)
    assert net.accuracy([]) == 0


def test_what_update_mini_batch_refuses(capsys):
    net = network.Network(SIZES)
    refused(net, lambda: net.update_mini_batch([], 3.0), ValueError, "mini_batch: expected at least one pair", capsys)
    bad = with_pair(3, x=column(1, 2))
    refused(
        net, lambda: net.update_mini_batch(bad, 3.0), ValueError, "mini_batch[3]: expected x of shape (4, 1)", capsys
    )
    refused(net, lambda: net.update_mini_batch(training(), np.nan), ValueError, "eta: expected", capsys)
    net = network2.Network(SIZES)
    refused(net, lambda: net.update_mini_batch(training(), 1, np.nan, 5), ValueError, "lmbda: expected", capsys)
    refused(net, lambda: net.update_mini_batch(training(), 1, 1.0, 0), ValueError, "n: expected", capsys)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", [], "weights: expected a list of matrices, one for each layer, got shapes []"),
        ("weights", [np.zeros(3)], "weights: expected a list of matrices, one for each layer, got shapes [(3,)]"),
        ("weights", [np.zeros((6, 4)), np.zeros((10, 5))], "weights[1]: expected shape (10, 6), got (10, 5)"),
        ("weights", [np.zeros((7, 4)), np.zeros((10, 7))], "biases[0]: expected shape (7, 1), got (6, 1)"),
        ("biases", [np.zeros((6, 1))], "biases: expected 2 arrays, got 1"),
        ("biases", [np.zeros(6), np.zeros((10, 1))], "biases[0]: expected shape (6, 1), got (6,)"),
    ],
)
def test_weights_and_biases_that_do_not_fit(name, value, message):
    for kind in (network.Network, network2.Network):
        net, data = kind(SIZES), training()
        setattr(net, name, value)
        before, order = states(), list(map(id, data))
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            net.SGD(data, 1, 10, 0.5)
        assert getattr(net, name) is value
        assert (states(), list(map(id, data))) == (before, order)


def test_too_large_for_float32(capsys):
    net = network.Network(SIZES, dtype="float32")
    data = with_pair(3, x=column(1, 2, 1e39, 4))
    message = "training_data[3]: expected numbers that float32 can hold, got 1e+39 in row 2 of x; scale them, or build"
    refused(net, lambda: net.SGD(data, 1, 10, 0.5), ValueError, message, capsys)
    network.Network(SIZES).SGD(data, 1, 10, 0.5)


@pytest.mark.parametrize(
    ("sizes", "options", "error", "message"),
    [
        ([4], {}, ValueError, "sizes: expected"),
        ([4, 0], {}, ValueError, "sizes: expected"),
        ("43", {}, TypeError, "sizes: expected"),
        ([4, 3], {"dtype": "float16"}, ValueError, "dtype: expected"),
    ],
)
def test_bad_networks(sizes, options, error, message):
    before = states()
    for kind in (network.Network, network2.Network):
        with pytest.raises(error) as raised:
            kind(sizes, **options)
        assert str(raised.value).startswith(message)
    assert states() == before


def test_lists_of_lists_are_accepted():
    nested = [(x.tolist(), label) for x, label in TEST]
    net = network.Network(SIZES)
    assert net.evaluate(nested) == net.evaluate(TEST)
    net2 = network2.Network(SIZES)
    as_lists = [(x.tolist(), unit_vector(label).tolist()) for x, label in TEST]
    as_arrays = [(x, unit_vector(label)) for x, label in TEST]
    assert net2.total_cost(as_lists, 0.1) == net2.total_cost(as_arrays, 0.1)


def test_more_pairs_than_are_checked_at_once(monkeypatch):
    monkeypatch.setattr("mbbp.nielsen.pairs.BLOCK", 4)
    random.seed(1)
    net = network2.Network(SIZES)
    twin = Book2(SIZES)
    twin.weights, twin.biases = net.weights, net.biases
    assert net.accuracy(training(), convert=True) == twin.right(labelled())
    assert net.total_cost(training(), 0.3) == pytest.approx(twin.total_cost(training(), 0.3), rel=1e-12)
    with pytest.raises(ValueError, match=r"data\[21\]: expected finite numbers, got nan in row 2 of x"):
        net.accuracy(with_pair(21, x=column(1, 2, np.nan, 3)), convert=True)
