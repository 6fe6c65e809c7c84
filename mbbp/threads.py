"""How many threads the engine may use, running functions in several threads, and who may change a network."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, Thread, get_ident
from typing import Any

from mbbp.validation import as_count

_threads: int | None = None


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(n: int | None) -> None:
    """Set how many threads the engine may use. The results are the same to the bit for any number.

    Parameters
    ----------
    n : int or None
        The number of threads; None for the number of cores that this process may run on.

    Raises
    ------
    TypeError
        If `n` is not a whole number.
    ValueError
        If `n` is below 1.
    """
    global _threads
    _threads = None if n is None else as_count("n", n)


def get_threads() -> int:
    """Return how many threads the engine may use."""
    return _threads or available_cores()


# The least floating-point operations for each thread, about 200 microseconds of work. With less work, starting another
# thread and waiting for it takes more time than it saves.
LEAST_OPERATIONS = 20e6


def worthwhile_threads(operations: float) -> int:
    """Return how many threads to use for so many floating-point operations, at most `get_threads()`."""
    most = int(operations / LEAST_OPERATIONS)
    return 1 if most < 2 else min(get_threads(), most)  # for little work, the system is not asked for its cores


def run_together(calls: Sequence[Callable[[], Any]], give_up: Callable[[], None] = lambda: None) -> list[Any]:
    """Run functions in parallel, the first one in this thread, and return what each returns.

    Parameters
    ----------
    calls : sequence of callable
        The functions. They take no argument.
    give_up : callable
        Is called as soon as one function fails, so that the other functions do not wait for it.

    Raises
    ------
    BaseException
        The first error that a function raised, after all threads have ended.
    """
    if len(calls) == 1:
        return [calls[0]()]
    results: list[Any] = [None] * len(calls)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = calls[index]()
        except BaseException as error:
            give_up()
            errors.append(error)

    others = [Thread(target=run, args=(index,)) for index in range(1, len(calls))]
    try:
        for thread in others:
            thread.start()
        run(0)
    except BaseException:
        give_up()
        raise
    finally:
        _join([thread for thread in others if thread.ident is not None], give_up)
    if errors:
        raise errors[0]
    return results


def _join(threads: Sequence[Thread], give_up: Callable[[], None]) -> None:
    """Wait until all threads have ended, also after Ctrl-C: until then they write to the memory of the network."""
    interrupt: BaseException | None = None
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except BaseException as error:
                give_up()
                interrupt = error
    if interrupt is not None:
        raise interrupt


class OneWriter:
    """Lets one `fit` or one step of a trainer at a time change the parameters of a network.

    Attributes
    ----------
    lock : Lock
        Whoever changes the parameters holds it.
    fitting_thread : int or None
        The thread in which `fit` runs.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.fitting_thread: int | None = None

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Hold the lock for a whole training.

        Raises
        ------
        RuntimeError
            If a training is running already.
        """
        self.check_not_fitting("fit")
        with self.lock:
            self.fitting_thread = get_ident()
            try:
                yield
            finally:
                self.fitting_thread = None

    def check_not_fitting(self, caller: str) -> None:
        """Check that no training is running.

        Raises
        ------
        RuntimeError
            If one is running, in any thread.
        """
        if self.fitting_thread is not None:
            where = "a callback" if self.fitting_thread == get_ident() else "another thread"
            raise RuntimeError(
                f"{caller}: expected a network that is not being trained, got a call from {where} of its training; "
                "wait for its end, or use copy.deepcopy(net) in a callback"
            )

    def check_readable(self, caller: str) -> None:
        """Check that no other thread is training.

        Raises
        ------
        RuntimeError
            If one is: the parameters change while this thread reads them.
        """
        if self.fitting_thread is not None and self.fitting_thread != get_ident():
            raise RuntimeError(
                f"{caller}: expected a network that is not being trained in another thread, got one that is; "
                "wait for the end of the training, or make a copy.deepcopy(net) in a callback"
            )
