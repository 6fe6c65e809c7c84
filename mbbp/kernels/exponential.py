"""The exponential function, as arithmetic that runs in vector lanes.

The C library's exp is called for one number at a time. The functions here are a few multiply-adds without a branch.
LLVM turns a loop over them into vector instructions:

    exp(x) = 2^n exp(r),   n = round(x / ln 2),   |r| <= ln(2)/2

exp(r) - 1 is a Taylor polynomial. The first term that it leaves out is below half a unit in the last place: degree 7 in
float32 (r^8/8! < 6e-9), degree 13 in float64 (r^14/14! < 5e-18). ln 2 is subtracted in two parts, so that r is exact to
the last bit (Cody and Waite 1980). exp(r) - 1 and 2^n are returned separately, so exp(x) - 1 can be computed from them
without cancellation.
"""

import numpy as np
from numba import types
from numba.extending import overload

from mbbp.kernels.lowlevel.bits import power_of_two
from mbbp.kernels.lowlevel.compiling import compiled_contracting

LOG2_E = 1.4426950408889634
LEAST_SINGLE, LEAST_DOUBLE = -87.0, -708.0  # below it exp is under the least normal number, and taken as 0
LARGEST_SINGLE, LARGEST_DOUBLE = 88.37, 709.43  # above it 2^n is over the largest number, and exp taken as inf
# ln 2 in two parts, the first so short that n times it is exact
HIGH_SINGLE, LOW_SINGLE = 0.693359375, -2.1219444005469057e-4
HIGH_DOUBLE, LOW_DOUBLE = 0.6931471803691238, 1.9082149292705877e-10


@compiled_contracting
def _exp_parts_single(x):
    f = np.float32
    n = np.rint(max(x, f(LEAST_SINGLE)) * f(LOG2_E))
    r = (max(x, f(LEAST_SINGLE)) - n * f(HIGH_SINGLE)) - n * f(LOW_SINGLE)
    p = f(1 / 720) + r * f(1 / 5040)
    p = f(1 / 120) + r * p
    p = f(1 / 24) + r * p
    p = f(1 / 6) + r * p
    p = f(1 / 2) + r * p
    return power_of_two(n), r + r * (r * p)


@compiled_contracting
def _exp_parts_double(x):
    n = np.rint(max(x, LEAST_DOUBLE) * LOG2_E)
    r = (max(x, LEAST_DOUBLE) - n * HIGH_DOUBLE) - n * LOW_DOUBLE
    p = 1 / 479001600 + r * (1 / 6227020800)
    p = 1 / 39916800 + r * p
    p = 1 / 3628800 + r * p
    p = 1 / 362880 + r * p
    p = 1 / 40320 + r * p
    p = 1 / 5040 + r * p
    p = 1 / 720 + r * p
    p = 1 / 120 + r * p
    p = 1 / 24 + r * p
    p = 1 / 6 + r * p
    p = 1 / 2 + r * p
    return power_of_two(n), r + r * (r * p)


def exp_parts(x):
    """Return 2^n and exp(r) - 1 for a number x in the range of exponents, both in its own type.

    So exp(x) = 2^n + 2^n (exp(r) - 1), if x is at least the smallest exponent. For a smaller x, these are the parts of
    the smallest exponent.
    """
    return _exp_parts_single(x) if isinstance(x, np.float32) else _exp_parts_double(x)


@overload(exp_parts)
def _compiled_exp_parts(x):
    parts = _exp_parts_single if x == types.float32 else _exp_parts_double
    return lambda x: parts(x)


def exponent_range(x):
    """Return the x below which exp(x) is taken as 0, and the one above which it is taken as inf, in the type of x."""
    if isinstance(x, np.float32):
        return np.float32(LEAST_SINGLE), np.float32(LARGEST_SINGLE)
    return LEAST_DOUBLE, LARGEST_DOUBLE


@overload(exponent_range)
def _compiled_exponent_range(x):
    if x == types.float32:
        return lambda x: (np.float32(LEAST_SINGLE), np.float32(LARGEST_SINGLE))
    return lambda x: (LEAST_DOUBLE, LARGEST_DOUBLE)


@compiled_contracting
def exp_nonpositive(x):
    """Return exp(x) for a number x <= 0; NaN stays NaN."""
    scale, rest = exp_parts(x)
    value = scale + scale * rest
    value = value if x >= exponent_range(x)[0] else scale - scale
    return value if x == x else x


@compiled_contracting
def exp(x):
    """Return exp(x) for any number x; NaN stays NaN."""
    least, largest = exponent_range(x)
    scale, rest = exp_parts(min(x, largest))
    value = scale + scale * rest
    value = value if x >= least else scale - scale
    value = value if x <= largest else type(x)(np.inf)
    return value if x == x else x


@compiled_contracting
def tanh(x):
    """Return the hyperbolic tangent of any number x; NaN stays NaN."""
    one, two = type(x)(1), type(x)(2)
    scale, rest = exp_parts(-two * abs(x))
    less = scale * rest + (scale - one)  # exp(-2|x|) - 1: no digits are lost where x is small
    value = abs(less) / (less + two)
    return (value if x >= 0 else -value) if x == x else x
