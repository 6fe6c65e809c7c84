"""Texts of what a search was asked for, by which a search that goes on is compared with what was begun."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mbbp.activations import Activation
from mbbp.costs import Cost
from mbbp.parameters import Array
from mbbp.scaling import Scaling

EXACT = "mbbp.tuning.distributions"  # the texts of its classes are exact, and it imports this module
ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
CALLBACKS = "callbacks"
BYTES_AT_ONCE = 1 << 24


def describe(value: Any) -> str:
    """Return a text of a value that is the same in every process, and another one for every other value.

    Of an array it has the digest, of a function the name, and of an object of an unknown class the text of its class;
    if the class has none, the attributes.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {describe(one)}" for key, one in value.items()) + "}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(describe, value)) + "]"
    if isinstance(value, set | frozenset):  # the order of its texts differs in every process
        return "{" + ", ".join(sorted(map(describe, value))) + "}"
    if isinstance(value, Scaling):  # its own text has three numbers, and few digits of them
        return (
            f"Scaling({'' if value.mean is None else f'mean={_numbers(value.mean)}, '}factor={_numbers(value.factor)})"
        )
    if isinstance(value, Activation | Cost):
        return _describe_part(value)
    if hasattr(value, "__array__"):
        return digest(np.asarray(value))
    if isinstance(value, functools.partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return _describe_object(value)


@reprlib.recursive_repr()  # an object may refer to itself
def _describe_object(value: Any) -> str:
    kind = type(value)
    if dataclasses.is_dataclass(kind) and kind.__module__ != EXACT:  # a text of its own could leave something out
        names = [one.name for one in dataclasses.fields(kind) if one.compare]
        return _named(_name_of(kind), {name: getattr(value, name, None) for name in names})
    if _has_no_text(kind):  # a custom distribution or schedule may be such an object
        return _named(_name_of(kind), getattr(value, "__dict__", {}))
    return ADDRESS.sub("", repr(value))


def _has_no_text(kind: Any) -> bool:
    return kind.__repr__ is object.__repr__


def _name_of(kind: type) -> str:
    is_ours = kind.__module__.partition(".")[0] == "mbbp"
    return kind.__name__ if is_ours else f"{kind.__module__}.{kind.__qualname__}"


def _named(name: str, values: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={describe(one)}' for key, one in values.items())})"


def _numbers(vector: Array) -> str:
    return repr(float(vector[0])) if vector.size == 1 else digest(vector)


def _describe_part(part: Activation | Cost) -> str:
    """Return the name of an activation or a cost, with its parameter, or with the names of the user's functions."""
    if part.scalars is None:
        return str(part) if isinstance(part, Cost) else f"Activation({part.name!r})"
    kinks = [list(part.kinks)] if isinstance(part, Activation) else []
    return f"{type(part).__name__}({', '.join(map(describe, [part.name, *part.scalars, *kinks, part.second_scalar]))})"


def digest(array: Array) -> str:
    """Return the dtype, the shape and the SHA-256 of the numbers of an array, whatever their order in memory."""
    found = hashlib.sha256()
    columns = array.T if array.ndim > 1 else array  # a column is an example
    rows_at_once = max(1, BYTES_AT_ONCE * len(columns) // max(1, array.nbytes)) if columns.ndim else 1
    parts = (columns[i : i + rows_at_once] for i in range(0, len(columns), rows_at_once)) if columns.ndim else [columns]
    for part in parts:
        # an array of objects has no bytes of its own: they are addresses
        found.update(repr(part.tolist()).encode() if array.dtype.hasobject else np.ascontiguousarray(part).tobytes())
    return f"{array.dtype} {array.shape} sha256 {found.hexdigest()}"


def describe_data(value: Any) -> str:
    """Return the digest of inputs or targets."""
    return digest(np.asarray(value))


def describe_space(space: Mapping[str, Any]) -> dict[str, str]:
    """Return a text of each setting: of a distribution, or of a value.

    Of callbacks the attributes are not compared: they change during a training.
    """
    return {
        name: describe_callbacks(value) if name == CALLBACKS else describe(value)
        for name, value in sorted(space.items())
    }


def describe_callbacks(value: Any) -> str:
    """Return a text of a callback or of several ones: the name, or the text, of each."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(describe_callbacks, value)) + "]"
    if callable(value) and _has_no_text(type(value)) and not hasattr(value, "__qualname__"):
        return _name_of(type(value))
    return describe(value)
