"""The decorators that compile."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from numba.core import config, event
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import register_jitable

from mbbp.kernels.lowlevel import events
from mbbp.kernels.lowlevel.cache import CheckedCache
from mbbp.kernels.lowlevel.failures import check_cannot_fail

DISABLED = bool(getattr(config, "DISABLE_JIT"))  # noqa: B009 -- set at run time, unknown to type checkers

# Reassociation lets a sum be taken in vector lanes, contraction lets a product and a sum be one instruction. The flags
# that would let NaN and inf be assumed away stay off: isfinite must tell the truth.
FAST = {"nsz", "arcp", "contract", "afn", "reassoc"}
CONTRACTING = {"contract", "nsz"}  # no sum is taken in another order

# Numba compiles a function once more for every literal that it is called with; to it, these are not literals.
ZERO, ONE = np.int64(0), np.int64(1)


def warn_of_nothing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a Python function that stands in for a compiled one, which overflows without a warning."""
    return np.errstate(all="ignore")(function)


def _compile(function: Callable[..., Any], fastmath: Any) -> Any:
    """Return the function, compiled at its first call and kept on disk."""
    if DISABLED:
        return warn_of_nothing(function)
    dispatcher: Any = numba.njit(error_model="numpy", nogil=True, fastmath=fastmath)(function)
    dispatcher._cache = CheckedCache(function)
    return dispatcher


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


def address_of_compiled(
    function: Callable[..., Any], signature: Any, fastmath: Any = False, *, is_cached: bool = True
) -> int:
    """Compile a function for one signature, and return its address in this process.

    Raises
    ------
    CanFailError
        If the function is not cached, and can raise an error or calls Python.
    """
    options = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
    callback: Any = _Callback(function, (signature.args, signature.return_type), {}, options)
    if is_cached:
        callback._cache = CheckedCache(function)
    with _uninterrupted():
        callback.compile()
    if not is_cached:  # it is made of a user's functions
        check_cannot_fail(callback.inspect_llvm())
    _KEPT.append(callback)
    return int(callback.address)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls by name."""
    return _compile(function, fastmath=False)


def compiled_fast(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be taken in any order."""
    return _compile(function, fastmath=FAST)


def compiled_contracting(function: Callable[..., Any]) -> Any:
    """Compile a function whose products and sums may be fused, but in which no sum is taken in another order."""
    return _compile(function, fastmath=CONTRACTING)


def inlined(function: Callable[..., Any]) -> Any:
    """Put a function into its callers, statement by statement: it then costs no compilation of its own."""
    return numba.njit(inline="always", error_model="numpy", nogil=True)(function)


def shared(function: Callable[..., Any]) -> Any:
    """Let compiled code call a function that Python calls uncompiled."""
    return register_jitable(function)


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
