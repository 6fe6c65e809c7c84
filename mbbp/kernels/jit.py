"""The one decorator that compiles everything, and the line that says so when it takes a while."""

import gc
import hashlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from numba.core import config, event
from numba.core.ccallback import CFunc

DISABLED = bool(getattr(config, "DISABLE_JIT"))  # noqa: B009 -- set at run time, unknown to type checkers

# Reassociation lets a sum be taken in vector lanes, contraction lets a product and a sum be one instruction. The flags
# that would let NaN and inf be assumed away stay off: isfinite must tell the truth.
_FAST = {"nsz", "arcp", "contract", "afn", "reassoc"}


def _fingerprint() -> bytes:
    """Return what changes whenever any kernel's source does."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


_FINGERPRINT = _fingerprint()


def _compile(function: Callable[..., Any], fastmath: Any) -> Any:
    """Return the function, compiled at its first call and kept on disk.

    Numba keeps compiled code for as long as the file of the function is the same. But kernels contain the kernels that
    they call, so what counts is that no file of this package has changed.
    """
    if DISABLED:
        return np.errstate(all="ignore")(function)  # compiled code overflows without a word
    options = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
    dispatcher = numba.njit(cache=True, **options)(function)
    try:
        _stamp(dispatcher._cache)
    except AttributeError:
        # a Numba whose cache is built otherwise: compile in every process, rather than ever run what is out of date
        return numba.njit(**options)(function)
    return dispatcher


def _stamp(cache: Any) -> None:
    """Make what is cached valid only while no kernel has changed."""
    file = cache._cache_file
    file._source_stamp = (file._source_stamp, _FINGERPRINT)


class _Callback(CFunc):
    """Tells of its compiling, as functions called by name do."""

    def _compile_uncached(self) -> Any:
        with event.trigger_event("numba:compile", data={"dispatcher": SimpleNamespace(py_func=self.__wrapped__)}):
            return super()._compile_uncached()  # type: ignore[misc]


def address_of_compiled(function: Callable[..., Any], signature: Any) -> int:
    """Compile a function of numbers and pointers for one signature, and return its address in this process."""
    options: Any = {"error_model": "numpy", "nogil": True}
    callback: Any
    try:
        callback = _Callback(function, (signature.args, signature.return_type), {}, options)
        callback.enable_caching()
        _stamp(callback._cache)
    except (AttributeError, TypeError):
        callback = numba.cfunc(signature, **options)(function)
    else:
        callback.compile()
    _KEPT.append(callback)
    return int(callback.address)


_KEPT: list[Any] = []  # the code lives as long as what stands for it


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function."""
    return _compile(function, fastmath=False)


def compiled_fast(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be taken in any order."""
    return _compile(function, fastmath=_FAST)


def compiled_contracting(function: Callable[..., Any]) -> Any:
    """Compile a function whose products and sums may be fused, but in which no sum is taken in another order."""
    return _compile(function, fastmath={"contract", "nsz"})


def inlined(function: Callable[..., Any]) -> Any:
    """Put a function into its callers, statement by statement: it then costs no compilation of its own."""
    return numba.njit(inline="always", error_model="numpy", nogil=True)(function)


SECONDS_BEFORE_NOTICE = 1.0


class _CompileNotice(event.Listener):
    """Tells a person at a terminal what the wait is for, once, when compiling takes longer than a second."""

    def __init__(self) -> None:
        self._depth = 0
        self._timer: threading.Timer | None = None
        self._told = False

    def on_start(self, event: Any) -> None:
        self._depth += 1
        if self._depth == 1 and not self._told and _is_ours(event):
            self._timer = threading.Timer(SECONDS_BEFORE_NOTICE, self._tell)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Any) -> None:
        self._depth -= 1
        if self._depth == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        self._told = True
        if sys.stderr.isatty():
            print(
                # the line may hold a progress bar
                "\r\x1b[Kmbbp: compiling its kernels for this machine, once; later runs read them from the cache ...",
                file=sys.stderr,
                flush=True,
            )


def _is_ours(event: Any) -> bool:
    function: Callable[..., Any] = event.data["dispatcher"].py_func
    return function.__module__.startswith("mbbp.")


class _NoGarbageCollection(event.Listener):
    """Puts the garbage collector off while a kernel is compiled: it would take a sixth of that time, for nothing."""

    def __init__(self) -> None:
        self._depth = 0
        self._was_enabled = False

    def on_start(self, event: Any) -> None:
        if self._depth or _is_ours(event):
            self._depth += 1
        if self._depth == 1:
            self._was_enabled = gc.isenabled()
            gc.disable()

    def on_end(self, event: Any) -> None:
        if self._depth == 0:
            return
        self._depth -= 1
        if self._depth == 0 and self._was_enabled:
            gc.enable()


event.register("numba:compile", _CompileNotice())  # type: ignore[no-untyped-call]
event.register("numba:compile", _NoGarbageCollection())  # type: ignore[no-untyped-call]
