"""What happens while Numba compiles: a person is told why they wait, and the garbage collector is switched off."""

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

from numba.core import event

SECONDS_BEFORE_NOTICE = 1.0


class _CompileNotice(event.Listener):
    """Tells a person at a terminal what the wait is for, once, when compiling takes longer than a second."""

    def __init__(self) -> None:
        self._depth = 0
        self._timer: threading.Timer | None = None
        self._told = False

    def say_nothing(self) -> None:
        self._told = True

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
    return (function.__module__ or "").startswith("mbbp.")


class _NoGarbageCollection(event.Listener):
    """Switches the garbage collector off during compiling: it would take a sixth of that time and free nothing."""

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


_notice = _CompileNotice()


def say_nothing() -> None:
    """Tell nobody in this process, because another one tells them."""
    _notice.say_nothing()


def register() -> None:
    """Begin to listen."""
    event.register("numba:compile", _notice)
    event.register("numba:compile", _NoGarbageCollection())
