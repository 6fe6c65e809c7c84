"""``mpiexec -n 2 mbbp train``: one table, one file, one reason."""

import subprocess
import sys

import numpy as np

import mbbp
from tests.conftest import ROOT
from tests.ranks.test_data_parallel import MPIEXEC

COMMAND = [sys.executable, "-m", "mbbp", "train"]


def train(*groups):
    """Run the command with the words of each rank."""
    command = [str(MPIEXEC)]
    for words in groups:
        command += [":"] * (len(command) > 1) + ["-n", "1", *COMMAND, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_training_in_two_processes_goes_on(tmp_path):
    more = ["--average-every", "5"]
    whole, kept = tmp_path / "whole.mbbp", tmp_path / "kept.mbbp"
    words = ["--epochs", "3", "--save", whole, "--validation", "0.2", *more]
    done = train(words, words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch  training cost") == 1
    assert done.stdout.count("wrote") == 1
    words = ["--epochs", "2", "--checkpoint", kept, "--validation", "0.2", *more]
    done = train(words, words)
    assert done.returncode == 0, done.stderr
    first = mbbp.load(kept)
    assert len(first.history) == 2
    others = [tmp_path / f"{n}.mbbp" for n in (1, 3)]  # also on other numbers of ranks
    for n, path in zip((1, 3), others, strict=True):
        path.write_bytes(kept.read_bytes())
        done = train(*[["--resume", path, "--epochs", "3"]] * n)
        assert done.returncode == 0, done.stderr
        assert mbbp.load(path).history[-1].training_accuracy > 0.5
    done = train(*[["--resume", kept, "--epochs", "3"]] * 2)
    assert done.returncode == 0, done.stderr
    resumed, expected = mbbp.load(kept), mbbp.load(whole)
    assert np.array_equal(resumed.theta, expected.theta)
    assert [row.training_cost for row in resumed.history] == [row.training_cost for row in expected.history]
    assert resumed.history[-1].training_accuracy > 0.5
    assert f"test accuracy {expected.accuracy(*_test_data()):.2%}" in done.stdout


def _test_data():
    data = mbbp.datasets.load_digits()
    return data.x_test, data.y_test


def test_an_error_on_one_rank_is_told_in_one_line():
    done = train(["--epochs", "2"], ["--epochs", "2", "--data", "missing.csv"])
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("mbbp train: error: rank 1: ")
    assert "missing.csv" in line
    assert "epoch  training" not in done.stdout


def test_settings_that_differ_are_told_in_one_line():
    done = train(["--epochs", "2"], ["--epochs", "3"])
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line == "mbbp train: error: epochs: expected the same on all ranks, got 2 on rank 0 and 3 on rank 1"
