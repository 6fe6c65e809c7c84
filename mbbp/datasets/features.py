"""From the columns of a table to features: numbers stay, text becomes one-hot, missing values are filled."""

from __future__ import annotations

import math
import re
import reprlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbbp.datasets.prepare import parse_number
from mbbp.parameters import Array
from mbbp.schema import Column

if TYPE_CHECKING:
    import pandas

FILLS = ("refuse", "drop", "mean", "median")
"""What can be done with missing values."""

FEW = 20  # with no more distinct values than this, a column of text is never taken for names
MOST_CATEGORIES = 1000
_TIME = r"([T ]+\d{1,2}:\d{2}.*)?"
_MONTH = r"[A-Za-z]{3,9}\.?"
_DATE = re.compile(
    rf"(\d{{4}}([-/.])\d{{1,2}}\2\d{{1,2}}|\d{{1,2}}([-/.])\d{{1,2}}\3(\d{{2}}|\d{{4}})"
    rf"|\d{{1,2}}[- ]{_MONTH},?[- ]\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}}){_TIME}|\d{{1,2}}:\d{{2}}(:\d{{2}}.*)?"
)


class ColumnValues(NamedTuple):
    """The values of a column of a table: numbers, or categories if it has any.

    Attributes
    ----------
    name : str
        Its name in the table.
    numbers : ndarray of float64, shape (n,) or (0,)
        The numbers, NaN where one is missing.
    categories : tuple of str
        The distinct words of a column of text, sorted. Empty for numbers.
    codes : ndarray of int64, shape (n,) or (0,)
        The index of each word in `categories`, -1 where one is missing.
    """

    name: str
    numbers: NDArray[np.float64]
    categories: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Where a value is missing, of shape (n,)."""
        return self.codes < 0 if self.categories else np.isnan(self.numbers)

    def rows(self, chosen: NDArray[Any]) -> ColumnValues:
        """Return the column with the chosen rows only."""
        if self.categories:
            return self._replace(codes=self.codes[chosen])
        return self._replace(numbers=self.numbers[chosen])


def read_column(
    place: str, name: str, series: pandas.Series, missing: Sequence[str], as_text: bool, dtype: np.dtype[Any]
) -> ColumnValues:
    """Return a column of numbers or of categories.

    Parameters
    ----------
    place : str
        The file and the column, for an error message.
    name : str
        The name of the column.
    series : pandas.Series
        Its values, NaN where one is missing.
    missing : sequence of str
        Words that stand for a missing value as well.
    as_text : bool
        Whether numbers are categories too. Then no text is refused.
    dtype : dtype
        The type that numbers will be converted to.

    Raises
    ------
    ValueError
        If a number is not finite in `dtype`, if most values of a column of text are numbers, if it holds dates, or if
        nearly all of its values differ.
    """
    if series.dtype.kind in "iuf" and not as_text:
        return _as_numbers(place, name, series.to_numpy(np.float64), series, dtype)
    codes, distinct = series.factorize()
    words = [word_of(value) for value in distinct]
    present = sorted(set(words) - set(missing), key=_rank)
    position = {word: k for k, word in enumerate(present)}
    # factorize gives -1 for NaN, which is here the last element
    codes = np.array([*(position.get(word, -1) for word in words), -1], np.int64)[codes]
    if as_text and present:
        return ColumnValues(name, np.empty(0), tuple(present), codes)
    is_number = np.array([*(parse_number(word) is not None for word in present), False])
    n, n_numbers = int(np.count_nonzero(codes >= 0)), int(np.count_nonzero(is_number[codes]))
    if n == n_numbers:
        values = np.array([*map(float, present), np.nan])[codes]
        return _as_numbers(place, name, values, series, dtype)
    if 2 * n_numbers >= n:
        row = int(np.argmax((codes >= 0) & ~is_number[codes]))
        raise ValueError(
            f"{place}, row {row + 1}: expected a number, got {_short(present[codes[row]])}; {n_numbers:,} of its {n:,} "
            f"values are numbers. If they are names of categories, use categorical=[{name!r}] (--categorical {name})"
        )
    _refuse_other_text(place, name, present, n)
    return ColumnValues(name, np.empty(0), tuple(present), codes)


def _rank(word: str) -> tuple[float, str]:
    """Sort numbers as numbers, and before other words."""
    number = math.nan if parse_number(word) is None else float(word)
    return (math.inf if math.isnan(number) else number, word)


def word_of(value: object) -> str:
    """Return the text of a value. In a column with missing values, pandas turns whole numbers into floats."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _as_numbers(
    place: str, name: str, values: NDArray[np.float64], series: pandas.Series, dtype: np.dtype[Any]
) -> ColumnValues:
    wrong = np.abs(values) > float(np.finfo(dtype).max)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{place}, row {row + 1}: expected a finite number in {dtype}, got {_short(str(series.iloc[row]))}"
        )
    first = values[0]
    if len(values) > FEW and first in (0, 1) and np.array_equal(values, np.arange(first, first + len(values))):
        warnings.warn(
            f"{place}: counts the rows {first:g}, {first + 1:g}, {first + 2:g}, ...; if it only numbers them, leave it "
            f"out with drop=[{name!r}] (--drop {name})",
            stacklevel=4,
        )
    return ColumnValues(name, values, (), np.empty(0, np.int64))


def _short(word: str) -> str:
    return reprlib.repr(word)


def _refuse_other_text(place: str, name: str, words: list[str], n: int) -> None:
    """Refuse text that is no category: dates, and names of which nearly all differ."""
    hint = f"or leave it out with drop=[{name!r}] (--drop {name})"
    dates = [word for word in words if _DATE.fullmatch(word)]
    if 2 * len(dates) > len(words):
        raise ValueError(
            f"{place}: expected numbers or names of categories, got dates or times such as {_short(dates[0])}; make "
            f"columns of numbers of them, such as the year and the day of the week, {hint}"
        )
    if (len(words) > FEW and 2 * len(words) > n) or len(words) > MOST_CATEGORIES:
        raise ValueError(
            f"{place}: expected numbers or names of categories, got text with {len(words):,} distinct values in {n:,} "
            f"rows, such as {_short(words[0])}; make numbers or fewer categories of them, {hint}"
        )


def refuse_missing(path: Path, columns: Sequence[ColumnValues], *, may_fill: bool) -> None:
    """Refuse missing values.

    Parameters
    ----------
    path : Path
        The file, for an error message.
    columns : sequence of ColumnValues
        The columns in which no value may be missing.
    may_fill : bool
        Whether the error may suggest to fill them.

    Raises
    ------
    ValueError
        If a value is missing. The message names all columns in which there are any, with their numbers.
    """
    found = [(column.name, column.is_missing) for column in columns if column.is_missing.any()]
    if found:
        row = int(np.argmax(found[0][1])) + 1
        counts = [f"{np.count_nonzero(gaps):,} in column {name!r}" for name, gaps in found]
        more = f" and in {len(counts) - 5} more columns" if len(counts) > 5 else ""
        fills = "missing='mean', 'median' or 'drop' (--missing)" if may_fill else "missing='drop' (--missing drop)"
        raise ValueError(
            f"{path}: expected no missing values, got {', '.join(counts[:5])}{more} (the first in row {row}); "
            f"{fills} {'fills them or leaves out their rows' if may_fill else 'leaves out their rows'}"
        )


def fill(
    path: Path, columns: Sequence[ColumnValues], train: NDArray[np.int64], how: str
) -> tuple[list[ColumnValues], list[float | str], list[str]]:
    """Fill missing values with what is usual in the training examples.

    Parameters
    ----------
    path : Path
        The file, for an error message.
    columns : sequence of ColumnValues
        They are not changed.
    train : ndarray of int64
        The rows of the training examples.
    how : {"mean", "median"}
        What a missing number becomes. A missing word becomes the most frequent category; of several, the first.

    Returns
    -------
    filled : list of ColumnValues
    fills : list of float or str
        What a missing value of each column becomes, also of those in which none is missing.
    notes : list of str
        Which columns were filled.

    Raises
    ------
    ValueError
        If a column with missing values has none in the training examples.
    """
    filled: list[ColumnValues] = []
    fills: list[float | str] = []
    counts: dict[str, list[str]] = {}
    for column in columns:
        gaps = column.is_missing
        known = train[~gaps[train]]
        if not known.size:
            raise ValueError(
                f"{path}, column {column.name!r}: expected at least one value in the training examples to fill others "
                f"from, got none; leave it out with drop=[{column.name!r}] (--drop {column.name})"
            )
        if column.categories:
            usual = np.bincount(column.codes[known]).argmax()
            fills.append(column.categories[usual])
            filled.append(column._replace(codes=np.where(gaps, usual, column.codes)))
        else:
            middle = np.mean if how == "mean" else np.median
            fills.append(float(middle(column.numbers[known])))
            filled.append(column._replace(numbers=np.where(gaps, fills[-1], column.numbers)))
        if gaps.any():
            word = "most frequent category" if column.categories else how
            counts.setdefault(word, []).append(f"{column.name} ({np.count_nonzero(gaps):,})")
    return filled, fills, [f"filled with the {word}: {', '.join(names)}" for word, names in counts.items()]


def encode(
    columns: Sequence[ColumnValues],
    train: NDArray[np.int64],
    dtype: np.dtype[Any],
    fills: Sequence[float | str | None],
) -> tuple[Array, list[Column], list[str]]:
    """Return the features, with a column of categories as one-hot.

    Parameters
    ----------
    columns : sequence of ColumnValues
        Without missing values.
    train : ndarray of int64
        The rows of the training examples. A category that is in none of them gets no feature.
    dtype : dtype
        The type of the features.
    fills : sequence of float, str or None
        What a missing value of each column becomes in other tables.

    Returns
    -------
    rows : ndarray, shape (n, n_features)
        One sample per row.
    described : list of Column
        What the features stand for.
    notes : list of str
        Which columns are one-hot, and which have categories without a feature.
    """
    described: list[Column] = []
    blocks: list[Array] = []
    coded, unknown = [], []
    for column, filling in zip(columns, fills, strict=True):
        if not column.categories:
            described.append(Column(column.name, (), filling))
            blocks.append(column.numbers.astype(dtype)[:, np.newaxis])
            continue
        used = np.unique(column.codes[train])
        described.append(Column(column.name, tuple(column.categories[code] for code in used), filling))
        blocks.append((column.codes[:, np.newaxis] == used).astype(dtype))
        coded.append(f"{column.name} ({used.size})")
        if others := np.count_nonzero(~np.isin(column.codes, used)):
            unknown.append(f"{column.name} ({others})")
    notes = [f"one-hot: {', '.join(coded)}"] if coded else []
    if unknown:
        notes.append(f"test examples with a category that no training example has, all 0 there: {', '.join(unknown)}")
    return np.concatenate(blocks, axis=1), described, notes
