"""Dropout in NumPy alone: which neurons a step of training drops.

The tests compare the compiled kernels with this module. It shares no line with them.
"""

from __future__ import annotations

import numpy as np

from mbbp.parameters import Array

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
ROUNDS = 13


def threefry(
    key: tuple[int, int], counter: tuple[Array | int, Array | int], rounds: int = ROUNDS
) -> tuple[Array, Array]:
    """Return two random words of 32 bits for each counter: Threefry-2x32 of Salmon, Moraes, Dror and Shaw, SC 2011.

    Parameters
    ----------
    key : pair of int
        Two words.
    counter : pair of uint32 arrays or ints
        Two words, or many pairs of them.
    rounds : int
        Its authors use 20 by default. The kernels take 13, the fewest that pass all their statistical tests.

    Examples
    --------
    >>> [f"{int(word[0]):08x}" for word in threefry((0, 0), (0, 0), rounds=20)]
    ['6b200159', '99ba4efe']
    """
    keys = [np.array([word], np.uint32) for word in (*key, 0x1BD11BDA ^ key[0] ^ key[1])]
    x, y = (np.atleast_1d(np.asarray(word, np.uint32)) + keys[i] for i, word in enumerate(counter))
    for number in range(rounds):
        left, right = np.uint32(ROTATIONS[number % 8]), np.uint32(32 - ROTATIONS[number % 8])
        x = x + y
        y = (y << left | y >> right) ^ x
        if number % 4 == 3:
            turn = number // 4 + 1
            x = x + keys[turn % 3]
            y = y + keys[(turn + 1) % 3] + np.uint32(turn)
    return x, y


def dropout_mask(p: float, seed: int, layer: int, step: int, n: int, m: int) -> Array:
    """Return what a step of training multiplies the inputs of a layer by: 0 with the probability p, else 1 / (1 - p).

    Parameters
    ----------
    p : float
        From 0 to below 1.
    seed : int
        The network's, of 32 bits.
    layer : int
        The index of the layer whose inputs are dropped: 0 for the inputs of the network, 1 for the outputs of
        ``net.layers[0]``, and so on.
    step : int
        How many steps the optimizer has taken before.
    n, m : int
        How many neurons, and how many examples.

    Returns
    -------
    ndarray of shape (n, m)
        In float64. Examples 2k and 2k + 1 share the pairs of words with the counters (step, k n + j).
    """
    pairs = (m + 1) // 2
    counters = (np.arange(pairs * n) % 2**32).astype(np.uint32)
    first, second = threefry((seed, layer), (np.full(counters.size, step % 2**32, np.uint32), counters))
    words = np.stack([first.reshape(pairs, n), second.reshape(pairs, n)], axis=1).reshape(2 * pairs, n)[:m].T
    mask: Array = np.where(words >= np.floor(p * 2.0**32), 1.0 / (1.0 - p), 0.0)
    return mask
