"""The square root of float64, as arithmetic that runs beside a division.

A processor takes roots and divides in one unit, some 30 and 16 cycles for a vector of eight float64. An update that
needs both waits for both. Here the root is made of multiply-adds, which other units do meanwhile. In float32 the root
of the processor is faster.

The bits of a number are roughly its logarithm. Half of them, subtracted from a constant, are roughly those of
1 / sqrt(x): this is right to 3.5 % (the fast inverse square root; Lomont 2003). Each of Newton's steps
y (3/2 - x y^2 / 2) squares the error. The last step, of Heron's kind, corrects sqrt(x) = x y itself, so that no digit
is lost.
"""

import math

import numpy as np

from mbbp.kernels.lowlevel.bits import rough_inverse_square_root
from mbbp.kernels.lowlevel.compiling import compiled_contracting, overload_of
from mbbp.kernels.lowlevel.later import types


@compiled_contracting
def _newton(half, y):
    # half * y first: for x = 0 the square of y would overflow, and 0 times inf is NaN
    return y * (1.5 - (half * y) * y)


@compiled_contracting
def _root_double(x):
    half, y = 0.5 * x, rough_inverse_square_root(x)
    y = _newton(half, _newton(half, _newton(half, y)))
    root = x * y
    return root + (0.5 * y) * (x - root * root)


@compiled_contracting
def _root_single(x):
    return math.sqrt(x)


def square_root(x):
    """Return sqrt(x) for a normal number x above 0, to two units in the last place; 0 for 0; NaN stays NaN.

    In float64, the root of a number below the least normal one is too small, and the root of inf is NaN.
    """
    return np.sqrt(x) if isinstance(x, np.float32) else _root_double(x)


@overload_of(square_root)
def _compiled_square_root(x):
    root = _root_single if x == types.float32 else _root_double
    return lambda x: root(x)
