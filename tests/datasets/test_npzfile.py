"""Loading an .npz file: both layouts, the split, standardizing, and the errors."""

import zipfile

import numpy as np
import pytest

from mbbp.datasets import load_npz


@pytest.fixture
def save(tmp_path):
    def write(**arrays):
        path = tmp_path / "mine.npz"
        np.savez(path, **arrays)
        return path

    return write


def rows(n=10, width=3):
    return np.arange(n * width, dtype=np.float64).reshape(n, width)


KERAS = {
    "x_train": np.arange(24, dtype=np.uint8).reshape(3, 2, 4),
    "y_train": np.array([7, 3, 7], np.uint8),
    "x_test": np.arange(16, dtype=np.uint8).reshape(2, 2, 4),
    "y_test": np.array([5, 3], np.uint8),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_become_columns_and_keep_their_labels(save, dtype):
    X = rows()
    path = save(X=X, y=np.arange(10))
    data = load_npz(path, dtype=dtype)
    assert data.x_train.shape == (3, 8)
    assert data.x_test.shape == (3, 2)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert x.dtype == dtype
        assert x.flags.f_contiguous
        assert y.dtype == np.int64
        assert np.array_equal(x, X[y].T)
    assert sorted([*data.y_train, *data.y_test]) == list(range(10))
    assert data.classes == tuple("0123456789")
    assert data.name == "mine"


def test_the_seed_decides_the_split(save):
    path = save(X=rows(50), y=np.arange(50))
    first, again, other = (load_npz(path, rng=seed).y_test.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert load_npz(path, rng=np.random.default_rng(0)).y_test.tolist() == first
    assert load_npz(path, rng=0).y_train.tolist() != sorted(load_npz(path, rng=0).y_train)


@pytest.mark.parametrize(("fraction", "n_test"), [(0.2, 2), (0.5, 5), (1e-9, 1), (0.999, 9), (0.34, 3)])
def test_each_part_gets_an_example(save, fraction, n_test):
    data = load_npz(save(X=rows(), y=np.arange(10)), test_fraction=fraction)
    assert data.x_test.shape[1] == len(data.y_test) == n_test
    assert data.x_train.shape[1] == len(data.y_train) == 10 - n_test


def test_a_test_fraction_of_0_gives_no_test_examples(save):
    data = load_npz(save(X=rows(1), y=[4]), test_fraction=0)
    assert data.x_test is None
    assert data.y_test is None
    assert data.x_train.tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("fraction", [1, -0.1, 1.5, float("nan")])
def test_test_fraction_is_checked(save, fraction):
    with pytest.raises(ValueError, match=r"test_fraction: expected a number in \[0, 1\), got "):
        load_npz(save(X=rows(), y=np.arange(10)), test_fraction=fraction)


def test_one_sample_cannot_be_split(save):
    with pytest.raises(ValueError, match=r"test_fraction: expected two or more samples to split by 0\.2, got 1"):
        load_npz(save(X=rows(1), y=[1]))


def test_the_label_array_by_name(save):
    path = save(X=rows(2), species=["b", "a"], y=[0, 0])
    assert load_npz(path, target="species", test_fraction=0).classes == ("a", "b")


def test_keras_layout_keeps_its_split_and_order(save):
    data = load_npz(save(**KERAS), test_fraction=0)
    assert np.array_equal(data.x_train, KERAS["x_train"].reshape(3, 8).T)
    assert np.array_equal(data.x_test, KERAS["x_test"].reshape(2, 8).T)
    assert data.x_train.flags.f_contiguous
    assert data.classes == ("3", "5", "7")  # both parts have the same numbering
    assert data.y_train.tolist() == [2, 0, 2]
    assert data.y_test.tolist() == [1, 0]


def test_real_targets(save):
    targets = np.linspace(0, 1, 10)
    data = load_npz(save(X=rows(), y=targets[:, np.newaxis]), regression=True, test_fraction=0)
    assert data.y_train.shape == (1, 10)
    assert data.y_train.dtype == np.float64
    assert data.classes is None
    assert (data.n_inputs, data.n_outputs) == (3, 1)
    assert np.allclose(data.y_train[0], targets[(data.x_train[0] / 3).astype(int)])
    keras = load_npz(save(**KERAS), regression=True, dtype="float64")
    assert keras.y_test.tolist() == [[5.0, 3.0]]
    assert keras.y_test.dtype == np.float64


def bad(**changes):
    return {"X": rows(4), "y": np.arange(4)} | changes


def with_value(value):
    X = rows(4)
    X[2, 1] = value
    return X


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"a": [1], "b": [2]}, {}, ": expected arrays X and y, or x_train, y_train, x_test, y_test, got a, b"),
        (bad(), {"target": "z"}, ": expected arrays X and z, or x_train, y_train, x_test, y_test, got X, y"),
        (
            {k: v for k, v in KERAS.items() if k != "y_test"},
            {},
            ": expected arrays X and y, or x_train, y_train, x_test, y_test, got x_train, y_train, x_test",
        ),
        ({}, {}, ": expected arrays X and y, or x_train, y_train, x_test, y_test, got no array"),
        (bad(y=np.arange(5)), {}, ", 'y': expected shape (4,), got (5,); 'X' has 4 samples"),
        (bad(y=np.eye(4)), {}, ", 'y': expected shape (4,), got (4, 4); 'X' has 4 samples"),
        (bad(X=5.0), {}, ", 'X': expected a shape (samples, features) with at least one of each, got ()"),
        (
            bad(X=np.ones((0, 3))),
            {},
            ", 'X': expected a shape (samples, features) with at least one of each, got (0, 3)",
        ),
        (
            bad(X=np.ones((4, 0))),
            {},
            ", 'X': expected a shape (samples, features) with at least one of each, got (4, 0)",
        ),
        (bad(X=np.full((4, 2), "a")), {}, ", 'X': expected real numbers, got <U1"),
        (bad(X=np.ones((4, 2)) * 1j), {}, ", 'X': expected real numbers, got complex128"),
        (bad(X=with_value(np.nan)), {}, ", X[2, 1]: expected a finite number in float64, got nan"),
        (bad(X=with_value(-np.inf)), {}, ", X[2, 1]: expected a finite number in float64, got -inf"),
        (bad(X=with_value(1e300)), {"dtype": "float32"}, ", X[2, 1]: expected a finite number in float32, got 1e+300"),
        (bad(y=[0, 1, 0.5, 1]), {}, ", 'y': expected a whole number or text as a label, got 0.5"),
        (bad(y=[0, 1, np.nan, 1]), {}, ", 'y': expected a whole number or text as a label, got nan"),
        (bad(y=[0, 1, 0.5, np.inf]), {"regression": True}, ", y[3]: expected a finite number in float64, got inf"),
        (bad(y=list("abab")), {"regression": True}, ", 'y': expected real numbers, got <U1"),
        (bad(y=np.ones(4, complex)), {}, ", 'y': expected whole numbers or text, got complex128"),
        (
            bad(X=np.array([[None]] * 4)),
            {},
            ", 'X': expected an array of numbers or text, got dtype object",
        ),
        (KERAS | {"x_test": np.ones((2, 5))}, {}, ", 'x_test': expected 8 features, got 5; 'x_train' has 8"),
        (
            KERAS | {"y_test": np.array(["a", "b"])},
            {},
            ", 'y_train' and 'y_test': expected only numbers or only text, got an array of each kind",
        ),
        (KERAS | {"y_test": [1, 2, 3]}, {}, ", 'y_test': expected shape (2,), got (3,); 'x_test' has 2 samples"),
    ],
)
def test_errors_name_the_file_and_the_array(save, arrays, options, message):
    path = save(**arrays)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the beginning of the message is compared below
        load_npz(path, **options)
    assert str(caught.value).startswith(f"{path}{message}")


def test_the_error_for_real_labels_suggests_regression(save):
    with pytest.raises(ValueError, match="for real targets use regression=True"):
        load_npz(save(**bad(y=[0.5, 1, 2, 3])))


def test_dtype_is_checked(save):
    with pytest.raises(ValueError, match="dtype: expected "):
        load_npz(save(**bad()), dtype="int8")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_npz(tmp_path / "nowhere.npz")


def test_files_that_are_not_an_archive(tmp_path):
    path = tmp_path / "array.npz"
    for content in (b"", b"\x93NUMPY", b"text", b"PK\3\4 and then nothing"):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"array\.npz: expected an \.npz file \(a zip archive of arrays\), got another format"
        ):
            load_npz(path)


def test_a_damaged_archive(save):
    path = save(**bad())
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"mine\.npz, 'X': expected an array that can be read, got a damaged one; .*CRC-32"
    ):
        load_npz(path)


def test_an_archive_of_something_else(tmp_path):
    path = tmp_path / "zip.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X", "text")
        file.writestr("y", "text")
    with pytest.raises(ValueError, match=r"zip\.npz, 'X': expected an array in NumPy's \.npy format, got other data"):
        load_npz(path)


def test_the_file_is_not_changed(save):
    path = save(**bad())
    before = path.read_bytes()
    load_npz(path)
    assert path.read_bytes() == before
