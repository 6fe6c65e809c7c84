"""The exponential, for what the activations need of it: x <= 0."""

import math

import numpy as np
import pytest

from mbbp.kernels.exponential import LEAST_SINGLE, exp
from mbbp.kernels.jit import compiled
from tests.conftest import JIT

DTYPES = ["float32", "float64"]
PATTERNS_AT_ONCE = 1 << 22


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_right_to_two_units_in_the_last_place(dtype, rng):
    exponents = np.concatenate([[0.0, -0.0], -np.logspace(-30, 1.93, 2000), -rng.uniform(0, 86, 2000)]).astype(dtype)
    got = np.array([exp(x) for x in exponents], dtype)
    wanted = np.exp(exponents.astype(np.longdouble))
    assert (np.abs(got - wanted) <= 2 * np.spacing(wanted.astype(dtype))).all()
    number = np.dtype(dtype).type
    assert exp(number(-1e4)) == 0
    assert exp(number(-np.inf)) == 0
    assert np.isnan(exp(number(np.nan)))


@compiled
def worst_error(x):
    """Return the largest error in units in the last place of float32, and whether all results are numbers."""
    worst, are_numbers = 0.0, True
    for i in range(x.size):
        wanted = math.exp(np.float64(x[i]))
        _, exponent = math.frexp(wanted)
        got = exp(x[i])
        worst = max(worst, abs(np.float64(got) - wanted) / math.ldexp(1.0, max(exponent, -125) - 24))
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
