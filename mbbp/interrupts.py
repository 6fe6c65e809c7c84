"""Ctrl-C during training."""

import contextlib
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Ctrl-C ends the training after the running epoch; a second Ctrl-C ends it at once.

    If the program ignores Ctrl-C, as a program does that a shell has started in the background, so does the training.

    Attributes
    ----------
    asked : bool
        Whether Ctrl-C was pressed.
    may_raise : bool
        Whether a second Ctrl-C raises KeyboardInterrupt now. Not between two changes that belong together.
    """

    def __init__(self) -> None:
        self.asked, self.may_raise = False, False
        self._previous: Any = None
        # Python lets only the main thread set the handler of a signal.
        is_main_thread = threading.current_thread() is threading.main_thread()
        self._is_handled = is_main_thread and signal.getsignal(signal.SIGINT) not in (None, signal.SIG_IGN)

    def __enter__(self) -> "Interrupts":
        if self._is_handled:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.may_raise = False
        if self._is_handled:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked and self.may_raise:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked = True
            # The signal may arrive while the progress bar is being written. Python then raises RuntimeError here.
            with contextlib.suppress(RuntimeError):
                print("\nmbbp: ending after this epoch; Ctrl-C again to end at once", file=sys.stderr)
