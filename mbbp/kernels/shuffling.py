"""The exchanges of Fisher and Yates's shuffle, as Python's `random.shuffle` makes them."""

from mbbp.kernels.lowlevel.compiling import compiled


@compiled
def exchange(order, last, words):
    """Shuffle a vector from entry `last` down, as far as the random words go.

    Entry i changes places with one of the entries 0 to i. The highest bits of a random word say with which one; as many
    bits are used as i + 1 has. A word that gives too large a number is skipped.

    Parameters
    ----------
    order : int64 (n,)
        The vector; it is shuffled in place.
    last : int
        The entry to start with, at least 1.
    words : int64 (k,)
        Numbers below 2^32. There must not be more than `last` of them: each entry takes at least one.

    Returns
    -------
    int
        The entry that comes next; 0 when all are done.
    """
    bits, power = 1, 2
    while power <= last + 1:
        bits += 1
        power *= 2
    for word in words:
        other = word >> (32 - bits)
        if other <= last:
            order[last], order[other] = order[other], order[last]
            last -= 1
            if 2 * (last + 1) < power:
                bits -= 1
                power //= 2
    return last
