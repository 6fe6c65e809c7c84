"""The report on a network: its measures, the arguments, and the printed table."""

import copy
from html import escape

import numpy as np
import pytest

import mbbp
from mbbp import chapter2
from tests.networks import fixed, healthy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_measures_agree_with_the_engine(dtype):
    net, X, Y = fixed((5, 6, 4, 3), ["sigmoid", "tanh", "sigmoid"], m=20, dtype=dtype)
    net.layers[1].W = 6 * net.layers[1].W
    rows = mbbp.diagnose(net, X, Y, saturated_below=0.05, low_below=0.3).layers
    gradient = net.gradient(X, Y)
    a_in = [X.astype(dtype), *(layer.a for layer in net.layers[:-1])]
    assert [row.l for row in rows] == [2, 3, 4]
    for row, layer, a, dW, db in zip(rows, net.layers, a_in, gradient.weights, gradient.biases, strict=True):
        is_saturated = layer.activation.derivative(layer.z) < 0.05
        is_low = np.abs(a) < 0.3
        assert (row.activation, row.n_in, row.n_out) == (layer.activation.name, layer.n_in, layer.n_out)
        assert row.saturated == is_saturated.mean()
        assert row.stuck == sum(is_saturated.all(axis=1))
        assert row.low_inputs == is_low.mean()
        assert row.slow_weights == chapter2.slow_share(is_saturated, is_low)
        for found, exact in (
            (row.input_size, np.sqrt(np.mean(a.astype(np.float64) ** 2))),
            (row.weight_gradient, np.linalg.norm(dW)),
            (row.bias_gradient, np.linalg.norm(db)),
            (row.error, np.abs(layer.delta).mean()),
            (row.weights, np.linalg.norm(layer.W)),
            (row.biases, np.linalg.norm(layer.b)),
        ):
            assert found == pytest.approx(exact, rel=1e-12 if dtype == "float64" else 1e-4)
    assert 0 < rows[1].saturated < 1


def test_the_network_and_its_layers_are_not_changed():
    net, X, Y = healthy()
    net.gradient(X[:, :3], Y[:, :3])
    kept = copy.deepcopy([(layer.z, layer.a, layer.delta) for layer in net.layers])
    theta, state = net.theta.copy(), net.rng.bit_generator.state
    mbbp.diagnose(net, X, Y)
    for layer, before in zip(net.layers, kept, strict=True):
        for now, then in zip((layer.z, layer.a, layer.delta), before, strict=True):
            np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(net.theta, theta)
    assert net.rng.bit_generator.state == state


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"net": 3}, "net: expected an mbbp.Network, got 3"),
        ({"X": np.zeros((3, 60))}, "X: expected "),
        ({"Y": [0, 1]}, "Y: expected "),
        ({"saturated_below": 0}, "saturated_below: expected "),
        ({"low_below": "x"}, "low_below: expected "),
    ],
)
def test_bad_arguments_are_named(options, message):
    net, X, Y = healthy()
    with pytest.raises((ValueError, TypeError), match=message):
        mbbp.diagnose(**{"net": net, "X": X, "Y": Y} | options)


def report(monkeypatch, columns, sizes=(8, 6, 3)):
    monkeypatch.setenv("COLUMNS", str(columns))
    net, X, Y = healthy(sizes, ["sigmoid", "tanh"])
    net.layers[1].W = 3 * net.layers[1].W
    diagnosis = mbbp.diagnose(net, X, Y, saturated_below=0.2, low_below=0.5)
    return net.cost(X, Y), diagnosis, str(diagnosis).splitlines()


def shares_and_amounts(row):
    shares = [f"{100 * row.saturated:.1f}%", f"{row.stuck}/3", f"{100 * row.low_inputs:.1f}%"]
    return [*shares, f"{100 * row.slow_weights:.1f}%"], [
        row.weight_gradient,
        row.bias_gradient,
        row.error,
        row.weights,
        row.biases,
    ]


def test_the_table_has_one_row_for_each_layer_and_explains_its_columns(monkeypatch):
    cost, diagnosis, lines = report(monkeypatch, 120)
    (first,), (second,) = ([line for line in lines if line.startswith(start)] for start in ("2  ", "3  "))
    assert first.startswith("2  sigmoid, 8 -> 6")
    row = diagnosis.layers[1]
    assert len({row.saturated, row.low_inputs, row.slow_weights}) == 3
    shares, amounts = shares_and_amounts(row)
    assert second.split()[5:9] == shares
    assert [float(word) for word in second.split()[9:]] == pytest.approx(amounts, rel=0.05)
    (heading,) = (line for line in lines if line.startswith("layer"))
    assert len(heading) == len(first) == len(second)
    assert "|sigma'(z)| < 0.2" in str(diagnosis)
    assert "|a| < 0.5" in str(diagnosis)
    assert lines[0] == f"60 examples, mean cost {cost:.6g}; layer 1 is the input"


def test_on_a_narrow_terminal_there_are_two_tables(monkeypatch):
    _, diagnosis, lines = report(monkeypatch, 80)
    left, right = (line.split()[5:] for line in lines if line.startswith("3  "))
    shares, amounts = shares_and_amounts(diagnosis.layers[1])
    assert left == shares
    assert [float(word) for word in right] == pytest.approx(amounts, rel=0.05)


@pytest.mark.parametrize("columns", [80, 100, 120, 300])
def test_no_line_is_too_wide_for_the_terminal_and_no_word_is_broken(columns, monkeypatch):
    net, X, Y = healthy((784, *[300] * 4, 3), [*["relu"] * 4, "leaky_relu"], initializer="large")
    diagnosis = mbbp.diagnose(net, 100 * X, 1000 * Y)
    monkeypatch.setenv("COLUMNS", "100000")
    words = str(diagnosis).split()
    monkeypatch.setenv("COLUMNS", str(columns))
    text = str(diagnosis)
    assert "what stands out:" in text
    assert max(map(len, text.splitlines())) <= min(columns, 120)
    assert set(text.split()) == set(words)


def test_the_repr_is_one_line_of_what_stands_out():
    net, X, Y = healthy((8, 6, 3), ["sigmoid", "tanh"])
    assert repr(mbbp.diagnose(net, X, Y)) == "Diagnosis(2 layers, 60 examples: nothing stands out)"
    kinds = repr(mbbp.diagnose(net, 100 * X, Y))
    assert kinds.startswith("Diagnosis(2 layers, 60 examples: large inputs, layer 2; ")
    assert "\n" not in kinds


def test_a_notebook_shows_the_table_and_what_stands_out():
    net, X, Y = healthy((8, 6, 3), ["sigmoid", "tanh"])
    diagnosis = mbbp.diagnose(net, 100 * X, Y)
    html = diagnosis._repr_html_()
    assert html.count("<tr>") == 3
    assert html.count("<th>") == 10
    assert "<td>2  sigmoid, 8 -&gt; 6</td>" in html
    assert f"<td>{diagnosis.layers[0].error:.1e}</td>" in html
    advice = escape(diagnosis.findings[0].advice)
    assert f"large inputs, layer 2: {diagnosis.findings[0].what}; try {advice}" in html
