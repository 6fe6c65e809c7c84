"""Columns of a table that the caller chooses by name or by index."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Sequence
from pathlib import Path

Selection = str | int | Sequence[str | int]


def select(argument: str, chosen: Selection, names: Sequence[str], path: Path) -> tuple[int, ...]:
    """Return the indices of the chosen columns, in the order in which they were chosen.

    Parameters
    ----------
    argument : str
        The name of the argument in an error message.
    chosen : str, int or sequence of them
        Names, or indices (from 0, or negative from the end).
    names : sequence of str
        The names of all columns.
    path : Path
        The file, for an error message.

    Raises
    ------
    TypeError
        If one is neither a name nor a whole number.
    ValueError
        If there is no such column, if two columns have this name, or if a column is chosen twice.

    Examples
    --------
    >>> select("drop", ["b", -1], ("a", "b", "c"), Path("table.csv"))
    (1, 2)
    """
    found: list[int] = []
    for one in [chosen] if isinstance(chosen, str) or not isinstance(chosen, Sequence) else chosen:
        index = _by_name(argument, one, names, path) if isinstance(one, str) else _by_index(argument, one, names, path)
        if index in found:
            raise ValueError(f"{argument}: expected each column once, got {names[index]!r} twice")
        found.append(index)
    return tuple(found)


def _by_name(argument: str, name: str, names: Sequence[str], path: Path) -> int:
    name = name.strip()
    if names.count(name) == 1:
        return names.index(name)
    expected = "a name that only one column has" if name in names else "the name of a column"
    shown = ", ".join(map(reprlib.repr, names[:20])) + (", ..." if len(names) > 20 else "")
    raise ValueError(f"{argument}: expected {expected}, got {name!r}; the columns of {path} are {shown}")


def _by_index(argument: str, value: object, names: Sequence[str], path: Path) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        index = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: expected names or indices of columns, got {value!r}") from None
    width = len(names)
    if not -width <= index < width:
        raise ValueError(f"{argument}: expected {-width} to {width - 1}, got {index}; {path} has {width} columns")
    return index % width
