"""Small problems for the training in several test files."""

import copy

import numpy as np

import mbbp
from mbbp.parameters import parameter_views

N = 23  # a prime number: no batch size but 1 and 23 divides it


def labelled(n=N, seed=7):
    """Return inputs (4, n) and labels of three classes that overlap a little."""
    y = np.arange(n) % 3
    return np.random.default_rng(seed).standard_normal((4, n)) + y, y


def continuous(n=N, seed=8):
    """Return inputs (4, n) and desired outputs (3, n) that are not unit vectors."""
    X = np.random.default_rng(seed).standard_normal((4, n))
    return X, 0.5 + 0.4 * np.sin(X[:3])


def network(**options):
    """Return a small network for either problem."""
    return mbbp.Network([4, 5, 3], **{"dtype": "float64", "rng": 0} | options)


def mini_batches(rng, n, batch_size, epochs, shuffle=True):
    """Return the columns of every mini-batch that `fit` is about to take, from a copy of the network's generator."""
    rng = copy.deepcopy(rng)
    orders = [rng.permutation(n) if shuffle else np.arange(n) for _ in range(epochs)]
    return [order[start : start + batch_size] for order in orders for start in range(0, n, batch_size)]


def is_weight(net):
    """Return a mask of `theta` that is true for weights and false for biases."""
    mask = np.zeros(net.theta.size)
    for W in parameter_views(mask, net.sizes)[0]:
        W[...] = 1
    return mask == 1


def figures(history):
    """Return the rows of a history without the values that depend on the speed of the machine."""
    return [row._replace(seconds=0.0, examples_per_second=0.0) for row in history]


def epoch(number, **given):
    """Return the row of an epoch with the given values."""
    return mbbp.Epoch(number, 1.0, None, None, None, 0.1, 1.0, 1.0, 1.0)._replace(**given)


def history_of(name, values):
    """Return a history with these values in one column."""
    return mbbp.History([epoch(number, **{name: value}) for number, value in enumerate(values, 1)])
