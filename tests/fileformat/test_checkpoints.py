"""Checkpoints: written while a training runs, whatever ends it."""

import os
import signal
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pytest

import mbbp
from mbbp.schedules import Cosine
from tests.fileformat.test_going_on import compare
from tests.problems import labelled, network

OPTIONS = {"batch_size": 5, "optimizer": "adam", "learning_rate": Cosine(0.05, 12), "validation_split": 0.3}


class CrashError(Exception):
    pass


def crash_at(number):
    def callback(_, row):
        if row.epoch == number:
            raise CrashError

    return callback


@pytest.mark.parametrize("stopping", [None, 2, 4, mbbp.EarlyStopping("training_cost", 1, min_delta=10.0)], ids=str)
@pytest.mark.parametrize("number", [1, 5, 11, 12])
def test_a_crash_in_any_epoch(number, stopping, tmp_path):
    path = tmp_path / "run.mbbp"
    whole, parted = network(), network()
    whole.fit(*labelled(), epochs=12, early_stopping=stopping, **OPTIONS)
    try:
        parted.fit(
            *labelled(), epochs=12, early_stopping=stopping, checkpoint=path, callbacks=crash_at(number), **OPTIONS
        )
    except CrashError:
        back = mbbp.load(path) if path.exists() else network()
        assert len(back.history) == number - 1  # the callbacks belong to the epoch
        assert not back.history.has_ended
        back.fit(*labelled(), epochs=13 - number, early_stopping=stopping, checkpoint=path, **OPTIONS)
    back = mbbp.load(path)
    compare(back, whole)
    assert back.history.has_ended


@pytest.mark.parametrize("every", [1, 3, 5, 100])
def test_a_checkpoint_is_written_after_so_many_epochs_and_at_the_end(every, tmp_path):
    path, found = tmp_path / "run.npz", []
    net = network()
    look = [lambda _, row: found.append((row.epoch, len(mbbp.load(path).history) if path.exists() else 0))]
    net.fit(*labelled(), epochs=7, checkpoint=path, every=every, callbacks=look)
    assert found == [(epoch, (epoch - 1) // every * every) for epoch in range(1, 8)]
    compare(mbbp.load(path), net)


def test_the_last_one_has_the_best_parameters(tmp_path):
    net = network()
    stopping = mbbp.EarlyStopping("training_cost", 3, min_delta=10.0)  # no epoch is better than the first
    net.fit(*labelled(), epochs=9, early_stopping=stopping, checkpoint=tmp_path / "run.npz")
    assert len(net.history) == 4
    back = mbbp.load(tmp_path / "run.npz")
    compare(back, net)
    back.fit(*labelled(), epochs=9, early_stopping=stopping)  # the training had ended: this is a new one
    assert len(back.history) == 8


def test_other_early_stopping_begins_afresh(tmp_path):
    path, net = tmp_path / "run.npz", network()
    with pytest.raises(CrashError):
        net.fit(*labelled(), epochs=9, early_stopping=3, checkpoint=path, callbacks=crash_at(3))
    back = mbbp.load(path)
    back.fit(*labelled(), epochs=9, early_stopping=mbbp.EarlyStopping("training_cost", 2, min_delta=10.0))
    assert len(back.history) == 2 + 3


def test_ctrl_c_leaves_a_checkpoint_that_goes_on(tmp_path):
    def press(_, row):
        if row.epoch == 3:
            os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "run.mbbp"
    whole, parted = network(), network()
    whole.fit(*labelled(), epochs=9, early_stopping=3, **OPTIONS)
    parted.fit(*labelled(), epochs=9, early_stopping=3, checkpoint=path, every=100, callbacks=press, **OPTIONS)
    back = mbbp.load(path)
    assert parted.history.was_interrupted
    assert back.history.was_interrupted
    assert len(back.history) == 3
    back.fit(*labelled(), epochs=6, early_stopping=3, **OPTIONS)
    compare(back, whole)


def test_a_callback_that_stops_it_ends_it(tmp_path):
    def stop(_, row):
        if row.epoch == 3:
            raise mbbp.StopTraining

    net = network()
    net.fit(*labelled(), epochs=9, early_stopping=3, checkpoint=tmp_path / "run.npz", every=5, callbacks=stop)
    compare(mbbp.load(tmp_path / "run.npz"), net)


def test_a_training_that_diverges_leaves_the_last_checkpoint(tmp_path):
    net = mbbp.Network([4, 3], "identity", rng=0)
    rates = [0.1, 0.1, 1e30]
    with pytest.raises(mbbp.DivergedError):
        net.fit(*labelled(), epochs=3, learning_rate=lambda n: rates[n - 1], checkpoint=tmp_path / "run.npz")
    compare(mbbp.load(tmp_path / "run.npz"), net)
    assert len(net.history) == 2


def test_what_a_callback_changes_is_in_the_checkpoint(tmp_path):
    def shrink(net, row):
        net.theta = 0.5 * net.theta
        if row.epoch == 3:
            (tmp_path / "run.npz").rename(tmp_path / "kept.npz")

    whole = network()
    whole.fit(*labelled(), epochs=5, checkpoint=tmp_path / "run.npz", callbacks=shrink)
    back = mbbp.load(tmp_path / "kept.npz")
    assert len(back.history) == 2
    back.fit(*labelled(), epochs=3, callbacks=lambda net, _: setattr(net, "theta", 0.5 * net.theta))
    compare(back, whole)


def test_a_callback_that_changes_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    net = network()
    net.fit(*labelled(), epochs=3, checkpoint="run.npz", callbacks=lambda *_: os.chdir(tmp_path / "other"))
    compare(mbbp.load(tmp_path / "run.npz"), net)


def test_settings_of_numpy_are_saved(tmp_path):
    stopping = mbbp.EarlyStopping("training_cost", np.int64(3), np.float32(0.5), np.True_)
    optimizer = mbbp.Adam(beta1=np.longdouble("0.9"), beta2=Decimal("0.99"), epsilon=np.float32(1e-6))
    nets = [network(), network()]
    how = {"early_stopping": stopping, "optimizer": optimizer}
    nets[0].fit(*labelled(), epochs=2, **how)
    nets[0].fit(*labelled(), epochs=2, **how)
    nets[1].fit(*labelled(), epochs=2, checkpoint=tmp_path / "run.npz", **how)
    back = mbbp.load(tmp_path / "run.npz")
    back.fit(*labelled(), epochs=2, **how)
    compare(back, nets[0])


def test_what_cannot_be_saved_is_found_before_the_training(tmp_path):
    (tmp_path / "folder.npz").mkdir()
    net = network()
    with pytest.raises(ValueError, match="checkpoint: expected a file, got the folder"):
        net.fit(*labelled(), epochs=1, checkpoint=tmp_path / "folder.npz")
    net.metadata = {"long": "x" * 2_000_000}
    with pytest.raises(ValueError, match="net: expected a description of at most"):
        net.fit(*labelled(), epochs=1, checkpoint=tmp_path / "run.npz")
    assert len(net.history) == 0


def test_a_regressor_leaves_a_checkpoint_in_its_own_units(tmp_path):
    X = np.random.default_rng(0).standard_normal((2, 60))
    path, found = tmp_path / "run.npz", []

    def look(_, row):
        if row.epoch == 3:
            found.append(mbbp.predict(mbbp.load(path), X).outputs)

    net = mbbp.regressor(X, 1000 + X[0], epochs=4, rng=0, checkpoint=path, callbacks=look)
    np.testing.assert_array_equal(mbbp.load(path).feedforward(X), net.feedforward(X))
    assert abs(found[0].mean() - 1000) < 1
    assert net.schema is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"checkpoint": "run.txt"}, r"checkpoint: expected a name ending in \.npz or \.mbbp, got '.*run.txt'"),
        ({"checkpoint": "missing/run.npz"}, "checkpoint: expected a folder that can be written to, got '.*missing'"),
        ({"checkpoint": 3}, "checkpoint: expected a path, got 3"),
        ({"checkpoint": "run.npz", "every": 0}, "every: expected 1 or more, got 0"),
        ({"checkpoint": "run.npz", "every": 1.5}, "every: expected a whole number, got 1.5"),
    ],
)
def test_wrong_arguments(wrong, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = network()
    with pytest.raises((TypeError, ValueError), match=says):
        net.fit(*labelled(), epochs=1, **wrong)
    assert len(net.history) == 0
    assert not list(tmp_path.iterdir())


KILLER = """
import os, random, signal, sys, time
import mbbp
from tests.problems import figures, labelled, network

kills, path = int(sys.argv[1]), sys.argv[2]
mbbp.set_threads(1)
options = {"batch_size": 5, "optimizer": "adam", "early_stopping": 30, "validation_split": 0.3}
X, y = labelled(200)
whole = network(dropout=0.1)
whole.fit(X, y, epochs=60, **options)
began = time.perf_counter()
network(dropout=0.1).fit(X, y, epochs=60, checkpoint=path, **options)
whole_time = time.perf_counter() - began
os.unlink(path)
chance, done, lost, lives = random.Random(7), 0, 0, 0
while done < kills:
    net = mbbp.load(path) if os.path.exists(path) else network(dropout=0.1)
    before, (reading, writing) = len(net.history), os.pipe()
    child = os.fork()
    if child == 0:
        tell = lambda _, row: os.write(writing, b"x")  # before the checkpoint of its epoch
        if before < 60:
            net.fit(X, y, epochs=60 - before, checkpoint=path, callbacks=tell, **options)
        os._exit(0)
    os.close(writing)
    lives += 1
    time.sleep(chance.uniform(0, whole_time / 5))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    told = len(os.read(reading, 1000))
    os.close(reading)
    saved = len(mbbp.load(path).history) if os.path.exists(path) else 0
    assert before <= saved and before + told - 1 <= saved <= before + told, (before, told, saved)
    if os.WIFSIGNALED(status):
        done += 1
    if saved:
        assert figures(mbbp.load(path).history) == figures(whole.history)[:saved]
    if not os.WIFSIGNALED(status):
        back = mbbp.load(path)
        assert back.theta.tobytes() == whole.theta.tobytes()
        assert figures(back.history) == figures(whole.history)
        lost += 1
        os.unlink(path)
print(done, "kills,", lost, "whole trainings in", lives, "lives;", sorted(os.listdir(os.path.dirname(path)))[:3])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_200_kills_at_random_moments_lose_at_most_the_running_epoch(tmp_path):
    path = tmp_path / "run.mbbp"
    command = [sys.executable, "-W", "ignore", "-c", KILLER, "200", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("200 kills, ")
    assert " 0 whole" not in done.stdout
