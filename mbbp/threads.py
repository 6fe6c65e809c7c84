"""How many threads the engine may use, running functions in several threads, and who may change a network."""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock, RLock, Thread, get_ident, local
from typing import Any

from mbbp.validation import as_count

_threads: int | None = None
_of_thread = local()  # its attribute `limit`: what `at_most` allows the calls of one thread
ENVIRONMENT = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")  # joblib sets both in its processes, to share the cores out


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
        The number of threads; None for the number of cores that this process may run on, or what the environment
        variables OMP_NUM_THREADS and NUMBA_NUM_THREADS allow, if this is less.

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
    found = _threads or min(available_cores(), *(_from_environment(name) for name in ENVIRONMENT))
    return min(found, getattr(_of_thread, "limit", found))


def _from_environment(name: str) -> int:
    value = os.environ.get(name, "").partition(",")[0]  # OpenMP has a number for each level of nesting
    return int(value) if value.isdecimal() and int(value) > 0 else available_cores()


@contextmanager
def at_most(n: int | None) -> Iterator[None]:
    """Use at most n threads for what this thread calls; None for no other limit than that of `set_threads`."""
    before = getattr(_of_thread, "limit", None)
    if n is not None:
        _of_thread.limit = n if before is None else min(n, before)
    try:
        yield
    finally:
        if n is not None:
            del _of_thread.limit
            if before is not None:
                _of_thread.limit = before


# The least floating-point operations for each thread, about 200 microseconds of work. With less work, starting another
# thread and waiting for it takes more time than it saves.
LEAST_OPERATIONS = 20e6


def worthwhile_threads(operations: float) -> int:
    """Return how many threads to use for so many floating-point operations, at most `get_threads()`."""
    most = int(operations / LEAST_OPERATIONS)
    return 1 if most < 2 else min(get_threads(), most)  # for little work, the system is not asked for its cores


def run_together(calls: Sequence[Callable[[], Any]], give_up: Callable[[], None] = lambda: None) -> list[Any]:
    """Run functions in parallel, the first one in this thread, and return what each returns.

    Each of the others has a thread to itself, so they may wait for each other. The threads stay for the next call: a
    new one would take longer to start, and its core would have to be found again. Calls from several threads do not
    wait for each other.

    Parameters
    ----------
    calls : sequence of callable
        The functions. They take no argument.
    give_up : callable
        Is called as soon as one function fails, so that the other functions do not wait for it.

    Raises
    ------
    BaseException
        The error of the first of the functions that failed, after all functions have ended.
    """
    if len(calls) == 1:
        return [calls[0]()]
    jobs, workers, all_begun = [_Job(call, give_up) for call in calls[1:]], [], False
    try:
        for job in jobs:
            workers.append(_take_worker())
            workers[-1].jobs.put(job)
        results = [calls[0]()]
        all_begun = True
    except BaseException:
        give_up()
        raise
    finally:
        interrupt = _wait_for(jobs, give_up, withdraws=not all_begun)
        _idle.extend(workers[: max(0, available_cores() - len(_idle))])
        workers.clear()  # an error would keep them with this frame
    if interrupt is not None:
        raise interrupt
    for job in jobs:
        if job.error is not None:
            raise job.error
        results.append(job.result)
    return results


class _Job:
    """A function that another thread is to run, once."""

    def __init__(self, call: Callable[[], Any], give_up: Callable[[], None]) -> None:
        self._call, self._give_up = call, give_up
        self._claim = RLock()  # of the thread that decides about it; that thread may ask again after Ctrl-C
        self._end = Lock()
        self._end.acquire()
        self.result: Any = None
        self.error: BaseException | None = None

    def is_mine(self) -> bool:
        """Return whether no other thread has begun it; no other thread will then."""
        return self._claim.acquire(blocking=False)

    def run(self) -> None:
        """Run the function, unless it was withdrawn."""
        if not self.is_mine():
            return
        try:
            self.result = self._call()
        except BaseException as error:
            self._give_up()
            self.error = error
        finally:
            self._end.release()

    def wait(self) -> None:
        """Wait until the function has ended."""
        with self._end:
            pass


def _wait_for(jobs: Sequence[_Job], give_up: Callable[[], None], *, withdraws: bool) -> BaseException | None:
    """Wait until all functions have ended, and return an interrupt that came meanwhile.

    Until they have ended they write to the memory of the network. With `withdraws`, those that have not begun are
    withdrawn.
    """
    interrupt: BaseException | None = None
    for job in jobs:
        while True:
            try:
                if not (withdraws and job.is_mine()):
                    job.wait()
                break
            except BaseException as error:
                give_up()
                interrupt = error
    return interrupt


class _Worker:
    """A thread that runs one function after the other, and blocks in between. It ends with this object."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        # a daemon does not keep the program from ending
        Thread(target=_serve, args=(self.jobs,), name="mbbp", daemon=True).start()

    def __del__(self) -> None:
        self.jobs.put(None)


def _serve(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        job.run()
        del job  # while this thread waits, it keeps no memory alive


_idle: list[_Worker] = []


def _take_worker() -> _Worker:
    try:  # not "if there is one": another thread could take it in between
        return _idle.pop()
    except IndexError:
        return _Worker()


atexit.register(_idle.clear)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a child process has only the thread that forked it


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
