"""Saving and loading networks in the book's JSON."""

import json

import numpy as np
import pytest

from mbbp.nielsen import network2
from tests.nielsen.helpers import SIZES, parameters, seed, states, training


@pytest.fixture
def net():
    seed()
    net = network2.Network(SIZES, cost=network2.QuadraticCost)
    net.SGD(training(), 1, 10, 0.5)
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_with_every_bit(dtype, tmp_path, capsys):
    net = network2.Network(SIZES, cost=network2.QuadraticCost, dtype=dtype)
    net.SGD(training(), 1, 10, 0.5)
    net.save(tmp_path / "net.json")
    back = network2.load(str(tmp_path / "net.json"), dtype=dtype)
    assert back.sizes == SIZES
    assert back.cost is network2.QuadraticCost
    assert {one.dtype for one in back.weights + back.biases} == {np.dtype(dtype)}
    assert parameters(back).tobytes() == parameters(net).tobytes()
    for one in (net, back):
        seed()
        one.SGD(training(), 1, 10, 0.5)
    assert parameters(back).tobytes() == parameters(net).tobytes()


def test_the_file_is_the_books(net, tmp_path):
    net.save(tmp_path / "net")
    found = json.loads((tmp_path / "net").read_text(encoding="utf-8"))
    assert found == {
        "sizes": SIZES,
        "weights": [w.tolist() for w in net.weights],
        "biases": [b.tolist() for b in net.biases],
        "cost": "QuadraticCost",
    }
    assert [one.name for one in tmp_path.iterdir()] == ["net"]


def test_a_file_of_the_books_is_read_and_draws_what_the_book_draws(tmp_path):
    written = {"sizes": [2, 1], "weights": [[[1.5, -2]]], "biases": [[[0.25]]], "cost": "CrossEntropyCost"}
    (tmp_path / "net").write_text(json.dumps(written), encoding="utf-8")
    seed()
    net = network2.load(tmp_path / "net")
    after = states()
    seed()
    network2.Network([2, 1])
    assert after == states()
    assert net.weights[0].tolist() == [[1.5, -2.0]]
    assert net.biases[0].tolist() == [[0.25]]
    assert net.cost is network2.CrossEntropyCost


def test_a_custom_cost_is_found_in_the_module(net, tmp_path, monkeypatch):
    class Mine(network2.QuadraticCost):
        pass

    net.cost = Mine
    net.save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"expected the cost to be a class of mbbp.nielsen.network2, got 'Mine' in "):
        network2.load(tmp_path / "net")
    monkeypatch.setattr(network2, "Mine", Mine, raising=False)
    assert network2.load(tmp_path / "net").cost is Mine
    net.cost = network2.CrossEntropyCost()
    net.save(tmp_path / "net")
    assert network2.load(tmp_path / "net").cost is network2.CrossEntropyCost


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cost": "json"}, "expected the cost to be a class of mbbp.nielsen.network2, got 'json' in"),
        ({"cost": None}, r"cost: expected a name, got None\)"),
        ({"cost": "x" * 1000}, "expected the cost to be a class"),
        ({"sizes": [4, 7, 10]}, r"weights\[0\]: expected a list of 7 rows, got "),
        ({"sizes": [10**30, 10**30]}, "sizes: expected at most"),
        ({"biases": []}, r"biases: expected a list of 2 matrices \(one for each layer\), got 0\)"),
        ({"biases": {}}, r"biases: expected a list of 2 matrices \(one for each layer\), got {}\)"),
        ({"weights": [[[1, 2], [3]]]}, "expected a network that save wrote"),
        ({"sizes": [4]}, "sizes: expected"),
        ({"sizes": [True, 1]}, r"sizes: expected a list of whole numbers, got \[True, 1\]"),
        ({"sizes": "453"}, "sizes: expected a list of whole numbers, got '453'"),
        ({"sizes": [4, 0]}, "sizes: expected"),
    ],
)
def test_a_wrong_file_is_refused(change, message, net, tmp_path):
    net.save(tmp_path / "net")
    found = json.loads((tmp_path / "net").read_text(encoding="utf-8")) | change
    (tmp_path / "net").write_text(json.dumps(found), encoding="utf-8")
    before = states()
    with pytest.raises(ValueError, match=message) as caught:
        network2.load(tmp_path / "net")
    assert states() == before
    assert repr(str(tmp_path / "net")) in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("null", "expected a number, got None"),
        ("true", "expected a number, got True"),
        ('"1.5"', "expected a number, got '1.5'"),
        ("[1.5]", r"expected a number, got \[1\.5\]"),
        ("NaN", "expected a finite number in float32, got nan"),
        ("-Infinity", "expected a finite number in float32, got -inf"),
        ("1e400", "expected a finite number in float32, got inf"),
        ("1e300", r"expected a finite number in float32, got 1e\+300"),
        ("1" + "0" * 100, "expected a finite number in float32, got 1000"),
    ],
)
@pytest.mark.parametrize("part", ["weights", "biases"])
def test_what_is_no_finite_number_is_refused_by_its_place(part, number, says, tmp_path):
    parts = {"weights": "[[1, 2], [3, 4]]", "biases": "[[1], [2]]"}
    place = {"weights": r"weights\[0\]\[1\]\[1\]", "biases": r"biases\[0\]\[1\]\[0\]"}[part]
    parts[part] = parts[part].replace("4" if part == "weights" else "2", number)
    content = '"sizes": [2, 2], "cost": "QuadraticCost", ' + ", ".join(f'"{k}": [{v}]' for k, v in parts.items())
    (tmp_path / "net").write_text("{" + content + "}", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{place}: {says}"):
        network2.load(tmp_path / "net", dtype="float32")


def test_a_whole_number_that_no_float_holds_is_refused(tmp_path):
    written = {"sizes": [1, 1], "weights": [[[10**400]]], "biases": [[[1]]], "cost": "QuadraticCost"}
    (tmp_path / "net").write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(ValueError, match=r"weights\[0\]: expected finite numbers"):
        network2.load(tmp_path / "net")


def test_whole_numbers_are_numbers(tmp_path):
    written = {"sizes": [1, 1], "weights": [[[3]]], "biases": [[[-1]]], "cost": "QuadraticCost"}
    (tmp_path / "net").write_text(json.dumps(written), encoding="utf-8")
    assert network2.load(tmp_path / "net").weights[0].tolist() == [[3.0]]


def test_a_network_with_nan_is_not_saved(net, tmp_path):
    net.weights[1][0, 0] = np.nan
    with pytest.raises(ValueError, match="net: expected finite parameters"):
        net.save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", '{"sizes": [2, 1]}', "3", "[" * 100_000])
def test_another_file_is_refused(text, tmp_path):
    (tmp_path / "net").write_text(text, encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"filename: expected a network that save wrote, got '.*net', which is another or damaged file"
    ):
        network2.load(tmp_path / "net")


def test_a_missing_file_or_folder_is_an_os_error(net, tmp_path):
    with pytest.raises(FileNotFoundError):
        network2.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        net.save(tmp_path / "nowhere" / "net")
