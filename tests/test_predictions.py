"""What a network predicts for the rows of a table."""

import csv

import numpy as np
import pytest

import mbbp
from mbbp import Column, Schema

pandas = pytest.importorskip("pandas")
X = np.random.default_rng(0).standard_normal((2, 9))
FRAME = pandas.DataFrame({"b": X[1], "a": X[0]})
COLUMNS = (Column("a"), Column("b"))


def net_with(outputs, activation, cost=None, schema=None, dtype="float64"):
    net = mbbp.Network([2, 3, outputs], ["tanh", activation], cost, dtype=dtype, rng=1)
    net.schema = schema
    return net


def test_classes_have_their_names():
    net = net_with(3, "softmax", schema=Schema(COLUMNS, ["x", "y", "z"], ["kind"]))
    found = mbbp.predict(net, FRAME)
    np.testing.assert_array_equal(found.outputs, net.feedforward(X))
    assert found.classes.tolist() == np.array(["x", "y", "z"])[net.classify(X)].tolist()
    assert list(found.to_frame()) == ["kind", "kind=x", "kind=y", "kind=z"]
    assert len(found) == 9
    assert repr(found) == "Predictions(of 'kind' for 9 rows)"


@pytest.mark.parametrize("schema", [None, Schema(classes=["no", "yes"])])
def test_a_single_sigmoid_output_gives_two_probabilities(schema):
    net = net_with(1, "sigmoid", "cross_entropy", schema)
    found = mbbp.predict(net, X)
    np.testing.assert_array_equal(found.outputs.sum(axis=0), 1)
    np.testing.assert_array_equal(found.outputs[1:], net.feedforward(X))
    words = np.array(["no", "yes"]) if schema else np.arange(2)
    assert found.classes.tolist() == words[net.classify(X)].tolist()


def test_scores_of_the_squared_hinge():
    net = net_with(1, "identity", "squared_hinge")
    found = mbbp.predict(net, X)
    assert found.classes.tolist() == net.classify(X).tolist()
    assert found.names == ("prediction: score",)
    np.testing.assert_array_equal(found.outputs, net.feedforward(X))


def test_numbers_are_in_their_own_units():
    scaling = mbbp.Scaling([1000.0, -5.0], [0.1, 20.0])
    net = net_with(2, "identity", schema=Schema(COLUMNS, targets=["p", "q"], target_scaling=scaling))
    found = mbbp.predict(net, FRAME)
    assert found.classes is None
    assert found.names == ("p", "q")
    np.testing.assert_allclose(found.outputs, net.feedforward(X) * [[10], [0.05]] + [[1000], [-5]], rtol=1e-13)


def test_sigmoid_outputs_that_are_numbers():
    net = net_with(1, "sigmoid")
    net.fit(X, X[:1] * 0.1 + 0.5, epochs=1)
    assert mbbp.predict(net, X).classes is None
    net = net_with(1, "sigmoid", schema=Schema(targets=["share"]))
    assert mbbp.predict(net, X).names == ("share",)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_csv_holds_every_digit(dtype, tmp_path):
    net = net_with(3, "softmax", schema=Schema(COLUMNS, ["x", "y,\n", 'z"'], ["kind"]), dtype=dtype)
    found = mbbp.predict(net, FRAME)
    (tmp_path / "p.csv").write_text(found.to_csv())
    with (tmp_path / "p.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == list(found.to_dict())
    np.testing.assert_array_equal(np.array([row[1:] for row in rows]).T.astype(dtype), found.outputs)
    assert [row[0] for row in rows] == found.classes.tolist()


def test_tables_without_names_are_taken_as_they_stand(tmp_path):
    net = net_with(2, "softmax")
    expected = mbbp.predict(net, X).outputs
    (tmp_path / "t.csv").write_text("".join(f"{a},{b}\n" for a, b in X.T.tolist()))
    np.testing.assert_allclose(mbbp.predict(net, tmp_path / "t.csv").outputs, expected, rtol=1e-13)
    np.testing.assert_allclose(mbbp.predict(net, FRAME[["a", "b"]]).outputs, expected, rtol=1e-13)
    (tmp_path / "t.csv").write_text("1,2,3\n")
    with pytest.raises(ValueError, match=r"t\.csv: expected 2 columns, one for each input, got 3"):
        mbbp.predict(net, tmp_path / "t.csv")


def test_no_network():
    with pytest.raises(TypeError, match=r"net: expected an mbbp\.Network, got 'net'"):
        mbbp.predict("net", X)
