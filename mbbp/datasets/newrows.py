"""Rows of another table as inputs of a network: its columns are found by name, and coded as in the training."""

from __future__ import annotations

import numbers
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mbbp.datasets.csvfile import MISSING, SAMPLE, is_header, read_frame, refuse_short_rows
from mbbp.datasets.features import word_of
from mbbp.extras import load_extra
from mbbp.parameters import Array
from mbbp.schema import Column, Schema
from mbbp.validation import as_flag, shown

if TYPE_CHECKING:
    import pandas


def read_inputs(
    table: str | os.PathLike[str] | pandas.DataFrame,
    schema: Schema,
    *,
    delimiter: str = ",",
    header: bool | None = None,
) -> NDArray[np.float64]:
    """Return the inputs of a network for the rows of a table. This needs pandas.

    The columns are found by their names, in any order, and other columns are left out. A column of categories becomes
    one-hot, with the categories of the training; for a category that was not there, all its inputs are 0. A missing
    value is filled as in the training, if the training filled any.

    Parameters
    ----------
    table : path or pandas.DataFrame
        A CSV file or a frame, with one sample in each row.
    schema : Schema
        That of the network, with columns: ``net.schema``.
    delimiter : str
        For a file: the one character between fields.
    header : bool or None
        For a file: whether the first line holds the names of the columns. None means that this is found out.

    Returns
    -------
    ndarray of float64, shape (n_in, m)
        One example per column.

    Raises
    ------
    OSError
        If the file cannot be read.
    ImportError
        If pandas is not installed.
    ValueError
        If columns are missing, a value is missing that the training did not fill, or a number is text, NaN or inf. The
        message names the column and the row; row 1 is the first below the header.
    TypeError
        If an argument is of the wrong type.

    Warns
    -----
    UserWarning
        If a category was not there in the training.
    """
    if not isinstance(schema, Schema):
        raise TypeError(f"schema: expected an mbbp.Schema, got {shown(schema)}")
    columns = schema.columns
    if columns is None:
        raise ValueError("schema: expected one with the columns of a table, got one without; pass arrays instead")
    if header is not None:
        header = as_flag("header", header)
    if isinstance(table, str | os.PathLike):
        place = str(Path(table))
        found = _from_file(Path(table), columns, delimiter, header)
    else:
        place = "table"
        pandas = load_extra("table", "pandas")
        if not isinstance(table, pandas.DataFrame):
            raise TypeError(f"table: expected a path or a pandas.DataFrame, got {shown(table)}")
        found = _by_name(place, table, columns)
    if not len(next(iter(found.values()))):
        raise ValueError(f"{place}: expected at least one row of values, got none")
    unknown: list[str] = []
    blocks = [_block(f"{place}, column {one.name!r}", found[one.name], one, unknown) for one in columns]
    if unknown:
        warnings.warn(
            f"{place}: categories that the training did not have, all 0 there: {', '.join(unknown)}", stacklevel=2
        )
    return np.concatenate(blocks, axis=1).T


def columns_of(path: Path, delimiter: str, header: bool | None) -> tuple[Column, ...]:
    """Return the columns of a CSV file as columns of numbers, for a network that was trained without names.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no table, or two of its columns have the same name.
    """
    names, _ = _names(path, delimiter, header, ())
    _places(str(path), names, names)  # refuses two with the same name
    return tuple(Column(name) for name in names)


def _names(path: Path, delimiter: str, header: bool | None, wanted: Sequence[str]) -> tuple[list[str], bool]:
    """Return the names of a file's columns, and whether they are in its first line."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"delimiter: expected one character, not a quote or a line end, got {delimiter!r}")
    sample = read_frame(path, delimiter, header=None, dtype=str, keep_default_na=False, nrows=SAMPLE)
    words = [["" if word is None else str(word).strip() for word in row] for row in sample.to_numpy(object)]
    has_header = is_header(words, wanted) if header is None else header
    if has_header and len(words) == 1:
        raise ValueError(f"{path}: expected rows of values below the header, got none")
    return [(word if has_header else "") or str(i) for i, word in enumerate(words[0])], has_header


def _from_file(
    path: Path, columns: Sequence[Column], delimiter: str, header: bool | None
) -> Mapping[str, pandas.Series]:
    wanted = [one.name for one in columns]
    names, has_header = _names(path, delimiter, header, wanted)
    places = _places(str(path), names, wanted)
    frame = read_frame(
        path,
        delimiter,
        header=0 if has_header else None,
        names=range(len(names)),
        index_col=False,  # all columns, so that a row with more fields than these is an error
        dtype=str,  # so that a category is read as it stands there
        keep_default_na=False,
        na_values={places[one.name]: [word for word in MISSING if word not in one.categories] for one in columns},
        low_memory=False,
    )
    last = frame[len(names) - 1]
    if last.isna().any() or (last == "").any():
        refuse_short_rows(path, delimiter, len(names))
    return {name: frame[place] for name, place in places.items()}


def _by_name(place: str, frame: pandas.DataFrame, columns: Sequence[Column]) -> Mapping[str, pandas.Series]:
    wanted = [one.name for one in columns]
    places = _places(place, [str(name).strip() for name in frame.columns], wanted)
    return {name: frame.iloc[:, i] for name, i in places.items()}


def _places(place: str, names: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    """Return where each wanted column is."""
    missing = [name for name in wanted if name not in names]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        there = ", ".join(map(_short, names[:20])) + (", ..." if len(names) > 20 else "")
        word = "column" if len(missing) == 1 else "columns"
        raise ValueError(
            f"{place}: expected the {word} {', '.join(map(_short, missing[:5]))}{more}, which the network was trained "
            f"with, got the columns {there}"
        )
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(f"{place}: expected one column {name!r}, got {names.count(name)}")
    return {name: names.index(name) for name in wanted}


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."


def _block(place: str, series: pandas.Series, column: Column, unknown: list[str]) -> Array:
    """Return the inputs of a column, of shape (m, 1), or (m, number of categories)."""
    gaps = np.array(series.isna(), bool)
    values = series.to_numpy(object)
    if not column.categories:
        return _numbers(place, series, gaps, column.fill)[:, np.newaxis]
    known = {name: code for code, name in enumerate(column.categories)}
    if set(known) <= {"True", "False"}:  # pandas reads TRUE and true as numbers do, not as text
        known |= {word: code for name, code in list(known.items()) for word in (name.lower(), name.upper())}
    words = [word_of(value) for value in values]
    gaps |= np.array([word in MISSING and word not in known for word in words])  # those of a frame
    codes = np.array([-1 if gap else known.get(word, -2) for gap, word in zip(gaps, words, strict=True)])
    if gaps.any():
        if column.fill is None:
            _refuse_missing(place, gaps)
        codes[gaps] = known[str(column.fill)]
    others = np.flatnonzero(codes == -2)
    if others.size:
        unknown.append(f"{place.rpartition(', ')[2]} ({others.size:,}, such as {shown(words[others[0]])})")
    block: Array = (codes[:, np.newaxis] == np.arange(len(column.categories))).astype(np.float64)
    return block


def _numbers(place: str, series: pandas.Series, gaps: NDArray[np.bool_], filling: Any) -> NDArray[np.float64]:
    pandas = load_extra("table", "pandas")
    for at, value in enumerate(series.to_numpy(object)):
        if not gaps[at] and not isinstance(value, str | numbers.Real | np.bool_):
            raise ValueError(f"{place}, row {at + 1}: expected a number, got {shown(value)}")
    found = pandas.to_numeric(series, errors="coerce")
    result: NDArray[np.float64] = np.array(found.to_numpy(np.float64, na_value=np.nan))
    for row in np.flatnonzero(np.isnan(result) & ~gaps):
        if word_of(series.iloc[row]) not in MISSING:
            raise ValueError(f"{place}, row {row + 1}: expected a number, got {shown(series.iloc[row])}")
    infinite = np.isinf(result)
    if infinite.any():
        first = int(np.argmax(infinite))
        raise ValueError(f"{place}, row {first + 1}: expected a finite number, got {shown(series.iloc[first])}")
    missing = np.isnan(result)
    if missing.any():
        if filling is None:
            _refuse_missing(place, missing)
        result[missing] = filling
    return result


def _refuse_missing(place: str, gaps: NDArray[np.bool_]) -> None:
    row, n = int(np.argmax(gaps)) + 1, int(np.count_nonzero(gaps))
    raise ValueError(
        f"{place}, row {row}: expected a value, got none ({n:,} missing in all); fill them, or train with "
        "missing='mean' or 'median' (--missing), which is then used here too"
    )
