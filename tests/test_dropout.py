"""Dropout in training, against a plain NumPy loop with the masks of the twin; and that nothing else drops anything."""

import copy
import json
import pickle

import numpy as np
import pytest

import mbbp
import mbbp.threads
from mbbp import loop
from mbbp.cli import main
from mbbp.kernels.layout import Layout
from mbbp.reference.dropout import dropout_mask
from tests.conftest import JIT

SIZES = [9, 7, 20, 3]
N = 74 if JIT else 26
BATCH = 33 if JIT else 10  # the last mini-batch is smaller, and has an odd place for its examples' pairs
RATE = 0.05  # the learning rate of sgd
RATES = {"hidden": (0.0, 0.3, 0.5), "inputs and hidden": (0.2, 0.0, 0.4), "inputs": (0.4, 0.0, 0.0)}
ACTIVATIONS = {
    "softmax": ["tanh", "relu", "softmax"],
    "sigmoid": ["sigmoid", "leaky_relu", "sigmoid"],
    "identity": ["relu", "identity", "identity"],
}


def build(dropout, sizes=SIZES, activation="softmax", dtype="float64", **more):
    return mbbp.Network(sizes, ACTIVATIONS.get(activation, activation), dtype=dtype, rng=0, dropout=dropout, **more)


def data(sizes=SIZES, n=N):
    rng = np.random.default_rng(1)
    return rng.standard_normal((sizes[0], n)), rng.integers(0, max(2, sizes[-1]), n)


def gradient(net, X, Y, step, weights):
    """Return the mean gradient of a mini-batch as one vector: the equations of chapter 2, with the masks in between."""
    rates, seed, m = net.dropout, net.engine.dropout.seed, X.shape[1]
    masks = [dropout_mask(p, seed, i, step, n, m) for i, (p, n) in enumerate(zip(rates, net.sizes[:-1], strict=True))]
    zs, inputs = [], []
    a = X
    for layer, mask in zip(net.layers, masks, strict=True):
        inputs.append(a * mask)
        zs.append(layer.W @ inputs[-1] + layer.b)
        a = layer.activation.function(zs[-1])
    delta = net.cost_function.delta(net.layers[-1].activation, zs[-1], a, Y) * weights
    parts = []
    for index in range(len(net.layers) - 1, -1, -1):
        parts.insert(0, np.concatenate([(delta @ inputs[index].T / m).T.ravel(), delta.mean(axis=1)]))
        if index > 0:
            before = net.layers[index - 1].activation
            delta = (net.layers[index].W.T @ delta) * masks[index] * before.derivative(zs[index - 1])
    return np.concatenate(parts)


def plain_training(net, X, y, optimizer, epochs, weights):
    """Return theta after the same training in NumPy."""
    net = copy.deepcopy(net)
    Y = np.eye(net.sizes[-1])[:, y]
    step, moments = 0, np.zeros((2, net.theta.size))
    for _ in range(epochs):
        for begin in range(0, X.shape[1], BATCH):
            these = slice(begin, begin + BATCH)
            g = gradient(net, X[:, these], Y[:, these], step, weights[these])
            step += 1
            if optimizer == "sgd":
                net.theta = net.theta - RATE * g
                continue
            moments[0] = 0.9 * moments[0] + 0.1 * g
            moments[1] = 0.999 * moments[1] + 0.001 * g**2
            scaled = moments[0] / (1 - 0.9**step) / (np.sqrt(moments[1] / (1 - 0.999**step)) + 1e-8)
            net.theta = net.theta - 0.01 * scaled
    return net.theta


@pytest.fixture
def threads(monkeypatch):
    """Return the function that sets the number of threads. They share even a tiny step, until the test ends."""
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    monkeypatch.setattr(loop, "LEAST_EXAMPLES", 1)
    yield mbbp.set_threads
    mbbp.set_threads(None)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("is_weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("rates", RATES.values(), ids=RATES)
def test_training_is_that_of_plain_numpy_with_the_masks(rates, activation, is_weighted, optimizer, threads):
    net = build(rates, activation=activation)
    X, y = data()
    weights = np.random.default_rng(2).random(N) if is_weighted else np.ones(N)
    expected = plain_training(net, X, y, optimizer, 3, weights)
    settings = {"optimizer": optimizer, "learning_rate": {"sgd": RATE, "adam": 0.01}[optimizer]}
    settings |= {"epochs": 3, "batch_size": BATCH, "shuffle": False, "progress": False}
    found = []
    for n in (1, 2, 3):
        threads(n)
        one = copy.deepcopy(net)
        one.fit(X, y, example_weights=weights if is_weighted else None, **settings)
        found.append(one.theta)
        np.testing.assert_allclose(one.theta, expected, rtol=1e-10, atol=1e-10)
    if JIT:
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[9, 1, 4, 3], [1, 2, 1], [5, 40, 2], [3, 3], [17, 16, 15, 14, 2]], ids=str)
def test_any_number_of_threads_gives_the_same(sizes, dtype, threads):
    X, y = data(sizes)
    found = []
    for n in (1, 2, 3):
        threads(n)
        net = build([0.3] * (len(sizes) - 1), sizes, "tanh", dtype)
        for batch_size in (1, 2, 17, N):
            net.fit(X, y, epochs=1, batch_size=batch_size, progress=False)
        found.append(net.theta)
    for other in found[1:]:
        if JIT:
            assert other.tobytes() == found[0].tobytes()
        else:
            np.testing.assert_allclose(other, found[0], rtol=1e-4, atol=1e-6)


def test_a_trainer_drops_too():
    net = build((0.2, 0.3, 0.5))
    X, y = data()
    expected = plain_training(net, X, y, "sgd", 1, np.ones(N))
    trainer = net.trainer(learning_rate=RATE)
    for begin in range(0, N, BATCH):
        trainer.step(X[:, begin : begin + BATCH], y[begin : begin + BATCH])
    np.testing.assert_allclose(net.theta, expected, rtol=1e-10, atol=1e-10)


def test_nothing_but_training_drops():
    with_dropout, without = build((0.5, 0.5, 0.5)), build(None)
    X, y = data()
    assert with_dropout.theta.tobytes() == without.theta.tobytes()
    assert with_dropout.rng.bit_generator.state == without.rng.bit_generator.state
    with_dropout.fit(X, y, epochs=1, validation_data=(X, y), progress=False)
    without.theta = with_dropout.theta
    assert with_dropout.history[-1].validation_cost == without.cost(X, y) == with_dropout.cost(X, y)
    assert with_dropout.accuracy(X, y) == without.accuracy(X, y)
    assert with_dropout.feedforward(X).tobytes() == without.feedforward(X).tobytes()
    assert with_dropout.activations(X)[1].tobytes() == without.activations(X)[1].tobytes()
    assert with_dropout.gradient(X, y).theta.tobytes() == without.gradient(X, y).theta.tobytes()
    np.testing.assert_allclose(
        with_dropout.gradient(X, y).theta, mbbp.reference.gradient(without, X, y).theta, rtol=1e-9
    )


@pytest.mark.parametrize("rates", [0, 0.0, [0, 0, 0]])
def test_a_probability_of_0_is_no_dropout(rates):
    X, y = data()
    net, without = build(rates), build(None)
    for one in (net, without):
        one.fit(X, y, epochs=2, optimizer="adam", progress=False)
    assert net.theta.tobytes() == without.theta.tobytes()
    assert net.dropout == (0.0, 0.0, 0.0)
    layouts = [one.engine.layout(10, backward=True, dropout=True) for one in (net, without)]
    assert layouts[0].work_size == layouts[1].work_size == Layout(SIZES, 10, lanes=layouts[0].lanes).work_size
    assert not layouts[0].table.drop_inputs.any()


def test_the_seed_is_that_of_the_network():
    X, y = data()

    def trained(rng):
        net = mbbp.Network(SIZES, dropout=0.5, rng=rng)
        net.theta = np.full(net.theta.size, 0.1)
        net.fit(X, y, epochs=1, shuffle=False, progress=False)
        return net.theta.tobytes()

    assert trained(3) == trained(3) != trained(4)
    rng = np.random.default_rng(0)
    assert trained(rng) != trained(rng)
    trained(np.random.Generator(np.random.SFC64(1)))
    trained(None)


def same_after(going_on):
    """Assert that fit(10) is fit(5), something that gives the network to go on with, and fit(5)."""
    X, y = data()
    settings = {"epochs": 5, "batch_size": 10, "optimizer": "adam", "progress": False}
    whole, parts = build((0.1, 0.5, 0.5)), build((0.1, 0.5, 0.5))
    whole.fit(X, y, **(settings | {"epochs": 10}))
    parts.fit(X, y, **settings)
    again = going_on(parts)
    assert (again.dropout, repr(again)) == (whole.dropout, repr(whole))
    again.fit(X, y, **settings)
    assert again.theta.tobytes() == whole.theta.tobytes()


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), lambda net: net]
)
def test_a_copy_goes_on_with_the_same_masks(copied):
    same_after(copied)


def test_a_saved_network_goes_on_with_the_same_masks(tmp_path):
    def saved(net):
        mbbp.save(net, tmp_path / "net.npz")
        return mbbp.load(tmp_path / "net.npz")

    same_after(saved)


def test_a_pickle_from_before_has_no_dropout():
    state = build(None).__getstate__()
    del state["_dropout"]
    net = mbbp.Network.__new__(mbbp.Network)
    net.__setstate__(state)
    assert net.dropout is None


def written(path, **changed):
    """Save a network with dropout, then change its header. The older format has no checksum."""
    mbbp.save(build(0.5), path, training=False)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "checksum"}
    header = {**json.loads(arrays["header"].tobytes()), "format": 2, **changed}
    arrays["header"] = np.array(json.dumps({name: value for name, value in header.items() if value != "missing"}))
    np.savez(path, **arrays)
    return path


def test_a_file_without_dropout_is_as_before(tmp_path):
    mbbp.save(build(None), tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        assert b"dropout" not in file["header"].tobytes()
    assert mbbp.load(tmp_path / "net.npz").dropout is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dropout": [0.5]}, "dropout: expected a number, or 3 numbers"),
        ({"dropout": [0.0, 1.0, 0.5]}, r"dropout\[1\]: expected a finite number of at least 0 and below 1, got 1.0"),
        ({"dropout": [0.0, float("nan"), 0.5]}, r"dropout\[1\]"),
        ({"dropout": "much"}, "dropout: expected a number"),
        ({"dropout_seed": "missing"}, "dropout_seed"),
        ({"dropout_seed": -1}, "dropout_seed: expected 0 or more, got -1"),
        ({"dropout_seed": 2**32}, "dropout_seed: expected 4294967295 or less"),
        ({"dropout_seed": None}, "dropout_seed: expected a whole number"),
    ],
)
def test_damaged_values_are_refused_by_name(changed, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        mbbp.load(written(tmp_path / "net.npz", **changed))


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (1, ValueError, "dropout: expected a finite number of at least 0 and below 1, got 1"),
        (-0.1, ValueError, "dropout: expected a finite number of at least 0 and below 1, got -0.1"),
        (np.nan, ValueError, "dropout: expected a finite number"),
        ([0.1, 0.2], ValueError, "dropout: expected a number, or 3 numbers: for the inputs .*, got 2 numbers"),
        ([0.1, 0.2, 0.3, 0.4], ValueError, "got 4 numbers"),
        ([0.1, 0.2, 1.5], ValueError, r"dropout\[2\]: expected a finite number of at least 0 and below 1, got 1.5"),
        ("0.5", TypeError, "dropout: expected a number, or 3 numbers: for the inputs .*, got '0.5'"),
        ([0.1, None, 0.1], TypeError, r"dropout\[1\]: expected a finite number"),
        (np.zeros((3, 1)), TypeError, r"dropout\[0\]: expected a finite number"),
        (object, TypeError, "dropout: expected a finite number"),
    ],
    ids=str,
)
def test_bad_values_are_refused(value, error, words):
    with pytest.raises(error, match=words):
        build(value)


@pytest.mark.parametrize(
    ("value", "rates"),
    [
        (0.5, (0.0, 0.5, 0.5)),
        (np.float32(0.5), (0.0, 0.5, 0.5)),
        (np.array(0.25), (0.0, 0.25, 0.25)),
        (np.array([0.1, 0.2, 0.3]), (0.1, 0.2, 0.3)),
        (None, None),
    ],
)
def test_what_is_kept(value, rates):
    net = build(value)
    assert net.dropout == rates
    assert ("dropout" in repr(net)) == ("dropout" in net._repr_html_()) == (rates is not None)
    assert rates is None or f"dropout={rates}" in repr(net)


def test_nothing_is_dropped_where_there_is_no_hidden_layer():
    assert mbbp.Network([4, 3], dropout=0.5).dropout == (0.0,)


@pytest.mark.skipif(not JIT, reason="takes minutes in plain Python")
def test_it_learns_digits():
    digits = mbbp.datasets.load_digits()
    net = mbbp.Network([64, 100, 10], ["relu", "softmax"], initializer="he", scaling=digits.scaling, rng=0, dropout=0.2)
    settings = {"epochs": 20, "batch_size": 32, "optimizer": "adam", "learning_rate": 0.003}
    net.fit(digits.x_train, digits.y_train, **settings, progress=False)
    assert net.accuracy(digits.x_test, digits.y_test) > 0.95
    assert net.cost(digits.x_train, digits.y_train) < net.history[-1].training_cost  # the latter is with dropout


@pytest.mark.skipif(not JIT, reason="takes minutes in plain Python")
def test_the_presets_and_the_command_take_it(tmp_path, capsys):
    X, y = data()
    for preset in (mbbp.classifier, mbbp.regressor):
        assert preset(X, y, epochs=2, dropout=0.5, rng=0, progress=False).dropout == (0.0, 0.5)
    assert main(["train", "--epochs", "1", "--dropout", "0.25", "--save", str(tmp_path / "net.npz")]) == 0
    assert mbbp.load(tmp_path / "net.npz").dropout == (0.0, 0.25)
    assert main(["train", "--dropout", "1"]) != 0
    assert "--dropout: expected a finite number of at least 0 and below 1, got 1.0" in capsys.readouterr().err
