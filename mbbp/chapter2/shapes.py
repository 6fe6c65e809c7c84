"""The shapes that an equation asks for. NumPy would broadcast where the book would see a slip."""

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array

KINDS = "buifcO"  # objects too: the equations hold for symbols, as a proof needs


def as_array(argument: str, value: ArrayLike) -> Array:
    """Return an array of numbers or symbols, of any shape.

    Raises
    ------
    TypeError
        If it holds neither.
    ValueError
        If its rows are not of one length.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: rows of equal length are wanted, got ragged ones") from None
    if array.dtype.kind not in KINDS:
        raise TypeError(f"{argument}: numbers are wanted, got dtype {array.dtype}")
    return array


def as_matrix(argument: str, value: ArrayLike, n: int | None = None, m: int | None = None, why: str = "") -> Array:
    """Return a matrix of n rows and m columns; None stands for any number.

    Raises
    ------
    TypeError
        If it does not hold numbers.
    ValueError
        If it has another shape; `why` says where the wanted one comes from.
    """
    array = as_array(argument, value)
    if array.ndim != 2 or n not in (None, array.shape[0]) or m not in (None, array.shape[1]):
        wanted = f"({'n' if n is None else n}, {'m' if m is None else m})"
        raise ValueError(f"{argument}: a matrix {wanted} is wanted{why and f', {why}'}, got shape {array.shape}")
    return array
