"""From the rows of a user's table to a `Dataset`: number the classes, shuffle, split, standardize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mbbp.datasets.dataset import Array, Dataset

Rng = int | np.random.Generator | None


class LabelError(ValueError):
    """A label that is no class; `label` is the value as it was given."""

    def __init__(self, label: object) -> None:
        super().__init__(
            f"label {label!r} is not a whole number: classes are whole numbers or text; "
            "real targets need regression=True"
        )
        self.label = label


def parse_number(text: str) -> int | float | None:
    """Return the number that `text` spells, or None.

    What Python would read but NumPy does not, ``1_000`` and digits of other scripts, is text here too.
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
    """Give each of the distinct labels its number, 0..K-1.

    Parameters
    ----------
    distinct : sequence of int, float, bool or str
        If all are numbers, or spell one, they must be whole and are sorted as numbers; otherwise as text.

    Returns
    -------
    classes : tuple of str
        The K names, sorted.
    numbers : ndarray of int64, shape (len(distinct),)
        The number of each label. It repeats where two spell the same one, as ``1`` and ``1.0`` do.

    Raises
    ------
    LabelError
        For a number that is not whole.

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


def check_fraction(test_fraction: float) -> None:
    """Raise a ValueError unless `test_fraction` is in [0, 1): before a long file is read, not after."""
    if not 0 <= test_fraction < 1:
        raise ValueError(f"test_fraction must be in [0, 1), got {test_fraction!r}")


def columns(rows: Array, dtype: np.dtype[Any]) -> Array:
    """Return rows (n, n_in) as columns (n_in, n), each contiguous in memory."""
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
    """Shuffle the samples and hold some out for testing.

    Parameters
    ----------
    name : str
        The data set's.
    rows : ndarray, shape (n, n_in)
        One sample per row, already of the final dtype.
    targets : ndarray, shape (n,) or (1, n)
        Labels or real targets.
    classes : tuple of str or None
        The names of the labels.
    test_fraction : float
        Checked to be in [0, 1). Unless it is 0, both parts get at least one sample.
    rng : int, Generator or None
        What shuffles: the same seed, the same split.

    Returns
    -------
    Dataset
        Copies, in columns.

    Raises
    ------
    ValueError
        If there are too few samples to split.
    """
    n = len(rows)
    order = np.random.default_rng(rng).permutation(n)
    if test_fraction == 0:
        return Dataset(name, columns(rows[order], rows.dtype), targets[..., order], None, None, classes)
    if n < 2:
        raise ValueError(f"test_fraction={test_fraction} needs two samples or more to split, got {n}")
    n_test = min(max(round(test_fraction * n), 1), n - 1)
    test, train = order[:n_test], order[n_test:]
    return Dataset(
        name,
        x_train=columns(rows[train], rows.dtype),
        y_train=targets[..., train],
        x_test=columns(rows[test], rows.dtype),
        y_test=targets[..., test],
        classes=classes,
    )


def inplace_standardize(data: Dataset) -> Dataset:
    """Give each feature mean 0 and variance 1, by the training examples alone, and return `data`.

    A feature that is constant in training becomes 0 there; in the test examples it is its difference from
    that constant. Overwrites `data.x_train` and `data.x_test`.
    """
    X = data.x_train
    # In float64, and a constant's mean is itself: a rounding error must not be blown up to a variance of 1.
    mean = X.mean(axis=1, dtype=np.float64, keepdims=True)
    constant = X.min(axis=1, keepdims=True) == X.max(axis=1, keepdims=True)
    np.copyto(mean, X[:, :1], where=constant)
    X -= mean.astype(X.dtype)
    variance = np.einsum("ij,ij->i", X, X, dtype=np.float64) / X.shape[1]
    scale = np.where(variance > 0, np.sqrt(variance), 1)[:, np.newaxis].astype(X.dtype)
    X /= scale
    if data.x_test is not None:
        data.x_test[...] = (data.x_test - mean.astype(X.dtype)) / scale
    return data
