"""The command line: what it prints, what it writes, and how it fails."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import mbbp
from mbbp.cli import main
from mbbp.cli.train import _Table
from mbbp.history import Epoch
from tests.conftest import JIT

QUICK = ["--epochs", "2", "--batch-size", "50"]


@pytest.fixture(autouse=True)
def restore_threads():
    before = mbbp.get_threads()
    yield
    mbbp.set_threads(before)


@pytest.fixture(autouse=not JIT)
def fewer_digits(monkeypatch):
    """Use a tenth of the images if the kernels are plain Python."""
    whole = mbbp.datasets.load_digits()
    few = mbbp.datasets.Dataset(
        whole.name,
        whole.x_train[:, :140],
        whole.y_train[:140],
        whole.x_test[:, :40],
        whole.y_test[:40],
        whole.classes,
        scaling=whole.scaling,
    )
    monkeypatch.setattr(mbbp.datasets, "load", lambda name, **_: few if name == "digits" else ORIGINAL_LOAD(name, **_))


ORIGINAL_LOAD = mbbp.datasets.load


def rows_of(text):
    return [line for line in text.splitlines() if re.match(r"\s+\d+\s", line)]


def test_train_prints_a_row_an_epoch_and_the_test_accuracy(capsys):
    assert main(["train", *QUICK]) == 0
    out, err = capsys.readouterr()
    assert [row.split()[0] for row in rows_of(out)] == ["1", "2"]
    assert re.search(r"\n2 epochs: \d+\.\d\d s of training, \d+\.\d\d s in all, with the imports", out)
    assert re.search(r"\ntest accuracy \d+\.\d\d% \(\d+ of \d+\)\n$", out)
    assert "[64, 30, 10]" in out
    assert err == ""


@pytest.mark.skipif(not JIT, reason="thirty epochs need compiled kernels")
def test_train_with_no_option_learns_the_digits(capsys):
    assert main(["train"]) == 0
    out = capsys.readouterr().out
    assert len(rows_of(out)) == 30
    assert float(re.search(r"test accuracy (\d+\.\d\d)%", out)[1]) >= 96.0


def test_train_equals_fit(capsys, tmp_path):
    path = tmp_path / "history.json"
    options = ["--sizes", "64,12,10", "--activation", "tanh,softmax", "--optimizer", "adam", "--learning-rate", "0.01"]
    assert (
        main(["train", *QUICK, *options, "--l2", "0.1", "--seed", "7", "--dtype", "float64", "--json", str(path)]) == 0
    )
    record = json.loads(path.read_text())
    data = mbbp.datasets.load("digits")
    net = mbbp.Network(
        [64, 12, 10], ["tanh", "softmax"], "log_likelihood", dtype="float64", rng=7, scaling=data.scaling
    )
    net.fit(
        data.x_train,
        data.y_train,
        epochs=2,
        batch_size=50,
        optimizer="adam",
        learning_rate=0.01,
        l2=0.1,
        validation_data=(data.x_test, data.y_test),
    )
    timed = ("seconds", "examples_per_second")
    expected = {name: figures for name, figures in net.history.to_dict().items() if name not in timed}
    assert {name: figures for name, figures in record["history"].items() if name not in timed} == expected
    assert record["test_accuracy"] == net.accuracy(data.x_test, data.y_test)
    assert record["network"] == {
        "sizes": [64, 12, 10],
        "activation": ["tanh", "softmax"],
        "cost": "log_likelihood",
        "dtype": "float64",
        "scaling": "Scaling(factor=0.0625)",
    }


def test_train_writes_a_plot_and_a_network(capsys, tmp_path):
    plot, saved = tmp_path / "curve.png", tmp_path / "net.npz"
    assert main(["train", *QUICK, "--plot", str(plot), "--save", str(saved)]) == 0
    out = capsys.readouterr().out
    assert f"wrote {plot}" in out
    assert f"wrote {saved}" in out
    assert plot.read_bytes().startswith(b"\x89PNG")
    accuracy = float(re.search(r"test accuracy (\d+\.\d\d)%", out)[1])
    data = mbbp.datasets.load("digits")
    assert round(100 * mbbp.load(saved).accuracy(data.x_test, data.y_test), 2) == accuracy


def test_train_on_a_file_of_classes(capsys, tmp_path, rng):
    path = tmp_path / "points.csv"
    points = rng.standard_normal((60, 2))
    lines = [f"{x},{'right' if x > 0 else 'left'},{y}" for x, y in points]
    path.write_text("x,side,y\n" + "\n".join(lines) + "\n")
    options = ["--target", "side", "--epochs", "20", "--test-fraction", "0.25", "--sizes", "2,4,2", "--threads", "1"]
    assert main(["train", "--data", str(path), *options]) == 0
    out = capsys.readouterr().out
    assert float(re.search(r"test accuracy (\d+\.\d\d)% \(\d+ of 15\)", out)[1]) >= 80
    assert main(["train", "--data", str(path), "--target", "side", "--epochs", "1", "--sizes", "2,3,1"]) == 0


def test_train_on_a_file_of_numbers_to_predict(capsys, tmp_path, rng):
    path = tmp_path / "table.npz"
    X = rng.standard_normal((50, 3))
    np.savez(path, X=X, target=X @ [1.0, -2.0, 0.5])
    options = ["--regression", "--target", "target", "--epochs", "10", "--test-fraction", "0", "--standardize"]
    assert main(["train", "--data", str(path), *options]) == 0
    out = capsys.readouterr().out
    costs = [float(row.split()[1]) for row in rows_of(out)]
    assert costs[-1] < costs[0] / 4
    assert re.search(r"\ntraining R\^2 0\.\d{4}, mean absolute error \d\.\d+\n$", out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train --data nowhere", "nowhere"),
        ("train --data missing.csv", "missing.csv"),
        ("train --sizes 64,30", "--sizes: expected 64 inputs and 10 outputs for digits, got 64,30"),
        ("train --sizes 64", "sizes: expected"),
        ("train --sizes 64,x,10", "--sizes: expected whole numbers"),
        ("train --activation swish", "activation: "),
        ("train --activation sigmoid,relu,softmax", "activation: expected"),
        ("train --activation sigmoid,sigmoid --cost log_likelihood", "cost: "),
        ("train --epochs 0", "epochs: expected"),
        ("train --batch-size 0", "batch_size: expected"),
        ("train --learning-rate nan", "learning_rate: expected"),
        ("train --optimizer sgdd", "optimizer: "),
        ("train --dtype float16", "dtype: expected"),
        ("train --threads 0", "--threads: expected"),
        ("train --plot curve.txt", "--plot: expected a name ending in .png or .svg or .pdf"),
        ("train --json nowhere/h.json", "--json: expected a folder that can be written to, got 'nowhere'"),
        ("train --save net.pt", "--save: expected a name ending in .npz"),
        ("train --activation relu,identity --learning-rate 1e30", "Try a smaller learning_rate"),
        ("train --frobnicate", "unrecognized arguments: --frobnicate"),
        ("check --method exact", "method: "),
        ("check --batch-size 0", "--batch-size: expected"),
        ("", "required: command"),
        ("dance", "invalid choice: 'dance'"),
    ],
)
def test_an_error_is_one_line_and_exit_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(words.split())
    except SystemExit as exit_:
        code = exit_.code
    err = capsys.readouterr().err
    assert code == 2
    assert message in err
    assert err.startswith("mbbp")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_plot_without_matplotlib_fails_before_training(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["train", "--plot", str(tmp_path / "curve.png")]) == 2
    out, err = capsys.readouterr()
    assert "pip install matplotlib" in err
    assert out == ""


@pytest.mark.parametrize("options", ["", "--activation tanh,softmax --method complex", "--sizes 3,1 --dtype float32"])
def test_check_prints_the_verdict(options, capsys):
    assert main(["check", *options.split()]) == 0
    out = capsys.readouterr().out
    assert "the gradient is right" in out
    assert "0.W" in out


def test_check_exits_1_for_a_wrong_gradient(capsys, monkeypatch):
    wrong = mbbp.Activation("wrong", lambda z: z * z, lambda z: 3 * z)
    monkeypatch.setitem(mbbp.activations.ACTIVATIONS, "wrong", wrong)
    assert main(["check", "--activation", "wrong"]) == 1
    assert "the gradient is WRONG" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "activation", "cost"),
    [
        ("", ["sigmoid", "sigmoid"], "quadratic"),
        ("--activation tanh", ["tanh", "tanh"], "quadratic"),
        ("--activation tanh,softmax", ["tanh", "softmax"], "log_likelihood"),
        ("--activation relu --cost log_likelihood", ["relu", "softmax"], "log_likelihood"),
        ("--activation relu --cost quadratic", ["relu", "identity"], "quadratic"),
        ("--cost cross_entropy", ["sigmoid", "sigmoid"], "cross_entropy"),
        ("--activation gelu --cost squared_hinge", ["gelu", "identity"], "squared_hinge"),
        ("--activation relu", None, None),
    ],
)
def test_activation_and_cost_are_those_that_network_chooses(options, activation, cost, capsys, tmp_path):
    """What is given is passed on. So the same words make the same network here and in Python."""
    words = dict(zip(options.split()[::2], options.split()[1::2], strict=True))
    given = {name.removeprefix("--"): word.split(",") if "," in word else word for name, word in words.items()}
    path = tmp_path / "h.json"
    code = main(["train", *QUICK, "--learning-rate", "0.01", *options.split(), "--json", str(path)])
    if activation is None:
        assert code == 2
        with pytest.raises(ValueError, match="activation") as caught:
            mbbp.Network([64, 30, 10], **given)
        assert str(caught.value) in capsys.readouterr().err
        return
    net = mbbp.Network([64, 30, 10], **given)
    assert ([layer.activation.name for layer in net.layers], net.cost_function.name) == (activation, cost)
    record = json.loads(path.read_text())["network"]
    assert (record["activation"], record["cost"]) == (activation, cost)


@pytest.mark.parametrize(
    "words",
    [[], ["--validation", "0.1"], ["--activation", "leaky_relu,leaky_relu,softmax", "--sizes", "64,100,100,10"]],
)
def test_what_train_prints_fits_into_80_columns(words, capsys):
    assert main(["train", *QUICK, *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 80
    table = [line for line in lines if re.match(r"epoch|\s+\d+\s", line)]
    assert len({len(line) for line in table}) == 1
    assert len(table) == 3


@pytest.mark.parametrize("cost", [0.0, 12345.678901, 1.23456789e15, 1e300])
def test_large_costs_stay_in_their_columns(cost):
    table = _Table(True, "validation")
    row = Epoch(100, cost, 1.0, cost, 1.0, 0.1, 1.0, 12345.678, 123_456_789.0)
    assert len(table.line(row)) == len(table.heading) < 80


def test_no_help_prints_a_default_of_none(capsys):
    for command in ("train", "check", "diagnose", "bench"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        out = capsys.readouterr().out
        assert "None" not in out
        assert "(default: False)" not in out
        assert "(default: float32)" in out or command == "check"


@pytest.mark.parametrize(
    ("words", "scaling"),
    [
        ([], None),
        (["--scaling", "none"], None),
        (["--scaling", "1/16"], 1 / 16),
        (["--scaling", "0.25"], 0.25),
        (["--standardize"], "standardize"),
        (["--scaling", "standardize"], "standardize"),
    ],
)
def test_the_network_that_is_saved_has_the_scaling(words, scaling, capsys, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(mbbp, "save", lambda net, _: kept.append(net))
    data = mbbp.datasets.load("digits")
    net = mbbp.Network([64, 30, 10], rng=0, scaling=data.scaling if words == [] else scaling)
    net.fit(data.x_train, data.y_train, epochs=2, batch_size=50, learning_rate=3.0)
    assert main(["train", *QUICK, *words, "--save", str(tmp_path / "net.npz")]) == 0
    assert kept[0].scaling == net.scaling
    assert np.array_equal(kept[0].theta, net.theta)


def test_the_scaling_of_the_data_set_is_the_default(capsys, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(mbbp, "save", lambda net, _: kept.append(net))
    data = dataclasses.replace(mbbp.datasets.load("digits"), scaling=0.125)
    monkeypatch.setattr(mbbp.datasets, "load", lambda *_, **__: data)
    for words, expected in (([], mbbp.Scaling(factor=0.125)), (["--scaling", "none"], None)):
        assert main(["train", *QUICK, *words, "--save", str(tmp_path / "net.npz")]) == 0
        assert kept.pop().scaling == expected


def test_validation_holds_out_training_examples(capsys, tmp_path):
    path = tmp_path / "h.json"
    assert main(["train", *QUICK, "--validation", "0.25", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "  validation cost  accuracy" in out
    assert "test cost" not in out
    assert "validation: 0.25 of the training examples" in out
    data = mbbp.datasets.load("digits")
    net = mbbp.Network([64, 30, 10], rng=0, scaling=data.scaling)
    net.fit(data.x_train, data.y_train, epochs=2, batch_size=50, learning_rate=3.0, validation_split=0.25)
    record = json.loads(path.read_text())
    assert record["history"]["validation_cost"] == net.history["validation_cost"]
    assert record["test_accuracy"] == net.accuracy(data.x_test, data.y_test)


def test_early_stopping_never_sees_the_test_examples(capsys, tmp_path, monkeypatch):
    """With other test examples, the training is the same."""
    data = mbbp.datasets.load("digits")
    others = dataclasses.replace(data, x_test=data.x_test[:, ::-1], y_test=(data.y_test + 1) % 10)
    found = []
    for part in (data, others):
        monkeypatch.setattr(mbbp.datasets, "load", lambda *_, part=part, **__: part)
        path = tmp_path / "net.npz"
        assert main(["train", *QUICK, "--epochs", "40", "--early-stopping", "1", "--save", str(path)]) == 0
        assert "validation: 0.1 of the training examples" in capsys.readouterr().out
        found.append(mbbp.load(path).theta)
    assert np.array_equal(*found)


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "mbbp", *words], capture_output=True, text=True, timeout=300, **options
    )


def test_python_m_mbbp_shows_the_version():
    assert run("--version").stdout == f"mbbp {mbbp.__version__}\n"


def test_a_reader_that_goes_away_is_no_error():
    ends = os.pipe()
    os.close(ends[0])
    with os.fdopen(ends[1], "w") as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "mbbp", "check", "--sizes", "2,1"],
            stdout=nowhere,
            stderr=subprocess.PIPE,
            timeout=300,
        )
    assert done.stderr == b""
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="the system does not say when a process was started")
def test_the_time_in_all_counts_the_imports():
    started = time.perf_counter()
    done = run("train", "--epochs", "1")
    by_the_clock = time.perf_counter() - started
    said = float(re.search(r"(\d+\.\d\d) s in all, with the imports", done.stdout)[1])
    imports = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import mbbp.cli"], capture_output=True, text=True
    )
    least = max(int(line.split("|")[1]) for line in imports.stderr.splitlines()[1:]) / 1e6 / 2
    assert least < said <= by_the_clock + 0.02
