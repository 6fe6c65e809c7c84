"""The look for numbers that are not finite, and for labels that are out of range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.kernels.finite import ALL_FINE, NOT_FINITE, OUT_OF_RANGE, Checked, check
from tests.kernels.matrices import dtypes, run


@given(x=st.lists(st.floats(width=32), max_size=20), dtype=dtypes)
def test_all_finite(x, dtype):
    with np.errstate(invalid="ignore"):
        numbers = np.array(x, dtype)
    found = run(check, Checked, x=numbers, size=numbers.size, labels=np.empty(0, np.int64), n_labels=0, n_classes=0)
    assert (found == ALL_FINE) == bool(np.isfinite(x).all())
    assert found in (ALL_FINE, NOT_FINITE)


@pytest.mark.parametrize(("labels", "expected"), [([0, 2], ALL_FINE), ([0, 3], OUT_OF_RANGE), ([-1], OUT_OF_RANGE)])
def test_labels(labels, expected):
    found = run(
        check,
        Checked,
        x=np.zeros(1, np.float32),
        size=1,
        labels=np.array(labels, np.int64),
        n_labels=len(labels),
        n_classes=3,
    )
    assert found == expected
