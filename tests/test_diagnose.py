"""The command ``mbbp diagnose``: what it prints and writes, and its errors."""

import re

import numpy as np
import pytest

import mbbp
from mbbp.cli import main
from tests.networks import kinds

matplotlib = pytest.importorskip("matplotlib")


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
def test_a_saved_network_is_loaded_as_it_was_trained(dtype, capsys, tmp_path):
    data = mbbp.datasets.load("digits", dtype=dtype)
    net = mbbp.Network([64, 12, 10], ["tanh", "sigmoid"], "cross_entropy", dtype, rng=5)
    net.fit(data.x_train[:, :200], data.y_train[:200], epochs=2, learning_rate=0.5)
    mbbp.save(net, tmp_path / "net.npz")
    assert main(["diagnose", "--network", str(tmp_path / "net.npz"), "--batch-size", "5000"]) == 0
    out = capsys.readouterr().out
    assert f"dtype='{dtype}'" in out
    assert "1,437 examples" in out  # the data set has no more
    assert str(mbbp.diagnose(net, data.x_train, data.y_train)) in out


def test_the_data_get_the_dtype_of_the_saved_network(capsys, tmp_path, rng):
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


def test_regression_gives_identity_outputs(capsys, tmp_path, rng):
    X = rng.standard_normal((50, 3))
    np.savez(tmp_path / "table.npz", X=X, target=X @ [1.0, -2.0, 0.5])
    words = ["diagnose", "--data", str(tmp_path / "table.npz"), "--target", "target", "--regression", "--standardize"]
    assert main(words) == 0
    assert re.search(r"^3  identity, 30 -> 1 ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--sizes 64,30", "--sizes: expected 64 inputs and 10 outputs for digits, got 64,30"),
        ("--batch-size 0", "--batch-size: expected "),
        ("--seed -1", "--seed: expected "),
        ("--saturated-below 0", "--saturated-below: expected "),
        ("--low-below nan", "--low-below: expected "),
        ("--network missing.npz", "missing.npz"),
        ("--network small.npz", "--network: expected 64 inputs and 10 outputs for digits, got 4,3,2"),
        ("--network small.npz --sizes 4,3,2", "--sizes: expected no value with --network"),
        ("--network small.npz --initializer he", "--initializer: expected no value with --network"),
        ("--plot a.txt", "--plot: expected a name ending in .png"),
        ("--plot nowhere/a.png", "--plot: expected a folder that can be written to, got 'nowhere'"),
        (
            "--data nowhere",
            "name_or_path: expected 'digits', 'mnist' or a path that ends in .csv or .npz, got 'nowhere'",
        ),
        ("--cost hinge", "'hinge'"),
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
