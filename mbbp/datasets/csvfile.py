"""A user's own table, from a text file of comma-separated values."""

from __future__ import annotations

import csv
import os
import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from mbbp.datasets.dataset import Array, Dataset, checked_dtype
from mbbp.datasets.prepare import (
    LabelError,
    Rng,
    check_fraction,
    inplace_standardize,
    number_classes,
    parse_number,
    split_rows,
)


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
    r"""Load a data set from a CSV file, in which a row is a sample.

    One column is the label, all others are features and must be numbers. Samples are shuffled and split.
    Features are not rescaled unless `standardize` says so. The file is UTF-8; its fields may be quoted, and
    empty lines are skipped.

    Parameters
    ----------
    path : path-like
        The file; it is only read.
    label : str, int or None
        The label's column: its name in the header, its index (from 0, or negative from the end), or None for
        the last.
    test_fraction : float
        How much to hold out, in [0, 1); at least one sample, unless it is 0: then `x_test` and `y_test` are
        None.
    rng : int, Generator or None
        The seed of the shuffle.
    dtype : {"float32", "float64"}
        The type of the inputs.
    regression : bool
        True for real targets, (1, n); otherwise labels are whole numbers or text, and become 0..K-1 in their
        sorted order.
    standardize : bool
        Give each feature mean 0 and variance 1 by the training part's statistics; constant ones become 0.
    delimiter : str
        The one character between fields.
    header : bool or None
        Whether the first line names the columns. None: it does if none of its fields is a number.

    Returns
    -------
    Dataset
        Examples in columns, named after the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds anything else than such a table (path, line as an editor counts, and column are
        told), or an argument is out of range.

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
    checked = checked_dtype(dtype)
    check_fraction(test_fraction)
    table = _inspect(path, delimiter, header, label)
    rows, targets, classes = _read(table, checked, regression)
    data = split_rows(path.stem, rows, targets, classes, test_fraction=test_fraction, rng=rng)
    return inplace_standardize(data) if standardize else data


class _Table(NamedTuple):
    """What the first lines of a file tell about all of it."""

    path: Path
    delimiter: str
    names: tuple[str, ...] | None  # None: no header
    width: int
    label: int  # from 0

    def column(self, index: int) -> str:
        return f"column {index + 1}" if self.names is None else f"column {self.names[index]!r}"


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not an empty line, and the number of the line it begins on."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        line = 1
        try:
            for record in reader:
                if record:
                    yield line, record
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text: {error}") from error


def _inspect(path: Path, delimiter: str, header: bool | None, label: str | int | None) -> _Table:
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter must be one character, and no quote or line end; got {delimiter!r}")
    records = _records(path, delimiter)
    _, first = next(records, (0, None))
    if first is None:
        raise ValueError(f"{path}: empty, wanted rows of numbers and a label")
    if header is None:
        header = all(parse_number(field) is None for field in first)
    if header and next(records, None) is None:
        raise ValueError(f"{path}: only a header, wanted rows of numbers and a label below it")
    if len(first) == 1:
        raise ValueError(
            f"{path}: only one column, wanted features and a label; is delimiter={delimiter!r} the right one?"
        )
    names = tuple(field.strip() for field in first) if header else None
    return _Table(path, delimiter, names, len(first), _label_index(path, names, len(first), label))


def _label_index(path: Path, names: tuple[str, ...] | None, width: int, label: str | int | None) -> int:
    if label is None:
        return width - 1
    if isinstance(label, str):
        if names is None:
            raise ValueError(f"{path}: label={label!r} is a column's name, but there is no header")
        if names.count(label) != 1:
            fault = "more than one column has it" if label in names else "no column has it"
            raise ValueError(f"{path}: label={label!r}: {fault}; the header has {reprlib.repr(list(names))}")
        return names.index(label)
    if not -width <= label < width:
        raise ValueError(f"{path}: label={label} is out of range: {width} columns are 0 to {width - 1}")
    return label % width


def _read(table: _Table, dtype: np.dtype[Any], regression: bool) -> tuple[Array, Array, tuple[str, ...] | None]:
    """Return rows (n, features), targets and classes.

    NumPy's reader is quick but vague about what is wrong: whatever is, a second, slow pass tells where.
    """
    labels: dict[str, int] = {}  # each as spelt, numbered as it first appears
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
        _explain(table, dtype, regression, str(error))
    if numbers.shape[1] != table.width or "" in labels or not np.isfinite(numbers).all():
        _explain(table, dtype, regression, "not a table of finite numbers")
    rows, targets = np.delete(numbers, table.label, axis=1), numbers[:, table.label].copy()
    if regression:
        return rows, targets[np.newaxis], None
    try:
        classes, order = number_classes(list(labels))
    except LabelError as error:
        _explain(table, dtype, regression, str(error), bad_label=error.label)
    return rows, order[targets.astype(np.int64)], classes


def _explain(table: _Table, dtype: np.dtype[Any], regression: bool, reason: str, bad_label: object = None) -> NoReturn:
    """Raise a ValueError that tells the first thing wrong and its place, or `reason` if there is none."""
    records = _records(table.path, table.delimiter)
    if table.names is not None:
        next(records)
    for line, record in records:
        where = f"{table.path}, line {line}"
        if len(record) != table.width:
            raise ValueError(f"{where}: the number of fields is {len(record)}, wanted {table.width}")
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
    """Tell at a glance that all are numbers and finite: a long file has few lines to look at closely."""
    text = "".join(fields)
    if "_" in text or not text.isascii():
        return False
    try:
        return sum(map(abs, map(float, fields))) <= float(np.finfo(dtype).max)
    except ValueError:
        return False


def _fault(text: str, dtype: np.dtype[Any]) -> str | None:
    """Say what keeps a field from being a number, or None."""
    if not text:
        return "an empty field, wanted a number or a label"
    if parse_number(text) is None:
        return f"got {reprlib.repr(text)}, wanted a number"
    if not abs(float(text)) <= float(np.finfo(dtype).max):
        return f"got {reprlib.repr(text)}, wanted a number finite in {dtype}"
    return None
