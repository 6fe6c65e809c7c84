"""Ctrl-C during training."""

import contextlib
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Protocol

SECONDS_OF_A_PAIR = 3.0  # two presses within them are meant together, also if the second one meets the next training


class Interruptions(Protocol):
    """What a training needs to know of Ctrl-C. `Interrupts` is one.

    Attributes
    ----------
    asked : bool
        Whether the training is to end after the running epoch.
    asked_twice : bool
        Whether it is to end at once, with KeyboardInterrupt.
    may_raise : bool
        Whether KeyboardInterrupt may be raised now. Not between two changes that belong together.
    """

    may_raise: bool

    @property
    def asked(self) -> bool: ...  # noqa: D102 -- see the class

    @property
    def asked_twice(self) -> bool: ...  # noqa: D102

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Interrupts:
    """Ctrl-C ends the training after the running epoch; a second Ctrl-C ends it at once.

    A second one within three seconds also ends the next training, so that a program of many short trainings can be
    stopped. If Ctrl-C is ignored in the program (a shell does that for a program in the background), it is ignored in
    the training too.

    Attributes
    ----------
    asked : bool
        Whether Ctrl-C was pressed.
    asked_twice : bool
        Whether it was pressed a second time, so that KeyboardInterrupt must be raised.
    may_raise : bool
        Whether a second Ctrl-C raises KeyboardInterrupt now. Not between two changes that belong together.
    """

    _last_press = -SECONDS_OF_A_PAIR  # of all trainings of this process, by time.monotonic

    def __init__(self) -> None:
        self.asked, self.asked_twice, self.may_raise = False, False, False
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
        now = time.monotonic()
        is_second = self.asked or now - Interrupts._last_press < SECONDS_OF_A_PAIR
        Interrupts._last_press = now
        self.asked_twice = self.asked_twice or is_second
        if is_second:
            if self.may_raise:
                raise KeyboardInterrupt
            return
        self.asked = True
        # The signal may arrive while the progress bar is being written. Python then raises RuntimeError here.
        with contextlib.suppress(RuntimeError):
            print("\nmbbp: ending after this epoch; Ctrl-C again to end at once", file=sys.stderr)
