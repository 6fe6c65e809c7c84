"""What the inputs and the outputs of a network stand for: columns of a table, names of classes, units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mbbp.scaling import Scaling
from mbbp.validation import as_count, as_name, as_number, shown

MOST_LETTERS = 10_000_000
"""The most letters of the names of all inputs, which repeat the name of their column."""


@dataclass(frozen=True)
class Column:
    """A column of a table, which is one input of a network, or one for each of its categories.

    Parameters
    ----------
    name : str
        Its name in the table.
    categories : sequence of str
        For a column of categories, those that have an input: it is 1 if the row has this category, else 0. Empty for a
        column of numbers, which is one input.
    fill : float or str, optional
        What a missing value becomes: a number, or one of the categories. By default a missing value is refused.

    Raises
    ------
    ValueError
        If a category is there twice, or `fill` is NaN, inf or no category.
    TypeError
        If an argument is of the wrong type.
    """

    name: str
    categories: tuple[str, ...] = ()
    fill: float | str | None = None

    def __post_init__(self) -> None:
        as_name("name", self.name)
        object.__setattr__(self, "categories", as_names("categories", self.categories))
        if self.fill is None:
            return
        if self.categories:
            if not isinstance(self.fill, str) or self.fill not in self.categories:
                raise ValueError(f"fill: expected a category of the column {self.name!r}, got {shown(self.fill)}")
        elif isinstance(self.fill, bool):
            raise TypeError(f"fill: expected a number for the column {self.name!r}, got {self.fill}")
        else:
            object.__setattr__(self, "fill", as_number("fill", self.fill, least=-math.inf))

    @property
    def input_names(self) -> tuple[str, ...]:
        """The name of each of its inputs: that of the column, or ``column=category``."""
        return tuple(f"{self.name}={one}" for one in self.categories) if self.categories else (self.name,)


@dataclass(frozen=True)
class Schema:
    """What the inputs and the outputs of a network stand for. All of it is optional.

    Parameters
    ----------
    columns : sequence of Column, optional
        The columns of a table that become the inputs, in their order.
    classes : sequence of str, optional
        The name of each class: label k stands for ``classes[k]``.
    targets : sequence of str, optional
        The name of the column of classes, or of each number that is predicted.
    target_scaling : Scaling, optional
        How the targets were scaled for the training, if the outputs are numbers in the scaled units. A scaling that has
        been undone in the last layer is not kept.

    Raises
    ------
    ValueError
        If a name is there twice, or there is no column.
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import mbbp
    >>> columns = [mbbp.Column("length"), mbbp.Column("colour", ["blue", "red"])]
    >>> schema = mbbp.Schema(columns, classes=["setosa", "virginica"])
    >>> schema.input_names
    ('length', 'colour=blue', 'colour=red')
    """

    columns: tuple[Column, ...] | None = None
    classes: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    target_scaling: Scaling | None = None

    def __post_init__(self) -> None:
        if self.columns is not None:
            columns = _as_tuple("columns", self.columns, "columns of a table")
            for one in columns:
                if not isinstance(one, Column):
                    raise TypeError(f"columns: expected objects of mbbp.Column, got {one!r:.100}")
            if not columns:
                raise ValueError("columns: expected at least one column, got none")
            as_names("columns", [one.name for one in columns])
            letters = sum(len(one.name) * max(1, len(one.categories)) for one in columns)
            if letters > MOST_LETTERS:
                raise ValueError(f"columns: expected names of inputs of {MOST_LETTERS:,} letters, got {letters:,}")
            object.__setattr__(self, "columns", columns)
        for argument in ("classes", "targets"):
            if getattr(self, argument) is not None:
                object.__setattr__(self, argument, as_names(argument, getattr(self, argument)))
        if not isinstance(self.target_scaling, Scaling | None):
            raise TypeError(f"target_scaling: expected an mbbp.Scaling or None, got {self.target_scaling!r:.100}")

    __hash__ = None  # type: ignore[assignment]

    @property
    def input_names(self) -> tuple[str, ...] | None:
        """The name of each input; None if they have no names."""
        return None if self.columns is None else tuple(name for one in self.columns for name in one.input_names)

    def check_fits(self, argument: str, n_in: int, n_out: int) -> None:
        """Check that it describes a network with so many inputs and outputs.

        Raises
        ------
        ValueError
            If it does not. A single output may stand for two classes.
        """
        n_in, n_out = as_count("n_in", n_in), as_count("n_out", n_out)
        n = n_in if self.columns is None else sum(max(1, len(one.categories)) for one in self.columns)
        if n != n_in:
            raise ValueError(f"{argument}: expected columns for {n_in} inputs, got columns for {n}")
        if self.classes is not None and len(self.classes) != max(n_out, 2):
            raise ValueError(f"{argument}: expected {max(n_out, 2)} classes, got {len(self.classes)}")
        if self.targets is not None:
            n = n_out if self.classes is None else 1
            if len(self.targets) != n:
                raise ValueError(f"{argument}: expected the names of {n} targets, got {len(self.targets)}")
        if self.target_scaling is not None:
            if self.classes is not None:
                raise ValueError(f"{argument}: expected no target_scaling together with classes, got one")
            if self.target_scaling.n_features not in (1, n_out):
                n = self.target_scaling.n_features
                raise ValueError(f"{argument}: expected a target_scaling for {n_out} outputs, got one for {n}")

    def with_targets_in_own_units(self) -> Schema:
        """Return the schema of a network whose outputs are in the targets' own units."""
        return replace(self, target_scaling=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the columns, the classes and the names of the targets, as JSON can store them."""
        facts: dict[str, Any] = {}
        if self.columns is not None:
            facts["columns"] = [[one.name, list(one.categories), one.fill] for one in self.columns]
        for name in ("classes", "targets"):
            if getattr(self, name) is not None:
                facts[name] = list(getattr(self, name))
        return facts

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any], target_scaling: Scaling | None = None) -> Schema:
        """Return the schema that `to_dict` described.

        Raises
        ------
        ValueError
            If it is no such description.
        TypeError
            If a part of it is of the wrong type.
        """
        if not isinstance(facts, Mapping):
            raise TypeError(f"facts: expected a mapping that Schema.to_dict made, got {shown(facts)}")
        columns = facts.get("columns")
        if columns is not None:
            if not isinstance(columns, list) or not all(isinstance(one, list) and len(one) == 3 for one in columns):
                raise ValueError(f"columns: expected a list of [name, categories, fill], got {columns!r:.100}")
            columns = tuple(Column(*one) for one in columns)
        return cls(columns, facts.get("classes"), facts.get("targets"), target_scaling)


def as_names(argument: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return different names as a tuple.

    Raises
    ------
    TypeError
        If they are not names.
    ValueError
        If a name is there twice.
    """
    names = _as_tuple(argument, value, "names")
    for name in names:
        as_name(argument, name)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{argument}: expected different names, got {name!r:.100} twice")
        seen.add(name)
    return names


def _as_tuple(argument: str, value: Iterable[Any], what: str) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        raise TypeError(f"{argument}: expected {what}, got {shown(value)}")
    return tuple(value)
