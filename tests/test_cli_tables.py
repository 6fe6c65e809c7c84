"""The command line on tables: the options that say how a table is read, and regression."""

import json
import re
import sys

import numpy as np
import pytest

import mbbp
from mbbp.cli import main

pytest.importorskip("pandas")


@pytest.fixture
def table(tmp_path, rng):
    """Return a function that writes a table of three features and two targets far from 0, and returns its path."""

    def write(n=60, delimiter=","):
        x = rng.standard_normal((n, 2))
        kind = rng.integers(0, 2, n)
        price = 5000 + 300 * x[:, 0] + 100 * kind
        weight = 0.01 * x[:, 1]
        lines = [
            f"{a:.6f},{b:.6f},{'ab'[k]},{p:.4f},{w:.6f}" for (a, b), k, p, w in zip(x, kind, price, weight, strict=True)
        ]
        path = tmp_path / "table.csv"
        path.write_text("\n".join(["x1,x2,kind,price,weight", *lines, ""]).replace(",", delimiter))
        return path

    return write


HOW = ["--regression", "--optimizer", "adam", "--learning-rate", "0.02", "--epochs", "60"]


def test_a_regression_is_reported_in_its_own_units(table, capsys, tmp_path):
    path, saved, record = table(), tmp_path / "net.npz", tmp_path / "h.json"
    words = ["--target", "price", "--drop", "weight", "--save", str(saved), "--json", str(record)]
    assert main(["train", "--data", str(path), *HOW, *words]) == 0
    out = capsys.readouterr().out
    r2, error = map(float, re.search(r"\ntest R\^2 ([\d.]+), mean absolute error ([\d.]+)\n", out).groups())
    data = mbbp.datasets.load_csv(path, target="price", drop="weight", regression=True)
    net = mbbp.load(saved)
    outputs = net.feedforward(data.x_test)
    assert error == pytest.approx(np.abs(outputs - data.y_test).mean(), rel=1e-4)
    left = np.square(data.y_test.astype(float) - outputs).sum() / np.square(data.y_test - data.y_test.mean()).sum()
    assert r2 == pytest.approx(1 - left, abs=1e-3)
    assert r2 > 0.9
    assert "one-hot: kind (2)" in out
    assert "targets: scaled to mean 0 and variance 1" in out
    figures = json.loads(record.read_text())
    assert figures["test_cost"] == pytest.approx(net.cost(data.x_test, data.y_test))
    assert figures["target_scaling"]["mean"] == [pytest.approx(data.y_train.mean(), rel=1e-6)]
    assert figures["history"]["training_cost"][-1] < 0.1  # in units of the standard deviation


def test_the_saved_network_gives_the_outputs_turned_back(table, capsys, tmp_path):
    """The scaling of the targets goes into the last layer: the same as to train on scaled targets and turn back."""
    path, saved = table(), tmp_path / "net.npz"
    assert main(["train", "--data", str(path), "--target", "price,weight", *HOW, "--save", str(saved)]) == 0
    data = mbbp.datasets.load_csv(path, target=["price", "weight"], regression=True).standardize_targets()
    net = mbbp.Network([4, 30, 2], ["sigmoid", "identity"], rng=0, scaling=data.scaling)
    net.fit(data.x_train, data.y_train, epochs=60, optimizer="adam", learning_rate=0.02)
    expected = data.restore_targets(net.feedforward(data.x_test))
    assert np.allclose(mbbp.load(saved).feedforward(data.x_test), expected, rtol=1e-5, atol=1e-5)


def test_several_targets_have_a_line_each(table, capsys):
    assert main(["train", "--data", str(table()), "--target", "weight,price", *HOW]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()[-3:]
    assert lines[0].split() == ["test", "R^2", "mean", "absolute", "error"]
    assert [line.split()[0] for line in lines[1:]] == ["weight", "price"]
    errors = [float(line.split()[2]) for line in lines[1:]]
    assert errors[0] < 0.02 < 1 < errors[1]
    assert max(map(len, out.splitlines())) < 80


def test_a_constant_target_has_no_r2(tmp_path, capsys):
    path = tmp_path / "flat.csv"
    path.write_text("x,y\n" + "".join(f"{i * i},5\n" for i in range(20)))
    assert main(["train", "--data", str(path), "--regression", "--standardize", "--epochs", "1"]) == 0
    assert "test R^2 undefined, mean absolute error" in capsys.readouterr().out


def test_other_outputs_than_identity_learn_targets_as_they_are(table, capsys, tmp_path):
    saved = tmp_path / "net.npz"
    words = ["--target", "weight", "--activation", "tanh", "--save", str(saved)]
    path = table()
    assert main(["train", "--data", str(path), *HOW, *words]) == 0
    assert "targets: not scaled, because the outputs are tanh" in capsys.readouterr().out
    data = mbbp.datasets.load_csv(path, target="weight", regression=True)
    net = mbbp.Network([5, 30, 1], "tanh", rng=0, scaling=data.scaling)
    net.fit(data.x_train, data.y_train, epochs=60, optimizer="adam", learning_rate=0.02)
    assert np.array_equal(mbbp.load(saved).theta, net.theta)


def test_diagnose_takes_scaled_targets_for_a_new_network_and_others_for_a_saved_one(table, capsys, tmp_path):
    path, saved = table(), tmp_path / "net.npz"
    words = ["--data", str(path), "--target", "price", "--regression"]
    assert main(["diagnose", *words, "--standardize"]) == 0
    assert 0.1 < float(re.search(r"mean cost ([\d.e+]+)", capsys.readouterr().out)[1]) < 2
    assert main(["train", *words, *HOW[1:], "--save", str(saved)]) == 0
    capsys.readouterr()
    assert main(["diagnose", *words, "--network", str(saved)]) == 0
    data = mbbp.datasets.load_csv(path, target="price", regression=True)
    cost = mbbp.load(saved).cost(data.x_train, data.y_train)
    assert float(re.search(r"mean cost ([\d.e+]+)", capsys.readouterr().out)[1]) == pytest.approx(cost, rel=1e-3)


def test_the_options_for_a_table_reach_its_reader(tmp_path, capsys, monkeypatch):
    given = {}
    path = tmp_path / "t.csv"
    path.write_text("1;2;a\n3;4;b\n5;;b\n")
    plain = mbbp.datasets.load

    def load(name, **options):
        given.update(options)
        return plain(name, **options)

    monkeypatch.setattr(mbbp.datasets, "load", load)
    words = "--target 2 --drop 0 --categorical 1 --missing drop --delimiter ; --no-header --test-fraction 0.5 --seed 3"
    assert main(["train", "--data", str(path), "--epochs", "1", *words.split()]) == 0
    assert given == {
        "target": ["2"],
        "drop": ["0"],
        "categorical": ["1"],
        "missing": "drop",
        "delimiter": ";",
        "header": False,
        "test_fraction": 0.5,
        "rng": 3,
        "dtype": "float64",
    }
    assert "rows with missing values, left out: 1 of 3" in capsys.readouterr().out


def test_a_target_whose_name_is_a_number_or_holds_a_comma(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text('id,2019,"a,b"\n' + "".join(f"{i * i},{i % 2},{i % 3}\n" for i in range(12)))
    for name, classes in (("2019", 2), ('"a,b"', 3)):
        assert main(["train", "--data", str(path), "--epochs", "1", "--target", name]) == 0
        assert f"{classes} classes)" in capsys.readouterr().out


def test_a_warning_is_printed_as_such(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{i * i},{i}\n" for i in range(40)))
    assert main(["train", "--data", str(path), "--epochs", "1"]) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("mbbp train: warning: ")
    assert "got 40 classes for 40 samples; this looks like a regression: use regression=True (--regression)" in err
    assert "UserWarning" not in err


def test_on_a_terminal_messages_are_broken_between_words(tmp_path, capsys, monkeypatch):
    words = ["train", "--scaling", "none", "--regression"]
    assert main(words) == 2
    line = capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert max(map(len, err.splitlines())) <= 80 < len(line)
    assert err.split() == line.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--target digit", "--target: expected only with a file of .csv and .npz, got it with --data digits"),
        ("--regression", "--regression: expected only with a file of .csv and .npz, got it with --data digits"),
        ("--test-fraction 0.5", "--test-fraction: expected only with a file of .csv and .npz, got it with"),
        ("--missing mean --data a.npz", "--missing: expected only with a file of .csv, got it with --data a.npz"),
        ("--target a,b --data a.npz", "--target: expected the name of one array, got a,b"),
        ("--target a,,b --data t.csv", "--target: expected names separated by commas, as in a,b, got 'a,,b'"),
        ("--target= --data t.csv", "--target: expected names separated by commas, as in a,b, got ''"),
        (
            "--target x --data t.csv",
            "target: expected the name of a column, got 'x'; the columns of t.csv are 'a', 'b'",
        ),
        ("--target a,b --data t.csv", "target: expected one column of classes, got 2 columns"),
        ("--missing zero --data t.csv", "missing: expected one of drop, mean, median, refuse, got 'zero'"),
        (
            "--scaling pixels",
            "--scaling: expected none, standardize, or a number such as 1/255 or 0.00392, got 'pixels'",
        ),
        ("--scaling 1/0", "--scaling: expected none, standardize, or a number"),
        ("--scaling 0", "scaling: expected"),
        ("--validation 1", "--validation: expected a finite number above 0 and below 1, got 1.0"),
        ("--validation nan", "--validation: expected a finite number above 0 and below 1, got nan"),
        ("--early-stopping 0", "--early-stopping: expected 1 or more, got 0"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    try:
        code = main(["train", *words.split()])
    except SystemExit as exit_:
        code = exit_.code
    err = capsys.readouterr().err
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_a_saved_network_has_its_own_scaling(capsys, tmp_path):
    mbbp.save(mbbp.Network([64, 10], rng=0), tmp_path / "net.npz")
    assert main(["diagnose", "--network", str(tmp_path / "net.npz"), "--standardize"]) == 2
    assert "--scaling: expected no value with --network, got standardize" in capsys.readouterr().err


@pytest.mark.parametrize(("cost", "output"), [("poisson", "exp"), ("huber", "identity"), ("quantile", "identity")])
def test_a_regression_has_the_outputs_of_its_cost(cost, output, tmp_path, capsys):
    path, saved = tmp_path / "counts.csv", tmp_path / "net.npz"
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 200)
    path.write_text("x,visits\n" + "".join(f"{a},{b}\n" for a, b in zip(x, rng.poisson(np.exp(1 + x)), strict=True)))
    words = ["--target", "visits", "--regression", "--cost", cost, "--epochs", "2", "--save", str(saved)]
    assert main(["train", "--data", str(path), *words]) == 0
    net = mbbp.load(saved)
    assert (net.cost_function.name, net.layers[-1].activation.name) == (cost, output)
    assert ("targets: not scaled" in capsys.readouterr().out) == (cost == "poisson")
