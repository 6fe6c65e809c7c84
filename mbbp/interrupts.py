"""Ctrl-C during training."""

import contextlib
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Ctrl-C ends the training after the running epoch; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None
        # Python lets only the main thread set the handler of a signal.
        self._is_main_thread = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Interrupts":
        if self._is_main_thread:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (
            self._is_main_thread and self._previous is not None
        ):  # None: not set from Python, so Python cannot restore it
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # The signal may arrive while the progress bar is being written. Python then raises RuntimeError here.
        with contextlib.suppress(RuntimeError):
            print("\nmbbp: ending after this epoch; Ctrl-C again to end at once", file=sys.stderr)
