"""A user's .npz: both layouts, the split, standardizing, and every way it can be wrong."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.datasets import load_npz
from mbbp.datasets.prepare import inplace_standardize, number_classes, split_rows


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


def test_the_split_is_the_seeds(save):
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


def test_no_test_part_if_none_is_wanted(save):
    data = load_npz(save(X=rows(1), y=[4]), test_fraction=0)
    assert data.x_test is None
    assert data.y_test is None
    assert data.x_train.tolist() == [[0], [1], [2]]


@pytest.mark.parametrize("fraction", [1, -0.1, 1.5, float("nan")])
def test_test_fraction_is_checked(save, fraction):
    with pytest.raises(ValueError, match=r"test_fraction must be in \[0, 1\), got "):
        load_npz(save(X=rows(), y=np.arange(10)), test_fraction=fraction)


def test_one_sample_cannot_be_split(save):
    with pytest.raises(ValueError, match=r"test_fraction=0\.2 needs two samples or more to split, got 1"):
        load_npz(save(X=rows(1), y=[1]))


def test_the_label_array_by_name(save):
    path = save(X=rows(2), species=["b", "a"], y=[0, 0])
    assert load_npz(path, label="species", test_fraction=0).classes == ("a", "b")


def test_keras_layout_keeps_its_split_and_order(save):
    data = load_npz(save(**KERAS), test_fraction=0)
    assert np.array_equal(data.x_train, KERAS["x_train"].reshape(3, 8).T)
    assert np.array_equal(data.x_test, KERAS["x_test"].reshape(2, 8).T)
    assert data.x_train.flags.f_contiguous
    assert data.classes == ("3", "5", "7")  # one numbering for both parts
    assert data.y_train.tolist() == [2, 0, 2]
    assert data.y_test.tolist() == [1, 0]


def test_real_targets(save):
    targets = np.linspace(0, 1, 10)
    data = load_npz(save(X=rows(), y=targets[:, np.newaxis]), regression=True, test_fraction=0)
    assert data.y_train.shape == (1, 10)
    assert data.y_train.dtype == np.float32
    assert data.classes is None
    assert (data.n_inputs, data.n_outputs) == (3, 1)
    assert np.allclose(data.y_train[0], targets[(data.x_train[0] / 3).astype(int)])
    keras = load_npz(save(**KERAS), regression=True, dtype="float64")
    assert keras.y_test.tolist() == [[5.0, 3.0]]
    assert keras.y_test.dtype == np.float64


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        ([10, 9, -1], ("-1", "9", "10"), [2, 1, 0]),
        ([1.0, 0.0, 2.0], ("0", "1", "2"), [1, 0, 2]),
        ([True, False, True], ("0", "1"), [1, 0, 1]),
        (["10", "9", "x"], ("10", "9", "x"), [0, 1, 2]),
        (["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        (["1_0", "9", "1"], ("1", "1_0", "9"), [1, 2, 0]),
    ],
)
def test_labels_are_numbered_in_sorted_order(labels, classes, numbers):
    assert number_classes(labels)[0] == classes
    assert number_classes(labels)[1].tolist() == numbers


@given(st.lists(st.integers() | st.text(max_size=3), min_size=1))
def test_every_label_gets_the_number_of_its_class(labels):
    try:
        classes, numbers = number_classes(labels)
    except ValueError as error:
        assert "is not a whole number" in str(error)  # noqa: PT017 - "nan" and the like are rare and right
        return
    assert sorted(set(numbers)) == list(range(len(classes)))
    for label, number in zip(labels, numbers, strict=True):
        assert classes[number] == str(label) or int(classes[number]) == float(label)


# --- standardizing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_standardized_by_the_training_part(save, dtype):
    rng = np.random.default_rng(2)
    X = rng.normal(50, [1, 200, 1e-3], (400, 3))
    path = save(X=X, y=np.arange(400) % 2)
    plain, data = (load_npz(path, dtype=dtype, standardize=flag) for flag in (False, True))
    assert data.x_train.dtype == dtype
    assert np.allclose(data.x_train.mean(axis=1), 0, atol=3e-3)
    assert np.allclose(data.x_train.std(axis=1), 1, atol=3e-3)
    mean, std = (f(plain.x_train.astype(float), axis=1, keepdims=True) for f in (np.mean, np.std))
    assert np.allclose(data.x_test, (plain.x_test - mean) / std, atol=0.01)
    assert np.array_equal(data.y_test, plain.y_test)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0.1, -7e7, 1e-200])
def test_constant_features_become_zero_not_noise(dtype, value):
    constant = np.full((999, 1), value, dtype)
    data = split_rows("c", constant, np.zeros(999, int), ("0",), test_fraction=0.5, rng=0)
    data.x_test[0, 0] += 3
    shift = data.x_test[0, 0] - constant[0, 0]
    inplace_standardize(data)
    assert not data.x_train.any()
    assert data.x_test[0, 0] == shift
    assert not data.x_test[0, 1:].any()


def test_variances_too_small_for_a_float_do_not_divide_by_zero(save):
    data = load_npz(save(X=[[1e-300], [2e-300]], y=[0, 1]), test_fraction=0, dtype="float64", standardize=True)
    assert np.isfinite(data.x_train).all()


def test_standardized_without_a_test_part(save):
    data = load_npz(save(X=[[1.0], [3.0]], y=[0, 1]), test_fraction=0, standardize=True)
    assert sorted(data.x_train[0]) == [-1, 1]


def test_keras_layout_is_standardized_too(save):
    data = load_npz(save(**KERAS), standardize=True)
    assert np.allclose(data.x_train.mean(axis=1), 0, atol=1e-6)
    assert np.allclose(data.x_train.std(axis=1), 1)


# --- what can be wrong


def bad(**changes):
    return {"X": rows(4), "y": np.arange(4)} | changes


def with_value(value):
    X = rows(4)
    X[2, 1] = value
    return X


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"a": [1], "b": [2]}, {}, "holds a, b; wanted X and y, or x_train, y_train, x_test, y_test"),
        (bad(), {"label": "z"}, "holds X, y; wanted X and z, or x_train"),
        ({k: v for k, v in KERAS.items() if k != "y_test"}, {}, "holds x_train, y_train, x_test; wanted X"),
        ({}, {}, "holds nothing; wanted X and y"),
        (bad(y=np.arange(5)), {}, r"'y' has shape (5,): wanted (4,), as 'X' has 4 samples"),
        (bad(y=np.eye(4)), {}, r"'y' has shape (4, 4): wanted (4,), as 'X' has 4 samples"),
        (bad(X=5.0), {}, "'X' has shape (): wanted samples x features, one at least of each"),
        (bad(X=np.ones((0, 3))), {}, "'X' has shape (0, 3): wanted samples x features"),
        (bad(X=np.ones((4, 0))), {}, "'X' has shape (4, 0): wanted samples x features"),
        (bad(X=np.full((4, 2), "a")), {}, "'X' is <U1: wanted real numbers"),
        (bad(X=np.ones((4, 2)) * 1j), {}, "'X' is complex128: wanted real numbers"),
        (bad(X=with_value(np.nan)), {}, "X[2, 1] is nan: wanted numbers finite in float32"),
        (bad(X=with_value(-np.inf)), {}, "X[2, 1] is -inf: wanted numbers finite in float32"),
        (bad(X=with_value(1e300)), {}, "X[2, 1] is 1e+300: wanted numbers finite in float32"),
        (bad(y=[0, 1, 0.5, 1]), {}, "'y': label 0.5 is not a whole number: classes are whole numbers or text"),
        (bad(y=[0, 1, np.nan, 1]), {}, "'y': label nan is not a whole number"),
        (bad(y=[0, 1, 0.5, np.inf]), {"regression": True}, "y[3] is inf: wanted numbers finite"),
        (bad(y=list("abab")), {"regression": True}, "'y' is <U1: wanted real numbers"),
        (bad(y=np.ones(4, complex)), {}, "'y' is complex128: wanted whole numbers or text"),
        (bad(X=np.array([[None]] * 4)), {}, "array 'X' cannot be read: Object arrays cannot be loaded"),
        (KERAS | {"x_test": np.ones((2, 5))}, {}, "'x_train' has 8 features and 'x_test' 5: wanted as many"),
        (KERAS | {"y_test": np.array(["a", "b"])}, {}, "one of 'y_train' and 'y_test' is text and the other"),
        (KERAS | {"y_test": [1, 2, 3]}, {}, "'y_test' has shape (3,): wanted (2,), as 'x_test' has 2 samples"),
    ],
)
def test_errors_name_the_file_and_the_array(save, arrays, options, message):
    path = save(**arrays)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, to its start
        load_npz(path, **options)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_real_labels_are_told_about_regression(save):
    with pytest.raises(ValueError, match="real targets need regression=True"):
        load_npz(save(**bad(y=[0.5, 1, 2, 3])))


def test_dtype_is_checked(save):
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got 'int8'"):
        load_npz(save(**bad()), dtype="int8")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_npz(tmp_path / "nowhere.npz")


def test_files_that_are_no_archive(tmp_path):
    path = tmp_path / "array.npz"
    for content in (b"", b"\x93NUMPY", b"text", b"PK\3\4 and then nothing"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"array\.npz: not an \.npz file"):
            load_npz(path)


def test_a_damaged_archive(save):
    path = save(**bad())
    content = bytearray(path.read_bytes())
    content[content.index(b"NUMPY") + 130] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.npz: a corrupt \.npz file: Bad CRC-32"):
        load_npz(path)


def test_an_archive_of_something_else(tmp_path):
    path = tmp_path / "zip.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("X", "text")
        file.writestr("y", "text")
    with pytest.raises(ValueError, match=r"zip\.npz: 'X' is not an array in NumPy's \.npy format"):
        load_npz(path)


def test_the_file_is_not_changed(save):
    path = save(**bad())
    before = path.read_bytes()
    load_npz(path, standardize=True)
    assert path.read_bytes() == before
