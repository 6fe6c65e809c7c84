"""The labels that unit vectors stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mbbp.kernels.labels import Naming, name_classes
from tests.kernels.matrices import dtypes, run

KINDS = ["uint8", "int64"]


def named(rows, kind):
    """Return the labels of rows, or None if they name no classes."""
    labels = np.full(len(rows), 77, kind)
    found = run(
        name_classes,
        Naming,
        rows=rows.reshape(-1),
        m=len(rows),
        n_outputs=rows.shape[1],
        labels=labels,
        has_small_labels=int(kind == "uint8"),
    )
    return labels if found else None


@pytest.mark.parametrize("kind", KINDS)
@given(labels=st.lists(st.integers(0, 4), max_size=9), dtype=dtypes)
def test_unit_vectors(kind, labels, dtype):
    np.testing.assert_array_equal(named(np.eye(5, dtype=dtype)[np.array(labels, int)], kind), labels)


@pytest.mark.parametrize("kind", KINDS)
@given(labels=st.lists(st.integers(0, 1), max_size=9), dtype=dtypes)
def test_a_single_output_is_its_label(kind, labels, dtype):
    np.testing.assert_array_equal(named(np.array(labels, dtype).reshape(-1, 1), kind), labels)


@given(
    rows=arrays.arrays(
        "float32",
        st.tuples(st.integers(1, 4), st.integers(1, 3)),
        elements=st.sampled_from([0.0, -0.0, 1.0, 0.5, -1.0]),
    )
)
def test_other_rows_name_no_classes(rows):
    is_one = rows == 1
    right = (is_one | (rows == 0)).all() and (rows.shape[1] == 1 or (is_one.sum(axis=1) == 1).all())
    found = named(rows, "uint8")
    assert (found is not None) == right
    if right:
        np.testing.assert_array_equal(found, rows[:, 0] if rows.shape[1] == 1 else rows.argmax(axis=1))
