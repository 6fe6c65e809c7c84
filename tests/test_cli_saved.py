"""The command line on saved networks: predict, show, and trainings that stop and go on."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import mbbp
from mbbp.cli import main
from tests.fileformat.test_going_on import compare

pandas = pytest.importorskip("pandas")


@pytest.fixture
def table(tmp_path, rng):
    n = 150
    kind = rng.integers(0, 3, n)
    frame = pandas.DataFrame(
        {
            "size": (kind + 0.3 * rng.standard_normal(n)).round(3),
            "colour": np.array(["red", "green", "blue"])[rng.integers(0, 3, n)],
            "price": (100 + 20 * kind + rng.standard_normal(n)).round(3),
            "kind": np.array(["ant", "bee", "cow"])[kind],
        }
    )
    frame.loc[3, "size"] = None
    frame.to_csv(tmp_path / "table.csv", index=False)
    return frame


HOW = ["--missing", "median", "--optimizer", "adam", "--learning-rate", "0.05", "--epochs", "20"]


def run(*words):
    return main([str(word) for word in words])


def test_a_model_of_classes_is_used(table, tmp_path, capsys):
    path, model, out = tmp_path / "table.csv", tmp_path / "m.npz", tmp_path / "p.csv"
    assert run("train", "--data", path, *HOW, "--save", model) == 0
    accuracy = float(re.search(r"test accuracy ([\d.]+)%", capsys.readouterr().out)[1])
    shuffled = table[["price", "kind", "colour", "size"]].sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "new.csv", index=False)
    assert run("predict", model, tmp_path / "new.csv", "--out", out) == 0
    assert capsys.readouterr().out == f"wrote {out}: 150 rows\n"
    found = pandas.read_csv(out)
    assert list(found) == ["kind", "kind=ant", "kind=bee", "kind=cow"]
    assert (found["kind"].to_numpy() == shuffled["kind"].to_numpy()).mean() > 0.9
    assert accuracy > 90
    shuffled.drop(columns=["size"]).to_csv(tmp_path / "new.csv", index=False)
    assert run("predict", model, tmp_path / "new.csv") == 2
    assert "expected the column size, which the network was trained with" in capsys.readouterr().err
    assert run("show", model) == 0
    shown = capsys.readouterr().out
    for fact in (
        "2         sigmoid       30         180",
        "input size: number; a missing value becomes ",
        "input colour: category, one of blue, green, red",
        "predicts: kind",
        "classes: ant, bee, cow",
        "training: 20 epochs; the last: training cost 0.0",
        "optimizer: Adam(",
    ):
        assert fact in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_a_model_of_numbers_is_used(table, tmp_path, capsys):
    path, model, run_path = tmp_path / "table.csv", tmp_path / "m.mbbp", tmp_path / "run.mbbp"
    how = [*HOW, "--regression", "--target", "price", "--drop", "kind", "--checkpoint", run_path, "--save", model]
    assert run("train", "--data", path, *how) == 0
    capsys.readouterr()
    found = []
    for one in (model, run_path):  # the checkpoint's outputs are scaled targets
        assert run("predict", one, path) == 0
        head, *lines = capsys.readouterr().out.splitlines()
        assert head == "price"
        found.append(np.array(lines, float))
    np.testing.assert_allclose(*found, rtol=1e-5)
    assert np.abs(found[0] - table["price"]).mean() < 8
    assert mbbp.load(model).schema.target_scaling is None
    assert run("show", run_path) == 0
    assert "outputs are scaled targets: Scaling(mean=" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["m.npz", "t.csv", "--out", "p.txt"], ["m.npz", "t.csv"], ["t.csv", "t.csv"]])
def test_predict_refuses_what_it_cannot_use(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("1,2\n")
    assert run("predict", *wrong) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "p.txt").exists()


def test_arrays_are_predicted(tmp_path, capsys):
    data = mbbp.datasets.load_digits()
    net = mbbp.classifier(data.x_train, data.y_train, rng=0)
    mbbp.save(net, tmp_path / "net.npz")
    np.savez(tmp_path / "x.npz", X=data.x_test.T.reshape(-1, 8, 8))
    assert run("predict", tmp_path / "net.npz", tmp_path / "x.npz") == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [int(line.split(",")[0]) for line in lines] == net.classify(data.x_test).tolist()


# ------------------------------------------------------------------------------------------------- stopping, going on

TRAIN = [
    *["--optimizer", "adam", "--learning-rate", "0.01", "--validation", "0.2", "--early-stopping", "6"],
    *["--dropout", "0.1", "--l2", "0.1"],
]


def test_a_killed_training_goes_on_to_the_same_numbers(tmp_path):
    whole, path = tmp_path / "whole.mbbp", tmp_path / "run.mbbp"
    assert run("train", *TRAIN, "--epochs", 60, "--checkpoint", whole) == 0
    command = [sys.executable, "-m", "mbbp", "train", *TRAIN, "--epochs", "60", "--checkpoint", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run("train", "--resume", path) == 0
    compare(mbbp.load(path), mbbp.load(whole))


def test_a_training_is_made_longer(tmp_path, capsys):
    path, record = tmp_path / "run.npz", tmp_path / "r.json"
    whole = tmp_path / "whole.npz"
    assert run("train", "--epochs", 5, "--checkpoint", whole) == 0
    assert run("train", "--epochs", 3, "--checkpoint", path) == 0
    capsys.readouterr()
    assert run("train", "--resume", path) == 0
    out = capsys.readouterr().out
    assert f"{path}: 3 epochs are done" in out
    assert "epoch  training cost" not in out  # no further epoch
    assert run("train", "--resume", path, "--epochs=5", "--json", record, "--save", tmp_path / "m.npz") == 0
    compare(mbbp.load(path), mbbp.load(whole))
    compare(mbbp.load(tmp_path / "m.npz"), mbbp.load(whole))
    assert len(json.loads(record.read_text())["history"]["epoch"]) == 5


KILLED = """
import os, sys
import mbbp.structure
from mbbp.cli import main
last, write = int(sys.argv[1]), mbbp.structure.Structure._write

def killed(net, path, best):
    if len(net.history) == last:
        os._exit(9)  # no more of it is written than a kill would leave
    write(net, path, best)

mbbp.structure.Structure._write = killed
main(sys.argv[2:])
"""


@pytest.mark.parametrize("how", ["the last epoch", "early stopping"])
def test_a_kill_before_the_last_checkpoint(how, tmp_path, capsys):
    whole, path = tmp_path / "whole.npz", tmp_path / "run.npz"
    words = ["--optimizer", "adam", "--learning-rate", "0.1", "--early-stopping", "30", "--epochs", "8"]
    if how == "early stopping":
        words[-3:] = ["2", "--epochs", "200"]
    assert run("train", *words, "--checkpoint", whole) == 0
    n = len(mbbp.load(whole).history)
    command = [sys.executable, "-c", KILLED, str(n), "train", *words, "--checkpoint", str(path)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ).returncode == 9
    assert len(mbbp.load(path).history) == n - 1
    assert run("train", "--resume", path) == 0
    compare(mbbp.load(path), mbbp.load(whole))
    capsys.readouterr()


def test_an_early_stopped_training_is_over(tmp_path, capsys):
    path = tmp_path / "run.npz"
    how = ["--epochs", 200, "--early-stopping", 1, "--optimizer", "adam", "--learning-rate", "0.1"]
    assert run("train", *how, "--checkpoint", path) == 0
    n = len(mbbp.load(path).history)
    assert n < 200
    theta = mbbp.load(path).theta
    assert run("train", "--resume", path) == 0
    assert len(mbbp.load(path).history) == n
    np.testing.assert_array_equal(mbbp.load(path).theta, theta)
    assert run("train", "--resume", path, "--epochs", 150) == 0  # fewer than before: it is over all the same
    assert len(mbbp.load(path).history) == n
    capsys.readouterr()
    longer = tmp_path / "longer.npz"
    assert run("train", "--resume", path, "--checkpoint", longer, "--epochs", 201) == 0
    costs = mbbp.load(longer).history["validation_cost"][n:]
    assert f"the parameters are those of epoch {n + 1 + int(np.argmin(costs))}, " in capsys.readouterr().out
    other = tmp_path / "other.npz"
    assert run("train", "--resume", path, "--checkpoint", other) == 0
    compare(mbbp.load(other), mbbp.load(path))
    capsys.readouterr()


def test_settings_in_a_file_are_checked(tmp_path, capsys):
    path = tmp_path / "run.npz"
    assert run("train", "--epochs", 1, "--every", 3, "--checkpoint", path) == 0
    net = mbbp.load(path)
    entry = json.loads(net.metadata["mbbp train"])
    assert entry["settings"]["every"] == 3
    capsys.readouterr()
    for name, value in (
        ("data", 5),
        ("seed", "s"),
        ("learning_rate", "q"),
        ("sizes", [1.5]),
        ("header", 1),
        ("epochs", []),
    ):
        changed = entry | {"settings": entry["settings"] | {name: value}}
        net.metadata = {"mbbp train": json.dumps(changed)}
        mbbp.save(net, path)
        assert run("train", "--resume", path) == 2
        assert f"expected a checkpoint of mbbp train, got '{path}', which is none ({name}: " in capsys.readouterr().err


def test_a_table_with_other_names_is_another(table, tmp_path, capsys):
    path, data = tmp_path / "run.npz", tmp_path / "table.csv"
    assert run("train", "--data", data, *HOW, "--checkpoint", path) == 0
    text = data.read_text()
    for old, new in (("size,colour,price", "price,colour,size"), ("red", "rot"), ("ant", "asp")):
        data.write_text(text.replace(old, new))
        assert run("train", "--resume", path) == 2
        assert "expected the data of the checkpoint, got others" in capsys.readouterr().err


def test_a_file_is_written_for_one_purpose(tmp_path, capsys):
    path = tmp_path / "run.npz"
    assert run("train", "--checkpoint", path, "--save", path) == 2
    assert "--checkpoint: expected a different file for each result" in capsys.readouterr().err
    assert not path.exists()


def test_what_a_file_says_does_not_reach_the_terminal_as_it_is(tmp_path, capsys):
    net = mbbp.Network([2, 1])
    net.metadata = {"a\x1b[2J": "b\ud800"}
    mbbp.save(net, tmp_path / "net.npz")
    assert run("show", tmp_path / "net.npz") == 0
    assert "a\\x1b[2J: b\\ud800" in capsys.readouterr().out


def test_what_is_refused(table, tmp_path, capsys):
    path, data = tmp_path / "run.npz", tmp_path / "table.csv"
    assert run("train", "--data", data, *HOW, "--checkpoint", path) == 0
    capsys.readouterr()
    before = path.read_bytes()
    mbbp.save(mbbp.Network([64, 10]), tmp_path / "plain.npz")
    text = data.read_text()
    for words, says, content in (
        (["--optimizer", "sgd"], "--optimizer: expected only --checkpoint, --every, --epochs", text),
        (["--opt=sgd"], "--opt: expected only", text),
        (["--epochs", "0"], "--epochs: expected 1 or more, got 0", text),
        ([], "--resume: expected the data of the checkpoint, got others; table has changed", text.replace("9", "8")),
    ):
        data.write_text(content)
        assert run("train", "--resume", path, *words) == 2
        assert says in capsys.readouterr().err
        assert path.read_bytes() == before
    assert run("train", "--resume", tmp_path / "plain.npz") == 2
    assert "--resume: expected a checkpoint of mbbp train, got" in capsys.readouterr().err
    assert run("train", "--checkpoint", tmp_path / "run.txt") == 2
    assert "--checkpoint: expected a name ending in .npz or .mbbp" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ other formats


def test_export_to_c_and_json(tmp_path, capsys):
    model = tmp_path / "m.npz"
    assert run("train", "--epochs", 1, "--checkpoint", model) == 0
    net = mbbp.load(model)
    capsys.readouterr()
    assert run("export", model, "--out", tmp_path / "digits.h", "--weights", "int8") == 0
    header = (tmp_path / "digits.h").read_text()
    assert capsys.readouterr().out == f"wrote {tmp_path / 'digits.h'}: {len(header):,} bytes\n"
    assert "int digits_classify(const float *x)" in header
    assert "settings" not in header  # of the command line
    np.savetxt(tmp_path / "x.csv", mbbp.datasets.load_digits().x_test.T[:50], delimiter=",")
    how = ["--format", "c", "--name", "small", "--data", tmp_path / "x.csv"]
    assert run("export", model, "--out", tmp_path / "n.h", *how) == 0
    assert "small_predict" in (tmp_path / "n.h").read_text()
    assert "50 examples" in (tmp_path / "n.h").read_text()
    assert run("export", model, "--out", tmp_path / "n.json") == 0
    X = mbbp.datasets.load_digits().x_test
    np.testing.assert_allclose(mbbp.from_json(tmp_path / "n.json").feedforward(X), net.feedforward(X), atol=1e-5)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "n.txt"], "--format: expected one of onnx, c, safetensors, json, got --out n.txt"),
        (["--out", "n.h", "--format", "cpp"], "--format: expected one of onnx, c, safetensors, json, got --format cpp"),
        (["--out", "n.h", "--format", "json"], "--out: expected a name ending in .json, got 'n.h'"),
        (["--out", "n.json", "--name", "a"], "--name: expected only with --format c, got it with --format json"),
        (["--out", "n.h", "--name", "int"], "--name: expected"),
        (["--out", "my-model.h"], "it is taken from --out my-model.h, give another as --name"),
        (["--out", "n.h", "--weights", "int4"], "--weights: expected one of float32, float64, int8, got int4"),
        (["--out", "missing/n.h"], "--out: expected a folder that can be written to"),
    ],
)
def test_what_export_refuses(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mbbp.save(mbbp.Network([2, 1], rng=0), "m.npz")
    assert run("export", "m.npz", *words) == 2
    assert says in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["m.npz"]
