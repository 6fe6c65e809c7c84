"""Python functions that a user's jitted code can call, too."""

import functools
from collections.abc import Callable
from typing import Any

from mbbp.kernels.lowlevel.compiling import jit


class KnownToNumba:
    """A Python function with an overload (see `compiling.overload_of`), which is registered when Numba asks for it.

    A plain function would need its overload, and so Numba, before a user's program can be compiled: at import.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the Python function."""
        return self.__wrapped__(*arguments, **named)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce__(self) -> str:
        return self.__wrapped__.__name__

    @property
    def _numba_type_(self) -> Any:
        """What Numba asks any object for, to know what it is."""
        return jit().type_of_overloaded(self)


def known_to_numba(function: Callable[..., Any]) -> Any:
    """Let a user's jitted code call a Python function that has an overload."""
    return KnownToNumba(function)
