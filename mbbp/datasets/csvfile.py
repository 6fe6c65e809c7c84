"""Load a table from a text file of comma-separated values (CSV)."""

from __future__ import annotations

import csv
import os
import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from mbbp.datasets.dataset import Array, Dataset
from mbbp.datasets.prepare import (
    LabelError,
    Rng,
    check_fraction,
    inplace_standardize,
    number_classes,
    parse_number,
    split_rows,
)
from mbbp.validation import as_dtype


def load_csv(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = None,
    test_fraction: float = 0.2,
    rng: Rng = 0,
    dtype: DTypeLike = "float32",
    regression: bool = False,
    standardize: bool = False,
    delimiter: str = ",",
    header: bool | None = None,
) -> Dataset:
    r"""Load a data set from a CSV file in which each row is a sample.

    One column is the label. All other columns are features and must hold numbers. The samples are shuffled and split
    into training and test examples. Features are rescaled only with ``standardize=True``. The file must be UTF-8.
    Fields may be quoted, and empty lines are skipped.

    Parameters
    ----------
    path : path-like
        The file. It is not changed.
    label : str, int or None
        The column of the labels: its name in the header, its index (from 0, or negative from the end), or None for the
        last column.
    test_fraction : float
        The fraction of the samples that become test examples, in [0, 1). If it is 0, `x_test` and `y_test` are None. If
        not, there is at least one test example and one training example.
    rng : int, Generator or None
        The seed or the generator for the shuffle.
    dtype : {"float32", "float64"}
        The type of the inputs.
    regression : bool
        If True, the labels are real numbers and become targets of shape (1, n). If False, they are whole numbers or
        text, and become 0..K-1 in sorted order.
    standardize : bool
        If True, each feature is shifted and scaled to mean 0 and variance 1 over the training examples. A constant
        feature becomes 0.
    delimiter : str
        The one character between fields.
    header : bool or None
        Whether the first line holds the names of the columns. None means: it does if none of its fields is a number.

    Returns
    -------
    Dataset
        One example per column. Its name is that of the file, without the ending.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file does not hold such a table, or if an argument is out of range. For an error in the file, the message
        gives the path, the line number (from 1) and the column.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "iris.csv")
    >>> path.write_text("5.1,3.5,setosa\n7.0,3.2,versicolor\n6.3,3.3,virginica\n")
    52
    >>> data = load_csv(path, test_fraction=0)
    >>> data
    Dataset('iris', x_train (2, 3), no test examples, float32, 3 classes)
    >>> data.classes
    ('setosa', 'versicolor', 'virginica')
    >>> folder.cleanup()
    """
    path = Path(path)
    checked = as_dtype(dtype)
    check_fraction(test_fraction)
    table = _inspect(path, delimiter, header, label)
    rows, targets, classes = _read(table, checked, regression)
    data = split_rows(path.stem, rows, targets, classes, test_fraction=test_fraction, rng=rng)
    return inplace_standardize(data) if standardize else data


class _Table(NamedTuple):
    """The layout of a file, read from its first lines."""

    path: Path
    delimiter: str
    names: tuple[str, ...] | None  # None if there is no header
    width: int
    label: int  # the index of the label's column, from 0

    def column(self, index: int) -> str:
        return f"column {index + 1}" if self.names is None else f"column {self.names[index]!r}"


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of the line on which it begins. Empty lines are skipped."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        line = 1
        try:
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}, line {line}: expected valid CSV, got an invalid record; {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: expected UTF-8 text, got other bytes; {error}") from error


def _inspect(path: Path, delimiter: str, header: bool | None, label: str | int | None) -> _Table:
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter: expected one character, not a quote or a line end, got {delimiter!r}")
    records = _records(path, delimiter)
    _, first = next(records, (0, None))
    if first is None:
        raise ValueError(f"{path}: expected rows of numbers and a label, got an empty file")
    if header is None:
        header = all(parse_number(field) is None for field in first)
    if header and next(records, None) is None:
        raise ValueError(f"{path}: expected rows of numbers and a label below the header, got none")
    if len(first) == 1:
        raise ValueError(
            f"{path}: expected columns of features and a label, got one column; is delimiter={delimiter!r} right?"
        )
    names = tuple(field.strip() for field in first) if header else None
    return _Table(path, delimiter, names, len(first), _label_index(path, names, len(first), label))


def _label_index(path: Path, names: tuple[str, ...] | None, width: int, label: str | int | None) -> int:
    if label is None:
        return width - 1
    if isinstance(label, str):
        if names is None:
            raise ValueError(f"label: expected a column's index, got {label!r}; {path} has no header")
        if names.count(label) != 1:
            expected = "a name that only one column has" if label in names else "a column's name"
            header = reprlib.repr(list(names))
            raise ValueError(f"label: expected {expected}, got {label!r}; the header of {path} is {header}")
        return names.index(label)
    if not -width <= label < width:
        raise ValueError(f"label: expected {-width} to {width - 1}, got {label}; {path} has {width} columns")
    return label % width


def _read(table: _Table, dtype: np.dtype[Any], regression: bool) -> tuple[Array, Array, tuple[str, ...] | None]:
    """Return rows (n, features), targets and classes.

    NumPy's reader is fast, but its errors are not precise. So after an error, a second and slow pass finds the place.
    """
    labels: dict[str, int] = {}  # each spelling, with its position in the order of first appearance
    converters: dict[int | str, Callable[[str], int]] = {}
    if not regression:
        converters[table.label] = lambda text: labels.setdefault(text.strip(), len(labels))
    try:
        with table.path.open(encoding="utf-8-sig", newline="") as file:
            if table.names is not None:
                next(filter(None, csv.reader(file, delimiter=table.delimiter)))
            numbers = np.loadtxt(
                file,
                dtype,
                comments=None,
                delimiter=table.delimiter,
                quotechar='"',
                converters=converters,
                ndmin=2,
            )
    except ValueError as error:
        _explain(table, dtype, regression, f"expected a table of numbers, got another one; {error}")
    if numbers.shape[1] != table.width or "" in labels or not np.isfinite(numbers).all():
        _explain(table, dtype, regression, "expected a table of finite numbers, got another one")
    rows, targets = np.delete(numbers, table.label, axis=1), numbers[:, table.label].copy()
    if regression:
        return rows, targets[np.newaxis], None
    try:
        classes, order = number_classes(list(labels))
    except LabelError as error:
        _explain(table, dtype, regression, str(error), bad_label=error.label)
    return rows, order[targets.astype(np.int64)], classes


def _explain(table: _Table, dtype: np.dtype[Any], regression: bool, reason: str, bad_label: object = None) -> NoReturn:
    """Raise a ValueError for the first wrong line or field, or for `reason` if no line is wrong.

    `bad_label` is a label that is no class.
    """
    records = _records(table.path, table.delimiter)
    if table.names is not None:
        next(records)
    for line, record in records:
        where = f"{table.path}, line {line}"
        if len(record) != table.width:
            raise ValueError(f"{where}: expected {table.width} fields, got {len(record)}")
        label = record[table.label].strip()
        if not regression and label:
            if label == bad_label:
                raise ValueError(f"{where}, {table.column(table.label)}: {reason}")
            record[table.label] = "0"
        if _is_plain(record, dtype):
            continue
        for index, field in enumerate(record):
            if fault := _fault(field.strip(), dtype):
                raise ValueError(f"{where}, {table.column(index)}: {fault}")
    raise ValueError(f"{table.path}: {reason}")


def _is_plain(fields: list[str], dtype: np.dtype[Any]) -> bool:
    """Return True only if all fields are finite numbers.

    This check is fast but strict: it can return False for a good line. Most lines of a long file pass it, so the slow
    check of each field runs for few lines.
    """
    text = "".join(fields)
    if "_" in text or not text.isascii():
        return False
    try:
        return sum(map(abs, map(float, fields))) <= float(np.finfo(dtype).max)
    except ValueError:
        return False


def _fault(text: str, dtype: np.dtype[Any]) -> str | None:
    """Return the error message for a field that is not a finite number, or None."""
    if not text:
        return "expected a number or a label, got an empty field"
    if parse_number(text) is None:
        return f"expected a number, got {reprlib.repr(text)}"
    if not abs(float(text)) <= float(np.finfo(dtype).max):
        return f"expected a finite number in {dtype}, got {reprlib.repr(text)}"
    return None
