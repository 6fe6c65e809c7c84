"""Compiling with Numba: what the decorators of `compiling.py` note is done when this module is imported."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import event
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import intrinsic, overload, register_jitable

from mbbp.kernels.lowlevel import compiling, events
from mbbp.kernels.lowlevel.cache import CheckedCache
from mbbp.kernels.lowlevel.failures import check_cannot_fail


def _compiled(function: Callable[..., Any], fastmath: Any) -> Any:
    """Return the function, compiled when it is first called and kept on disk."""
    dispatcher: Any = numba.njit(error_model="numpy", nogil=True, fastmath=fastmath)(function)
    dispatcher._cache = CheckedCache(function)
    return dispatcher


def _inlined(function: Callable[..., Any]) -> Any:
    return numba.njit(inline="always", error_model="numpy", nogil=True)(function)


def _external(function: Callable[..., Any]) -> Any:
    return types.ExternalFunction(function.__name__, types.int32())


def _intrinsic(definition: Callable[..., Any], **settings: Any) -> Any:
    return intrinsic(**settings)(definition) if settings else intrinsic(definition)


def _overload(definition: Callable[..., Any], /, function: Callable[..., Any]) -> Any:
    return overload(function)(definition)


_MAKERS: dict[str, Callable[..., Any]] = {
    "compiled": _compiled,
    "inlined": _inlined,
    "shared": register_jitable,
    "external": _external,
    "intrinsic": _intrinsic,
    "overload": _overload,
}


class _Callback(CFunc):
    """Tells of its compiling, as functions called by name do."""

    def _compile_uncached(self) -> Any:
        with event.trigger_event("numba:compile", data={"dispatcher": SimpleNamespace(py_func=self.__wrapped__)}):
            return super()._compile_uncached()  # type: ignore[misc]


_KEPT: list[Any] = []  # the code at an address lives as long as the object that compiled it


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: LLVM calls Python while it compiles, and an error that is raised there is lost."""
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or signal.getsignal(signal.SIGINT) in (None, signal.SIG_IGN):
        yield
        return
    pressed: list[tuple[Any, Any]] = []
    handler: Any = signal.signal(signal.SIGINT, lambda *press: pressed.append(press))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed and callable(handler):
            handler(*pressed[0])


def number_type(dtype: np.dtype[Any]) -> Any:
    """Return Numba's type for the numbers of a dtype."""
    return numba.from_dtype(dtype)


def type_of_overloaded(function: Any) -> Any:
    """Return Numba's type of a Python function that has an overload."""
    context = cpu_target.typing_context
    context.refresh()  # it reads the registers of overloads
    return context._lookup_global(function)


def compile_by_address(
    function: Callable[..., Any],
    signature: Any,
    fastmath: Any = False,
    *,
    is_cached: bool = True,
    is_users: bool = False,
) -> Any:
    """Compile a function for one signature, and return Numba's object, which has the address of the code.

    Raises
    ------
    CanFailError
        If the function is made of a user's functions, and can raise an error or calls Python.
    """
    options = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
    callback: Any = _Callback(function, (signature.args, signature.return_type), {}, options)
    if is_cached:
        callback._cache = CheckedCache(function)
    with _uninterrupted():
        callback.compile()
    if is_users:
        check_cannot_fail(callback.inspect_llvm())
    _KEPT.append(callback)
    return callback


_settings: Any = numba.config
if bool(_settings.DISABLE_JIT) != compiling.DISABLED:
    raise RuntimeError(
        f"numba.config.DISABLE_JIT: expected {compiling.DISABLED}, as when mbbp was imported, got another value; set "
        "the environment variable NUMBA_DISABLE_JIT, or import Numba and set it before mbbp is imported"
    )

events.register()

# A child process has only the thread that forked it. If another thread holds Numba's lock at that moment, because it
# compiles or loads, nobody in the child will ever release it. So a fork waits until that thread is done. Starting a
# program (`subprocess`) does not wait.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def make(function: Callable[..., Any], how: str, /, **settings: Any) -> Any:
    """Return what a decorator promised."""
    return _MAKERS[how](function, **settings)


compiling.take_over(make)
