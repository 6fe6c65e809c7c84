"""A fast `random.shuffle`: the same permutation, and the same state of the generator after it.

Python needs as long to shuffle 50,000 examples as the compiled code needs to train on a third of them. Python's
generator is a Mersenne twister (M. Matsumoto and T. Nishimura 1998). NumPy has the same one: it draws the random words
here, and compiled code uses them as Python does.
"""

from __future__ import annotations

import random

import numpy as np

from mbbp.kernels.shuffling import Exchanges, exchange
from mbbp.parameters import Array

FEW = 1000  # Python shuffles fewer entries in less time than it takes to read the state of its generator


def is_standard_shuffle() -> bool:
    """Say whether `random.shuffle` is the standard library's, with a generator whose state can be read."""
    generator = getattr(random.shuffle, "__self__", None)
    return type(generator) is random.Random and random.shuffle.__func__ is random.Random.shuffle  # type: ignore[attr-defined]


def shuffle(order: Array) -> None:
    """Shuffle a vector in place, as `random.shuffle` shuffles a list.

    Parameters
    ----------
    order : int64 (n,)
        The vector, with fewer than 2^32 entries.
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
        # Each of the remaining entries uses at least one word. So no word is drawn that Python would not draw.
        drawn = twister.random_raw(last).view(np.int64)
        last = exchange.run(Exchanges(order, last, drawn, len(drawn)), np.dtype(np.float64))
    state = twister.state["state"]
    generator.setstate((version, (*state["key"].tolist(), state["pos"]), gauss))
