"""A user's function as it is now, with the values of all names that it uses.

Compiled code stays in memory until the process ends. So functions that do the same must be compiled once, also if a
program makes them, or activations of them, again and again. Two functions do the same if their code and the values of
all names in it are the same.
"""

import builtins
import functools
import math
from collections.abc import Callable, Hashable
from types import BuiltinFunctionType, CellType, CodeType, FunctionType
from typing import Any, TypeVar

import numpy as np

Made = TypeVar("Made")
CONSTANT_MODULES = (math, np, builtins)
LARGEST_ARRAY = 10_000  # numbers; larger ones would make long keys


class _UnknownError(Exception):
    """A function whose names cannot all be looked up now."""


def compiled_once(make: Callable[..., Made]) -> Callable[..., Made]:
    """Return a function that makes something of a user's functions, and the same thing again of equal functions."""
    made: dict[Hashable, Made] = {}

    @functools.wraps(make)
    def once(*arguments: Any) -> Made:
        try:
            frozen = [_frozen(one) for one in arguments]
            key = tuple(_key_of(one, ()) for one in frozen)
        except _UnknownError:
            return make(*arguments)
        if key not in made:
            made[key] = make(*frozen)
        return made[key]

    return once


def _frozen(value: Any) -> Any:
    """Return a function that uses the values that its global names and its closure have now; anything else as it is."""
    function = getattr(value, "py_func", value)
    if not isinstance(function, FunctionType):
        return value
    names = {name: function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__}
    names["__name__"] = function.__module__
    try:
        cells = tuple(CellType(cell.cell_contents) for cell in function.__closure__ or ())
    except ValueError:  # a cell that is filled later
        raise _UnknownError from None
    frozen = FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells or None)
    frozen.__kwdefaults__ = function.__kwdefaults__
    return frozen


def _names(code: CodeType) -> set[str]:
    """Return all names in a function's code, and in that of the functions in it."""
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _key_of(value: Any, within: tuple[Any, ...]) -> Hashable:
    """Return what is equal for two values only if compiled code is the same for both."""
    if isinstance(value, FunctionType):
        return _key_of_function(value, within)
    if hasattr(value, "py_func"):  # compiled by Numba, with these options
        return repr(sorted(value.targetoptions.items())), _key_of_function(value.py_func, within)
    if isinstance(value, tuple):
        return (tuple, *(_key_of(one, within) for one in value))
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and value.size <= LARGEST_ARRAY:
        return np.ndarray, value.dtype.str, value.shape, value.tobytes()
    if value is None or isinstance(value, bool | int | float | complex | str | np.generic):
        return type(value), repr(value)  # 0.0 and -0.0 are equal, and NaN is not
    if isinstance(value, type | BuiltinFunctionType | np.ufunc) or any(value is module for module in CONSTANT_MODULES):
        return value
    raise _UnknownError


def _key_of_function(function: FunctionType, within: tuple[Any, ...]) -> Hashable:
    for place, one in enumerate(within):
        if one is function:  # it calls itself
            return "itself", place
    within = (*within, function)
    code = function.__code__
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    try:
        values += [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:
        raise _UnknownError from None
    names = sorted(_names(code))
    found = [_looked_up(function, name) for name in names]
    return (
        code,
        *(_key_of(one, within) for one in values),
        *(_key_of(one, within) for one in found if one is not _NONE),
    )


_NONE = object()


def _looked_up(function: FunctionType, name: str) -> Any:
    """Return the value of a global name, or `_NONE` for the name of an attribute of a module that never changes."""
    if name in function.__globals__:
        return function.__globals__[name]
    if hasattr(builtins, name):
        return getattr(builtins, name)
    if any(hasattr(module, name) for module in CONSTANT_MODULES):
        return _NONE
    raise _UnknownError
