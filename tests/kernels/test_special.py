"""The normal distribution, ln(1 + u) and the softplus against Python's own functions."""

import math

import mpmath
import numpy as np
import pytest

from mbbp.kernels.special import log1p, normal, softplus

both = pytest.mark.parametrize("dtype", ["float32", "float64"])
TOLERANCE = {"float32": 1e-6, "float64": 5e-15}


def distribution(z):
    """Return Phi(z). math.erfc is exact enough, but its argument is rounded: mpmath has more digits for both."""
    with mpmath.workdps(30):
        return float(mpmath.erfc(-mpmath.mpf(float(z)) / mpmath.sqrt(2)) / 2)


def density(z):
    return math.exp(-0.5 * float(z) ** 2) / math.sqrt(2 * math.pi)


@both
def test_the_normal_distribution_is_right_to_a_few_units_in_the_last_place(dtype, rng):
    z = np.concatenate([[0.0, -0.0], np.logspace(-320, -1, 200), -np.logspace(-320, -1, 200), rng.uniform(-8, 8, 4000)])
    z = np.concatenate([z[z > -5], [6.0, 40.0]]) if dtype == "float32" else np.concatenate([z, [6.0, -6.0, 40.0]])
    for one in z.astype(dtype):
        got, slope = normal(one)
        assert got == pytest.approx(distribution(one), rel=TOLERANCE[dtype], abs=0)
        assert slope == pytest.approx(density(one), rel=2 * TOLERANCE[dtype], abs=1e-30)


@both
@np.errstate(over="ignore")  # of the square, with the kernels as plain Python
def test_the_ends_of_the_normal_distribution(dtype):
    number = np.dtype(dtype).type
    assert normal(number(0)) == (0.5, number(1 / math.sqrt(2 * math.pi)))
    assert normal(number(-0.0))[0] == 0.5
    for far in (40, 1e4, 1e30, np.inf):
        assert normal(number(far)) == (1, pytest.approx(0, abs=1e-300))
        assert normal(number(-far)) == (pytest.approx(0, abs=1e-300), pytest.approx(0, abs=1e-300))
    assert np.isnan(normal(number(np.nan))).all()


@both
def test_the_tail_falls_to_0(dtype):
    """Beyond -14 it is only about right, but it never rises."""
    tail = np.array([normal(z)[0] for z in np.linspace(-10, -40, 2000).astype(dtype)])
    assert (np.diff(tail) <= 0).all()
    assert (tail >= 0).all()


@both
def test_the_logarithm_is_right_to_two_units_in_the_last_place(dtype, rng):
    u = np.concatenate([[0.0, 1.0], np.logspace(-300 if dtype == "float64" else -37, 0, 1000), rng.random(3000)])
    for one in u.astype(dtype):
        exact = math.log1p(float(one))
        assert abs(float(log1p(one)) - exact) <= 2 * np.spacing(np.dtype(dtype).type(exact))


@both
def test_softplus(dtype, rng):
    for one in np.concatenate([rng.uniform(-60, 60, 2000), [0.0, -0.0]]).astype(dtype):
        exact = max(float(one), 0.0) + math.log1p(math.exp(-abs(float(one))))
        assert softplus(one) == pytest.approx(exact, rel=4 * float(np.finfo(dtype).eps), abs=0)
    number = np.dtype(dtype).type
    assert softplus(number(np.inf)) == np.inf
    assert softplus(number(-np.inf)) == 0
    assert np.isnan(softplus(number(np.nan)))
