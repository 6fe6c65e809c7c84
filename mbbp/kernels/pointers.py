"""A user's own scalar functions, compiled apart and called by address.

The engine is compiled once for all networks. A function that it cannot know beforehand is therefore compiled on its own
and reaches the engine as a number: the address of its machine code. With the JIT disabled the number is an index into a
list of the Python functions themselves.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mbbp.kernels.jit import DISABLED

_kept: list[Any] = []  # what an address points at must outlive every network that uses it


def address_of(function: Callable[..., float], n_arguments: int, dtype: np.dtype[Any], name: str) -> int:
    """Compile a scalar function and return the number that `call_unary` or `call_binary` calls it by.

    Parameters
    ----------
    function : callable
        Takes `n_arguments` numbers and returns one; plain Python, or already compiled by Numba.
    n_arguments : {1, 2}
        How many numbers it takes.
    dtype : dtype
        The type of its arguments and of its result.
    name : str
        What to call it in an error.

    Raises
    ------
    TypeError
        If Numba cannot compile it.
    """
    plain = getattr(function, "py_func", function)
    if DISABLED:
        _kept.append(plain)
        return len(_kept) - 1
    number = numba.from_dtype(dtype)
    signature = number(*[number] * n_arguments)
    try:
        # Not cached on disk: Numba's cache tells apart neither the constants in two lambdas of one line nor the globals
        # that a function reads, and would hand out the wrong one. It takes some 20 ms.
        callback = numba.cfunc(signature, error_model="numpy")(plain)
    except Exception as error:  # not all that Numba raises is a NumbaError
        reason = str(error).strip().splitlines()
        raise TypeError(
            f"{name}: a function of {n_arguments} number(s) that Numba can compile is wanted; it said: "
            + " ".join(line.strip() for line in reason if line.strip())[:600]
        ) from error
    _kept.append(callback)
    return int(callback.address or 0)


def _calling(n_arguments: int) -> Callable[..., Any]:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.get_value_type(signature.args[1])
        pointer = builder.inttoptr(arguments[0], ir.FunctionType(number, [number] * n_arguments).as_pointer())
        return builder.call(pointer, list(arguments[1:]))

    return codegen


if DISABLED:

    def call_unary(address: int, x: Any) -> Any:
        """Call the function of one number kept at `address`."""
        return _kept[address](x)

    def call_binary(address: int, x: Any, y: Any) -> Any:
        """Call the function of two numbers kept at `address`."""
        return _kept[address](x, y)

else:

    @intrinsic
    def call_unary(typing_context: Any, address: Any, x: Any) -> Any:
        """Call the function of one number at `address`."""
        return x(types.int64, x), _calling(1)

    @intrinsic
    def call_binary(typing_context: Any, address: Any, x: Any, y: Any) -> Any:
        """Call the function of two numbers at `address`."""
        return x(types.int64, x, x), _calling(2)
