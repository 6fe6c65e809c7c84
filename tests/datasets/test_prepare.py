"""From rows to a Dataset: numbering classes, and standardizing constant features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.datasets.prepare import inplace_standardize, number_classes, split_rows


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
        assert "expected a whole number or text" in str(error)  # noqa: PT017 - rare, for texts such as "nan"
        return
    assert sorted(set(numbers)) == list(range(len(classes)))
    for label, number in zip(labels, numbers, strict=True):
        assert classes[number] == str(label) or int(classes[number]) == float(label)


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
