"""Gaussian noise from uniform bits, as arithmetic that runs in vector lanes.

Two words of bits give two independent numbers (G. E. P. Box and M. E. Muller, *A note on the generation of random
normal deviates*, 1958):

    r = sqrt(-2 ln u),   r cos(phi) and r sin(phi),   with u uniform from 0 to 1, and phi uniform on the circle

One bit of the second word chooses which of the two is the cosine, and two choose their signs. So phi is only needed
from 0 to pi/4, where the series of sine and cosine are short. The logarithm is

    ln x = e ln 2 + 2 artanh(s),   s = f / (2 + f),   x = 2^e (1 + f),   |s| < 0.172

In float32 a word has 32 bits, and the largest number is 6.7; in float64 64 bits, and 9.4.
"""

import math
from typing import NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.bits import exponent_and_mantissa
from mbbp.kernels.lowlevel.calls import typed
from mbbp.kernels.lowlevel.compiling import CONTRACTING, ZERO, compiled_contracting, overload_of
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.later import types
from mbbp.kernels.lowlevel.records import Bytes, Int, Numbers, record
from mbbp.kernels.lowlevel.views import part

LN_2, QUARTER_PI, ROOT_2 = 0.6931471805599453, 0.7853981633974483, 1.4142135623730951


@record
class Noise(NamedTuple):
    """Uniform bits, and the room for the noise that is made of them."""

    bits: Bytes  # uint8: 2 ceil(n / 2) words, of 4 bytes for float32, of 8 for float64
    out: Numbers  # (n,)
    n: Int


@compiled_contracting
def _twice_artanh_single(s):
    f = np.float32
    w = s * s
    return (s + s) * (f(1) + w * (f(1 / 3) + w * (f(1 / 5) + w * (f(1 / 7) + w * f(1 / 9)))))


@compiled_contracting
def _twice_artanh_double(s):
    w = s * s
    high = 1 / 15 + w * (1 / 17 + w * (1 / 19 + w * (1 / 21 + w * (1 / 23))))
    return (s + s) * (
        1 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9 + w * (1 / 11 + w * (1 / 13 + w * high))))))
    )


@compiled_contracting
def _sine_single(x):
    f = np.float32
    w = x * x
    return x * (f(1) + w * (f(-1 / 6) + w * (f(1 / 120) + w * (f(-1 / 5040) + w * f(1 / 362880)))))


@compiled_contracting
def _sine_double(x):
    w = x * x
    high = -1 / 39916800 + w * (1 / 6227020800 + w * (-1 / 1307674368000 + w * (1 / 355687428096000)))
    return x * (1 + w * (-1 / 6 + w * (1 / 120 + w * (-1 / 5040 + w * (1 / 362880 + w * high)))))


@compiled_contracting
def _cosine_single(x):
    f = np.float32
    w = x * x
    return f(1) + w * (f(-1 / 2) + w * (f(1 / 24) + w * (f(-1 / 720) + w * (f(1 / 40320) - w * f(1 / 3628800)))))


@compiled_contracting
def _cosine_double(x):
    w = x * x
    high = 1 / 479001600 + w * (-1 / 87178291200 + w * (1 / 20922789888000 - w * (1 / 6402373705728000)))
    return 1 + w * (-1 / 2 + w * (1 / 24 + w * (-1 / 720 + w * (1 / 40320 + w * (-1 / 3628800 + w * high)))))


@compiled_contracting
def _pair_single(first, second):
    f = np.float32
    x = f(np.int32(first >> np.uint32(1))) + f(0.5)  # from 0.5 to 2^31
    exponent, mantissa = exponent_and_mantissa(x)
    is_high = mantissa > f(ROOT_2)
    rest = (f(0.5) * mantissa if is_high else mantissa) - f(1)
    e = (exponent + f(1) if is_high else exponent) - f(31)
    minus_log = -(e * f(LN_2) + _twice_artanh_single(rest / (f(2) + rest)))
    # so near 1 the rounding of x may take ln u above 0
    r = f(math.sqrt(f(2) * (minus_log if minus_log > f(0) else f(0))))
    angle = (f(np.int32(second >> np.uint32(3))) + f(0.5)) * f(QUARTER_PI / 2.0**29)
    sine, cosine = r * _sine_single(angle), r * _cosine_single(angle)
    low = np.int32(second & np.uint32(7))
    x, y = (sine, cosine) if low & 1 else (cosine, sine)
    return (-x if low & 2 else x), (-y if low & 4 else y)


@compiled_contracting
def _pair_double(first, second):
    x = np.float64(np.int64(first >> np.uint64(1))) + 0.5  # from 0.5 to 2^63
    exponent, mantissa = exponent_and_mantissa(x)
    is_high = mantissa > ROOT_2
    rest = (0.5 * mantissa if is_high else mantissa) - 1.0
    e = (exponent + 1.0 if is_high else exponent) - 63.0
    minus_log = -(e * LN_2 + _twice_artanh_double(rest / (2.0 + rest)))
    r = math.sqrt(2.0 * (minus_log if minus_log > 0.0 else 0.0))
    angle = (np.float64(np.int64(second >> np.uint64(3))) + 0.5) * (QUARTER_PI / 2.0**61)
    sine, cosine = r * _sine_double(angle), r * _cosine_double(angle)
    low = np.int64(second & np.uint64(7))
    x, y = (sine, cosine) if low & 1 else (cosine, sine)
    return (-x if low & 2 else x), (-y if low & 4 else y)


def pair(bits, i, j, out):
    """Return two independent Gaussian numbers for the words i and j, in the type of `out`."""
    is_single = out.dtype == np.float32
    words = bits[: bits.size // 8 * 8].view(np.uint32 if is_single else np.uint64)
    return (_pair_single if is_single else _pair_double)(words[i], words[j])


@overload_of(pair)
def _compiled_pair(bits, i, j, out):
    if out.dtype == types.float32:
        return lambda bits, i, j, out: _pair_single(typed(bits, np.uint32)[i], typed(bits, np.uint32)[j])
    return lambda bits, i, j, out: _pair_double(typed(bits, np.uint64)[i], typed(bits, np.uint64)[j])


@kernel(Noise, fastmath=CONTRACTING)
def gaussian_noise(at):
    """Write n numbers with the standard deviation 1."""
    noise = at[0]
    half = (noise.n + 1) // 2
    first, second = part(noise.out, ZERO, half), part(noise.out, half, noise.n - half)
    for i in range(second.size):
        first[i], second[i] = pair(noise.bits, i, half + i, first)
    if second.size < half:
        first[half - 1], _ = pair(noise.bits, half - 1, half + half - 1, first)
    return ZERO
