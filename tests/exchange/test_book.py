"""The JSON file of the book's network2.py."""

import json
import re

import numpy as np
import pytest

import mbbp
from mbbp.nielsen import network2

SCALINGS = [None, 1 / 255, mbbp.Scaling([1.0, 2.0, 3.0, -4.0], [0.5, 2.0, 1.0, -3.0])]
X = np.random.default_rng(0).standard_normal((4, 7))


@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", SCALINGS, ids=str)
def test_there_and_back(cost, dtype, scaling, tmp_path):
    net = mbbp.Network([4, 5, 3], cost=cost, dtype=dtype, scaling=scaling, rng=0)
    mbbp.to_json(net, tmp_path / "net.json")
    theirs = network2.load(tmp_path / "net.json")
    outputs = np.concatenate([theirs.feedforward(X[:, [i]]) for i in range(7)], axis=1)
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(outputs, net.feedforward(X), rtol=0, atol=tolerance)
    back = mbbp.from_json(tmp_path / "net.json", dtype=dtype)
    np.testing.assert_allclose(back.feedforward(X), net.feedforward(X), rtol=0, atol=tolerance)
    assert back.cost_function.name == cost
    if scaling is None:
        np.testing.assert_array_equal(back.theta, net.theta)


def test_targets_come_in_their_own_units_or_not_at_all(tmp_path):
    net = mbbp.Network([2, 1], "sigmoid", rng=0)
    net.schema = mbbp.Schema(targets=["y"])
    mbbp.to_json(net, tmp_path / "net.json")
    assert mbbp.from_json(tmp_path / "net.json").sizes == (2, 1)


@pytest.mark.parametrize(
    ("make", "name", "says"),
    [
        (lambda: mbbp.Network([2, 3, 1], ["tanh", "sigmoid"]), "n.json", "sigmoid neurons, as in the book, got tanh"),
        (lambda: mbbp.Network([2, 1], cost="huber", activation="sigmoid"), "n.json", "as in the book, got huber"),
        (lambda: mbbp.Network([2, 1]), "n.txt", r"path: expected a name that ends in \.json"),
        (lambda: mbbp.Network([2, 1], scaling="standardize"), "n.json", "scaling is learnt for to_json"),
        (lambda: "net", "n.json", r"net: expected an mbbp\.Network, got 'net'"),
    ],
)
def test_what_the_book_does_not_have_is_refused(make, name, says, tmp_path):
    with pytest.raises((TypeError, ValueError), match=says):
        mbbp.to_json(make(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [float("nan"), "0.5", None, True, 10**400, [0.5]])
def test_nan_and_strings_are_refused(wrong, tmp_path):
    mbbp.to_json(mbbp.Network([2, 3, 1], rng=0), tmp_path / "net.json")
    facts = json.loads((tmp_path / "net.json").read_text())
    facts["weights"][1][0][2] = wrong
    (tmp_path / "net.json").write_text(json.dumps(facts))
    for read in (mbbp.from_json, network2.load):
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / "net.json")) + r".*weights\[1\]"):
            read(tmp_path / "net.json")


def test_a_cost_that_is_not_the_books(tmp_path):
    mbbp.to_json(mbbp.Network([2, 1]), tmp_path / "net.json")
    text = (tmp_path / "net.json").read_text().replace("QuadraticCost", "MyCost")
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ValueError, match=r"expected the cost QuadraticCost or CrossEntropyCost in .*, got 'MyCost'"):
        mbbp.from_json(tmp_path / "net.json")


@pytest.mark.parametrize("name", ["from_json", "from_safetensors", "from_onnx"])
@pytest.mark.parametrize("wrong", [5, None, b"bytes", ["a"]])
def test_what_is_no_path_is_named(name, wrong):
    pytest.importorskip("onnx" if name == "from_onnx" else "safetensors" if name == "from_safetensors" else "json")
    argument = "model" if name == "from_onnx" else "path"
    with pytest.raises(TypeError, match=rf"^{argument}: expected a path.*, got {re.escape(repr(wrong))}$"):
        getattr(mbbp, name)(wrong)


@pytest.mark.parametrize("name", ["from_json", "from_safetensors", "from_onnx"])
@pytest.mark.parametrize("wrong", ["a\0b", "a\ud800"])
def test_a_name_that_no_file_can_have_is_named(name, wrong):
    pytest.importorskip("onnx" if name == "from_onnx" else "safetensors" if name == "from_safetensors" else "json")
    argument = "model" if name == "from_onnx" else "path"
    says = f"{argument}: expected a name that a file can have, got {wrong!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        getattr(mbbp, name)(wrong)


def test_too_many_layers_are_refused_before_anything_is_built(tmp_path, monkeypatch):
    n = 10_001
    facts = {"sizes": [1] * (n + 1), "weights": [[[0.5]]] * n, "biases": [[[0.5]]] * n, "cost": "QuadraticCost"}
    path = tmp_path / "net.json"
    path.write_text(json.dumps(facts))
    monkeypatch.setattr("mbbp.nielsen.saved._matrices", None)
    with pytest.raises(ValueError, match=r"^path: .*net\.json', .*sizes: expected at most 10,000 layers, got 10,001"):
        mbbp.from_json(path)
