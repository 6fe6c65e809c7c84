"""Why a network learns slowly: the figures, what stands out, the picture, and the command."""

import copy
import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import chapter2
from mbbp.cli import main
from tests.conftest import JIT
from tests.networks import fixed

matplotlib = pytest.importorskip("matplotlib")


def kinds(diagnosis):
    return {finding.kind: finding.layers for finding in diagnosis.findings}


def healthy(sizes=(8, 6, 5, 3), activation="tanh", cost="quadratic", m=60, **options):
    """Return a network in which nothing stands out, with examples of order 1."""
    net = mbbp.Network(sizes, activation, cost, **{"dtype": "float64", "initializer": "glorot", "rng": 1} | options)
    rng = np.random.default_rng(2)
    return net, rng.standard_normal((net.sizes[0], m)), rng.uniform(0.2, 0.8, (net.sizes[-1], m))


# --------------------------------------------------------------------------------------------------------- the measures


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_share_of_slow_weights_is_counted_weight_by_weight(n_out, n_in, m, seed):
    rng = np.random.default_rng(seed)
    is_saturated, is_low = rng.random((n_out, m)) < 0.3, rng.random((n_in, m)) < 0.4
    slow = [is_saturated[j, i] or is_low[k, i] for j, k, i in np.ndindex(n_out, n_in, m)]
    assert chapter2.slow_share(is_saturated, is_low) == pytest.approx(np.mean(slow), abs=1e-15)


def test_the_thresholds_are_strict_and_take_the_size():
    np.testing.assert_array_equal(chapter2.saturated([[0.01, 0.0099, -0.0099, -0.5]]), [[False, True, True, False]])
    np.testing.assert_array_equal(chapter2.saturated([[0.01, 0.2]], below=0.1), [[True, False]])
    np.testing.assert_array_equal(chapter2.low_activation([[0.1, 0.0999, -0.0999, -2]]), [[False, True, True, False]])
    np.testing.assert_array_equal(chapter2.low_activation([[0.1, 0.6]], below=0.5), [[True, False]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_figures_are_those_of_the_engine(dtype):
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


def test_softmax_is_saturated_where_an_output_is_near_0_or_1():
    net, X, _ = fixed((5, 3), "softmax", "log_likelihood", m=20)
    net.layers[0].W = 4 * net.layers[0].W
    a = net.feedforward(X)
    (row,) = mbbp.diagnose(net, X, np.arange(20) % 3).layers
    assert row.saturated == pytest.approx(np.mean(a * (1 - a) < 0.01))
    assert 0 < row.saturated < 1


def test_the_network_and_its_layers_are_left_alone():
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
        ({"net": 3}, "net: an mbbp.Network is wanted, got 3"),
        ({"X": np.zeros((3, 60))}, "X: 8 rows are wanted"),
        ({"Y": [0, 1]}, "Y: one target for each of the 60 columns"),
        ({"saturated_below": 0}, "saturated_below: a finite number above 0"),
        ({"low_below": "x"}, "low_below: a finite number above 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    net, X, Y = healthy()
    with pytest.raises((ValueError, TypeError), match=message):
        mbbp.diagnose(**{"net": net, "X": X, "Y": Y} | options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chapter2.saturated([1.0]), "sigma_prime_z: a matrix"),
        (lambda: chapter2.saturated([[1.0]], below=0), "below: a finite number above 0"),
        (lambda: chapter2.low_activation([1.0]), "a_in: a matrix"),
        (lambda: chapter2.low_activation([[1.0]], below=-1), "below: a finite number above 0"),
        (lambda: chapter2.slow_share([[True]], [[True, False]]), r"is_low: a matrix \(n, 1\) is wanted"),
    ],
)
def test_bad_arguments_of_the_measures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------------------------------------------ what stands out


@pytest.mark.parametrize(
    ("activation", "cost"),
    [("tanh", "quadratic"), ("sigmoid", "cross_entropy"), (["tanh", "tanh", "softmax"], "log_likelihood")],
)
def test_of_a_healthy_network_nothing_stands_out(activation, cost):
    diagnosis = mbbp.diagnose(*healthy(activation=activation, cost=cost))
    assert diagnosis.findings == []
    assert str(diagnosis).endswith("nothing stands out")


def test_large_weights_saturate_their_layer():
    net, X, Y = healthy()
    net.layers[1].W = 30 * net.layers[1].W
    assert kinds(mbbp.diagnose(net, X, Y)) == {"saturated": (3,)}


def test_large_inputs_are_told_and_the_layer_they_saturate():
    net, X, Y = healthy()
    diagnosis = mbbp.diagnose(net, 100 * X, Y)
    assert kinds(diagnosis)["large inputs"] == (2,)
    assert kinds(diagnosis)["saturated"] == (2,)
    assert f"{np.sqrt(np.mean((100 * X) ** 2)):.3g}" in str(diagnosis)
    assert "large inputs" not in kinds(mbbp.diagnose(net, 2 * X, Y))


def test_low_inputs_are_told_of_data_and_of_hidden_layers():
    net, X, Y = healthy()
    diagnosis = mbbp.diagnose(net, 0.01 * X, Y)
    assert kinds(diagnosis)["low inputs"] == (2, 3, 4)  # a tanh net with no bias hands them on
    assert "inputs scaled" in diagnosis.findings[0].advice
    net, X, Y = healthy(activation=["sigmoid", "tanh", "tanh"])
    net.layers[0].b = net.layers[0].b - 6
    diagnosis = mbbp.diagnose(net, X, Y)
    assert kinds(diagnosis)["low inputs"][0] == 3
    assert "larger initial weights for layer 2" in str(diagnosis)


@pytest.mark.parametrize(("activation", "advice"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_saturated_and_wrong_outputs_are_told_where_the_cost_does_not_cancel_it(activation, advice):
    net, X, _ = healthy(activation=["tanh", "tanh", activation])
    net.layers[-1].W = 100 * net.layers[-1].W
    right = net.classify(X)
    wrong = (right + 1) % 3
    diagnosis = mbbp.diagnose(net, X, wrong)
    assert kinds(diagnosis)["saturated outputs"] == (4,)
    assert f"try the {advice} cost" in str(diagnosis)
    other = mbbp.Network(net.sizes, ["tanh", "tanh", activation], advice, "float64")
    other.theta = net.theta
    assert "saturated outputs" not in kinds(mbbp.diagnose(other, X, wrong))
    if activation == "softmax":  # saturated, and right
        assert "saturated outputs" not in kinds(mbbp.diagnose(net, X, right))


def test_a_few_wrong_outputs_are_no_finding():
    net, X, _ = healthy((8, 6, 3), ["tanh", "softmax"], m=100)
    net.layers[-1].W = 300 * net.layers[-1].W
    labels = net.classify(X)
    labels[:4] = (labels[:4] + 1) % 3
    assert "saturated outputs" not in kinds(mbbp.diagnose(net, X, labels))
    labels[4:12] = (labels[4:12] + 1) % 3
    assert "saturated outputs" in kinds(mbbp.diagnose(net, X, labels))


def test_other_outputs_that_are_off_are_told_to_be_others():
    net, X, Y = healthy(activation=["tanh", "tanh", "relu"])
    net.layers[-1].b = net.layers[-1].b - 50
    found = kinds(mbbp.diagnose(net, X, Y + 1))
    assert found["dead"] == (4,)
    assert found["saturated outputs"] == (4,)
    assert "identity outputs for numbers" in str(mbbp.diagnose(net, X, Y + 1))


def test_dead_relus_are_counted_and_those_that_are_off_now_and_then_are_not():
    net, X, Y = healthy((8, 20, 3), ["relu", "identity"], initializer="he")
    before = mbbp.diagnose(net, X, Y)
    assert before.layers[0].saturated > 0.25
    assert kinds(before) == {}
    net.layers[0].b[:3] = -100
    diagnosis = mbbp.diagnose(net, X, Y)
    assert kinds(diagnosis) == {"dead": (2,)}
    assert diagnosis.layers[0].stuck == 3
    assert "3 of 20 neurons are off for all 60 examples" in " ".join(str(diagnosis).split())


def test_a_deep_sigmoid_network_vanishes_and_says_by_how_much():
    net, X, Y = healthy((8, *[10] * 6, 3), "sigmoid")
    diagnosis = mbbp.diagnose(net, X, Y)
    last = diagnosis.layers[-1].error
    layers = tuple(row.l for row in diagnosis.layers[:-1] if row.error < last / 100)
    assert len(layers) >= 2
    assert kinds(diagnosis) == {"vanishing": layers}
    least = min(row.error for row in diagnosis.layers)
    assert f"{least:.1e}, 1/{last / least:,.0f} of the output layer's {last:.1e}" in " ".join(str(diagnosis).split())


def test_no_error_at_all_is_vanishing_too():
    net, X, Y = healthy()
    net.layers[2].W = 0 * net.layers[2].W
    diagnosis = mbbp.diagnose(net, X, Y)
    assert kinds(diagnosis)["vanishing"] == (2, 3)
    assert "nothing of the output layer's" in " ".join(str(diagnosis).split())


def test_large_relu_weights_explode():
    net, X, Y = healthy((8, *[30] * 5, 3), [*["relu"] * 5, "identity"], initializer="large")
    diagnosis = mbbp.diagnose(net, X, Y)
    assert 2 in kinds(diagnosis)["exploding"]
    assert "times the output layer's" in " ".join(str(diagnosis).split())


def test_a_gradient_much_longer_than_the_weights_explodes():
    net, X, Y = healthy(activation=["tanh", "tanh", "identity"])
    assert kinds(mbbp.diagnose(net, X, Y)) == {}
    found = mbbp.diagnose(net, X, 1000 * Y)
    assert 4 in kinds(found)["exploding"]
    assert "times as long as |W|" in " ".join(str(found).split())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_a_finding(value):
    net, X, Y = healthy()
    net.layers[1].W[0, 0] = value
    diagnosis = mbbp.diagnose(net, X, Y)
    assert list(kinds(diagnosis)) == ["not finite"]
    assert 3 in kinds(diagnosis)["not finite"]
    assert "clip_norm" in str(diagnosis)


def test_a_users_own_activation_is_judged_by_its_derivative():
    own = mbbp.Activation("soft", lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2)
    net, X, Y = healthy(activation=[own, "tanh", "tanh"])
    assert kinds(mbbp.diagnose(net, X, Y)) == {}
    net.layers[0].W = 1000 * net.layers[0].W
    assert kinds(mbbp.diagnose(net, X, Y))["saturated"] == (2,)


# ------------------------------------------------------------------------------------------------------ how it is shown


def test_the_table_has_a_row_a_layer_and_says_what_its_columns_are():
    net, X, Y = healthy((8, 6, 3), ["sigmoid", "tanh"])
    net.layers[1].W = 3 * net.layers[1].W
    diagnosis = mbbp.diagnose(net, X, Y, saturated_below=0.2, low_below=0.5)
    lines = str(diagnosis).splitlines()
    first, second = (next(line for line in lines if line.startswith(start)) for start in ("2  ", "3  "))
    assert first.startswith("2  sigmoid, 8 -> 6")
    row = diagnosis.layers[1]
    assert len({row.saturated, row.low_inputs, row.slow_weights}) == 3
    assert second.split()[5:9] == [
        f"{100 * row.saturated:.1f}%",
        f"{row.stuck}/3",
        f"{100 * row.low_inputs:.1f}%",
        f"{100 * row.slow_weights:.1f}%",
    ]
    assert [float(word) for word in second.split()[9:]] == pytest.approx(
        [row.weight_gradient, row.bias_gradient, row.error, row.weights, row.biases], rel=0.05
    )
    heading = next(line for line in lines if line.startswith("layer"))
    assert len(heading) == len(first) == len(second)
    assert "|sigma'(z)| < 0.2" in str(diagnosis)
    assert "|a| < 0.5" in str(diagnosis)
    assert lines[0] == f"60 examples, mean cost {net.cost(X, Y):.6g}; layer 1 is the input"


def test_no_line_is_too_wide_for_a_terminal():
    net, X, Y = healthy((784, *[300] * 4, 3), [*["relu"] * 4, "leaky_relu"], initializer="large")
    text = str(mbbp.diagnose(net, 100 * X, 1000 * Y))
    assert "what stands out:" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_picture_shows_the_figures():
    net, X, Y = healthy((8, 6, 3), "sigmoid")
    diagnosis = mbbp.diagnose(net, X, Y, low_below=1.0)
    shares, sizes = diagnosis.plot().axes
    bars = {container.get_label(): [bar.get_height() for bar in container] for container in shares.containers}
    assert bars == {
        "neurons saturated": [100 * row.saturated for row in diagnosis.layers],
        "inputs low": [100 * row.low_inputs for row in diagnosis.layers],
        "weights slow": [100 * row.slow_weights for row in diagnosis.layers],
    }
    lines = {line.get_label(): list(line.get_ydata()) for line in sizes.lines}
    assert lines == {
        "|dC/dW|": [row.weight_gradient for row in diagnosis.layers],
        "|dC/db|": [row.bias_gradient for row in diagnosis.layers],
        "mean |delta|": [row.error for row in diagnosis.layers],
        "|W|": [row.weights for row in diagnosis.layers],
    }
    assert sizes.get_yscale() == "log"
    assert [text.get_text() for text in sizes.get_xticklabels()] == ["2\nsigmoid\n6", "3\nsigmoid\n3"]


def test_a_gradient_of_0_is_drawn_on_a_linear_scale():
    net, X, Y = healthy()
    net.layers[2].W = 0 * net.layers[2].W
    assert mbbp.diagnose(net, X, Y).plot().axes[1].get_yscale() == "linear"


def test_the_picture_is_written_whole(tmp_path):
    diagnosis = mbbp.diagnose(*healthy())
    diagnosis.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(ValueError, match="path: a name with an ending"):
        diagnosis.plot(tmp_path / "a")


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plot: needs matplotlib; pip install 'mbbp\[plot\]'"):
        mbbp.diagnose(*healthy()).plot()


# ---------------------------------------------------------------------------------------------------------- the command


def test_the_command_prints_the_report_of_a_fresh_network(capsys):
    assert main(["diagnose"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "Network([64, 30, 10], activation='sigmoid'" in out
    assert out.rstrip().endswith("nothing stands out")
    data = mbbp.datasets.load("digits")
    chosen = np.sort(np.random.default_rng(0).permutation(1437)[:1000])
    net = mbbp.Network([64, 30, 10], rng=0)
    assert str(mbbp.diagnose(net, data.x_train[:, chosen], data.y_train[chosen])) in out


def test_the_options_reach_the_network_and_the_report(capsys, tmp_path):
    words = ["diagnose", "--sizes", "64,20,20,10", "--activation", "tanh,tanh,softmax", "--initializer", "large"]
    words += [
        "--dtype",
        "float64",
        "--batch-size",
        "50",
        "--seed",
        "3",
        "--saturated-below",
        "0.02",
        "--low-below",
        "0.3",
    ]
    assert main([*words, "--plot", str(tmp_path / "a.svg")]) == 0
    out = capsys.readouterr().out
    data = mbbp.datasets.load("digits", dtype="float64")
    chosen = np.sort(np.random.default_rng(3).permutation(1437)[:50])
    net = mbbp.Network(
        [64, 20, 20, 10], ["tanh", "tanh", "softmax"], "log_likelihood", "float64", initializer="large", rng=3
    )
    diagnosis = mbbp.diagnose(net, data.x_train[:, chosen], data.y_train[chosen], saturated_below=0.02, low_below=0.3)
    assert str(diagnosis) in out
    assert kinds(diagnosis)["saturated"] == (2, 3)
    assert out.endswith(f"wrote {tmp_path / 'a.svg'}\n")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_network_is_judged_as_it_was_trained(dtype, capsys, tmp_path):
    data = mbbp.datasets.load("digits", dtype=dtype)
    net = mbbp.Network([64, 12, 10], ["tanh", "sigmoid"], "cross_entropy", dtype, rng=5)
    net.fit(data.x_train[:, :200], data.y_train[:200], epochs=2, learning_rate=0.5)
    mbbp.save(net, tmp_path / "net.npz")
    assert main(["diagnose", "--network", str(tmp_path / "net.npz"), "--batch-size", "5000"]) == 0
    out = capsys.readouterr().out
    assert f"dtype='{dtype}'" in out
    assert "1,437 examples" in out  # all there are
    assert str(mbbp.diagnose(net, data.x_train, data.y_train)) in out


def test_a_saved_networks_dtype_is_that_of_the_data(capsys, tmp_path, rng):
    X = rng.standard_normal((40, 3)) * np.pi
    np.savez(tmp_path / "table.npz", X=X, y=np.arange(40) % 2)
    net = mbbp.Network([3, 4, 2], dtype="float64", rng=5)
    mbbp.save(net, tmp_path / "net.npz")
    words = ["--network", str(tmp_path / "net.npz"), "--data", str(tmp_path / "table.npz"), "--test-fraction", "0"]
    dtypes = []
    plain = mbbp.diagnose
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mbbp, "diagnose", lambda *given, **named: dtypes.append(given[1].dtype) or plain(*given, **named))
        assert main(["diagnose", *words]) == 0
    assert dtypes == [np.float64]
    cost = net.cost(X.T, np.arange(40) % 2)
    assert f"40 examples, mean cost {cost:.6g};" in capsys.readouterr().out


def test_a_file_with_numbers_to_predict_gets_identity_outputs(capsys, tmp_path, rng):
    X = rng.standard_normal((50, 3))
    np.savez(tmp_path / "table.npz", X=X, target=X @ [1.0, -2.0, 0.5])
    words = ["diagnose", "--data", str(tmp_path / "table.npz"), "--label", "target", "--regression", "--standardize"]
    assert main(words) == 0
    assert re.search(r"^3  identity, 30 -> 1 ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--sizes 64,30", "--sizes: digits has 64 inputs and 10 outputs, got 64,30"),
        ("--batch-size 0", "--batch-size: 1 or more"),
        ("--seed -1", "--seed: 0 or more"),
        ("--saturated-below 0", "--saturated-below: a finite number above 0"),
        ("--low-below nan", "--low-below: a finite number above 0"),
        ("--network missing.npz", "missing.npz"),
        ("--network small.npz", "--network: digits has 64 inputs and 10 outputs, got 4,3,2"),
        ("--network small.npz --sizes 4,3,2", "--sizes: it goes with no --network"),
        ("--network small.npz --initializer he", "--initializer: it goes with no --network"),
        ("--plot a.txt", "--plot: a name ending .png"),
        ("--plot nowhere/a.png", "--plot: cannot write to the folder 'nowhere'"),
        ("--data nowhere", "no data set 'nowhere'"),
        ("--cost hinge", "cost: unknown name 'hinge'"),
    ],
)
def test_an_error_is_one_line_and_exit_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mbbp.save(mbbp.Network([4, 3, 2]), "small.npz")
    assert main(["diagnose", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("mbbp diagnose: error: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(not JIT, reason="training wants compiled kernels")
def test_what_it_advises_for_saturated_outputs_helps():
    """From weights of the book's old initializer, the cross-entropy learns at once what the quadratic cost does not."""
    data = mbbp.datasets.load_digits()
    networks = {
        cost: mbbp.Network(
            [64, 10],
            "sigmoid",
            cost,
            initializer=lambda rng, n_in, n_out: (rng.standard_normal((n_out, n_in)), np.full((n_out, 1), 20.0)),
            rng=0,
        )
        for cost in ("quadratic", "cross_entropy")
    }
    assert "saturated outputs" in kinds(mbbp.diagnose(networks["quadratic"], data.x_train, data.y_train))
    assert "saturated outputs" not in kinds(mbbp.diagnose(networks["cross_entropy"], data.x_train, data.y_train))
    for net in networks.values():
        net.fit(data.x_train, data.y_train, epochs=2, learning_rate=0.5)
    slow, fast = (networks[cost].accuracy(data.x_test, data.y_test) for cost in ("quadratic", "cross_entropy"))
    assert fast > 0.85
    assert slow < 0.5
