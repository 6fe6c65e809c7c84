"""Ctrl-C during training."""

import contextlib
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Ctrl-C ends the training after the running epoch; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._previous: Any = None
        # Only the main thread may say what a signal does.
        self._handles = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "Interrupts":
        if self._handles:
            self._previous = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handles:
            signal.signal(signal.SIGINT, self._previous)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # The signal may come while the progress bar is being written, and then Python refuses to write in between.
        with contextlib.suppress(RuntimeError):
            print("\nmbbp: ending after this epoch; Ctrl-C again to end at once", file=sys.stderr)
