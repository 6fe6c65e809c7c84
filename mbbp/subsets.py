"""Which of the examples a training uses: those to train on, and those that are held out for validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_numeric_array
from mbbp.parameters import Array
from mbbp.validation import as_number, shown


def split(n: int, subset: ArrayLike | None, validation_split: float | ArrayLike | None) -> tuple[Array, Array | None]:
    """Return the numbers of the examples to train on, and of those that are held out.

    A fraction is drawn at random, but in the same way in every call, so that a training that goes on does not learn
    from examples that were held out before. An example that `subset` names more than once is held out as a whole.

    Parameters
    ----------
    n : int
        How many examples there are.
    subset : array_like of int of shape (k,), optional
        The numbers of the examples that are used; by default all.
    validation_split : float or array_like of int, optional
        The fraction of them that is held out, or the numbers of the examples that are.

    Raises
    ------
    ValueError
        If a number is out of range or stands on both sides, the fraction is not between 0 and 1, or nothing is left.
    TypeError
        If an argument holds something else.
    """
    used = np.arange(n) if subset is None else as_numbers_of_examples("subset", subset, n)
    if validation_split is None:
        return used, None
    if _is_one_value(validation_split):
        fraction: Any = validation_split
        held_out = _draw(used, as_number("validation_split", fraction, below=1.0, positive=True))
    else:
        held_out = as_numbers_of_examples("validation_split", validation_split, n)
        both = np.intersect1d(used, held_out)
        if subset is not None and both.size:
            raise ValueError(f"validation_split: expected examples that are not in subset, got {both[0]}")
    is_held_out = np.zeros(n, bool)
    is_held_out[held_out] = True
    left = used[~is_held_out[used]]
    if not left.size:
        raise ValueError(f"validation_split: expected examples to be left for training, got all {n}")
    return left, held_out


def _is_one_value(value: Any) -> bool:
    return isinstance(value, str) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _draw(used: Array, fraction: float) -> Array:
    different = np.unique(used)
    if different.size < 2:
        raise ValueError(f"validation_split: expected at least two examples to split, got {different.size}")
    held_out = min(max(1, round(fraction * different.size)), different.size - 1)
    order = np.random.default_rng(different.size).permutation(different.size)
    return different[np.sort(order[:held_out])]


def as_numbers_of_examples(argument: str, value: ArrayLike, n: int) -> Array:
    """Return the numbers of some examples as a new array.

    Raises
    ------
    TypeError
        If `value` does not hold whole numbers.
    ValueError
        If it is no vector, is empty, or holds a number that is not from 0 to n - 1.
    """
    array = as_numeric_array(argument, value)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{argument}: expected the numbers of examples, got {shown(value)}")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{argument}: expected a vector with at least one number, got shape {array.shape}")
    outside = (array < 0) | (array >= n)
    if outside.any():
        raise ValueError(f"{argument}: expected numbers from 0 to {n - 1}, got {array[outside][0]}")
    return array.astype(np.int64)
