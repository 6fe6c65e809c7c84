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


def test_targets_are_standardized_and_restored(rng):
    y = np.array([[3000.0], [2e-3], [0.1]]) * rng.standard_normal((3, 50)) + np.array([[1e6], [0], [5]])
    y[2] = 0.1
    data = Dataset("table", rng.standard_normal((2, 50)), y[:, :40], rng.standard_normal((2, 10)), y[:, 40:], None)
    scaled = data.standardize_targets()
    assert np.allclose(scaled.y_train[:2].mean(axis=1), 0)
    assert np.allclose(scaled.y_train[:2].std(axis=1), 1)
    assert not scaled.y_train[2].any()  # a constant becomes 0, not noise
    assert np.allclose(scaled.restore_targets(scaled.y_train), data.y_train, rtol=1e-14)
    assert np.allclose(scaled.restore_targets(scaled.y_test), data.y_test, rtol=1e-14)
    assert scaled.x_train is data.x_train
    assert np.array_equal(data.y_train, y[:, :40])


def test_float32_targets_stay_float32():
    scaled = regression_data().standardize_targets()
    assert scaled.y_train.dtype == np.float32
    assert scaled.y_test is None
    assert scaled.restore_targets([[0.0]]).tolist() == [[2.0]]


def test_only_numbers_are_standardized_and_only_once():
    with pytest.raises(ValueError, match="standardize_targets: expected numbers to predict, got 10 classes"):
        load_digits().standardize_targets()
    with pytest.raises(ValueError, match="standardize_targets: expected targets in their own units, got scaled"):
        regression_data().standardize_targets().standardize_targets()
    with pytest.raises(ValueError, match="restore_targets: expected a data set with scaled targets, got "):
        regression_data().restore_targets([[0.0]])
