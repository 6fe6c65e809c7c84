"""Which functions and methods are the original ones, and not a reader's replacements.

Compiled code may only stand in for the originals. What a reader has overridden or replaced must be called.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_ORIGINALS: dict[int, Any] = {}  # by id, because a replacement need not be hashable


def original(function: Function) -> Function:
    """Mark a function as an original, for which compiled code may stand in."""
    _ORIGINALS[id(function)] = function
    return function


def is_original(function: Any) -> bool:
    """Say whether a function, or the function of a bound method, was marked as an original."""
    return id(getattr(function, "__func__", function)) in _ORIGINALS
