"""Python's `random.shuffle`, fast: the same permutation, and the same state of the generator after it.

A shuffle of 50,000 takes Python as long as the engine takes to train on a third of them. Its generator is a Mersenne
twister (M. Matsumoto and T. Nishimura 1998), and so is one of NumPy's: that draws the words, and compiled code uses
them as Python does.
"""

import random

import numpy as np

from mbbp.kernels.shuffling import exchange
from mbbp.parameters import Array

FEW = 1000  # so many Python shuffles itself before it could be asked for its generator's state


def is_pythons_own() -> bool:
    """Say whether `random.shuffle` is what Python came with, and has a generator whose state can be read."""
    generator = getattr(random.shuffle, "__self__", None)
    return type(generator) is random.Random and random.shuffle.__func__ is random.Random.shuffle  # type: ignore[attr-defined]


def shuffle(order: Array) -> None:
    """Shuffle a vector in place, as `random.shuffle` would a list.

    Parameters
    ----------
    order : int64 (n,)
        Of fewer than 2^32 entries.
    """
    if order.size < FEW:
        numbers = order.tolist()
        random.shuffle(numbers)
        order[:] = numbers
        return
    generator: random.Random = random.shuffle.__self__  # type: ignore[attr-defined]
    version, words, gauss = generator.getstate()
    twister = np.random.MT19937(0)
    key = np.array(words[:-1], np.uint32)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": words[-1]}}
    last = order.size - 1
    while last > 0:
        # each entry that is left takes a word or more, so none is drawn that Python would not draw
        last = exchange(order, last, twister.random_raw(last).view(np.int64))
    state = twister.state["state"]
    generator.setstate((version, (*state["key"].tolist(), state["pos"]), gauss))
