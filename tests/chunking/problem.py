"""Small data in rows, and networks for them."""

import numpy as np

import mbbp

N, N_IN, CLASSES = 503, 4, 3  # a prime number: no batch size divides it
SMALL = 1 << 13  # bytes of memory: several pools


def rows(n=N, dtype="float32", seed=0):
    """Return inputs (n, 4) and labels."""
    y = np.arange(n) % CLASSES
    return (np.random.default_rng(seed).standard_normal((n, N_IN)) + y[:, np.newaxis]).astype(dtype), y


def numbers(n=N):
    """Return inputs (n, 4) and desired outputs (n, 3) that are not unit vectors."""
    X = rows(n)[0]
    return X, 0.5 + 0.4 * np.sin(X[:, :3])


def network(**options):
    return mbbp.Network([N_IN, 5, CLASSES], **{"scaling": "standardize", "rng": 0} | options)


def fitted(data, *more, options=None, **settings):
    """Return a network trained on something."""
    net = network(**(options or {}))
    net.fit(data, *more, **{"epochs": 3} | settings)
    return net


def pools_of(net, n, size, counts, epochs, batch_size):
    """Return the mini-batches of each epoch: the twin of what a training of chunks draws, with NumPy alone."""
    rng = np.random.default_rng()
    rng.bit_generator.state = net.rng.bit_generator.state
    starts = np.cumsum([0, *counts])
    found = []
    for _ in range(epochs):
        chunks = rng.permutation(len(counts))
        stream = np.concatenate([np.arange(starts[c], starts[c + 1]) for c in chunks])
        pools = [stream[first + rng.permutation(min(size, n - first))] for first in range(0, n, size)]
        order = np.concatenate(pools)
        found.append([order[first : first + batch_size] for first in range(0, n, batch_size)])
    return found
