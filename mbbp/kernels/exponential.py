"""The exponential function, as arithmetic that runs in vector lanes.

The C library's exp is called for one number at a time. The functions here are a few multiply-adds without a branch.
LLVM turns a loop over them into vector instructions:

    exp(x) = 2^n exp(r),   n = round(x / ln 2),   |r| <= ln(2)/2

No instruction rounds or makes a power of two; both come from how numbers are written. At 2^23 (float32) or 2^52
(float64) neighbouring numbers are 1 apart. So x / ln 2 + 1.5 * 2^23 is rounded to a whole number by the addition
itself, and its lowest bits are n. With the bias of the exponent added too, the lowest bits are the exponent bits of
2^n, and a shift puts them in their place. For n = -127 (-1023) these bits are 0, and so is the result.

exp(r) - 1 is a Taylor polynomial. The first term that it leaves out is below half a unit in the last place: degree 7 in
float32 (r^8/8! < 6e-9), degree 13 in float64 (r^14/14! < 5e-18). It is taken in pairs of terms (Estrin's scheme), which
do not wait for each other as in Horner's. ln 2 is subtracted in two parts, so that r is exact to the last bit (Cody and
Waite 1980). exp(r) - 1 and 2^n are returned separately, so exp(x) - 1 can be computed from them without cancellation.
"""

import numpy as np

from mbbp.kernels.lowlevel.bits import MANTISSA_DOUBLE, MANTISSA_SINGLE, lowest_bits_as_exponent
from mbbp.kernels.lowlevel.compiling import compiled_contracting, overload_of
from mbbp.kernels.lowlevel.later import types

LOG2_E = 1.4426950408889634
# 1.5 times the number from which on neighbours are 1 apart, plus the bias of the exponent
ROUNDER_SINGLE, ROUNDER_DOUBLE = 1.5 * 2.0**MANTISSA_SINGLE + 127, 1.5 * 2.0**MANTISSA_DOUBLE + 1023
LEAST_SINGLE, LEAST_DOUBLE = -87.0, -708.0  # below it exp is under the least normal number, and may be taken as 0
ZERO_SINGLE, ZERO_DOUBLE = -88.02, -709.08  # there n is -127 or -1023, and exp is taken as 0
LARGEST_SINGLE, LARGEST_DOUBLE = 88.37, 709.43  # above it 2^n is over the largest number, and exp taken as inf
# ln 2 in two parts, the first so short that n times it is exact
HIGH_SINGLE, LOW_SINGLE = 0.693359375, -2.1219444005469057e-4
HIGH_DOUBLE, LOW_DOUBLE = 0.6931471803691238, 1.9082149292705877e-10


@compiled_contracting
def _exp_parts_single(x):
    f = np.float32
    zero = f(ZERO_SINGLE)
    x = zero if x < zero else x  # in this order, so that NaN stays NaN
    rounded = x * f(LOG2_E) + f(ROUNDER_SINGLE)
    n = rounded - f(ROUNDER_SINGLE)
    r = (x - n * f(HIGH_SINGLE)) - n * f(LOW_SINGLE)
    s = r * r
    first, second, third = f(1 / 2) + r * f(1 / 6), f(1 / 24) + r * f(1 / 120), f(1 / 720) + r * f(1 / 5040)
    p = first + s * (second + s * third)
    return lowest_bits_as_exponent(rounded), r + s * p


@compiled_contracting
def _exp_parts_double(x):
    x = ZERO_DOUBLE if x < ZERO_DOUBLE else x  # in this order, so that NaN stays NaN
    rounded = np.float64(x * LOG2_E + ROUNDER_DOUBLE)
    n = rounded - ROUNDER_DOUBLE
    r = (x - n * HIGH_DOUBLE) - n * LOW_DOUBLE
    s = r * r
    s2 = s * s
    first = (1 / 2 + r * (1 / 6)) + s * (1 / 24 + r * (1 / 120))
    second = (1 / 720 + r * (1 / 5040)) + s * (1 / 40320 + r * (1 / 362880))
    third = (1 / 3628800 + r * (1 / 39916800)) + s * (1 / 479001600 + r * (1 / 6227020800))
    p = first + s2 * (second + s2 * third)
    return lowest_bits_as_exponent(rounded), r + s * p


def exp_parts(x):
    """Return 2^n and exp(r) - 1 for a number x in the range of exponents, both in its own type.

    So exp(x) = 2^n + 2^n (exp(r) - 1). Where exp(x) is below the least normal number, 2^n is returned as 0. If x is
    NaN, so is exp(r) - 1.
    """
    return _exp_parts_single(x) if isinstance(x, np.float32) else _exp_parts_double(x)


@overload_of(exp_parts)
def _compiled_exp_parts(x):
    parts = _exp_parts_single if x == types.float32 else _exp_parts_double
    return lambda x: parts(x)


@compiled_contracting
def exp_nonpositive(x):
    """Return exp(x) for a number x <= 0; NaN stays NaN."""
    scale, rest = exp_parts(x)
    return scale + scale * rest


def _largest(x):
    """Return the x above which exp(x) is taken as inf, in the type of x."""
    return np.float32(LARGEST_SINGLE) if isinstance(x, np.float32) else LARGEST_DOUBLE


@overload_of(_largest)
def _compiled_largest(x):
    if x == types.float32:
        return lambda x: np.float32(LARGEST_SINGLE)
    return lambda x: LARGEST_DOUBLE


@compiled_contracting
def exp(x):
    """Return exp(x) for any number x; NaN stays NaN."""
    largest = _largest(x)
    scale, rest = exp_parts(largest if largest < x else x)
    value = scale + scale * rest
    return type(x)(np.inf) if x > largest else value


@compiled_contracting
def expm1_nonpositive(x):
    """Return exp(x) - 1 for a number x <= 0, with all its digits where x is small; NaN stays NaN."""
    scale, rest = exp_parts(x)
    return scale * rest + (scale - type(x)(1))


@compiled_contracting
def tanh(x):
    """Return the hyperbolic tangent of any number x; NaN stays NaN."""
    two = type(x)(2)
    less = expm1_nonpositive(-two * abs(x))
    value = abs(less) / (less + two)
    return -value if x < 0 else value
