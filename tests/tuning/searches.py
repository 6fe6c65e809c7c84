"""Small searches for the tests."""

import time

import mbbp
from mbbp.tuning import choice, integers, layers, log_uniform
from tests.many.test_fit_many import state_of
from tests.problems import labelled

X, Y = labelled()
SPACE = {
    "hidden": layers(1, 2, integers(2, 5)),
    "learning_rate": log_uniform(0.01, 1.0),
    "optimizer": choice("sgd", mbbp.Adam(beta1=0.8)),
    "batch_size": integers(3, 8),
}
COMMON = {"dtype": "float64", "validation_split": 0.3, "rng": 5}
HALVING = {"method": "halving", "n_candidates": 9, "epochs": 9}


def find(**given):
    """Return the result of a small search."""
    return mbbp.search(given.pop("space", SPACE), X, Y, **{"n_candidates": 6, "epochs": 3, **COMMON, **given})


def all_of(result):
    """Return everything that two equal searches have in common."""
    best = None if result.best_network is None else state_of(result.best_network)
    return result.candidates, result.table(), best, result.monitor, result.rungs, result.was_interrupted


def by_hand(one, rungs, **more):
    """Return the network of a candidate, trained alone."""
    settings = dict(one.settings)
    net = mbbp.Network([4, *settings.pop("hidden"), 3], rng=one.seed, dtype="float64")
    before = 0
    for end in rungs[: one.rungs]:
        net.fit(X, Y, **{"epochs": end - before, "validation_split": 0.3, **settings, **more})
        before = end
    return net


def sleep(net, row):
    """Make an epoch last longer, so that a process can be killed in the middle of its search."""
    time.sleep(0.002)


def long_search(folder):
    """Search in a folder, with 200 candidates."""
    return find(n_candidates=200, epochs=4, method="halving", eta=2, file=folder, callbacks=sleep)
