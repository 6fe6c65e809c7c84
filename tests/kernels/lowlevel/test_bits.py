"""Floating-point numbers made of their bits."""

import numba
import numpy as np
import pytest

from mbbp.kernels.lowlevel.bits import exponent_and_mantissa
from mbbp.kernels.lowlevel.compiling import DISABLED

parts_of = exponent_and_mantissa if DISABLED else numba.njit(lambda t: exponent_and_mantissa(t))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponent_and_mantissa(dtype, rng):
    limits = np.finfo(dtype)
    edges = [limits.tiny, limits.max, 1.0, np.nextafter(dtype(1), dtype(0)), np.nextafter(dtype(2), dtype(0)), 0.5, 3.0]
    spread = np.ldexp(1 + rng.random(300), rng.integers(limits.minexp, limits.maxexp, 300))
    for one in np.array([*edges, *spread]).astype(dtype):
        exponent, mantissa = parts_of(one)
        assert np.ldexp(np.longdouble(mantissa), int(exponent)) == one
        assert 1 <= mantissa < 2
        assert exponent == int(exponent)
        assert np.result_type(exponent, mantissa) == dtype or not DISABLED
