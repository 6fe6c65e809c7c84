"""Checks of names, numbers and dtypes that callers pass: each function returns the checked value, or raises an error.

The error names the argument, what was expected and what was given. `mbbp.arrays` checks arrays.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from mbbp.parameters import parameter_count

LARGEST = 2**63 - 1  # the largest number that a kernel's int64 can hold
MOST_PARAMETERS = 2**40  # more than any memory holds; NumPy's own error for such an array would not name the sizes


def refuse_unknown(argument: str, name: object, known: Iterable[str]) -> NoReturn:
    """Raise the error for an unknown name.

    Raises
    ------
    ValueError
        Always; it lists the known names.
    """
    raise ValueError(f"{argument}: expected one of {', '.join(sorted(known))}, got {name!r}")


def shown(value: object) -> str:
    """Return a short text of a value, for the end of an error message."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not write out whole numbers of more than 4,300 digits
        return "a whole number of several thousand digits"


def as_dtype(dtype: object) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype.

    Raises
    ------
    ValueError
        If `dtype` is neither.
    """
    try:
        found = None if dtype is None else np.dtype(dtype)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
    return np.dtype(found)


def as_sizes(sizes: Iterable[int]) -> tuple[int, ...]:
    """Return the sizes of the layers as a tuple of ints.

    Raises
    ------
    ValueError
        If there are fewer than two layers, or a size is below 1.
    TypeError
        If they are not whole numbers.
    """
    expected = "expected at least two whole numbers of 1 or more"
    try:
        numbers = tuple(operator.index(n) for n in sizes)
    except TypeError:
        raise TypeError(f"sizes: {expected}, got {sizes!r}") from None
    if len(numbers) < 2 or min(numbers) < 1:
        raise ValueError(f"sizes: {expected}, got {list(numbers)}")
    if parameter_count(numbers) > MOST_PARAMETERS:
        raise ValueError(f"sizes: expected at most {MOST_PARAMETERS:,} weights and biases, got sizes {shown(numbers)}")
    return numbers


def as_count(argument: str, value: object, least: int = 1, most: float = LARGEST) -> int:
    """Return a whole number of at least `least` and at most `most`.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is too small or too large.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: expected a whole number, got {shown(value)}") from None
    if number < least:
        raise ValueError(f"{argument}: expected {least} or more, got {shown(number)}")
    if number > most:
        raise ValueError(f"{argument}: expected {most} or less, got {shown(number)}")
    return number


def as_number(
    argument: str, value: Any, least: float = 0.0, below: float = math.inf, *, positive: bool = False
) -> float:
    """Return a finite number with least <= number < below.

    Parameters
    ----------
    argument : str
        The name of the argument in an error message.
    value : number
        The number to check.
    least, below : float
        The range: `least` belongs to it, `below` does not.
    positive : bool
        Whether the number must be above `least`.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is out of range, NaN or inf.
    """
    interval = "a finite number"
    if least > -math.inf:
        interval += f" {'above' if positive else 'of at least'} {least:g}"
    if below < math.inf:
        interval += f" and below {below:g}"
    try:
        number = _as_float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: expected {interval}, got {shown(value)}") from None
    if not (least <= number < below) or number == -math.inf or (positive and number <= least):
        raise ValueError(f"{argument}: expected {interval}, got {shown(value)}")
    return number


def _as_float(value: Any) -> float:
    """Return a number as a float, or inf if it is too large for one; raise TypeError for what is no real number."""
    if isinstance(value, str | bytes) or (
        isinstance(value, np.ndarray | np.generic) and (value.ndim or value.dtype.kind not in "buif")
    ):
        raise TypeError
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_flag(argument: str, value: object) -> bool:
    """Return True or False.

    Raises
    ------
    TypeError
        If it is neither, nor NumPy's.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def as_name(argument: str, value: object) -> str:
    """Return a str.

    Raises
    ------
    TypeError
        If it is not one.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}: expected a name, got {value!r}")
    return value


def as_generator(argument: str, value: Any) -> np.random.Generator:
    """Return a generator of random numbers, given one, a seed, or None for a new seed.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If the seed is below 0.
    """
    if value is not None and not isinstance(value, np.random.Generator):
        value = as_count(argument, value, least=0, most=math.inf)  # NumPy's own seeds have 128 bits
    return np.random.default_rng(value)


def as_metadata(argument: str, value: object) -> dict[str, str]:
    """Return texts by name as a new dict.

    Raises
    ------
    TypeError
        If it is no mapping from str to str.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{argument}: expected a mapping from names to texts, got {shown(value)}")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"{argument}: expected texts by name, got {shown(name)}: {shown(text)}")
    return dict(value)
