"""The exchanges of Fisher and Yates's shuffle, as Python's `random.shuffle` makes them."""

from typing import NamedTuple

from mbbp.kernels.lowlevel.compiling import ZERO
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Integers, record


@record
class Exchanges(NamedTuple):
    """A vector that is shuffled from entry `last` down, as far as the random words go.

    There must not be more than `last` words: each entry takes at least one.
    """

    order: Integers
    last: Int  # the entry to start with, at least 1
    words: Integers  # numbers below 2^32
    n_words: Int


@kernel(Exchanges)
def exchange(at):
    """Shuffle in place, and return the entry that comes next; 0 when all are done.

    Entry i changes places with one of the entries 0 to i. The highest bits of a random word say with which one; as many
    bits are used as i + 1 has. A word that gives too large a number is skipped.
    """
    e = at[0]
    order, last = e.order, e.last
    bits, power = ZERO + 1, ZERO + 2
    while power <= last + 1:
        bits += 1
        power *= 2
    for i in range(e.n_words):
        other = e.words[i] >> (32 - bits)
        if other <= last:
            order[last], order[other] = order[other], order[last]
            last -= 1
            if 2 * (last + 1) < power:
                bits -= 1
                power //= 2
    return last
