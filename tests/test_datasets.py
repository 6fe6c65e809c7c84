"""The Dataset itself, the embedded digits, loading by name, and the package as others import it."""

import doctest
import hashlib
import importlib
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mbbp import datasets
from mbbp.datasets import Dataset, load, load_digits

PACKAGE = Path(datasets.__file__).parent


def regression_data():
    x = np.arange(6, dtype=np.float32).reshape(3, 2).T
    return Dataset("line", x, np.array([[1, 2, 3]], np.float32), None, None, None)


def test_digits_have_the_documented_shapes_and_layout():
    data = load_digits()
    assert data.x_train.shape == (64, 1437)
    assert data.x_test.shape == (64, 360)
    assert data.y_train.shape == (1437,)
    assert data.y_test.shape == (360,)
    assert data.x_train.dtype == data.x_test.dtype == np.float32
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert data.x_train.flags.f_contiguous
    assert data.x_test.flags.f_contiguous
    assert data.x_train.min() == 0
    assert data.x_train.max() == 1
    assert data.classes == tuple("0123456789")
    assert (data.n_inputs, data.n_outputs) == (64, 10)


def test_digits_are_the_uci_images_every_fifth_held_out():
    data = load_digits("float64")
    assert data.x_train.dtype == np.float64
    rows, labels = np.empty((1797, 64)), np.empty(1797, np.int64)
    test = np.arange(0, 1797, 5)
    train = np.setdiff1d(np.arange(1797), test)
    rows[train], rows[test] = data.x_train.T, data.x_test.T
    labels[train], labels[test] = data.y_train, data.y_test
    images = (rows * 16).astype(np.uint8)
    assert images.sum() == 561718
    assert (
        hashlib.sha256(images.tobytes()).hexdigest()
        == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    )
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (
        hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()
        == "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"
    )


def test_digits_are_fresh_arrays_at_each_call():
    load_digits().x_train[:] = 7
    assert load_digits().x_train.max() == 1


def test_digits_carry_their_licence():
    text = (PACKAGE / "digits.LICENSE.txt").read_text()
    for needed in ("Alpaydin", "Kaynak", "1998", "10.24432/C50P49", "CC BY 4.0"):
        assert needed in text


@pytest.mark.parametrize("dtype", ["float16", "int32", "no such type", None, np.dtype("c8")])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64', got "):
        load_digits(dtype)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("f8")])
def test_a_dtype_may_be_spelt_as_in_numpy(dtype):
    assert load_digits(dtype).x_train.dtype == np.float64


def test_split_holds_out_the_last_examples_without_copying():
    data = load_digits()
    rest, (x, y) = data.split(37)
    assert rest.x_train.shape == (64, 1400)
    assert np.array_equal(np.hstack([rest.x_train, x]), data.x_train)
    assert np.array_equal(np.hstack([rest.y_train, y]), data.y_train)
    assert np.shares_memory(rest.x_train, data.x_train)
    assert np.shares_memory(x, data.x_train)
    assert rest.x_train.flags.f_contiguous
    assert x.flags.f_contiguous
    assert rest.x_test is data.x_test
    assert (rest.name, rest.classes) == (data.name, data.classes)


def test_split_of_real_targets():
    rest, (x, y) = regression_data().split(1)
    assert rest.y_train.tolist() == [[1, 2]]
    assert y.tolist() == [[3]]
    assert x.tolist() == [[4], [5]]


@pytest.mark.parametrize("n", [0, -1, 3, 4])
def test_split_must_leave_examples_on_both_sides(n):
    message = f"n must be from 1 to 2, as 3 training examples are there; got {n}$"
    with pytest.raises(ValueError, match=message):
        regression_data().split(n)


def test_repr_tells_shapes_not_arrays():
    assert repr(load_digits()) == ("Dataset('digits', x_train (64, 1437), x_test (64, 360), float32, 10 classes)")
    assert str(regression_data()) == "Dataset('line', x_train (2, 3), no test examples, float32, 1 target)"


def test_load_by_name_passes_arguments_on():
    assert load("digits", dtype="float64").x_train.dtype == np.float64
    with pytest.raises(TypeError, match="regression"):
        load("digits", regression=True)


def test_load_mnist_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="MNIST"):
        load("mnist", folder=tmp_path)


def test_load_by_path(tmp_path):
    table = tmp_path / "table.CSV"
    table.write_text("1,2,a\n3,4,b\n")
    assert load(table, test_fraction=0).classes == ("a", "b")
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, X=np.eye(3), y=[0, 1, 2])
    assert load(str(arrays), test_fraction=0, dtype="float64").x_train.shape == (3, 3)


@pytest.mark.parametrize("name", ["iris", "table.txt", ""])
def test_load_lists_what_it_knows(name):
    with pytest.raises(ValueError, match=r"'digits', 'mnist', and paths that end in \.csv or \.npz") as caught:
        load(name)
    assert repr(name) in str(caught.value)


def test_the_package_stands_alone_in_an_archive(tmp_path):
    """It reads its data as a package resource, and imports nothing else of mbbp, nor pooch."""
    archive = tmp_path / "mbbp.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("mbbp/__init__.py", "")
        for path in PACKAGE.iterdir():
            if path.is_file():
                file.write(path, f"mbbp/datasets/{path.name}")
    program = (
        "import sys, mbbp.datasets as d; print(d.__file__); print(d.load_digits());"
        "print(sorted({'numba', 'pooch', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    # -P: else the current folder comes first, and with it this checkout.
    result = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    where, digits, heavy = result.stdout.splitlines()
    assert where.startswith(str(archive))
    assert digits == repr(load_digits())
    assert heavy == "[]"


@pytest.mark.parametrize("name", ["", *(f".{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)]))])
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(f"mbbp.datasets{name}")).failed == 0
