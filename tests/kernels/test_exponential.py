"""The exponential and the hyperbolic tangent, against NumPy."""

import math

import numpy as np
import pytest

from mbbp.kernels.exponential import LARGEST_SINGLE, LEAST_SINGLE, exp, exp_nonpositive, tanh
from mbbp.kernels.lowlevel.compiling import compiled
from tests.conftest import JIT

DTYPES = ["float32", "float64"]
PATTERNS_AT_ONCE = 1 << 22


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [exp, exp_nonpositive])
def test_exp_is_right_to_two_units_in_the_last_place(function, dtype, rng):
    exponents = np.concatenate([[0.0, -0.0], -np.logspace(-30, 1.93, 2000), -rng.uniform(0, 86, 2000)]).astype(dtype)
    if function is exp:
        exponents = np.concatenate([exponents, -exponents])
    got = np.array([function(x) for x in exponents], dtype)
    expected = np.exp(exponents.astype(np.longdouble))
    assert (np.abs(got - expected) <= 2 * np.spacing(expected.astype(dtype))).all()
    number = np.dtype(dtype).type
    assert function(number(-1e4)) == 0
    assert function(number(-np.inf)) == 0
    assert np.isnan(function(number(np.nan)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_large_numbers(dtype):
    number = np.dtype(dtype).type
    assert exp(number(1e4)) == np.inf
    assert exp(number(np.inf)) == np.inf
    largest = number(LARGEST_SINGLE if dtype == "float32" else 709.43)
    assert float(exp(largest)) == pytest.approx(math.exp(largest), rel=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_right_to_four_units_in_the_last_place(dtype, rng):
    x = np.concatenate([[0.0, np.inf, -np.inf], np.logspace(-30, 2, 2000), rng.uniform(-9, 9, 2000)]).astype(dtype)
    got = np.array([tanh(one) for one in x], dtype)
    expected = np.tanh(x.astype(np.longdouble))
    assert (np.abs(got - expected) <= 4 * np.spacing(np.abs(expected).astype(dtype))).all()
    assert np.isnan(tanh(np.dtype(dtype).type(np.nan)))


@compiled
def worst_error(x):
    """Return the largest error in units in the last place of float32, and whether all results are numbers."""
    worst, are_numbers = 0.0, True
    for i in range(x.size):
        expected = math.exp(np.float64(x[i]))
        _, exponent = math.frexp(expected)
        got = exp_nonpositive(x[i])
        worst = max(worst, abs(np.float64(got) - expected) / math.ldexp(1.0, max(exponent, -125) - 24))
        are_numbers = are_numbers and got == got
    return worst, are_numbers


def patterns():
    """Yield all numbers of float32 from -0 down to where exp leaves the normal numbers, or some without the JIT."""
    first, last = (np.float32(x).view(np.uint32) for x in (-0.0, LEAST_SINGLE))
    step = 1 if JIT else 1 << 20
    for start in range(int(first), int(last) + 1, step * PATTERNS_AT_ONCE):
        stop = min(int(last) + 1, start + step * PATTERNS_AT_ONCE)
        yield np.arange(start, stop, step, dtype=np.uint32).view(np.float32)


def test_every_pattern_of_float32_is_right_to_two_units_in_the_last_place():
    count = 0
    for x in patterns():
        worst, are_numbers = worst_error(x)
        assert worst <= 2
        assert are_numbers
        count += x.size
    assert count > (1.1e9 if JIT else 1000)
