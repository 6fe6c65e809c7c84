"""Saving and loading networks: what is loaded, what is refused, and that no old file is lost."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp.activations import ACTIVATIONS
from tests.problems import continuous, labelled, network

COMBINATIONS = [
    *[(name, "quadratic") for name in ACTIVATIONS if name not in ("softmax", "exp")],
    (["relu", "sigmoid"], "cross_entropy"),
    (["tanh", "softmax"], "log_likelihood"),
    (["leaky_relu", "softmax"], "quadratic"),
    ("gelu", "poisson"),
    ("silu", "squared_hinge"),
    ("elu", "huber"),
    ("softplus", "absolute"),
    ("tanh", mbbp.costs.huber(1 / 3)),
    ("relu", mbbp.costs.quantile(0.9)),
]


def double(z):
    return 2 * z


def two(z):
    return 2.0


def error(a, y):
    return (a - y) ** 2


def error_gradient(a, y):
    return 2 * (a - y)


@dataclass(frozen=True)
class Halved(mbbp.Optimizer):
    factor: float = 0.5
    name, n_states, default_learning_rate = "halved", 1, 0.01

    @staticmethod
    def update(gradient, mean, learning_rate, factor):
        mean = factor * mean + gradient
        return -learning_rate * mean, mean


HEADER = {"format": 1, "sizes": [4, 5, 3], "activation": ["sigmoid", "sigmoid"], "cost": "quadratic"}


@pytest.fixture
def path(tmp_path):
    """Return the path of a saved network, alone in its folder."""
    mbbp.save(network(), tmp_path / "net.npz")
    return tmp_path / "net.npz"


@pytest.mark.parametrize(("activation", "cost"), COMBINATIONS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_with_every_bit(activation, cost, dtype, tmp_path):
    net = network(activation=activation, cost=cost, dtype=dtype)
    X, y = labelled()
    net.fit(X, y, epochs=1)
    mbbp.save(net, str(tmp_path / "net.npz"))
    back = mbbp.load(str(tmp_path / "net.npz"))
    assert repr(back) == repr(net)
    assert back.dtype == back.feedforward(X).dtype == dtype
    assert back.theta.tobytes() == net.theta.tobytes()
    assert back.feedforward(X).tobytes() == net.feedforward(X).tobytes()
    assert back.cost(X, y) == net.cost(X, y)
    assert back.history == net.history
    mbbp.save(net, tmp_path / "net.npz", training=False)
    back = mbbp.load(tmp_path / "net.npz")
    assert back.feedforward(X).tobytes() == net.feedforward(X).tobytes()
    assert len(back.history) == 0
    assert back.optimizer_state is None


def test_a_network_that_came_back_trains_on(path):
    net, back = network(), mbbp.load(path)
    for one in (net, back):
        one.fit(*labelled(), epochs=2, shuffle=False)
    assert back.theta.tobytes() == net.theta.tobytes()


@pytest.mark.parametrize("name", ["net", "net.npy", "net.npz.txt", "npz"])
def test_another_ending_is_refused(name, tmp_path):
    with pytest.raises(
        ValueError, match=rf"path: expected a name that ends in \.npz or \.mbbp, got .*{re.escape(name)}"
    ):
        mbbp.save(network(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_custom_parts_are_passed_when_it_is_loaded(tmp_path):
    own = mbbp.Activation("double", double, two)
    squares = mbbp.Cost("squares", error, error_gradient)
    net, (X, Y) = network(activation=[own, "tanh"], cost=squares), continuous()
    net.fit(X, Y, epochs=2, optimizer=Halved(factor=0.25))
    mbbp.save(net, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz", custom=[own, squares, Halved])
    assert back.optimizer_state.optimizer == Halved(factor=0.25)
    for one in (net, back):
        one.fit(X, Y, epochs=2, optimizer=Halved(factor=0.25))
    assert back.theta.tobytes() == net.theta.tobytes()
    for missing, custom in {
        "an activation 'double'": [squares, Halved()],
        "a cost 'squares'": [own, Halved],
        "an optimizer 'halved'": [own, squares],
    }.items():
        with pytest.raises(ValueError, match=f"{missing} of your own; pass it as custom="):
            mbbp.load(tmp_path / "net.npz", custom=custom)
    with pytest.raises(ValueError, match="custom: expected different names, got 'double' twice"):
        mbbp.load(tmp_path / "net.npz", custom=[own, squares, Halved, mbbp.Activation("double", two, double)])
    with pytest.raises(TypeError, match="custom: expected activations, costs and optimizers, got 'double'"):
        mbbp.load(tmp_path / "net.npz", custom="double")
    with pytest.raises(TypeError, match="custom: expected activations, costs and optimizers, got 3"):
        mbbp.load(tmp_path / "net.npz", custom=[own, 3])


@pytest.mark.parametrize(
    "scaling", [None, 1 / 255, "standardize", mbbp.Scaling([0.1, 2, 3, 4], [1 / 3, 1, 1e-9, -2]), mbbp.Scaling(mean=3)]
)
def test_the_scaling_is_in_the_file(scaling, path):
    net = mbbp.Network([4, 3], scaling=scaling, rng=0)
    mbbp.save(net, path)
    loaded = mbbp.load(path)
    assert loaded.scaling == net.scaling
    if scaling != "standardize":
        X = np.arange(12).reshape(4, 3)
        np.testing.assert_array_equal(loaded.feedforward(X), net.feedforward(X))


def test_a_learnt_scaling_is_in_the_file(path):
    net = mbbp.Network([4, 3], scaling="standardize", rng=0)
    X = np.random.default_rng(0).random((4, 9))
    net.fit(X, np.arange(9) % 3, epochs=1)
    mbbp.save(net, path)
    assert mbbp.load(path).scaling == mbbp.Scaling.learn(X)


def test_the_parameter_of_a_cost_is_in_the_file(path):
    cost = mbbp.costs.quantile(1 / 3)
    mbbp.save(network(activation="tanh", cost=cost), path)
    loaded = mbbp.load(path).cost_function
    assert loaded == cost
    assert loaded.parameter == 1 / 3
    assert header_of(path)["cost_parameter"] == 1 / 3


def test_other_costs_have_no_such_entry(path):
    assert "cost_parameter" not in header_of(path)


def header_of(path):
    with np.load(path) as file:
        return json.loads(file["header"].tobytes())


# ------------------------------------------------------------------------------------------------------ damaged files


def write(path, header=HEADER, theta=np.zeros(43), **more):  # noqa: B008 -- the array is never changed
    np.savez(path, header=np.array(header if isinstance(header, str) else json.dumps(header)), theta=theta, **more)


@pytest.mark.parametrize("header", [HEADER, HEADER | {"note": "something more"}], ids=str)
def test_the_files_of_these_tests_are_sound_but_for_their_one_fault(header, path):
    write(path, header)
    assert mbbp.load(path).sizes == (4, 5, 3)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"header": HEADER | {"format": 5}}, "expected a file of format 1 or 2 or 3, got format 5"),
        ({"header": {}}, "expected a file of format 1 or 2 or 3, got format None"),
        ({"header": "[1, 2]"}, "damaged"),
        ({"header": '"text"'}, "damaged"),
        ({"header": "{"}, "damaged"),
        ({"header": "[" * 100_000}, "damaged"),
        ({"header": {"format": 1}}, "sizes"),
        ({"header": HEADER | {"sizes": "453"}}, "sizes"),
        ({"header": HEADER | {"sizes": [4, 5.5, 3]}}, "sizes"),
        ({"header": HEADER | {"sizes": ["4", "5", "3"]}}, "sizes"),
        ({"header": HEADER | {"sizes": 4}}, "sizes"),
        ({"header": HEADER | {"sizes": [43]}}, "sizes"),
        ({"header": HEADER | {"sizes": [4, -5, 3]}}, "sizes"),
        ({"header": HEADER | {"sizes": [4, 5, 4]}}, r"theta: expected shape \(49,\) .*, got \(43,\)"),
        ({"header": HEADER | {"sizes": [10**9, 10**9, 3]}}, "sizes: expected at most"),
        ({"header": HEADER | {"activation": ["sigmoid"]}}, "activation: .*got 1"),
        ({"header": HEADER | {"activation": ["sigmoid", "sine"]}}, "expected one of .*, got 'sine'"),
        ({"header": HEADER | {"activation": ["softmax", "sigmoid"]}}, "softmax"),
        ({"header": HEADER | {"activation": [["sigmoid"], {}]}}, "activation"),
        ({"header": HEADER | {"activation": 7}}, "damaged"),
        ({"header": HEADER | {"cost": "hinge"}}, "expected one of .*, got 'hinge'"),
        ({"header": HEADER | {"cost": ["quadratic"]}}, "cost"),
        ({"header": HEADER | {"cost": "huber"}}, "cost_parameter: expected a number for the huber cost, got None"),
        ({"header": HEADER | {"cost_parameter": 0.5}}, "cost_parameter: expected none for the quadratic cost, got 0.5"),
        *[
            ({"header": HEADER | {"cost": cost, "cost_parameter": value}}, "cost_parameter: expected a ")
            for cost, values in {"huber": (0.0, -1.0, np.nan, np.inf, True, "1", [1.0]), "quantile": (0.0, 1.0)}.items()
            for value in values
        ],
        ({"header": HEADER | {"cost": "log_likelihood"}}, "softmax"),
        ({"theta": np.zeros(42)}, r"theta: expected shape \(43,\) .*, got \(42,\)"),
        ({"theta": np.zeros((43, 1))}, r"\(43, 1\)"),
        ({"theta": np.float64(0)}, "theta: expected shape"),
        ({"theta": np.full(43, np.nan)}, "NaN or inf"),
        ({"theta": np.append(np.zeros(42), np.inf)}, "NaN or inf"),
        ({"theta": np.zeros(43, int)}, "dtype"),
        ({"theta": np.zeros(43, complex)}, "dtype"),
        ({"theta": np.array(["0"] * 43)}, "dtype"),
        ({"theta": np.array([None] * 43)}, "damaged"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_file_that_holds_no_network_is_refused_by_its_name(fault, says, path):
    write(path, **fault)
    with pytest.raises(ValueError, match=says) as caught:
        mbbp.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x93NUMPY", b"\x80\x04K\x01.", bytes(1000)],
    ids=str,
)
def test_another_kind_of_file_is_refused_by_its_name(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        mbbp.load(path)


@pytest.mark.parametrize("array", [np.zeros(43), np.array("{}")])
def test_a_bare_array_is_refused_by_its_name(array, path):
    with path.open("wb") as file:
        np.save(file, array)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        mbbp.load(path)


def test_other_arrays_are_refused_by_their_name(path):
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        mbbp.load(path)


def loaded_or_refused(path):
    """Return the network, or the message of the error."""
    try:
        return mbbp.load(path)
    except ValueError as error:
        return str(error)


@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_it_was(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "net.npz"
    mbbp.save(network(), path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    found = loaded_or_refused(path)
    assert str(path) in found if isinstance(found, str) else found.theta.tobytes() == network().theta.tobytes()


@pytest.mark.parametrize("name", ["missing.npz", "missing/net.npz", "."])
def test_a_missing_file_is_the_systems_error(name, tmp_path):
    with pytest.raises(OSError, match=re.escape(str(tmp_path / name))):
        mbbp.load(tmp_path / name)


# ------------------------------------------------------------------------------------------------- nothing is ever lost


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_a_failing_save_leaves_the_old_file(error, path, monkeypatch):
    old = path.read_bytes()

    def half(file, **arrays):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(type(error)):
        mbbp.save(network(rng=1), path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_a_save_replaces_the_old_file_and_leaves_no_other(path):
    net = network(rng=1)
    mbbp.save(net, path)
    assert mbbp.load(path).theta.tobytes() == net.theta.tobytes()
    assert list(path.parent.iterdir()) == [path]


def test_saving_into_no_folder_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        mbbp.save(network(), tmp_path / "missing" / "net.npz")
    assert not list(tmp_path.iterdir())


def test_two_custom_activations_of_one_name_are_refused(tmp_path):
    one, other = (mbbp.Activation("mine", function, two) for function in (double, two))
    mbbp.save(network(activation=[one, one]), tmp_path / "net.npz")
    with pytest.raises(ValueError, match="expected different names, got 'mine' twice"):
        mbbp.save(network(activation=[one, other]), tmp_path / "net.npz")


def test_more_layers_than_any_network_are_refused(tmp_path):
    with pytest.raises(ValueError, match="net: expected at most 10,000 layers, got 10,001"):
        mbbp.save(mbbp.Network([1] * 10_002), tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


def test_whether_it_was_trained_on_classes_is_kept(tmp_path):
    X, Y = continuous()
    for targets, expected in ((Y, False), (np.arange(len(X.T)) % 3, True)):
        net = network()
        assert net.trained_on_classes is None
        net.fit(X, targets, epochs=1)
        mbbp.save(net, tmp_path / "net.npz", training=False)
        back = mbbp.load(tmp_path / "net.npz")
        assert back.trained_on_classes is net.trained_on_classes is expected
        assert (mbbp.predict(back, X).classes is None) is (not expected)


def test_a_description_that_is_too_long_is_refused(tmp_path):
    net = network()
    net.metadata = {"story": "x" * (1 << 20)}
    with pytest.raises(ValueError, match="net: expected a description of at most"):
        mbbp.save(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


def test_a_network_with_nan_is_not_saved(tmp_path):
    net = mbbp.Network([2, 1], rng=0)
    net.theta[0] = np.nan
    with pytest.raises(ValueError, match="net: expected finite parameters"):
        mbbp.save(net, tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())
