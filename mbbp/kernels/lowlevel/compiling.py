"""The decorators that say what is compiled, and how. None of them needs Numba.

A decorator returns the plain function and notes what is to become of it. When something must be compiled, `jit.py` is
imported, and Numba with it. It does what was noted, and puts the compiled functions in the place of the plain ones in
all modules of the kernels. From then on the decorators compile at once. Where all kernels come with the package (see
`prebuilt.py`), this never happens.
"""

import functools
import importlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np


def _is_disabled() -> bool:
    """Return whether Numba is told to compile nothing: by the environment, or by a program that has imported it."""
    numba: Any = sys.modules.get("numba")
    by_environment = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    return by_environment if numba is None else bool(numba.config.DISABLE_JIT)


DISABLED = _is_disabled()

# Reassociation lets a sum be taken in vector lanes, contraction lets a product and a sum be one instruction. The flags
# that would let NaN and inf be assumed away stay off: isfinite must tell the truth.
FAST = {"nsz", "arcp", "contract", "afn", "reassoc"}
CONTRACTING = {"contract", "nsz"}  # no sum is taken in another order

# Numba compiles a function once more for every literal that it is called with; to it, these are not literals.
ZERO, ONE = np.int64(0), np.int64(1)

_JIT, _SCALARS = "mbbp.kernels.lowlevel.jit", "mbbp.kernels.lowlevel.scalars"
_importing = threading.RLock()
_noted: list[tuple[Callable[..., Any], str, dict[str, Any]]] = []


@functools.cache
def _let_forks_wait() -> None:
    """Let a fork wait until no thread imports Numba.

    A child process has only the thread that forked it. If another thread imports Numba at that moment, nobody in the
    child will ever end that import. Starting a program (`subprocess`) does not wait.
    """
    import logging  # noqa: F401 -- it locks itself in a fork, and while Numba is imported. What is told last locks first

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
        )


def jit() -> Any:
    """Return the module that compiles; the first time, what was noted is done."""
    with _importing:
        _let_forks_wait()
        return importlib.import_module(_JIT)


def scalars() -> Any:
    """Return the module that compiles a user's scalar functions."""
    with _importing:
        if not DISABLED:
            jit()
        return importlib.import_module(_SCALARS)


def has_started() -> bool:
    """Return whether Numba has been asked for, so that the decorators compile at once."""
    return hasattr(sys.modules.get(_JIT), "make")


def take_over(make: Callable[..., Any]) -> None:
    """Make what was noted, and put it in the place of the plain functions; `jit` calls this once, at its end."""
    made = {id(function): make(function, how, **settings) for function, how, settings in _noted}
    for name, module in list(sys.modules.items()):
        if name.startswith("mbbp.kernels"):
            for key, value in list(vars(module).items()):
                if id(value) in made:
                    setattr(module, key, made[id(value)])


def _note(function: Callable[..., Any], how: str, /, **settings: Any) -> Any:
    if DISABLED:
        return function
    if has_started():
        return jit().make(function, how, **settings)
    _noted.append((function, how, settings))
    return function


def warn_of_nothing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a Python function that stands in for a compiled one, which overflows without a warning."""
    return np.errstate(all="ignore")(function)


def compiled(function: Callable[..., Any], fastmath: Any = False) -> Any:
    """Compile a function that compiled code calls by name."""
    return warn_of_nothing(function) if DISABLED else _note(function, "compiled", fastmath=fastmath)


def compiled_fast(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be taken in any order."""
    return compiled(function, FAST)


def compiled_contracting(function: Callable[..., Any]) -> Any:
    """Compile a function whose products and sums may be fused, but in which no sum is taken in another order."""
    return compiled(function, CONTRACTING)


def inlined(function: Callable[..., Any]) -> Any:
    """Put a function into its callers, statement by statement: it then costs no compilation of its own."""
    return _note(function, "inlined")


def shared(function: Callable[..., Any]) -> Any:
    """Let compiled code call a function that Python calls uncompiled."""
    return _note(function, "shared")


def external(function: Callable[..., Any]) -> Any:
    """Let compiled code call the function of this name in the C library, which takes nothing and returns an int."""
    return _note(function, "external")


def intrinsic(definition: Callable[..., Any] | None = None, **settings: Any) -> Any:
    """Let compiled code call what a definition writes as LLVM IR; see `numba.extending.intrinsic`."""
    if definition is None:
        return functools.partial(intrinsic, **settings)
    return _note(definition, "intrinsic", **settings)


def overload_of(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Say what compiled code calls in the place of a Python function; see `numba.extending.overload`."""
    return lambda definition: _note(definition, "overload", function=function)
