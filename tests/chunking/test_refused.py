"""What is refused, and where the message says that the fault is: the argument, the file, the row."""

import re
import sys
import threading

import numpy as np
import pytest

import mbbp
from mbbp.planning import check_alone
from mbbp.ranks import Ranks
from tests.chunking.problem import SMALL, N, fitted, network, numbers, rows
from tests.test_arguments_fuzz import BAD, made


def refused(data, error, message, options=None, **settings):
    """Assert that a training raises this error, and changes nothing."""
    net = network(**(options or {}))
    before = net.theta.tobytes()
    with pytest.raises(error, match=message):
        net.fit(data, **{"epochs": 1} | settings)
    assert (net.theta.tobytes(), len(net.history)) == (before, 0)
    assert (options or {}).get("scaling", "standardize") == net.scaling
    assert [one.name for one in threading.enumerate() if one.name == "mbbp reader"] == []


def with_one(array, where, value):
    changed = np.array(array)
    changed[where] = value
    return changed


FEW = {
    "nan": (with_one(rows()[0], (400, 2), np.nan), None, "got nan in row 400, column 2"),
    "inf": (with_one(rows()[0], (17, 0), -np.inf), None, "got -inf in row 17, column 0"),
    "too large": (
        with_one(rows(dtype="f8")[0], (17, 0), 1e39),
        None,
        "expected numbers that float32 can hold, got 1e\\+39 in row 17, column 0",
    ),
    "too wide": (np.zeros((N, 5), "f4"), None, "X .*: expected shape \\(n, 4\\), got \\(\\d+, 5\\)"),
    "a label": (None, with_one(rows()[1], 450, 3), "y .*: expected labels from 0 to 2, got 3 at position"),
    "half a label": (None, rows()[1] / 2, "y .*: expected labels from 0 to 2, got 0.5"),
    "targets": (None, np.zeros((N, 2)), "y .*: expected shape \\(\\d+,\\) for labels or \\(\\d+, 3\\) for desired"),
    "a column of labels": (None, rows()[1][:, np.newaxis], "y .*; for labels pass a vector"),
    "nan in a target": (None, with_one(numbers()[1], (3, 1), np.nan), "y .*: expected finite numbers, got nan"),
}


@pytest.mark.parametrize("memory", [SMALL, 1 << 28], ids=["several pools", "in memory"])
@pytest.mark.parametrize(("X", "y", "message"), FEW.values(), ids=FEW)
def test_bad_examples(X, y, message, memory):
    X, y = rows()[0] if X is None else X, rows()[1] if y is None else y
    refused(mbbp.chunks(X, y, memory=memory), ValueError, message)


def test_the_file_and_its_rows_are_named(tmp_path):
    X, y = rows()
    np.save(tmp_path / "x.npy", with_one(X, (400, 2), np.nan))
    np.save(tmp_path / "y.npy", with_one(y, 450, 9))
    names = tmp_path / "x.npy", tmp_path / "y.npy"
    refused(
        mbbp.chunks(*names, memory=SMALL, chunk_bytes=2400),
        ValueError,
        r"^X \(x.npy, rows 400 to 499\): expected finite numbers, got nan in row 400, column 2$",
    )
    np.save(tmp_path / "x.npy", X)
    refused(
        mbbp.chunks(*names, memory=SMALL, chunk_bytes=2400),
        ValueError,
        r"^y \(y.npy, rows 400 to 499\): expected labels from 0 to 2, got 9 at position 50$",
    )


def test_a_column_of_a_table_is_named(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(arrow.table({"a": [1.0, None, 2.0], "b": ["x", "y", "z"], "y": [0, 1, 0]}), path)
    with pytest.raises(TypeError, match=r"source \(t.parquet\): expected columns of numbers, got 'b' of string"):
        mbbp.chunks(path, target="y")
    with pytest.raises(ValueError, match=r"target: expected a column of t.parquet, which has a, b, y, got 'z'"):
        mbbp.chunks(path, target="z")
    with pytest.raises(ValueError, match=r"target: expected the name of a column of t.parquet, got None"):
        mbbp.chunks(path)
    parquet.write_table(arrow.table({"a": [1.0, None, 2.0], "c": [1, 2, 3], "y": [0, 1, 0]}), path)
    net = mbbp.Network([2, 3, 2], rng=0)
    with pytest.raises(ValueError, match=r"X \(t.parquet, rows 0 to 2\): expected finite .*, got nan in row 1, column"):
        net.fit(mbbp.chunks(path, target="y"))
    path.write_bytes(b"PAR1" + bytes(50) + b"PAR1")
    with pytest.raises(ValueError, match="source: expected a Parquet file, got"):
        mbbp.chunks(path, target="y")


def test_bad_weights():
    X, y = rows()
    for weights, message in (
        (with_one(np.ones(N), 3, -1.0), "weights .*: expected finite numbers of at least 0, got -1"),
        (with_one(np.ones(N), 3, np.nan), "weights .*: expected finite numbers of at least 0, got nan"),
        (np.zeros(N), "weights: expected numbers above 0, got zeros alone"),
    ):
        refused(mbbp.chunks(X, y, weights=weights, memory=SMALL), ValueError, message)
    mixed = [(X, y, np.ones(N)), (X, y)]
    refused(mbbp.chunks(mixed), ValueError, r"weights \(source\[1\]\): expected weights in all chunks or in none")
    mixed = [(X, y), (X, numbers()[1])]
    refused(mbbp.chunks(mixed), ValueError, r"y \(source\[1\]\): expected labels, as the first chunk has, got desired")


def test_numbers_that_cannot_be_standardized():
    X, y = rows(dtype="f8")
    X[5] = 1e200
    options = {"dtype": "float64"}
    for memory in (SMALL, 1 << 28):
        refused(mbbp.chunks(X, y, memory=memory), ValueError, "X: expected numbers whose squares", options)


SETTINGS = {
    "y": ({"y": rows()[1]}, ValueError, "y: expected None with mbbp.Chunks; they have their targets"),
    "subset": ({"subset": [1]}, ValueError, "subset: expected None with mbbp.Chunks"),
    "example_weights": (
        {"example_weights": np.ones(N)},
        ValueError,
        "example_weights: .*; pass weights to mbbp.chunks",
    ),
    "validation_split": ({"validation_split": 0.1}, ValueError, "validation_split: expected None with mbbp.Chunks"),
    **{
        name: ({"optimizer": name}, ValueError, f"optimizer: expected one that takes mini-batches .*, got {name}")
        for name in ("levenberg_marquardt", "lbfgs", "dp_sgd")
    },
    "class_weights": ({"class_weights": {3: 1}}, ValueError, "class_weights: expected labels from 0 to 2, got 3"),
    "zeros": ({"class_weights": [0, 0, 0]}, ValueError, "class_weights: .*not all of them 0"),
    "a word": ({"class_weights": "equal"}, ValueError, "class_weights: expected 'balanced'"),
    "validation": ({"validation_data": rows()[0]}, TypeError, "validation_data: expected a pair"),
    "a monitor": ({"early_stopping": mbbp.EarlyStopping("validation_cost")}, ValueError, "early_stopping: expected"),
}


@pytest.mark.parametrize("memory", [SMALL, 1 << 28], ids=["several pools", "in memory"])
@pytest.mark.parametrize(("settings", "error", "message"), SETTINGS.values(), ids=SETTINGS)
def test_arguments_that_are_not_for_chunks(settings, error, message, memory):
    refused(mbbp.chunks(*rows(), memory=memory), error, message, **settings)


@pytest.mark.parametrize("memory", [SMALL, 1 << 28], ids=["several pools", "in memory"])
def test_weights_that_cancel(memory):
    X, y = rows()
    data = mbbp.chunks(X, y, weights=np.where(y == 0, 0.0, 1.0), memory=memory)
    message = "class_weights: expected numbers .*, not all of them 0"
    refused(data, ValueError, message, class_weights={1: 0.0, 2: 0.0})
    refused(mbbp.chunks(X, 0 * y, memory=memory), ValueError, message, class_weights={0: 0.0})


def test_a_mini_batch_must_fit_into_half_the_memory():
    data = mbbp.chunks(*rows(), memory=2000)  # an example takes 16 bytes, 1 of its label, and 16 of the order
    message = r"batch_size: expected .* half of memory, 1000 bytes or 30 examples, got {}; pass a larger memory"
    refused(data, ValueError, message.format(31), batch_size=31)
    refused(data, ValueError, message.format(N), batch_size=1000)
    assert len(fitted(data, batch_size=30, epochs=1).history) == 1
    refused(mbbp.chunks(*rows(), memory=10), ValueError, "batch_size: .* 5 bytes or 0 examples, got 10")


def test_class_weights_of_numbers():
    refused(
        mbbp.chunks(*numbers(), memory=SMALL),
        ValueError,
        "class_weights: expected labels or unit vectors as y",
        class_weights="balanced",
    )


def test_several_networks_and_several_processes_need_arrays():
    data = mbbp.chunks(*rows(), memory=SMALL)
    with pytest.raises(TypeError, match=r"X: expected arrays to train several networks, got mbbp.Chunks"):
        mbbp.fit_many([network()], data, None)
    with pytest.raises(TypeError, match=r"X: expected arrays to train several networks, got mbbp.Chunks"):
        mbbp.Ensemble([network()]).fit(data, None)
    X, y = rows()
    with pytest.raises(TypeError, match=r"validation_data: expected arrays to train several networks, got mbbp.Chunks"):
        mbbp.fit_many([network()], X.T, y, validation_data=data)
    with pytest.raises(ValueError, match=r"comm: expected None with mbbp.Chunks, got"):
        check_alone(None, mbbp.SGD(), is_one=True, comm=Ranks)


def test_arrays_need_targets():
    with pytest.raises(TypeError, match="y: expected labels or desired outputs, got None"):
        network().fit(rows()[0].T)


def test_what_can_be_gone_through_once():
    X, y = rows()
    with pytest.raises(TypeError, match="source: expected what can be gone through again and again"):
        mbbp.chunks((X, y) for _ in range(2))
    once = iter([(X, y)])
    refused(mbbp.chunks(lambda: once, memory=SMALL), ValueError, "expected 503 rows, as in the first pass, got 0")


@pytest.mark.parametrize("pair", [3, (1,), (1, 2, 3, 4), None, "ab"], ids=str)
def test_what_is_no_pair(pair):
    refused(mbbp.chunks(lambda: [pair]), TypeError, "source: expected pairs")
    refused(mbbp.chunks([pair] if pair != "ab" else [(1, 2, 3, 4)]), TypeError, "source: expected pairs")


def test_nothing(tmp_path):
    refused(mbbp.chunks(lambda: []), ValueError, "source: expected at least one example, got none")
    refused(mbbp.chunks(lambda: [rows(0)]), ValueError, "source: expected at least one example, got none")
    refused(mbbp.chunks(lambda: 3), TypeError, "source: expected a function that returns an iterable of pairs")
    for source, message in (
        ([], "source: expected at least one pair"),
        (tmp_path, "source: expected files that end in .npy"),
        (np.zeros((0, 4)), r"X \(source\): expected at least one row, got none"),
    ):
        with pytest.raises(ValueError, match=message):
            mbbp.chunks(source, np.zeros(0) if isinstance(source, np.ndarray) else None)


def test_files_that_do_not_fit(tmp_path):
    X, y = rows()
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", y[1:])
    np.savez(tmp_path / "d.npz", X=X, y=y)
    np.savez_compressed(tmp_path / "c.npz", X=X, y=y[1:])
    np.savez(tmp_path / "e.npz", a=X, b=X, y=y)
    (tmp_path / "bad.npy").write_bytes(b"no array")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    np.save(tmp_path / "text.npy", np.array(["a"] * N))
    for call, error, message in (
        (("x.npy", "y.npy"), ValueError, r"y \(y.npy\): expected 503 rows, as many as X \(x.npy\) has, got 502"),
        (("x.npy", None), TypeError, "y: expected a .npy file or an array with the targets, got None"),
        (("x.npy", ["y.npy", "y.npy"]), ValueError, "y: expected 1 files, one for each file of source, got 2"),
        (("x.npy", "d.npz"), ValueError, "y: expected a .npy file"),
        (("bad.npy", y), ValueError, "X: expected a .npy file, got"),
        (("cut.npy", y), ValueError, r"X \(cut.npy\): expected the data of shape \(503, 4\)"),
        (("text.npy", y), TypeError, r"X \(text.npy\): expected real numbers, got dtype <U1"),
        (("y.npy", "y.npy"), ValueError, r"X \(y.npy\): expected a matrix \(n, n_in\)"),
        ((["x.npy", "d.npz"],), ValueError, "source: expected files of one kind"),
        (("x.csv",), ValueError, "source: expected files of one kind, of .npy, .npz, .parquet, .pq, got .csv"),
        (("none.npy", y), FileNotFoundError, "none.npy"),
        (("none.npz",), FileNotFoundError, "none.npz"),
        (("bad.npz",), ValueError, "bad.npz: expected an .npz file"),
        (("d.npz", y), TypeError, "y: expected None with a source of .npz files"),
        (("c.npz",), ValueError, r"y \(c.npz, 'y'\): expected 503 rows, as many as X has, got 502"),
        (("e.npz",), ValueError, r"source \(e.npz\): expected an array 'X' or 'x', got a, b, y"),
    ):
        paths = [
            tmp_path / one if isinstance(one, str) else [tmp_path / p for p in one] if isinstance(one, list) else one
            for one in call
        ]
        with pytest.raises(error, match=message):
            mbbp.chunks(*paths)
    with pytest.raises(ValueError, match=r"target: expected the name of an array of d.npz, which has X, y, got 'z'"):
        mbbp.chunks(tmp_path / "d.npz", target="z")


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match="source: needs pyarrow; pip install pyarrow"):
        mbbp.chunks(tmp_path / "t.parquet", target="y")


GOOD = {
    "source": rows(6)[0],
    "y": rows(6)[1],
    "target": None,
    "weights": np.ones(6),
    "memory": 300,
    "chunk_bytes": 50,
    "cache": None,
}


@pytest.mark.parametrize("argument", GOOD)
def test_every_bad_value_is_refused_by_the_name_of_the_argument_or_when_it_is_read(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if argument == "source":
        fitted(mbbp.chunks(**GOOD), epochs=1)
    for kind in BAD:
        value = made(kind, GOOD[argument])
        found = fault(lambda value=value: mbbp.chunks(**GOOD | {argument: value}), rf"{argument}|x.npz")
        assert not found, (kind, found)


def fault(make, names):
    """Return what is wrong with the message of an error, of making the data or of training on them; or None."""
    try:
        with np.errstate(all="ignore"):
            fitted(make(), epochs=1, batch_size=1)
    except (TypeError, ValueError, FileNotFoundError) as error:
        return None if re.search(rf"(?<!\w)({names}|X)(?!\w)", str(error)) else error
    return None
