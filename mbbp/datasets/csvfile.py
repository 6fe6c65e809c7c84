"""Load a table from a text file of comma-separated values (CSV). The package pandas reads the file."""

from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mbbp.datasets.dataset import Dataset
from mbbp.datasets.features import FILLS, ColumnValues, encode, fill, read_column, refuse_missing
from mbbp.datasets.prepare import (
    LabelError,
    Rng,
    check_fraction,
    columns,
    number_classes,
    parse_number,
    split_order,
    warn_of_many_classes,
)
from mbbp.datasets.selection import Selection, select
from mbbp.extras import load_extra
from mbbp.parameters import Array
from mbbp.scaling import STANDARDIZE
from mbbp.validation import as_dtype, refuse_unknown

if TYPE_CHECKING:
    import pandas

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")
"""The words that stand for a missing value. In a label only an empty field does: NA can be the name of a class."""

SAMPLE = 100  # the number of rows that show whether the first line is a header


def load_csv(
    path: str | os.PathLike[str],
    *,
    target: Selection | None = None,
    drop: Selection = (),
    categorical: Selection = (),
    missing: str = "refuse",
    regression: bool = False,
    test_fraction: float = 0.2,
    rng: Rng = 0,
    dtype: DTypeLike = "float64",
    delimiter: str = ",",
    header: bool | None = None,
) -> Dataset:
    r"""Load a data set from a CSV file in which each row is a sample. This needs pandas.

    One column is the target, which the network learns to predict: a class or, with ``regression=True``, a number. All
    other columns are features. A column of numbers is one feature. A column of text becomes one-hot: it has one feature
    for each of its categories, which is 1 if the sample has this category, else 0. The categories are those of the
    training examples. If a test example has another one, all these features are 0.

    The samples are shuffled and split into training and test examples. Nothing is rescaled: `scaling`
    is "standardize", for ``Network(scaling=data.scaling)``. The file must be UTF-8. Fields may be quoted, and empty
    lines are skipped.

    Parameters
    ----------
    path : path-like
        The file. It is not changed.
    target : str, int or sequence of them, optional
        The column to predict: its name, or its index (from 0, or negative from the end). By default the last column. A
        regression can have several. A text is always a name, even if it is made of digits. If the file has no header,
        the names are "0", "1", ...; a column with an empty name is also called by its index.
    drop : str, int or sequence of them
        The columns to leave out, such as names and row numbers.
    categorical : str, int or sequence of them
        Columns of numbers that are categories, such as codes of countries. They become one-hot as text does.
    missing : {"refuse", "drop", "mean", "median"}
        What is done if a value is missing: if a field is empty or holds ?, NA, N/A, n/a, #N/A, <NA>, NaN, nan, NULL or
        null. "refuse" raises an error. "drop" leaves the sample out. "mean" and "median" fill it with the mean or the
        median of its column, and a column of text with its most frequent category; all are those of the training
        examples. A missing target is never filled. In a column of classes, only an empty field is missing.
    regression : bool
        If True, the targets are real numbers, of shape (n_targets, n). If False, they are whole numbers or text, and
        become the labels 0..K-1 in sorted order.
    test_fraction : float
        The fraction of the samples that become test examples, in [0, 1). If it is 0, `x_test` and `y_test` are None. If
        not, there is at least one test example and one training example.
    rng : int, Generator or None
        The seed or the generator for the shuffle.
    dtype : {"float64", "float32"}
        The type of the inputs.
    delimiter : str
        The one character between fields.
    header : bool or None
        Whether the first line holds the names of the columns. None means: it does if none of its fields is a number,
        if one of them is text above a column of numbers, or if it holds the name of a target.

    Returns
    -------
    Dataset
        One example per column. Its name is that of the file, without the ending. Its `feature_names` and
        `target_names` are those of the columns; a category has the name ``column=category``. Its `notes` say which
        columns are one-hot, and what was filled or left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If pandas is not installed.
    ValueError
        If the file does not hold such a table, or if an argument is out of range. The message gives the path, the
        column and, where one is wrong, the row: row 1 is the first below the header. Columns of dates, and columns of
        text in which nearly all values differ, are refused: they are no categories.
    TypeError
        If `target`, `drop` or `categorical` holds neither names nor indices.

    Warns
    -----
    UserWarning
        If a column only counts the rows, or if there are so many classes that a regression seems to be meant.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "iris.csv")
    >>> path.write_text("length,colour,species\n5.1,blue,setosa\n7.0,red,versicolor\n6.3,red,virginica\n")
    75
    >>> data = load_csv(path, test_fraction=0)
    >>> data
    Dataset('iris', x_train (3, 3), no test examples, float64, 3 classes)
    >>> data.classes, data.feature_names
    (('setosa', 'versicolor', 'virginica'), ('length', 'colour=blue', 'colour=red'))
    >>> data.notes
    ('one-hot: colour (2)',)
    >>> folder.cleanup()
    """
    path = Path(path)
    checked = as_dtype(dtype)
    check_fraction(test_fraction)
    if missing not in FILLS:
        refuse_unknown("missing", missing, FILLS)
    table = _read_table(path, delimiter, header, target, categorical, classes=not regression)
    targets = table.targets
    if len(targets) > 1 and not regression:
        raise ValueError(
            f"target: expected one column of classes, got {len(targets)} columns; for several numbers to predict use "
            "regression=True (--regression)"
        )
    drops = select("drop", drop, table.names, path)
    coded = table.coded
    if both := sorted(set(targets) & {*drops, *coded}):
        name = table.names[both[0]]
        raise ValueError(f"target: expected a column that is in neither drop nor categorical, got {name!r}")
    kept = [i for i in range(len(table.names)) if i not in {*targets, *drops}]
    if not kept:
        raise ValueError(f"{path}: expected at least one column of features, got none beside the targets")
    features = [read_column(table.place(i), table.names[i], table.frame[i], MISSING, i in coded, checked) for i in kept]
    aims = [_read_target(table, i, regression, checked) for i in targets]
    notes: list[str] = []
    if missing == "drop":
        complete = ~np.logical_or.reduce([column.is_missing for column in (*features, *aims)])
        if not complete.all():
            if not complete.any():
                raise ValueError(f"{path}: expected at least one row without a missing value, got none")
            features, aims = ([column.rows(complete) for column in part] for part in (features, aims))
            notes.append(f"rows with missing values, left out: {np.count_nonzero(~complete):,} of {complete.size:,}")
    refuse_missing(path, aims if missing in ("mean", "median") else [*features, *aims], may_fill=missing == "refuse")
    y, classes = _targets(path, aims, regression, checked)
    train, test = split_order(y.shape[-1], test_fraction, rng)
    fills: list[float | str | None] = [None] * len(features)
    if missing in ("mean", "median"):
        features, fills[:], filled = fill(path, features, train, missing)
        notes += filled
    rows, described, coding = encode(features, train, checked, fills)
    return Dataset(
        path.stem,
        columns(rows[train], checked),
        y[..., train],
        None if test is None else columns(rows[test], checked),
        None if test is None else y[..., test],
        classes,
        feature_names=tuple(name for one in described for name in one.input_names),
        target_names=tuple(table.names[i] for i in targets),
        columns=tuple(described),
        scaling=STANDARDIZE,
        notes=(*notes, *coding),
    )


class _Table(NamedTuple):
    path: Path
    names: tuple[str, ...]
    targets: tuple[int, ...]  # the indices of their columns
    coded: tuple[int, ...]  # those of the columns that are categories by request
    frame: pandas.DataFrame

    def place(self, index: int) -> str:
        return f"{self.path}, column {self.names[index]!r}"


def _read_table(
    path: Path,
    delimiter: str,
    header: bool | None,
    target: Selection | None,
    categorical: Selection,
    *,
    classes: bool,
) -> _Table:
    """Read the file: the names of its columns, and its columns by their index, with NaN for missing values."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter: expected one character, not a quote or a line end, got {delimiter!r}")
    sample = read_frame(path, delimiter, header=None, dtype=str, keep_default_na=False, nrows=SAMPLE)
    words = [["" if word is None else str(word).strip() for word in row] for row in sample.to_numpy(object)]
    wanted = [target] if isinstance(target, str) else target if isinstance(target, Sequence) else ()
    has_header = is_header(words, wanted) if header is None else header
    if has_header and len(words) == 1:
        raise ValueError(f"{path}: expected rows of values below the header, got none")
    width = len(words[0])
    if width == 1:
        raise ValueError(
            f"{path}: expected columns of features and a target, got one column; is delimiter={delimiter!r} right?"
        )
    names = tuple((words[0][i] if has_header else "") or str(i) for i in range(width))
    targets = (width - 1,) if target is None else select("target", target, names, path)
    if not targets:
        raise ValueError("target: expected at least one column, got none")
    text = targets if classes else ()
    coded = select("categorical", categorical, names, path)  # they are read as text: 007 and 7 are two categories
    frame = read_frame(
        path,
        delimiter,
        header=0 if has_header else None,
        names=range(width),
        index_col=False,
        dtype=dict.fromkeys((*text, *coded), str),
        keep_default_na=False,
        na_values={i: [""] if i in text else list(MISSING) for i in range(width)},
        low_memory=False,
    )
    if frame[width - 1].isna().any():
        refuse_short_rows(path, delimiter, width)
    return _Table(path, names, targets, coded, frame)


def is_header(rows: list[list[str]], wanted: Sequence[object]) -> bool:
    """Return whether the first row of a table holds the names of its columns."""
    first, others = rows[0], rows[1:]
    is_name = [parse_number(word) is None for word in first]
    if all(is_name) or any(word in wanted for word, named in zip(first, is_name, strict=True) if named and word):
        return True
    below = [[row[i] for row in others if row[i] not in MISSING] for i in range(len(first))]
    return any(
        named and word not in MISSING and values and all(parse_number(value) is not None for value in values)
        for word, named, values in zip(first, is_name, below, strict=True)
    )


def read_frame(path: Path, delimiter: str, **options: Any) -> pandas.DataFrame:
    """Read a table with pandas, and turn each of its errors into one that names the file."""
    pandas = load_extra(str(path), "pandas")
    expected = f"{path}: expected a table in which all rows have the same number of fields"
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # it would leave fields out
            return pandas.read_csv(file, sep=delimiter, encoding="utf-8-sig", skipinitialspace=True, **options)
    except pandas.errors.EmptyDataError as error:
        raise ValueError(f"{path}: expected rows of values, got an empty file") from error
    except UnicodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text, got other bytes; {error}") from error
    except (ValueError, OverflowError, pandas.errors.ParserWarning) as error:
        if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
            wanted, line, got = found.groups()
            raise ValueError(f"{path}, line {line}: expected {wanted} fields, got {got}") from error
        raise ValueError(f"{expected}, got another file; {' '.join(str(error).split())}") from error
    except MemoryError as error:
        raise ValueError(f"{path}: expected a table that fits into the memory, got a larger one") from error
    except OSError as error:
        if error.filename is None:
            raise OSError(f"{path}: expected a file that can be read, got an error; {error}") from error
        raise


def refuse_short_rows(path: Path, delimiter: str, width: int) -> None:
    """Refuse a row with too few fields. pandas fills it up with missing values, as if they had been there."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            for record in reader:
                if len(record) < width and "".join(record).strip():
                    raise ValueError(f"{path}, line {reader.line_num}: expected {width} fields, got {len(record)}")
    except csv.Error as error:
        raise ValueError(f"{path}: expected valid CSV, got an invalid record; {error}") from error


def _read_target(table: _Table, index: int, regression: bool, dtype: np.dtype[Any]) -> ColumnValues:
    place, name = table.place(index), table.names[index]
    column = read_column(place, name, table.frame[index], MISSING if regression else ("",), not regression, dtype)
    if regression and column.categories:
        row = int(np.argmax(column.codes >= 0))
        word = column.categories[column.codes[row]]
        raise ValueError(f"{place}, row {row + 1}: expected a number to predict, got {word!r}")
    return column


def _targets(
    path: Path, aims: list[ColumnValues], regression: bool, dtype: np.dtype[Any]
) -> tuple[Array, tuple[str, ...] | None]:
    """Return the targets (n_targets, n) and None, or the labels (n,) and the names of the classes."""
    if regression:
        return np.stack([column.numbers for column in aims]).astype(dtype), None
    (column,) = aims
    try:
        classes, numbers = number_classes(column.categories)
    except LabelError as error:
        row = int(np.argmax(column.codes == column.categories.index(error.label)))
        raise ValueError(f"{path}, column {column.name!r}, row {row + 1}: {error}") from error
    labels: NDArray[np.int64] = numbers[column.codes]
    warn_of_many_classes(f"{path}, column {column.name!r}", classes, labels.size)
    return labels, classes
