"""Times calls that take turns, so that the processor's mood is the same for all of them."""

import math
import time
from collections.abc import Callable
from typing import Any

TURN = 0.02  # seconds


def least_us(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Return the least microseconds of each call. They take turns of some milliseconds, for some seconds each."""
    best = dict.fromkeys(calls, math.inf)
    spent = 0.0
    while spent < seconds * len(calls):
        for name, call in calls.items():
            call()  # finds the code and the memory of the others in the caches
            turn = 0.0
            while turn < TURN:
                began = time.perf_counter()
                call()
                took = time.perf_counter() - began
                best[name] = min(best[name], took)
                turn += took
            spent += turn
    return {name: 1e6 * least for name, least in best.items()}
