"""Check the shapes of what an equation takes.

Without these checks NumPy would broadcast arrays of different shapes, where the book allows only one shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array

KINDS = "buifcO"  # O stands for objects: the equations also take symbols, which the proofs need


def as_array(argument: str, value: ArrayLike) -> Array:
    """Return an array of numbers or symbols, of any shape.

    Raises
    ------
    TypeError
        If it holds neither numbers nor objects.
    ValueError
        If its rows have different lengths.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: expected rows of equal length, got rows of different lengths") from None
    if array.dtype.kind not in KINDS:
        raise TypeError(f"{argument}: expected numbers, got dtype {array.dtype}")
    return array


def as_shares(argument: str, value: ArrayLike, m: int | None = None, why: str = "") -> Array:
    """Return a matrix of bools, or of real numbers, with m columns.

    Raises
    ------
    TypeError
        If it holds something else.
    ValueError
        If it has another shape.
    """
    matrix = as_matrix(argument, value, None, m, why)
    if matrix.dtype.kind not in "buif":
        raise TypeError(f"{argument}: expected True and False, got dtype {matrix.dtype}")
    return matrix


def as_matrix(argument: str, value: ArrayLike, n: int | None = None, m: int | None = None, why: str = "") -> Array:
    """Return a matrix of n rows and m columns. None allows any number.

    Raises
    ------
    TypeError
        If it does not hold numbers or objects.
    ValueError
        If it has another shape. Then `why` is the hint in the message: it says what gives the expected shape.
    """
    array = as_array(argument, value)
    if array.ndim != 2 or n not in (None, array.shape[0]) or m not in (None, array.shape[1]):
        expected = f"({'n' if n is None else n}, {'m' if m is None else m})"
        raise ValueError(f"{argument}: expected shape {expected}, got {array.shape}{why and f'; {why}'}")
    return array
