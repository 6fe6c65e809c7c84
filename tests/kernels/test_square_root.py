"""The square root, against NumPy."""

import numpy as np
import pytest

from mbbp.kernels.square_root import square_root


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_right_to_two_units_in_the_last_place(dtype, rng):
    info = np.finfo(dtype)
    ends = np.log10(float(info.tiny)), np.log10(float(info.max)) - 0.01
    x = np.concatenate([np.logspace(*ends, 3000), rng.uniform(0.5, 8, 3000), [info.tiny, 1.0, 4.0]]).astype(dtype)
    got = np.array([square_root(one) for one in x], dtype)
    expected = np.sqrt(x.astype(np.longdouble))
    assert (np.abs(got - expected) <= 2 * np.spacing(expected.astype(dtype))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_tiny_numbers_and_nan(dtype):
    number = np.dtype(dtype).type
    assert square_root(number(0)) == 0
    tiny = np.nextafter(number(0), number(1))
    assert 0 <= square_root(tiny) <= 2 * np.sqrt(tiny)
    assert np.isnan(square_root(number(np.nan)))
