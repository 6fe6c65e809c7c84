"""What activations and costs share where they are made of a user's own scalar functions."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mbbp.kernels.lowlevel.records import Kernel
from mbbp.parameters import Array

Scalars = tuple[Callable[..., float], Callable[..., float]]


def plain_functions(**functions: Any) -> Scalars:
    """Return two functions of numbers as plain Python functions.

    Raises
    ------
    TypeError
        If one is not callable; the argument is named.
    """
    for argument, function in functions.items():
        if not callable(function):
            raise TypeError(f"{argument}: expected a function of numbers, got {function!r}")
    first, second = (getattr(function, "py_func", function) for function in functions.values())
    return first, second


def elementwise(function: Callable[..., float]) -> Callable[..., Array]:
    """Return the NumPy twin of a scalar function: the same numbers, for arrays of one shape, in their own dtype."""

    def apply(*arrays: Array) -> Array:
        values = [function(*numbers) for numbers in zip(*(array.ravel() for array in arrays), strict=True)]
        return np.array(values, dtype=arrays[0].dtype).reshape(arrays[0].shape)

    return apply


def compile_all(what: str, kernels: Iterable[tuple[str, Kernel]], n_arguments: int, dtype: np.dtype[Any]) -> None:
    """Compile kernels that are made of a user's functions.

    Raises
    ------
    TypeError
        If Numba cannot compile one; the function is named.
    """
    for name, kernel in kernels:
        try:
            kernel.address(dtype)
        except Exception as error:  # not all that Numba raises is a NumbaError
            reason = " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:600]
            numbers = "one number" if n_arguments == 1 else f"{n_arguments} numbers"
            raise TypeError(
                f"{what}, {name}: expected a function of {numbers} that Numba can compile; Numba says: {reason}"
            ) from error
