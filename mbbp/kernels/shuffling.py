"""The exchanges of Fisher and Yates's shuffle, as Python's `random.shuffle` makes them."""

from mbbp.kernels.lowlevel.compiling import compiled


@compiled
def exchange(order, last, words):
    """Shuffle a vector from entry `last` down, as far as the random words go.

    Entry i changes places with one of the entries 0 to i. Which one, the highest bits of a word say, as many as i + 1
    has; a word that says too large a number is passed over.

    Parameters
    ----------
    order : int64 (n,)
        Is shuffled in place.
    last : int
        The entry to begin with, at least 1.
    words : int64 (k,)
        Numbers below 2^32, no more than `last`: each entry takes at least one.

    Returns
    -------
    int
        The entry whose turn is next; 0 where all is done.
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
