"""What trainings that run at the same time share: a progress bar, Ctrl-C, and the end after an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from threading import Event, Lock
from types import TracebackType

from mbbp.history import Epoch
from mbbp.interrupts import Interrupts
from mbbp.methods.method import DivergedError
from mbbp.progress import Bar
from mbbp.threads import run_together

SECONDS_BETWEEN_LOOKS = 0.1
OnEnd = Callable[[int, DivergedError | None], None]


class Company:
    """Several trainings in several threads.

    Parameters
    ----------
    shown : bool or None
        Whether to show the progress bar; see `Bar`.
    n_networks : int
        How many networks are trained.
    total : int
        How many examples that makes, in all epochs of all networks.
    look : function () -> bool, optional
        Tells whether somebody else wants all trainings to end. It is called several times in a second.

    Attributes
    ----------
    interrupts : Interrupts
        Ctrl-C, as the main thread gets it.
    failure : BaseException or None
        The first error that ends all trainings.
    """

    def __init__(
        self, shown: bool | None, n_networks: int, total: int, look: Callable[[], bool] = lambda: False
    ) -> None:
        self.interrupts = Interrupts()
        self.failure: BaseException | None = None
        self._n, self._ended, self._diverged, self._title = n_networks, 0, 0, ""
        self._names: Sequence[str] | None = None
        self._on_end: OnEnd | None = None
        self._look, self._is_called_off = look, False
        self._lock = Lock()  # a bar must not be written by two threads
        self._bar = Bar(shown, total, self._description)

    @property
    def _description(self) -> str:
        return f"{self._title}{self._ended} of {self._n} networks"

    def begin(self, names: Sequence[str], title: str, on_end: OnEnd | None = None) -> None:
        """Begin a round of trainings: count the networks afresh.

        Parameters
        ----------
        names : sequence of str
            What an error calls each network.
        title : str
            What the progress bar shows before the numbers.
        on_end : function (number, error), optional
            Called when the training of a network has ended, in the thread that has trained it, with the number of the
            network and the error if it has diverged. What it raises ends all trainings.
        """
        with self._lock:
            self._n, self._ended, self._title, self._names, self._on_end = len(names), 0, title, names, on_end

    def name_of(self, number: int) -> str:
        """Return what an error calls a network."""
        return f"networks[{number}]" if self._names is None else self._names[number]

    @property
    def is_ending(self) -> bool:
        """Whether all trainings are to end after their running epoch."""
        asked = self.interrupts.asked or self.interrupts.asked_twice
        return asked or self.failure is not None or self._is_called_off

    def __enter__(self) -> Company:
        self.interrupts.__enter__()
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
        self.interrupts.__exit__(kind, error, trace)

    def run(self, work: Callable[[], None], n_threads: int) -> None:
        """Run a function in so many threads, while this thread waits for Ctrl-C.

        An error in this thread, such as that of the handler of a signal, ends all trainings after their running epoch.
        """
        left, all_ended = n_threads, Event()

        def work_and_count() -> None:
            nonlocal left
            try:
                work()
            finally:
                with self._lock:
                    left -= 1
                    if left == 0:
                        all_ended.set()

        def wait() -> None:
            # a thread that waits without a limit may not hear the signal, if the system gives it to another thread
            while not all_ended.wait(SECONDS_BETWEEN_LOOKS):
                self._is_called_off = self._is_called_off or self._look()

        run_together([wait, *[work_and_count] * n_threads], self._give_up)

    def _give_up(self) -> None:
        # without the lock: the handler of a signal may have raised the error at any place of this thread
        self.failure = self.failure or sys.exception()

    def raise_failure(self) -> None:
        """Raise the error that has ended all trainings, or KeyboardInterrupt after a second Ctrl-C."""
        if self.failure is not None:
            raise self.failure
        if self.interrupts.asked_twice:
            raise KeyboardInterrupt

    def advance(self, examples: int) -> None:
        """Add examples to those that are done."""
        with self._lock:
            self._bar.advance(examples)

    def fail(self, error: BaseException) -> None:
        """End all trainings after their running epoch, because of an error."""
        with self._lock:
            self.failure = self.failure or error

    def end_network(self, number: int, error: DivergedError | None, examples_left: int = 0) -> None:
        """Tell that the training of a network has ended; count it, and the examples that it does not need."""
        if self._on_end is not None:
            try:
                self._on_end(number, error)
            except BaseException as failure:
                self.fail(failure)
        with self._lock:
            self._ended += 1
            self._diverged += error is not None
            self._bar.advance(examples_left)  # first, since `show` always redraws the bar
            self._bar.show(self._description, [f"{self._diverged} diverged"] if self._diverged else [])


class Member:
    """One of the trainings: its progress bar, and what it is told of Ctrl-C.

    Attributes
    ----------
    may_raise : bool
        Whether KeyboardInterrupt may be raised now.
    done : int
        How many examples it was trained on, counted in each epoch.
    """

    def __init__(self, company: Company) -> None:
        self._company, self.may_raise, self.done = company, False, 0

    def __enter__(self) -> Member:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.may_raise = False

    @property
    def asked(self) -> bool:
        """Whether the training is to end after the running epoch."""
        return self._company.is_ending

    @property
    def asked_twice(self) -> bool:
        """Whether it is to end at once, with KeyboardInterrupt."""
        return self._company.interrupts.asked_twice

    def advance(self, examples: int) -> None:
        """Add examples to those that are done; end at once if that was asked for."""
        self.done += examples
        self._company.advance(examples)
        if self.asked_twice and self.may_raise:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        """Show nothing: there is one bar for all."""

    def end_epoch(self, row: Epoch) -> None:
        """Show nothing: there is one bar for all."""
