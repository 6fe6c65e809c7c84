"""From rows to a Dataset: numbering classes, and the warning for too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.datasets.prepare import number_classes, warn_of_many_classes


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


@pytest.mark.parametrize(("k", "n", "warned"), [(20, 20, False), (21, 209, True), (21, 210, False)])
def test_many_classes_of_few_samples_get_a_warning(k, n, warned, recwarn):
    warn_of_many_classes("here", [str(i) for i in range(k)], n)
    assert len(recwarn) == warned
