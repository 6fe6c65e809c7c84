"""Make a `Dataset` from the rows of a table: number the classes, shuffle, split."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mbbp.datasets.dataset import Dataset
from mbbp.parameters import Array
from mbbp.scaling import STANDARDIZE
from mbbp.validation import as_dtype

Rng = int | np.random.Generator | None
PIXELS = "uint8"  # the dtype of images that are not scaled


class LabelError(ValueError):
    """A label that is no class. The attribute `label` holds its value."""

    def __init__(self, label: object) -> None:
        super().__init__(
            f"expected a whole number or text as a label, got {label!r}; for real targets use regression=True "
            "(--regression)"
        )
        self.label = label


def parse_number(text: str) -> int | float | None:
    """Return the number that `text` stands for, or None if it is not a number.

    Python reads ``1_000`` and digits of other scripts as numbers, but NumPy does not. For this function they are no
    numbers either.
    """
    text = text.strip()
    if "_" in text or not text.isascii():
        return None
    for parse in (int, float):
        try:
            return parse(text)
        except ValueError:
            pass
    return None


def number_classes(distinct: Sequence[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Sort the classes, number them 0..K-1, and return the number of each label.

    Parameters
    ----------
    distinct : sequence of int, float, bool or str
        The labels, each once. If all are numbers, or text that stands for a number, they must be whole, and they are
        sorted as numbers. If not, they are sorted as text.

    Returns
    -------
    classes : tuple of str
        The names of the K classes, sorted.
    numbers : ndarray of int64, shape (len(distinct),)
        The number of each label. Two labels have the same number if they stand for the same class, as ``1`` and ``1.0``
        do.

    Raises
    ------
    LabelError
        If all labels are numbers and one is not whole.

    Examples
    --------
    >>> number_classes(["10", "9", "2"])
    (('2', '9', '10'), array([2, 1, 0]))
    """
    values: list[Any] = [parse_number(label) if isinstance(label, str) else label for label in distinct]
    keys: list[Any]
    if None in values:
        keys = [str(label) for label in distinct]
    else:
        for label, value in zip(distinct, values, strict=True):
            if not isinstance(value, int) and not value.is_integer():
                raise LabelError(label)
        keys = [int(value) for value in values]
    ordered = sorted(set(keys))
    number = {key: k for k, key in enumerate(ordered)}
    return tuple(map(str, ordered)), np.array([number[key] for key in keys], np.int64)


def image_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32, float64 or uint8 as a dtype.

    Raises
    ------
    ValueError
        If `dtype` is another one.
    """
    if dtype is np.uint8 or str(dtype) == PIXELS:
        return np.dtype(PIXELS)
    try:
        return as_dtype(dtype)
    except ValueError:
        raise ValueError(f"dtype: expected 'float32', 'float64' or 'uint8', got {dtype!r}") from None


def image_columns(images: NDArray[np.uint8], largest: int, dtype: np.dtype[Any]) -> Array:
    """Return images as columns: from 0 to 1 in a float dtype, and in uint8 as they are, from 0 to `largest`."""
    rows = images.reshape(len(images), -1)
    return rows.T if dtype == PIXELS else np.divide(rows, largest, dtype=dtype).T


def image_scaling(largest: int, dtype: np.dtype[Any]) -> float | None:
    """Return the factor that a network needs for `image_columns`; None if they are from 0 to 1 already."""
    return 1 / largest if dtype == PIXELS else None


def check_fraction(test_fraction: float) -> None:
    """Check that `test_fraction` is in [0, 1). Loaders call this before they read a file, which can take long.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not 0 <= test_fraction < 1:
        raise ValueError(f"test_fraction: expected a number in [0, 1), got {test_fraction!r}")


def columns(rows: Array, dtype: np.dtype[Any]) -> Array:
    """Return rows (n, n_in) as columns (n_in, n). Each column is contiguous in memory."""
    return np.ascontiguousarray(rows, dtype).T


def split_rows(
    name: str,
    rows: Array,
    targets: Array,
    classes: tuple[str, ...] | None,
    *,
    test_fraction: float,
    rng: Rng,
) -> Dataset:
    """Shuffle the samples and split them into training and test examples.

    Parameters
    ----------
    name : str
        The name of the data set.
    rows : ndarray, shape (n, n_in)
        One sample per row, in the final dtype.
    targets : ndarray, shape (n,) or (1, n)
        Labels or real targets.
    classes : tuple of str or None
        The names of the classes; None for real targets.
    test_fraction : float
        A number in [0, 1), which is not checked again. If it is not 0, both parts get at least one sample.
    rng : int, Generator or None
        The seed or the generator for the shuffle. The same seed gives the same split.

    Returns
    -------
    Dataset
        One example per column. It shares no memory with `rows` and `targets`.

    Raises
    ------
    ValueError
        If `test_fraction` is not 0 and there are fewer than two samples.
    """
    train, test = split_order(len(rows), test_fraction, rng)
    return Dataset(
        name,
        x_train=columns(rows[train], rows.dtype),
        y_train=targets[..., train],
        x_test=None if test is None else columns(rows[test], rows.dtype),
        y_test=None if test is None else targets[..., test],
        classes=classes,
        scaling=STANDARDIZE,
    )


def split_order(n: int, test_fraction: float, rng: Rng) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return the rows of the training examples and of the test examples, each in random order.

    Parameters
    ----------
    n : int
        The number of samples.
    test_fraction : float
        A number in [0, 1), which is not checked again. If it is 0, there are no test examples: the second is None. If
        not, both parts get at least one sample.
    rng : int, Generator or None
        The seed or the generator for the shuffle. The same seed gives the same split.

    Raises
    ------
    ValueError
        If `test_fraction` is not 0 and there are fewer than two samples.
    """
    order = np.random.default_rng(rng).permutation(n)
    if test_fraction == 0:
        return order, None
    if n < 2:
        raise ValueError(
            f"test_fraction: expected two or more samples to split by {test_fraction}, got {n}; "
            "test_fraction=0 keeps all of them for training"
        )
    n_test = min(max(round(test_fraction * n), 1), n - 1)
    return order[n_test:], order[:n_test]


def warn_of_many_classes(place: str, classes: Sequence[str], n: int) -> None:
    """Warn if so many classes share so few samples that they are probably no classes.

    Parameters
    ----------
    place : str
        The file and the column or the array, for the message.
    classes : sequence of str
        The names of the classes.
    n : int
        The number of samples.

    Warns
    -----
    UserWarning
        If there are more than 20 classes, with fewer than ten samples in each on average.
    """
    if len(classes) > 20 and n < 10 * len(classes):
        if all(parse_number(name) is not None for name in classes):
            hint = "this looks like a regression: use regression=True (--regression)"
        else:
            hint = "is this the column to predict? target= (--target) names another one"
        warnings.warn(f"{place}: got {len(classes):,} classes for {n:,} samples; {hint}", stacklevel=4)
