"""How many threads the engine may use."""

import os

from mbbp.validation import as_count

_threads: int | None = None


def available_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(n: int | None) -> None:
    """Set how many threads the engine may use: None for as many as there are cores. Results are the same to the bit.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number of at least 1.
    """
    global _threads
    _threads = None if n is None else as_count("threads", n)


def get_threads() -> int:
    """Return how many threads the engine may use."""
    return _threads or available_cores()


# Of each thread: some 200 microseconds. Below it, starting and waiting for another thread costs more than it saves.
LEAST_OPERATIONS = 20e6


def worthwhile_threads(operations: float) -> int:
    """Return how many of the threads that may be used make so many floating-point operations faster."""
    return max(1, min(get_threads(), int(operations / LEAST_OPERATIONS)))
