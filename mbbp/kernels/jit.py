"""The one decorator that compiles everything, and the line that says so when it takes a while."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

compiled = numba.njit(cache=True, error_model="numpy", nogil=True)

# Reassociation lets a sum be taken in vector lanes, contraction lets a product and a sum be one instruction. The flags
# that would let NaN and inf be assumed away stay off: isfinite must tell the truth.
compiled_fast = numba.njit(
    cache=True, error_model="numpy", nogil=True, fastmath={"nsz", "arcp", "contract", "afn", "reassoc"}
)

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


event.register("numba:compile", _CompileNotice())  # type: ignore[no-untyped-call]
