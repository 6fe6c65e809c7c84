"""The cache of decoded examples: it changes the speed and what is a chunk, and no file is left."""

import numpy as np
import pytest

import mbbp
from mbbp.chunking.cache import Cache
from tests.chunking.problem import SMALL, N, fitted, network, numbers, rows


def test_a_cached_source_trains_as_the_file_of_it(tmp_path):
    X, y = rows()
    settings = {"memory": SMALL, "chunk_bytes": 500}
    weights = np.random.default_rng(0).random(N, np.float32)
    np.savez_compressed(tmp_path / "d.npz", X=X, y=y.astype("u1"), w=weights)
    cache = tmp_path / "cache"
    cache.mkdir()
    expected = fitted(mbbp.chunks(X, y.astype("u1"), weights=weights, **settings))
    seen = []
    cached = mbbp.chunks(tmp_path / "d.npz", weights="w", cache=cache, **settings)
    net = fitted(cached, callbacks=lambda net, row: seen.append(len(list(cache.rglob("*")))))
    assert net.theta.tobytes() == expected.theta.tobytes()
    assert seen == [4, 4, 4]  # a folder with three files
    assert list(cache.iterdir()) == []


def test_a_function_is_called_once_and_its_chunks_are_shuffled(tmp_path):
    X, Y = numbers()
    calls = []

    def pairs():
        calls.append(None)
        return [(X[i : i + 40], Y[i : i + 40]) for i in range(0, N, 40)]

    settings = {"memory": SMALL, "chunk_bytes": 500}
    net = fitted(mbbp.chunks(pairs, cache=tmp_path, **settings), options={"scaling": None})
    assert len(calls) == 1
    again = fitted(mbbp.chunks(X, Y.astype("f4"), **settings), options={"scaling": None})
    assert net.theta.tobytes() == again.theta.tobytes()


def test_what_fits_into_memory_is_not_cached(tmp_path, monkeypatch):
    monkeypatch.setattr("mbbp.chunking.survey.Cache", None)
    fitted(mbbp.chunks(*rows(), cache=tmp_path))


def test_no_file_is_left_after_an_error(tmp_path):
    data = mbbp.chunks(*rows(), memory=SMALL, cache=tmp_path)

    def fail(net, row):
        raise RuntimeError("in a callback")

    with pytest.raises(RuntimeError, match="in a callback"):
        fitted(data, callbacks=fail)
    assert list(tmp_path.iterdir()) == []
    X, y = rows()
    X[-1] = np.nan  # found when the cache has been begun
    with pytest.raises(ValueError, match="got nan in row 502"):
        network().fit(mbbp.chunks(X, y, memory=SMALL, cache=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_left_while_an_error_is_kept(tmp_path, monkeypatch):
    X, y = rows()
    data = mbbp.chunks(X, y, memory=SMALL, cache=tmp_path)
    bad = np.where(np.arange(N)[:, np.newaxis] == N - 1, np.nan, X)
    add, calls = Cache.add, []

    def fills_the_disk(self, examples):
        calls.append(None)
        if len(calls) == 5:
            raise OSError("No space left on device")
        add(self, examples)

    kept = []
    for refused, settings in (
        (data, {"class_weights": [0, 0, 0]}),
        (data, {"batch_size": N}),
        (data, {"validation_data": (X.T, y + 1)}),
        (data, {"validation_data": mbbp.chunks(X, y + 1, memory=SMALL, cache=tmp_path)}),
        (mbbp.chunks(bad, y, memory=SMALL, cache=tmp_path), {}),
        (data, {"validation_data": data, "batch_size": N}),
    ):
        with pytest.raises(ValueError, match="expected") as caught:
            network().fit(refused, **settings)
        kept.append(caught.value)  # as IPython keeps the last one; its frames hold what they worked with
        assert list(tmp_path.iterdir()) == [], settings

    def fail(net, row):
        raise RuntimeError("in a callback")

    for X_and_y in ((data,), (X.T, y)):
        with pytest.raises(RuntimeError, match="in a callback") as caught:
            network().fit(*X_and_y, validation_data=data, callbacks=fail)
        kept.append(caught.value)
        assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Cache, "add", fills_the_disk)
    with pytest.raises(OSError, match="No space left") as full:
        network().fit(data)
    assert list(tmp_path.iterdir()) == []
    assert full.value.__traceback__ is not None


def test_a_monitor_without_validation_data_is_refused_before_anything_is_read():
    def pairs():
        raise AssertionError("read")

    for settings, message in (
        ({"early_stopping": mbbp.EarlyStopping("validation_cost")}, "early_stopping: expected validation_data"),
        ({"learning_rate": mbbp.schedules.ReduceWhenStuck(0.1, monitor="validation_cost")}, "learning_rate: expected"),
    ):
        with pytest.raises(ValueError, match=message):
            network().fit(mbbp.chunks(pairs), **settings)


def test_what_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cache: expected a folder that can be written to, got"):
        mbbp.chunks(*rows(), cache=tmp_path / "none")
    X, y = rows()
    mixed = [(X[:400], y[:400]), (X.astype("f8"), y)]
    with pytest.raises(ValueError, match="cache: expected inputs of one dtype, got float32 and float64"):
        fitted(mbbp.chunks(mixed, memory=SMALL, cache=tmp_path))
