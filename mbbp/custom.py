"""The part that custom activations and custom costs share: both are made of two or three scalar functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mbbp.kernels.lowlevel.failures import CanFailError
from mbbp.kernels.lowlevel.kernel import Kernel
from mbbp.parameters import Array

Scalars = tuple[Callable[..., float], Callable[..., float]]


def plain_functions(**functions: Any) -> Scalars:
    """Return two functions of numbers as plain Python functions, also if Numba has compiled them.

    Raises
    ------
    TypeError
        If one cannot be called. The message names it.
    """
    for argument, function in functions.items():
        if not callable(function):
            raise TypeError(f"{argument}: expected a function of numbers, got {function!r}")
    first, second = (getattr(function, "py_func", function) for function in functions.values())
    return first, second


def plain_or_none(**functions: Any) -> Callable[..., float] | None:
    """Return one optional function of numbers as a plain Python function; None stays None.

    Raises
    ------
    TypeError
        If it is neither None nor can be called. The message names it.
    """
    ((argument, function),) = functions.items()
    if function is None:
        return None
    if not callable(function):
        raise TypeError(f"{argument}: expected a function of numbers or None, got {function!r}")
    plain: Callable[..., float] = getattr(function, "py_func", function)
    return plain


def elementwise(function: Callable[..., float]) -> Callable[..., Array]:
    """Return the NumPy twin of a scalar function: the same function, for arrays of the same shape and dtype."""

    def apply(*arrays: Array) -> Array:
        values = [function(*numbers) for numbers in zip(*(array.ravel() for array in arrays), strict=True)]
        return np.array(values, dtype=arrays[0].dtype).reshape(arrays[0].shape)

    return apply


def compile_all(what: str, kernels: Iterable[tuple[str, Kernel]], arguments: str, dtype: np.dtype[Any]) -> None:
    """Compile the kernels of custom functions.

    Parameters
    ----------
    what : str
        What the functions belong to, for the error message.
    kernels : iterable of (str, Kernel)
        The name of each function and its kernel.
    arguments : str
        What the functions take, for the error message.
    dtype : dtype
        The network's dtype.

    Raises
    ------
    TypeError
        If Numba cannot compile a function, or the function can raise an error or print. The message names it.
    """
    for name, kernel in kernels:
        try:
            kernel.address(dtype)
        except CanFailError as error:
            hint = "; where it is not defined, return math.nan" if "raise" in str(error) else ""
            raise TypeError(
                f"{what}, {name}: expected a function that raises no error and prints nothing, got {error}{hint}"
            ) from None
        except Exception as error:  # not all that Numba raises is a NumbaError
            reason = " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:600]
            raise TypeError(
                f"{what}, {name}: expected a function of {arguments} that Numba can compile; Numba says: {reason}"
            ) from error
