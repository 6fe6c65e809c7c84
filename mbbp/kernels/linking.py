"""Compiled functions that are called by their address.

Numba compiles a function that is called by name into each of its callers, and into theirs again: the products would be
compiled eight times. What is long to compile is therefore compiled by itself, once, for plain numbers and pointers, and
the engine is told its address at run time.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from mbbp.kernels.jit import DISABLED, address_of_compiled

BOUNDLESS = 1 << 40  # the length of what is known by its address alone


def address_of(function: Callable[..., Any], arguments: str, dtype: np.dtype[Any]) -> int:
    """Return the address of a function that returns nothing, compiled for a dtype, or 0 with the JIT disabled.

    Parameters
    ----------
    function : callable
        Plain Python.
    arguments : str
        A letter for each: i for int64, I for a pointer to them, x for a number, X for a pointer to them.
    dtype : dtype
        Of the numbers.
    """
    if DISABLED:
        return 0
    number = numba.from_dtype(dtype)
    pointer: Any = types.CPointer
    kinds = {"i": types.int64, "I": pointer(types.int64), "x": number, "X": pointer(number)}
    return address_of_compiled(function, types.void(*[kinds[letter] for letter in arguments]))


if DISABLED:

    def call(address, arguments):
        """Nothing has an address."""
        raise NotImplementedError

else:

    @intrinsic
    def call(_, address, arguments):
        """Call the function at an address; of arrays it gets a pointer to their first number."""
        fitting = (types.Array, types.Float)
        if not all(isinstance(kind, fitting) or types.unliteral(kind) == types.int64 for kind in arguments):
            raise TypingError(f"arrays, floats and int64 are wanted, got {arguments}")

        def codegen(context, builder, signature, values):
            kinds = signature.args[1]
            plain = [
                context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(kinds, cgutils.unpack_tuple(builder, values[1]), strict=True)
            ]
            function = ir.FunctionType(ir.VoidType(), [value.type for value in plain])
            builder.call(builder.inttoptr(values[0], function.as_pointer()), plain)
            return context.get_dummy_value()

        return types.void(types.int64, arguments), codegen
