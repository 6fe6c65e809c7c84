"""Checks of targets: labels or desired outputs, and whether they name classes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_columns, as_numeric_array, read_only
from mbbp.kernels.labels import Naming, name_classes
from mbbp.parameters import Array

TEXT_HINT = "; number the classes: classes, y = numpy.unique(y, return_inverse=True)"


def as_labels(argument: str, value: ArrayLike, n_outputs: int) -> Array:
    """Return labels as uint8 or, where there are more classes, int64, of shape (m,).

    A network with a single output has two classes, with the labels 0 and 1. Otherwise the labels are from 0 to
    n_outputs - 1.

    Raises
    ------
    TypeError
        If the labels are not real numbers.
    ValueError
        If there is no label, or one is not a whole number or out of range.
    """
    labels = as_numeric_array(argument, value).reshape(-1)
    largest = max(n_outputs - 1, 1)
    expected = f"expected labels from 0 to {largest}"
    hint = "; for a regression pass a matrix (1, m)" if n_outputs == 1 else ""
    if labels.size == 0:
        raise ValueError(f"{argument}: expected at least one label, got none")
    with np.errstate(invalid="ignore"):
        found = labels.astype(_dtype_of_labels(largest))
    if found.min() >= 0 and found.max() <= largest and (found == labels).all():
        return found
    for fault, name in (
        (~np.isfinite(labels), ""),
        (labels != np.floor(labels), " (not a whole number)"),
        (labels < 0, ""),
        (labels > largest, ""),
    ):
        if fault.any():
            where = int(np.argmax(fault))
            raise ValueError(f"{argument}: {expected}, got {labels[where]}{name} at position {where}{hint}")
    raise AssertionError("a label is neither right nor wrong")


def _dtype_of_labels(largest: int) -> np.dtype[Any]:
    """Return uint8 where it can hold all labels: a label is read from a random place, so few bytes are read fast."""
    return np.dtype(np.uint8 if largest <= np.iinfo(np.uint8).max else np.int64)


class Targets(NamedTuple):
    """The targets of some examples: their desired outputs, their labels, or both.

    Attributes
    ----------
    rows : ndarray of shape (m, n_L) or (0, n_L)
        The desired outputs, one example per row. Empty if the targets were given as labels.
    labels : ndarray of uint8 or int64, shape (m,) or (0,)
        The labels. Empty if the targets do not name classes.
    """

    rows: Array
    labels: Array


def as_targets(
    argument: str,
    value: ArrayLike,
    n_outputs: int,
    m: int,
    dtype: np.dtype[Any],
    against: str,
    *,
    is_regression: bool = False,
) -> Targets:
    """Return checked targets, and decide whether they name classes.

    They name classes if they are labels, or if every column is a unit vector (for a single output: 0 or 1).

    Parameters
    ----------
    argument, against : str
        The names of the targets and of the inputs in an error message.
    value : array_like of shape (m,) or (n_outputs, m)
        Labels, or desired outputs.
    n_outputs : int
        The number of outputs of the network.
    m : int
        The number of examples.
    dtype : dtype
        The network's dtype.
    is_regression : bool
        Whether an array (m,) holds desired outputs of a single output, and not labels.

    Raises
    ------
    TypeError
        If `value` does not hold real numbers.
    ValueError
        If a shape is wrong, a number is NaN, inf or too large for `dtype`, or a label is out of range.
    """
    array = as_numeric_array(argument, value, TEXT_HINT)
    if array.ndim == 1 and is_regression and n_outputs == 1:
        array = array.reshape(1, -1)
    if array.ndim == 1:
        labels = as_labels(argument, array, n_outputs)
        if labels.size == m:
            return Targets(read_only(np.empty((0, n_outputs), dtype)), read_only(labels))
        got = f"{labels.size} labels"
    elif array.shape == (m, 1) != (1, 1) and n_outputs > 1:
        raise ValueError(
            f"{argument}: expected shape ({m},) for labels or ({n_outputs}, {m}) for desired outputs, "
            f"got {array.shape}; for labels pass {argument}.ravel()"
        )
    else:
        columns = as_columns(argument, array, n_outputs, dtype)
        if columns.shape[1] == m:
            return Targets(columns.T, read_only(labels_of(columns.T)))
        got = f"{columns.shape[1]} columns"
    raise ValueError(f"{argument}: expected one target for each of the {m} columns of {against}, got {got}")


def labels_of(rows: Array) -> Array:
    """Return the labels of rows of desired outputs, of shape (m,), or (0,) if the rows do not name classes.

    Each row must be a unit vector; or 0 or 1, if it is one number.
    """
    m, n_outputs = rows.shape
    labels = np.empty(m, _dtype_of_labels(max(n_outputs - 1, 1)))
    call = Naming(rows=rows.reshape(-1), m=m, n_outputs=n_outputs, labels=labels, has_small_labels=labels.itemsize == 1)
    return labels if name_classes.run(call, rows.dtype) else labels[:0]


def unit_vectors(labels: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return labels as columns (n_outputs, m): 1 in the row of the label, else 0. One output is the label itself."""
    if n_outputs == 1:
        return labels.astype(dtype).reshape(1, -1)
    columns = np.zeros((n_outputs, labels.size), dtype, order="F")
    columns[labels, np.arange(labels.size)] = 1
    return columns
