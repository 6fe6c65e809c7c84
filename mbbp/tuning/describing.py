"""Texts of what a search was asked for, by which a search that goes on is compared with what was begun."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from mbbp.parameters import Array

ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
BYTES_AT_ONCE = 1 << 24


def describe(value: Any) -> str:
    """Return a text of a value that is the same in every process: of an array its digest, of a function its name."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {describe(one)}" for key, one in value.items()) + "}"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(describe, value)) + "]"
    if hasattr(value, "__array__"):
        return digest(np.asarray(value))
    if isinstance(value, functools.partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    # a custom distribution or optimizer may be an object without a text of its own
    return ADDRESS.sub("", repr(value))


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
    """Return a text of each setting: of a distribution, or of a value."""
    return {name: describe(value) for name, value in sorted(space.items())}
