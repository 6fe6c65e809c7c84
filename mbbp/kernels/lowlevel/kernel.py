"""Kernels that are called by their address.

Numba compiles a function that is called by name into each of its callers, and into their callers again. Functions that
take long to compile, or differ from network to network, are therefore compiled separately and called by their address.
An address is a plain number without a type, so a kernel takes a pointer to its record (see `records.py`) and returns an
int64 or, if its record says so, a float64:

    @record(returns=Real)
    class Pair(NamedTuple):
        x: Numbers
        n: Int

    @kernel(Pair)
    def total(at):
        pair = at[0]
        ...

    call(total.address(dtype), Pair(x=vector, n=3))   # from compiled code
    total.bind(Pair(x=array, n=3), dtype)()           # from Python

The compiled code comes with the package, if it was built with kernels for this processor (see `prebuilt.py`). Otherwise
Numba compiles it when its address is first asked for. With the JIT disabled an address is an index into a list of
Python functions.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mbbp.kernels.lowlevel import prebuilt
from mbbp.kernels.lowlevel.calls import PLAIN, signature_of
from mbbp.kernels.lowlevel.compiling import DISABLED, jit, warn_of_nothing
from mbbp.kernels.lowlevel.records import RETURN_KINDS, Settable, format_of


class Kernel:
    """A function of one record that is compiled apart and called by its address.

    Parameters
    ----------
    function : callable
        Takes a pointer to its record.
    record_class : type
        The record.
    fastmath : bool or set of str
        What LLVM may do to its floating-point arithmetic.
    is_cached : bool
        Whether the compiled code is the same for every network, and is kept on disk.
    name : str, optional
        By default that of the function.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        record_class: type,
        fastmath: Any = False,
        is_cached: bool = True,
        name: str | None = None,
    ) -> None:
        self.function = function
        self.record_class: Any = record_class
        self._fastmath, self._is_cached = fastmath, is_cached
        self._addresses: dict[np.dtype[Any], int] = {}
        returned: Any = {"int": ctypes.c_int64, "real": ctypes.c_double}[RETURN_KINDS[record_class]]
        self._prototype = ctypes.CFUNCTYPE(returned, ctypes.c_void_p)
        self._callables: dict[np.dtype[Any], Any] = {}
        self.name, self.__doc__ = name or function.__name__, function.__doc__

    def address(self, dtype: np.dtype[Any]) -> int:
        """Return its address for a network's dtype; the first time it is compiled, or read from the cache."""
        if dtype not in self._addresses:
            if DISABLED:
                PLAIN.append(warn_of_nothing(self.function))
                self._addresses[dtype] = len(PLAIN) - 1
            else:
                found = prebuilt.address(self.symbol(dtype)) if self._is_cached else None
                self._addresses[dtype] = self.compile(dtype).address if found is None else found
        return self._addresses[dtype]

    def symbol(self, dtype: np.dtype[Any]) -> str:
        """Return the name of its compiled code for a dtype, as it stands in a library of kernels."""
        return f"{self.function.__module__}.{self.name}.{dtype.name}".replace(".", "_")

    def compile(self, dtype: np.dtype[Any], *, is_cached: bool = True) -> Any:
        """Compile it for a dtype, or read it from the cache if it may be kept there; return Numba's object for it."""
        compiler = jit()
        signature = signature_of(self.record_class, compiler.number_type(dtype))
        is_users = not self._is_cached
        return compiler.compile_by_address(
            self.function, signature, self._fastmath, is_cached=is_cached and not is_users, is_users=is_users
        )

    def callable_for(self, dtype: np.dtype[Any]) -> Callable[[Any], Any]:
        """Return the compiled code as a function of the address of a C structure. It releases Python's lock."""
        if dtype not in self._callables:
            self._callables[dtype] = self._prototype(self.address(dtype))
        return self._callables[dtype]

    def run(self, arguments: Any, dtype: np.dtype[Any]) -> Any:
        """Call the kernel with a record, once."""
        self._check(arguments)
        if DISABLED:
            return PLAIN[self.address(dtype)]((arguments,))
        structure = format_of(self.record_class, dtype).fill(arguments)
        return self.callable_for(dtype)(ctypes.addressof(structure))

    def _check(self, arguments: Any) -> None:
        if type(arguments) is not self.record_class:
            raise TypeError(f"{self.name}: expected a {self.record_class.__name__}, got {type(arguments)}")

    def bind(self, arguments: Any, dtype: np.dtype[Any]) -> "Bound":
        """Return the kernel with its record, to be called from Python."""
        return Bound(self, arguments, dtype)


def kernel(record_class: type, fastmath: Any = False) -> Callable[[Callable[[Any], Any]], Kernel]:
    """Make a function of one record a kernel that is called by its address."""
    return lambda function: Kernel(function, record_class, fastmath)


class _Place(ctypes.c_void_p):
    """The address of a structure, which keeps alive what it belongs to."""

    owner: Any


class Bound(Settable):
    """A kernel with its record, to be called from Python again and again.

    It keeps the arrays of its first record alive. Calling it releases Python's lock while the kernel runs.

    Attributes
    ----------
    run : callable
        Calls the kernel and returns what it returns: the same as calling the object, a little sooner.
    """

    def __init__(self, called: Kernel, arguments: Any, dtype: np.dtype[Any]) -> None:
        called._check(arguments)
        self.record = arguments
        self._kept: dict[str, Any] = {}
        if DISABLED:
            address = called.address(dtype)
            self.run: Callable[[], Any] = lambda: PLAIN[address]((self.record,))
            return
        self._format = format_of(called.record_class, dtype)
        self._structure = self._format.fill(arguments)
        place = _Place(ctypes.addressof(self._structure))
        place.owner = (self._structure, arguments, self._kept)  # `run` alone must keep the memory alive
        self.run = functools.partial(called.callable_for(dtype), place)

    def __call__(self) -> Any:
        """Call the kernel and return what it returns."""
        return self.run()

    def set(self, **fields: Any) -> None:
        """Change fields of the record, and keep the arrays alive."""
        for name, value in fields.items():
            self.setter(name)(value)
            self._kept[name] = value
