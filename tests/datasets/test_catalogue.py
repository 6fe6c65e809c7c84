"""Loading by name and by path."""

import re

import numpy as np
import pytest

from mbbp.datasets import load


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
def test_the_error_for_an_unknown_name_lists_the_known_names(name):
    message = f"name_or_path: expected 'digits', 'mnist' or a path that ends in .csv or .npz, got {name!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(name)
