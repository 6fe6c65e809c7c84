"""Networks with settings that suit most tables."""

import numpy as np
import pytest

import mbbp
from benchmarks import settings
from mbbp.presets import undo_target_scaling


@pytest.fixture(scope="module")
def table():
    """Return inputs (3, n) of very different sizes, and numbers to predict from them (2, n)."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 400)) * [[1], [1000], [0.001]] + [[0], [5000], [1]]
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    return X, np.array([1e4 + 100 * np.sin(Z[0]) + 50 * Z[1], 1e-3 * Z[2] ** 2])


def r_squared(outputs, Y):
    return 1 - ((outputs - Y) ** 2).sum(axis=1) / ((Y - Y.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_regressor_predicts_in_the_units_of_the_targets(table, dtype):
    X, Y = table
    net = mbbp.regressor(X[:, :300], Y[:, :300], rng=0, dtype=dtype)
    assert net.dtype == dtype
    assert net.sizes == (3, 100, 2)
    assert (r_squared(net.feedforward(X[:, 300:]), Y[:, 300:]) > 0.9).all()
    assert net.history["training_cost"][-1] < 0.1  # of standardized targets


def test_one_number_to_predict_may_be_a_vector(table):
    X, Y = table
    nets = [mbbp.regressor(X, y, hidden=(5,), epochs=2, rng=0) for y in (Y[0], Y[:1])]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


def test_undoing_the_target_scaling_is_exact_but_for_rounding(table):
    X, Y = table
    scaling = mbbp.Scaling.learn(Y)
    net = mbbp.Network([3, 4, 2], ["tanh", "identity"], dtype="float64", rng=0)
    before = net.feedforward(X)
    undo_target_scaling(net, scaling)
    np.testing.assert_allclose(net.feedforward(X), scaling.undo(before), rtol=1e-12)
    np.testing.assert_allclose(scaling.apply(scaling.undo(before)), before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_classifier_has_an_output_for_each_class(table, n_classes):
    X, Y = table
    y = np.digitize(Y[0], np.quantile(Y[0], np.arange(1, n_classes) / n_classes))
    net = mbbp.classifier(X[:, :300], y[:300], hidden=(20, 10), rng=0)
    assert net.sizes == (3, 20, 10, n_classes)
    assert [layer.activation.name for layer in net.layers] == ["relu", "relu", "softmax"]
    assert net.accuracy(X[:, 300:], y[300:]) > 0.9
    np.testing.assert_allclose(net.feedforward(X).sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize(("n", "epochs"), [(10, 200), (32 * 30, 100), (32 * 1000, 20)])
def test_the_number_of_epochs_follows_the_number_of_examples(n, epochs, monkeypatch):
    fitted = {}
    monkeypatch.setattr(mbbp.Network, "fit", lambda net, X, y, **options: fitted.update(options))
    mbbp.classifier(np.zeros((2, n)), np.arange(n) % 2)
    assert fitted["epochs"] == epochs
    assert fitted["optimizer"].weight_decay == min(1, 300 / n)


def test_the_same_seed_gives_the_same_network(table):
    X, Y = table
    one, other = (mbbp.classifier(X, Y[0] > 1e4, epochs=2, rng=3) for _ in range(2))
    assert one.theta.tobytes() == other.theta.tobytes()


BAD = {
    "rows of samples": (
        {"X": np.zeros((6, 3))},
        ValueError,
        r"X: expected one column .*; for rows of samples pass X.T",
    ),
    "a vector": ({"X": np.zeros(6)}, ValueError, "X: expected a matrix with one example per column"),
    "names": ({"y": list("abcabc")}, TypeError, r"y: .*numpy.unique\(y, return_inverse=True\)"),
    "one class": ({"y": np.zeros(6)}, ValueError, "y: expected labels of two classes or more, got only 0"),
    "half a label": ({"y": [0, 0.5, 1, 0, 1, 0]}, ValueError, "y: expected labels from 0"),
    "a matrix": ({"y": np.zeros((2, 6))}, ValueError, r"y: expected labels of shape \(n,\), got \(2, 6\)"),
    "no label": ({"y": []}, ValueError, "y: expected at least one label"),
    "an empty layer": ({"hidden": (0,)}, ValueError, "hidden: expected 1 or more, got 0"),
    "no epoch": ({"epochs": 0}, ValueError, "epochs: expected 1 or more, got 0"),
    "nan": ({"X": np.full((3, 6), np.nan)}, ValueError, "X: expected finite numbers, got nan"),
}


@pytest.mark.parametrize(("options", "error", "message"), BAD.values(), ids=BAD)
def test_arguments_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=message):
        mbbp.classifier(**{"X": np.ones((3, 6)), "y": [0, 1, 0, 1, 0, 1]} | options)


def test_targets_that_make_no_sense():
    for Y, message in (([], "Y: expected at least one column"), ([[np.nan] * 6], "Y: expected finite numbers")):
        with pytest.raises(ValueError, match=message):
            mbbp.regressor(np.ones((3, 6)), Y)


def test_they_are_at_least_as_good_as_scikit_learns_defaults():
    assert settings.tables()


def test_targets_that_float32_cannot_tell_apart_are_refused():
    x = np.linspace(0, 100, 200)
    with pytest.raises(ValueError, match=r"Y: expected targets whose differences float32 can hold, .*dtype='float64'"):
        mbbp.regressor(x[None], 1.7e9 + x)
    net = mbbp.regressor(x[None], 1.7e9 + x, dtype="float64", rng=0)
    assert r_squared(net.feedforward(x[None]), 1.7e9 + x[None])[0] > 0.99


def test_other_arguments_of_fit_go_before_those_of_the_preset(table):
    X, Y = table
    net = mbbp.classifier(X, Y[0] > 1e4, epochs=50, rng=0, validation_split=0.2, early_stopping=3, batch_size=50)
    assert net.history[-1].validation_cost is not None
    assert len(net.history) < 50


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2, 1], r"y: expected examples of all labels from 0 to 2, got none of 0; number the classes: classes, y ="),
        ([10, 30, 20], "y: expected examples of all labels from 0 to 30, got none of 0"),
        ([-1, 1, 1], "y: expected labels from 0, got -1; number the classes"),
    ],
)
def test_labels_with_gaps_get_a_hint(y, message):
    with pytest.raises(ValueError, match=message):
        mbbp.classifier(np.ones((2, 3)), y)
    classes, numbers = np.unique(y, return_inverse=True)
    assert mbbp.classifier(np.ones((2, 3)), numbers, epochs=1).sizes[-1] == classes.size


def test_rows_of_targets_get_a_hint(table):
    X, Y = table
    with pytest.raises(
        ValueError, match=r"Y: expected shape \(n_out, 400\), got \(400, 2\); for rows of samples pass Y.T"
    ):
        mbbp.regressor(X, Y.T)


@pytest.mark.parametrize("cost", ["huber", "absolute", mbbp.costs.quantile(0.5)], ids=str)
def test_other_costs_of_numbers(table, cost):
    X, Y = table
    outliers = Y.copy()
    outliers[:, ::20] += 30 * Y.std(axis=1, keepdims=True)
    net = mbbp.regressor(X, outliers, cost=cost, epochs=60, rng=0)
    assert net.cost_function == mbbp.costs.get_cost(cost)
    plain = mbbp.regressor(X, outliers, epochs=60, rng=0)
    error, plain_error = (np.median(np.abs(one.feedforward(X) - Y), axis=1) for one in (net, plain))
    assert (error < plain_error).all()


@pytest.mark.parametrize("cost", ["poisson", "squared_hinge", "cross_entropy", "log_likelihood"])
def test_a_cost_that_standardized_targets_do_not_fit_is_refused(table, cost):
    with pytest.raises(ValueError, match=f"^cost: expected one for standardized numbers, .*, got {cost}"):
        mbbp.regressor(*table, cost=cost)
