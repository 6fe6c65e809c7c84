"""Load a data set from the arrays of an .npz file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from mbbp.datasets.dataset import Array, Dataset
from mbbp.datasets.prepare import (
    LabelError,
    Rng,
    check_fraction,
    columns,
    number_classes,
    split_rows,
)
from mbbp.validation import as_dtype

_SPLIT = ("x_train", "y_train", "x_test", "y_test")


def load_npz(
    path: str | os.PathLike[str],
    *,
    label: str = "y",
    test_fraction: float = 0.2,
    rng: Rng = 0,
    dtype: DTypeLike = "float32",
    regression: bool = False,
) -> Dataset:
    """Load a data set from an ``.npz`` file in which each row of an array is a sample.

    There are two layouts. In the first, the file has an array ``X`` (samples, features) and an array of labels, whose
    name is `label`. These samples are shuffled and split into training and test examples. In the second, which Keras
    uses, the file has ``x_train``, ``y_train``, ``x_test`` and ``y_test``. These keep their split and their order.

    Images are flattened: (n, 28, 28) becomes (784, n). Nothing is rescaled: pass ``scaling="standardize"`` to the
    network.

    Parameters
    ----------
    path : path-like
        The file. It is not changed. Arrays of Python objects (pickles) are refused.
    label : str
        The name of the array that holds the labels for ``X``.
    test_fraction : float
        The fraction of ``X`` that becomes test examples, in [0, 1). If it is 0, `x_test` and `y_test` are None. If not,
        there is at least one test example and one training example.
    rng : int, Generator or None
        The seed or the generator for the shuffle.
    dtype : {"float32", "float64"}
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
    Dataset('xor', x_train (2, 4), no test examples, float32, 2 classes)
    >>> folder.cleanup()
    """
    path = Path(path)
    checked = as_dtype(dtype)
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
                f"{path}, 'x_test': expected {len(x_train)} features, got {len(x_test)}; 'x_train' has {len(x_train)}"
            )
        data = Dataset(path.stem, x_train, y_train, x_test, y_test, classes)
    return data


def _read(path: Path, pair: tuple[str, str]) -> dict[str, Array]:
    """Return the arrays of the first layout that is complete in the file: `pair`, or the four arrays of a split."""
    with path.open("rb") as file:
        # np.load would also accept a single .npy file. For any other file, its error message would suggest pickle.
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: expected an .npz file (a zip archive of arrays), got another format")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                for names in (pair, _SPLIT):
                    if all(name in archive for name in names):
                        return {name: _member(path, archive, name) for name in names}
                found = ", ".join(archive.files) or "no array"
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise ValueError(f"{path}: expected a valid .npz file, got a corrupt one; {error}") from error
    raise ValueError(f"{path}: expected arrays {' and '.join(pair)}, or {', '.join(_SPLIT)}, got {found}")


def _member(path: Path, archive: Mapping[str, Any], name: str) -> Array:
    try:
        member = archive[name]
    except ValueError as error:
        raise ValueError(f"{path}, {name!r}: expected an array that can be read, got an error; {error}") from error
    if not isinstance(member, np.ndarray):
        raise ValueError(f"{path}, {name!r}: expected an array in NumPy's .npy format, got other data")
    return member


def _part(
    path: Path, arrays: dict[str, Array], xs: list[str], ys: list[str], dtype: np.dtype[Any], regression: bool
) -> tuple[list[Array], list[Array], tuple[str, ...] | None]:
    """Check and convert the arrays. All arrays of labels in `ys` share the same numbering of the classes."""
    rows = [_rows(path, x, arrays[x], dtype) for x in xs]
    flat = [_one_per_sample(path, y, arrays[y], x, len(part)) for x, y, part in zip(xs, ys, rows, strict=True)]
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


def _rows(path: Path, name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{path}, {name!r}: expected a shape (samples, features) with at least one of each, got {array.shape}"
        )
    return _numbers(path, name, array, dtype).reshape(len(array), -1)


def _one_per_sample(path: Path, name: str, array: Array, x: str, n: int) -> Array:
    if array.shape not in {(n,), (n, 1)}:
        raise ValueError(f"{path}, {name!r}: expected shape ({n},), got {array.shape}; {x!r} has {n} samples")
    return array.reshape(n)


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
