"""The decorators that compile, and the cache of compiled code on disk."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
from numba.core import config, event
from numba.core.ccallback import CFunc

from mbbp.kernels.lowlevel import events
from mbbp.kernels.lowlevel.failures import check_cannot_fail

DISABLED = bool(getattr(config, "DISABLE_JIT"))  # noqa: B009 -- set at run time, unknown to type checkers

# Reassociation lets a sum be taken in vector lanes, contraction lets a product and a sum be one instruction. The flags
# that would let NaN and inf be assumed away stay off: isfinite must tell the truth.
FAST = {"nsz", "arcp", "contract", "afn", "reassoc"}
CONTRACTING = {"contract", "nsz"}  # no sum is taken in another order

# Numba compiles a function once more for every literal that it is called with; to it, these are not literals.
ZERO, ONE = np.int64(0), np.int64(1)


def _fingerprint() -> bytes:
    """Return what changes whenever any kernel's source does."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


_FINGERPRINT = _fingerprint()


def _stamp(cache: Any) -> None:
    """Make what is cached valid only while no kernel has changed.

    Numba keeps compiled code for as long as the file of the function is the same. But compiled code contains the
    functions that it calls, and they stand in other files.
    """
    file = cache._cache_file
    file._source_stamp = (file._source_stamp, _FINGERPRINT)
    load_index = file._load_index

    def load_index_or_nothing() -> Any:
        try:
            return load_index()
        except Exception:  # an index of another version cannot be read if a class that it names is gone; it is replaced
            return {}

    file._load_index = load_index_or_nothing


def warn_of_nothing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a Python function that stands in for a compiled one, which overflows without a warning."""
    return np.errstate(all="ignore")(function)


def _compile(function: Callable[..., Any], fastmath: Any) -> Any:
    """Return the function, compiled at its first call and kept on disk."""
    if DISABLED:
        return warn_of_nothing(function)
    options = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
    dispatcher = numba.njit(cache=True, **options)(function)
    try:
        _stamp(dispatcher._cache)
    except AttributeError:
        # a Numba whose cache is built in another way: compile in every process, so that no stale code is ever run
        return numba.njit(**options)(function)
    return dispatcher


class _Callback(CFunc):
    """Tells of its compiling, as functions called by name do."""

    def _compile_uncached(self) -> Any:
        with event.trigger_event("numba:compile", data={"dispatcher": SimpleNamespace(py_func=self.__wrapped__)}):
            return super()._compile_uncached()  # type: ignore[misc]


_KEPT: list[Any] = []  # the code at an address lives as long as the object that compiled it


def address_of_compiled(
    function: Callable[..., Any], signature: Any, fastmath: Any = False, *, is_cached: bool = True
) -> int:
    """Compile a function for one signature, and return its address in this process.

    Raises
    ------
    CanFailError
        If the function is not cached, and can raise an error or calls Python.
    """
    options: Any = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
    callback: Any
    try:
        callback = _Callback(function, (signature.args, signature.return_type), {}, options)
        if is_cached:
            callback.enable_caching()
            _stamp(callback._cache)
    except (AttributeError, TypeError):  # a Numba that is built in another way
        callback = numba.cfunc(signature, **options)(function)
    else:
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


events.register()
