"""The class Dataset: its split and its repr."""

import numpy as np
import pytest

from mbbp.datasets import Dataset, load_digits


def regression_data():
    x = np.arange(6, dtype=np.float32).reshape(3, 2).T
    return Dataset("line", x, np.array([[1, 2, 3]], np.float32), None, None, None)


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
    with pytest.raises(ValueError, match=f"n: expected 1 to 2, got {n}; there are 3 training examples$"):
        regression_data().split(n)


def test_repr_shows_shapes_and_not_arrays():
    assert repr(load_digits()) == ("Dataset('digits', x_train (64, 1437), x_test (64, 360), float32, 10 classes)")
    assert str(regression_data()) == "Dataset('line', x_train (2, 3), no test examples, float32, 1 target)"
