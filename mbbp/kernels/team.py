"""Several threads in one step: each runs the whole training loop on its share, and waits for the others at barriers.

No two threads write to the same place, and no sum is split between threads. So the numbers are the same to the bit for
any number of threads.
"""

from typing import NamedTuple

import numpy as np

from mbbp.kernels.gemm.tile import MR
from mbbp.kernels.lowlevel.atomics import look, publish, yield_core
from mbbp.kernels.lowlevel.compiling import compiled, inlined
from mbbp.kernels.lowlevel.records import Int, Integers, record

SLOT = 16  # int64s from one thread's counter to the next one's: two cache lines, which some processors fetch in pairs
SPINS = 2000  # looks at a counter before the core is offered to others; some microseconds


@record
class Team(NamedTuple):
    """A thread's place among those that work on one step."""

    rank: Int  # from 0
    size: Int
    arrivals: Integers  # ((size + 1) * SLOT,): how many barriers each has come to; last, if the team is given up


def make_team(size: int) -> list[Team]:
    """Return the places of so many threads that share their work."""
    arrivals = np.zeros((size + 1) * SLOT, np.int64)
    return [Team(rank, size, arrivals) for rank in range(size)]


def give_up(team: Team) -> None:
    """Make all waiting threads return, because one thread has failed."""
    team.arrivals[team.size * SLOT] = 1


@inlined
def share(team, n, grain):
    """Return the range of this thread among n things: first, and one after the last, in whole grains if possible."""
    grains = (n + grain - 1) // grain
    first, last = grains * team.rank // team.size, grains * (team.rank + 1) // team.size
    return min(n, grain * first), min(n, grain * last)


@inlined
def share_of_rows(team, n):
    """Return the range of this thread among n rows: first, and one after the last, in whole tiles if possible."""
    return share(team, n, MR)


@compiled
def wait(team):
    """Wait until every thread of the team has come to this barrier, and return whether all have."""
    if team.size == 1:
        return True
    arrived = look(team.arrivals, team.rank * SLOT) + 1
    publish(team.arrivals, team.rank * SLOT, arrived)
    for other in range(team.size):
        looks = 0
        while look(team.arrivals, other * SLOT) < arrived:
            looks += 1
            if looks > SPINS:
                if look(team.arrivals, team.size * SLOT):
                    return False
                yield_core()
    return True
