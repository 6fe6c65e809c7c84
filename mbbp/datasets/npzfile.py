"""A user's own arrays, from an .npz file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mbbp.datasets.dataset import Array, Dataset, checked_dtype
from mbbp.datasets.prepare import (
    LabelError,
    Rng,
    check_fraction,
    columns,
    inplace_standardize,
    number_classes,
    split_rows,
)

_SPLIT = ("x_train", "y_train", "x_test", "y_test")


def load_npz(
    path: str | os.PathLike[str],
    *,
    label: str = "y",
    test_fraction: float = 0.2,
    rng: Rng = 0,
    dtype: DTypeLike = "float32",
    regression: bool = False,
    standardize: bool = False,
) -> Dataset:
    """Load a data set from an ``.npz`` file, in which a row is a sample.

    The file has either an array ``X`` (samples, features) and the array of labels that `label` names, which
    are shuffled and split here; or, as Keras has them, ``x_train``, ``y_train``, ``x_test`` and ``y_test``,
    which stay as they are split, in their order. Images are flattened: (n, 28, 28) becomes (784, n). Features
    are not rescaled unless `standardize` says so.

    Parameters
    ----------
    path : path-like
        The file; it is only read. Arrays of Python objects (pickles) are refused.
    label : str
        The name of the array of labels that goes with ``X``.
    test_fraction : float
        How much of ``X`` to hold out, in [0, 1); at least one sample, unless it is 0: then `x_test` and
        `y_test` are None.
    rng : int, Generator or None
        The seed of the shuffle.
    dtype : {"float32", "float64"}
        The type of the inputs.
    regression : bool
        True for real targets, (1, n); otherwise labels are whole numbers or text, and become 0..K-1 in their
        sorted order.
    standardize : bool
        Give each feature mean 0 and variance 1 by the training part's statistics; constant ones become 0.

    Returns
    -------
    Dataset
        Examples in columns, named after the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file or an array in it is not as described, a number is not finite, or an argument is out of
        range.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "xor.npz")
    >>> np.savez(path, X=[[0, 0], [0, 1], [1, 0], [1, 1]], y=[0, 1, 1, 0])
    >>> load_npz(path, test_fraction=0)
    Dataset('xor', x_train (2, 4), no test examples, float32, 2 classes)
    >>> folder.cleanup()
    """
    path = Path(path)
    checked = checked_dtype(dtype)
    check_fraction(test_fraction)
    arrays = _read(path, ("X", label))
    if "X" in arrays:
        rows, (targets,), classes = _part(path, arrays, ["X"], [label], checked, regression)
        data = split_rows(path.stem, rows[0], targets, classes, test_fraction=test_fraction, rng=rng)
    else:
        rows, (y_train, y_test), classes = _part(
            path, arrays, ["x_train", "x_test"], ["y_train", "y_test"], checked, regression
        )
        x_train, x_test = (columns(part, checked) for part in rows)
        if len(x_train) != len(x_test):
            raise ValueError(
                f"{path}: 'x_train' has {len(x_train)} features and 'x_test' {len(x_test)}: wanted as many"
            )
        data = Dataset(path.stem, x_train, y_train, x_test, y_test, classes)
    return inplace_standardize(data) if standardize else data


def _read(path: Path, pair: tuple[str, str]) -> dict[str, Array]:
    """Return the arrays of the first layout, the pair or the ready split, that is complete in the file."""
    with path.open("rb") as file:
        # NumPy would take a single .npy for an answer, and offer to unpickle anything else.
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: not an .npz file (a zip archive of arrays)")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                for names in (pair, _SPLIT):
                    if all(name in archive for name in names):
                        return {name: _member(path, archive, name) for name in names}
                there = ", ".join(archive.files) or "nothing"
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise ValueError(f"{path}: a corrupt .npz file: {error}") from error
    raise ValueError(f"{path}: holds {there}; wanted {' and '.join(pair)}, or {', '.join(_SPLIT)}")


def _member(path: Path, archive: Mapping[str, Any], name: str) -> Array:
    try:
        member = archive[name]
    except ValueError as error:
        raise ValueError(f"{path}: array {name!r} cannot be read: {error}") from error
    if not isinstance(member, np.ndarray):
        raise ValueError(f"{path}: {name!r} is not an array in NumPy's .npy format")
    return member


def _part(
    path: Path, arrays: dict[str, Array], xs: list[str], ys: list[str], dtype: np.dtype[Any], regression: bool
) -> tuple[list[Array], list[Array], tuple[str, ...] | None]:
    """Check and convert the arrays; parts that go together share one numbering of their classes."""
    rows = [_rows(path, x, arrays[x], dtype) for x in xs]
    flat = [_one_per_sample(path, y, arrays[y], x, len(part)) for x, y, part in zip(xs, ys, rows, strict=True)]
    if regression:
        return rows, [_numbers(path, y, t, dtype)[np.newaxis] for y, t in zip(ys, flat, strict=True)], None
    for y, labels in zip(ys, flat, strict=True):
        if labels.dtype.kind not in "biufU":
            raise ValueError(f"{path}: {y!r} is {labels.dtype}: wanted whole numbers or text")
    if len({labels.dtype.kind == "U" for labels in flat}) > 1:
        raise ValueError(f"{path}: one of {' and '.join(map(repr, ys))} is text and the other numbers")
    distinct, index = np.unique(np.concatenate(flat), return_inverse=True)
    try:
        classes, numbers = number_classes(distinct.tolist())
    except LabelError as error:
        raise ValueError(f"{path}: {' and '.join(map(repr, ys))}: {error}") from error
    return rows, np.split(numbers[index], np.cumsum([len(labels) for labels in flat])[:-1]), classes


def _rows(path: Path, name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{path}: {name!r} has shape {array.shape}: wanted samples x features, one at least of each")
    return _numbers(path, name, array, dtype).reshape(len(array), -1)


def _one_per_sample(path: Path, name: str, array: Array, x: str, n: int) -> Array:
    if array.shape not in {(n,), (n, 1)}:
        raise ValueError(f"{path}: {name!r} has shape {array.shape}: wanted ({n},), as {x!r} has {n} samples")
    return array.reshape(n)


def _numbers(path: Path, name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name!r} is {array.dtype}: wanted real numbers")
    with np.errstate(over="ignore"):  # what overflows is told below, with its place
        converted = array.astype(dtype)
    finite = np.isfinite(converted)
    if not finite.all():
        place = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
        raise ValueError(f"{path}: {name}{list(place)} is {array[place]}: wanted numbers finite in {dtype}")
    return converted
