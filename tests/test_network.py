"""The network: its parameters and their views, its copies, and its outputs."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import reference
from mbbp.engine import CHUNK
from tests.conftest import JIT

DTYPES = ["float32", "float64"]
COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda net: pickle.loads(pickle.dumps(net))}
dtypes = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture
def threads(monkeypatch):
    """Return the function that sets the number of threads. They are used for the smallest work, until the test ends."""
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    yield mbbp.set_threads
    mbbp.set_threads(None)


def inputs(n, m, seed=0):
    return np.random.default_rng(seed).standard_normal((n, m))


def assert_views_are_tied(net):
    """Assert that theta, W and b of the layers, and what the kernels read, are the same memory."""
    X = inputs(net.sizes[0], 3)
    net.theta = np.linspace(-1, 1, net.theta.size)
    position = 0
    for layer in net.layers:
        for part in (layer.W, layer.b):
            np.testing.assert_array_equal(part.ravel("F"), net.theta[position : position + part.size])
            position += part.size
    assert position == net.theta.size
    np.testing.assert_allclose(net.feedforward(X), reference.feedforward(net, X)[1][-1], atol=1e-6)
    before = net.feedforward(X)
    net.layers[0].W[0, 0] += 1
    assert net.theta[0] == 0
    assert not np.array_equal(net.feedforward(X), before)


# --------------------------------------------------------------------- sizes, layers and views


def test_sizes_layers_and_shapes():
    net = mbbp.Network((4, np.int64(5), 3), ["tanh", "softmax"], "log-likelihood", rng=0)
    assert net.sizes == (4, 5, 3)
    assert [layer.W.shape for layer in net.layers] == [(5, 4), (3, 5)]
    assert [layer.b.shape for layer in net.layers] == [(5, 1), (3, 1)]
    assert [(layer.n_in, layer.n_out, layer.activation.name) for layer in net.layers] == [
        (4, 5, "tanh"),
        (5, 3, "softmax"),
    ]
    assert net.theta.shape == (5 * 5 + 3 * 6,)
    assert net.cost_function.name == "log_likelihood"
    assert len(net.history) == 0


def test_repr_says_what_it_is():
    net = mbbp.Network([784, 30, 10])
    expected = "Network([784, 30, 10], activation='sigmoid', cost='quadratic', dtype='float32'): 23,860 parameters"
    assert repr(net) == expected
    assert repr(net.layers[0]) == "Layer(784 -> 30, sigmoid)"
    assert "activation=['tanh', 'identity']" in repr(mbbp.Network([2, 2, 1], ["tanh", "identity"], dtype="float64"))


@dtypes
def test_layers_are_views_of_theta(dtype):
    assert_views_are_tied(mbbp.Network([4, 5, 3], dtype=dtype, rng=0))


@dtypes
def test_assigning_copies_into_the_network(dtype):
    net, X = mbbp.Network([4, 5, 3], dtype=dtype, rng=0), inputs(4, 6)
    theta, W, b = net.theta, net.layers[0].W, net.layers[1].b
    new_W, new_b = np.full((5, 4), 0.25), np.arange(3).reshape(3, 1)
    net.layers[0].W, net.layers[1].b = new_W, new_b
    np.testing.assert_array_equal(W, new_W)
    np.testing.assert_array_equal(b, new_b)
    np.testing.assert_array_equal(theta[:20], 0.25)
    np.testing.assert_array_equal(theta[-3:], [0, 1, 2])
    np.testing.assert_allclose(net.feedforward(X), reference.feedforward(net, X)[1][-1], atol=1e-6)
    new_W[:], new_b[:] = 7, 7
    assert not (theta == 7).any()
    net.theta = np.zeros(theta.size)
    assert not theta.any()
    assert not W.any()
    np.testing.assert_array_equal(net.feedforward(X), 0.5)


def test_layers_update_in_place():
    net = mbbp.Network([4, 5, 3], rng=0)
    theta = net.theta.copy()
    net.layers[0].W *= 2
    net.layers[1].b -= 1
    assert np.array_equal(net.theta[:20], 2 * theta[:20])
    assert np.array_equal(net.theta[-3:], theta[-3:] - 1)


# --------------------------------------------------------------------- initial parameters


@pytest.mark.parametrize(
    ("initializer", "W_std", "b_std"),
    [
        ("default", lambda n_in, n_out: n_in**-0.5, 1),
        ("large", lambda n_in, n_out: 1, 1),
        ("glorot", lambda n_in, n_out: (2 / (n_in + n_out)) ** 0.5, 0),
        ("he", lambda n_in, n_out: (2 / n_in) ** 0.5, 0),
    ],
)
def test_the_spread_of_initial_parameters(initializer, W_std, b_std):
    net = mbbp.Network([150, 400, 200], initializer=initializer, rng=1)
    for layer in net.layers:
        assert layer.W.std() == pytest.approx(W_std(layer.n_in, layer.n_out), rel=0.02)
        assert abs(layer.W.mean()) < 4 * layer.W.std() / layer.W.size**0.5
        assert layer.b.std() == pytest.approx(b_std, rel=0.15)
        if initializer == "glorot":
            assert np.abs(layer.W).max() <= (6 / (layer.n_in + layer.n_out)) ** 0.5


def test_a_function_may_initialise():
    net = mbbp.Network(
        [2, 3, 1], initializer=lambda rng, n_in, n_out: (np.full((n_out, n_in), n_in), np.ones((n_out, 1)))
    )
    assert net.theta.tolist() == [2] * 6 + [1] * 3 + [3] * 3 + [1]


@pytest.mark.parametrize("initializer", ["default", "large", "glorot", "he"])
def test_the_same_seed_gives_the_same_bits(initializer):
    first, again, other = (mbbp.Network([4, 5, 3], initializer=initializer, rng=seed) for seed in (7, 7, 8))
    assert first.theta.tobytes() == again.theta.tobytes()
    assert not np.array_equal(first.theta, other.theta)
    drawn = mbbp.Network([4, 5, 3], initializer=initializer, rng=np.random.default_rng(7))
    assert first.theta.tobytes() == drawn.theta.tobytes()
    assert not np.array_equal(mbbp.Network([4, 5, 3]).theta, mbbp.Network([4, 5, 3]).theta)


def test_float32_is_float64_rounded():
    single, double = (mbbp.Network([4, 5, 3], dtype=dtype, rng=0) for dtype in DTYPES)
    np.testing.assert_array_equal(single.theta, double.theta.astype(np.float32))
    X = inputs(4, 6).astype(np.float32)
    assert (single.feedforward(X).dtype, double.feedforward(X).dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single.feedforward(X), double.feedforward(X), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["f4", np.float64, np.dtype("float32"), float], ids=str)
def test_a_dtype_by_any_of_its_names(dtype):
    assert mbbp.Network([2, 1], dtype=dtype).theta.dtype == np.dtype(dtype)


# --------------------------------------------------------------------- its copies


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@dtypes
def test_copies_are_alike_and_apart(copied, dtype):
    net = mbbp.Network([4, 5, 3], ["tanh", "sigmoid"], "cross_entropy", dtype, rng=0)
    X, y = inputs(4, 20), np.arange(20) % 3
    net.fit(X, y, epochs=2, optimizer="adam")
    net.gradient(X, y)
    other = copied(net)
    assert repr(other) == repr(net)
    assert other.history == net.history
    assert other.feedforward(X).tobytes() == net.feedforward(X).tobytes()
    theta = net.theta.copy()
    assert_views_are_tied(other)
    assert net.theta.tobytes() == theta.tobytes()


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_trains_on_as_the_network_would(copied):
    net = mbbp.Network([4, 5, 3], rng=0)
    X, y = inputs(4, 20), np.arange(20) % 3
    net.fit(X, y, epochs=2, optimizer="momentum")
    other = copied(net)
    for trained in (net, other):
        trained.fit(X, y, epochs=2, optimizer="momentum")
    assert other.theta.tobytes() == net.theta.tobytes()


# --------------------------------------------------------------------- outputs, labels, accuracy and cost


@dtypes
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_many_columns_equal_their_pieces(dtype, output, threads):
    net = mbbp.Network([4, 5, 3], ["tanh", output], dtype=dtype, rng=0)
    for m in (CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5):
        X = inputs(4, m)
        pieces = [net.feedforward(X[:, start : start + CHUNK]) for start in range(0, m, CHUNK)]
        for n in (1, 2, 3):
            threads(n)
            whole = net.feedforward(X)
            assert whole.shape == (3, m)
            assert whole.tobytes("F") == np.hstack(pieces).tobytes("F")
    np.testing.assert_allclose(whole, reference.feedforward(net, X)[1][-1], rtol=1e-5)


@dtypes
def test_threads_change_no_bit(dtype, threads):
    net = mbbp.Network([4, 5, 3], dtype=dtype, rng=0)
    X, y = inputs(4, 3 * CHUNK + 5), np.arange(3 * CHUNK + 5) % 3
    answers = []
    for n in (1, 2, 3):
        threads(n)
        assert mbbp.get_threads() == n
        answers.append((net.feedforward(X).tobytes(), net.cost(X, y), net.accuracy(X, y), net.classify(X).tobytes()))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1] == pytest.approx(reference.cost(net, X, y), rel=1e-6)


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_a_single_output_is_over_a_half_or_not(z):
    net = mbbp.Network([1, 1], "identity")
    net.theta = [1, 0]
    X, expected = np.array([z], np.float32), [int(value > 0.5) for value in z]
    labels = net.classify(X)
    assert (labels.tolist(), labels.dtype, labels.shape) == (expected, np.int64, (len(z),))
    assert net.accuracy(X, expected) == 1
    assert net.accuracy(X, [expected]) == 1
    assert net.accuracy(X, [1 - label for label in expected]) == 0


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=12), st.data())
def test_of_many_outputs_the_first_largest_is_the_label(rows, data):
    net = mbbp.Network([4, 4], "identity")
    net.theta = np.append(np.eye(4).ravel(), np.zeros(4))
    X = np.array(rows).T
    expected = X.argmax(axis=0)
    labels = net.classify(X)
    assert (labels.tolist(), labels.dtype) == (expected.tolist(), np.int64)
    y = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    assert net.accuracy(X, y) == (expected == y).mean()
    assert net.accuracy(X, np.eye(4)[:, y]) == (expected == y).mean()


def test_accuracy_and_cost_of_more_than_a_chunk():
    net = mbbp.Network([4, 5, 3], rng=0)
    m = 2 * CHUNK + 3
    X, y = inputs(4, m), np.arange(m) % 3
    assert net.accuracy(X, y) == (net.classify(X) == y).mean()
    assert net.cost(X, y) == pytest.approx(net.gradient(X, y).cost, rel=1e-6)
    weights = np.arange(m) % 4
    assert net.cost(X, y, example_weights=weights) == pytest.approx(
        net.gradient(X, y, example_weights=weights).cost, rel=1e-6
    )


@dtypes
@pytest.mark.parametrize("sizes", [[1, 1], [1, 1, 1], [3, 1, 4], [1, 5, 1]], ids=str)
def test_layers_of_one_neuron(sizes, dtype):
    net = mbbp.Network(sizes, dtype=dtype, rng=0)
    X, Y = inputs(sizes[0], 7), abs(inputs(sizes[-1], 7))
    exact = reference.gradient(net, X, Y)
    np.testing.assert_allclose(net.gradient(X, Y).theta, exact.theta, rtol=1e-4, atol=1e-7)
    history = net.fit(X, Y, epochs=2, batch_size=3)
    assert history[1].training_cost < history[0].training_cost


EXTREME = [
    ("sigmoid", "quadratic"),
    ("sigmoid", "cross_entropy"),
    ("softmax", "quadratic"),
    ("softmax", "log_likelihood"),
]


@dtypes
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu", "leaky_relu", "identity"])
@pytest.mark.parametrize(("output", "cost"), EXTREME)
def test_extreme_weights_overflow_nothing(output, cost, hidden, dtype):
    net = mbbp.Network([2, 4, 3], [hidden, output], cost, dtype, rng=0)
    net.theta *= 1e4
    X, y = 10 * inputs(2, 9), np.arange(9) % 3
    outputs, g = net.feedforward(X), net.gradient(X, y)
    assert ((outputs >= 0) & (outputs <= 1)).all()
    assert np.isfinite(g.theta).all()
    assert np.isfinite(g.cost)
    assert g.cost == pytest.approx(reference.cost(net, X, y), rel=1e-5)


@pytest.mark.parametrize("z", [-1e4, 1e4])
@dtypes
def test_a_saturated_output_costs_what_its_weighted_input_says(z, dtype):
    net = mbbp.Network([1, 1], "sigmoid", "cross_entropy", dtype)
    net.theta = [z, 0]
    assert net.feedforward([[1]]) == (z > 0)
    right, wrong = [[float(z > 0)]], [[float(z < 0)]]
    assert (net.cost([[1]], right), net.cost([[1]], wrong)) == (0, 1e4)
    assert net.gradient([[1]], wrong).theta.tolist() == [np.sign(z)] * 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_few_columns_take_a_shorter_way_to_the_same_bits(dtype, rng):
    net = mbbp.Network([5, 4, 3], ["tanh", "softmax"], "log_likelihood", dtype, rng=0)
    X = rng.random((5, 200)).astype(dtype)
    many = net.feedforward(X)
    for m in range(1, 12):
        few = np.asfortranarray(X[:, :m])
        quick = net.feedforward(few)
        np.testing.assert_array_equal(quick, net.feedforward(few.tolist()))  # a list goes the long way
        np.testing.assert_array_equal(quick, many[:, :m])


def test_a_few_columns_are_looked_at_too():
    net = mbbp.Network([3, 2], rng=0)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"X: expected finite numbers, got .* in row 1, column 0"):
            net.feedforward(np.array([[0.0], [bad], [0.0]], np.float32))
    with pytest.raises(ValueError, match=r"X: expected shape \(3, m\)"):
        net.feedforward(np.zeros((2, 1), np.float32))


def test_threads_that_ask_at_once_do_not_disturb_each_other(rng):
    net = mbbp.Network([6, 50, 2], rng=0)
    columns = [np.asfortranarray(rng.random((6, 1)).astype(np.float32)) for _ in range(4)]
    expected = [net.feedforward(x) for x in columns]

    def ask(i):
        return all((net.feedforward(columns[i]) == expected[i]).all() for _ in range(500 if JIT else 5))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))


def test_a_copied_network_answers_with_its_own_parameters():
    net = mbbp.Network([3, 2], rng=0)
    x = np.ones((3, 1), np.float32)
    before = net.feedforward(x)
    other = copy.deepcopy(net)
    other.theta = np.zeros_like(other.theta)
    np.testing.assert_array_equal(other.feedforward(x), [[0.5], [0.5]])
    np.testing.assert_array_equal(net.feedforward(x), before)
    net.theta = np.zeros_like(net.theta)
    np.testing.assert_array_equal(net.feedforward(x), [[0.5], [0.5]])
