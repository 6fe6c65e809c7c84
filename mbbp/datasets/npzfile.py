"""Load a data set from the arrays of an .npz file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mbbp.datasets.dataset import Dataset
from mbbp.datasets.prepare import (
    LabelError,
    Rng,
    check_fraction,
    columns,
    number_classes,
    split_rows,
)
from mbbp.npz import listed, open_npz
from mbbp.parameters import Array
from mbbp.scaling import STANDARDIZE
from mbbp.validation import as_dtype

Layout = list[tuple[str, str]]  # the names of each array of inputs and of its labels
_SPLIT: Layout = [("x_train", "y_train"), ("x_test", "y_test")]


def load_npz(
    path: str | os.PathLike[str],
    *,
    target: str = "y",
    test_fraction: float = 0.2,
    rng: Rng = 0,
    dtype: DTypeLike = "float64",
    regression: bool = False,
) -> Dataset:
    """Load a data set from an ``.npz`` file in which each row of an array is a sample.

    There are two layouts. In the first, the file has an array ``X`` (samples, features) and an array of labels, whose
    name is `target`. These samples are shuffled and split into training and test examples. In the second, which Keras
    uses, the file has ``x_train``, ``y_train``, ``x_test`` and ``y_test``. These keep their split and their order.

    Images are flattened: (n, 28, 28) becomes (784, n). Nothing is rescaled: `scaling` is "standardize", for
    ``Network(scaling=data.scaling)``.

    Parameters
    ----------
    path : path-like
        The file. It is not changed. Arrays of Python objects (pickles) are refused.
    target : str
        The name of the array that holds the labels or targets for ``X``.
    test_fraction : float
        The fraction of ``X`` that becomes test examples, in [0, 1). If it is 0, `x_test` and `y_test` are None. If not,
        there is at least one test example and one training example.
    rng : int, Generator or None
        The seed or the generator for the shuffle.
    dtype : {"float64", "float32"}
        The type of the inputs.
    regression : bool
        If True, the labels are real numbers and become targets of shape (1, n). If False, they are whole numbers or
        text, and become 0..K-1 in sorted order.

    Returns
    -------
    Dataset
        One example per column. Its name is that of the file, without the ending.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a valid .npz file, if it has neither layout, if a shape or a dtype does not fit, if a number
        is NaN or inf, or if an argument is out of range.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "xor.npz")
    >>> np.savez(path, X=[[0, 0], [0, 1], [1, 0], [1, 1]], y=[0, 1, 1, 0])
    >>> load_npz(path, test_fraction=0)
    Dataset('xor', x_train (2, 4), no test examples, float64, 2 classes)
    >>> folder.cleanup()
    """
    path = Path(path)
    checked = as_dtype(dtype)
    check_fraction(test_fraction)
    layout, arrays = _read(path, [("X", target)])
    rows, targets, classes = _part(path, arrays, layout, checked, regression)
    if len(layout) == 1:
        return split_rows(path.stem, rows[0], targets[0], classes, test_fraction=test_fraction, rng=rng)
    x_train, x_test = (columns(part, checked) for part in rows)
    if len(x_train) != len(x_test):
        raise ValueError(
            f"{path}, 'x_test': expected {len(x_train)} features, got {len(x_test)}; 'x_train' has {len(x_train)}"
        )
    return Dataset(path.stem, x_train, targets[0], x_test, targets[1], classes, scaling=STANDARDIZE)


def _read(path: Path, first: Layout) -> tuple[Layout, dict[str, Array]]:
    """Return the first layout that is complete in the file, `first` or that of a split, and its arrays."""
    with open_npz(path) as file:
        for layout in (first, _SPLIT):
            names = [name for pair in layout for name in pair]
            if all(name in file.names for name in names):
                for x, y in layout:  # by their headers: the data themselves may be large
                    _check_shapes(path, x, file.header(x).shape, y, file.header(y).shape)
                return layout, {name: file.read(name) for name in names}
        found = listed(file.names)
    split = ", ".join(name for pair in _SPLIT for name in pair)
    raise ValueError(f"{path}: expected arrays {' and '.join(first[0])}, or {split}, got {found}")


def _check_shapes(path: Path, x: str, of_x: tuple[int, ...], y: str, of_y: tuple[int, ...]) -> None:
    if not of_x or 0 in of_x:
        raise ValueError(f"{path}, {x!r}: expected a shape (samples, features) with at least one of each, got {of_x}")
    n = of_x[0]
    if of_y not in {(n,), (n, 1)}:
        raise ValueError(f"{path}, {y!r}: expected shape ({n},), got {of_y}; {x!r} has {n} samples")


def _part(
    path: Path, arrays: dict[str, Array], layout: Layout, dtype: np.dtype[Any], regression: bool
) -> tuple[list[Array], list[Array], tuple[str, ...] | None]:
    """Check and convert the arrays. All arrays of labels share the same numbering of the classes."""
    xs, ys = zip(*layout, strict=True)
    rows = [_numbers(path, x, arrays[x], dtype).reshape(len(arrays[x]), -1) for x in xs]
    flat = [arrays[y].reshape(-1) for y in ys]
    if regression:
        return rows, [_numbers(path, y, t, dtype)[np.newaxis] for y, t in zip(ys, flat, strict=True)], None
    for y, labels in zip(ys, flat, strict=True):
        if labels.dtype.kind not in "biufU":
            raise ValueError(f"{path}, {y!r}: expected whole numbers or text, got {labels.dtype}")
    both = " and ".join(map(repr, ys))
    if len({labels.dtype.kind == "U" for labels in flat}) > 1:
        raise ValueError(f"{path}, {both}: expected only numbers or only text, got an array of each kind")
    distinct, index = np.unique(np.concatenate(flat), return_inverse=True)
    try:
        classes, numbers = number_classes(distinct.tolist())
    except LabelError as error:
        raise ValueError(f"{path}, {both}: {error}") from error
    return rows, np.split(numbers[index], np.cumsum([len(labels) for labels in flat])[:-1]), classes


def _numbers(path: Path, name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}, {name!r}: expected real numbers, got {array.dtype}")
    with np.errstate(over="ignore"):  # the error below is better than NumPy's warning: it gives the place
        converted = array.astype(dtype)
    finite = np.isfinite(converted)
    if not finite.all():
        place = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
        raise ValueError(f"{path}, {name}{list(place)}: expected a finite number in {dtype}, got {array[place]}")
    return converted
