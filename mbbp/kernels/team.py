"""Several threads in one step: each runs the whole training loop on its share, and waits for the others at barriers.

What a thread writes, no other writes, and no sum is cut in two: so the numbers are the same to the bit for any number
of threads.
"""

import os
import time
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from mbbp.kernels.jit import DISABLED, compiled, inlined
from mbbp.kernels.tile import ROWS

SLOT = 16  # int64s from one thread's counter to the next one's: two cache lines, which some processors fetch in pairs
SPINS = 2000  # looks at a counter before the core is offered to others; some microseconds


class Team(NamedTuple):
    """A thread's place among those that work on one step."""

    rank: int  # from 0
    size: int
    arrivals: NDArray[Any]  # int64 ((size + 1) * SLOT,): how many barriers each has come to; last, if it is given up


def make_team(size: int) -> list[Team]:
    """Return the places of so many threads that share their work."""
    arrivals = np.zeros((size + 1) * SLOT, np.int64)
    return [Team(rank, size, arrivals) for rank in range(size)]


def give_up(team: Team) -> None:
    """Let nobody wait any longer: somebody will not come."""
    team.arrivals[team.size * SLOT] = 1


@inlined
def share(team, n, grain):
    """Return the first of n things that are this thread's, and the one after its last, in whole grains if possible."""
    grains = (n + grain - 1) // grain
    first, last = grains * team.rank // team.size, grains * (team.rank + 1) // team.size
    return min(n, grain * first), min(n, grain * last)


@inlined
def share_of_rows(team, n):
    """Return the first of n rows that are this thread's, and the one after its last, in whole tiles if possible."""
    return share(team, n, ROWS)


if DISABLED:

    def _publish(vector, i, value):
        vector[i] = value

    def _look(vector, i):
        return vector[i]

    def _yield_core():
        time.sleep(0)

else:

    def _at(emit):
        def codegen(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            return emit(builder, builder.gep(data, [arguments[1]]), arguments) or context.get_dummy_value()

        return codegen

    @intrinsic
    def _publish(_, vector, i, value):
        """Write a number so that whoever sees it sees all that was written before it."""

        def emit(builder, place, arguments):
            builder.store_atomic(arguments[2], place, "release", 8)

        return types.void(vector, types.int64, types.int64), _at(emit)

    @intrinsic
    def _look(_, vector, i):
        """Read a number, and from then on see all that was written before it was."""

        def emit(builder, place, arguments):
            return builder.load_atomic(place, "acquire", 8)

        return types.int64(vector, types.int64), _at(emit)

    if hasattr(os, "sched_yield"):
        _yield_core = types.ExternalFunction("sched_yield", types.int32())
    else:

        @inlined
        def _yield_core():
            return 0


@compiled
def wait(team):
    """Wait until every thread of the team has come to this barrier, and return whether all have."""
    if team.size == 1:
        return True
    arrived = _look(team.arrivals, team.rank * SLOT) + 1
    _publish(team.arrivals, team.rank * SLOT, arrived)
    for other in range(team.size):
        looks = 0
        while _look(team.arrivals, other * SLOT) < arrived:
            looks += 1
            if looks > SPINS:
                if _look(team.arrivals, team.size * SLOT):
                    return False
                _yield_core()
    return True
