"""Gaussian noise in NumPy alone, by the formulas of Box and Muller.

The tests compare the compiled kernels with this module. It shares no line with them.
"""

from __future__ import annotations

import numpy as np

from mbbp.parameters import Array


def box_muller(words: Array, n: int) -> Array:
    """Return n Gaussian numbers in float64 for uniform bits: G. E. P. Box and M. E. Muller, 1958.

    Parameters
    ----------
    words : ndarray of uint32 or uint64, shape (2 ceil(n / 2),)
        Words i and i + ceil(n / 2) give the numbers of these places. The bits of the first but the lowest are u, from 0
        to 1, in float32 for 32 bits. Of the second, the lowest bit exchanges sine and cosine, the next two are the
        signs, and the others an angle from 0 to pi / 4.
    n : int
        How many numbers.

    Examples
    --------
    >>> box_muller(np.array([2**32 - 1, 0], np.uint32), 2).tolist()
    [0.0, 0.0]
    """
    bits = 8 * words.itemsize
    first, second = words.reshape(2, -1)
    one = words.dtype.type(1)
    number = np.float32 if bits == 32 else np.float64
    half = number(0.5)
    u = ((first >> one).astype(number) + half).astype(np.float64) / 2.0 ** (bits - 1)
    angle = ((second >> words.dtype.type(3)).astype(np.float64) + 0.5) / 2.0 ** (bits - 3) * np.pi / 4
    r, low = np.sqrt(-2.0 * np.log(u)), (second % 8).astype(np.int64)
    cosine, sine = r * np.cos(angle), r * np.sin(angle)
    pair = np.where(low & 1, [sine, cosine], [cosine, sine]) * np.where([low & 2, low & 4], -1.0, 1.0)
    found: Array = pair.reshape(-1)[:n]
    return found + 0.0
