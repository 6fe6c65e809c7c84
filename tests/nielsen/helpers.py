"""Small problems in the book's form, and the comparison of `mbbp.nielsen` with the plain twin in tests/book.py."""

import random
import re

import numpy as np

from mbbp.loop import Loop
from tests.book import unit_vector

SIZES = [4, 6, 10]
N = 23  # a prime number: no mini-batch but 1 and 23 divides it


def labelled(n=N, seed=1, n_in=SIZES[0]):
    """Return pairs (x, label) of ten classes that overlap, in the form of the book's test data."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10)
    return [(rng.standard_normal((n_in, 1)) + label / 3, label) for label in labels]


def training(n=N, seed=1, n_in=SIZES[0]):
    """Return pairs (x, y), in the form of the book's training data."""
    return [(x, unit_vector(label)) for x, label in labelled(n, seed, n_in)]


def seed(number=5):
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002


def states():
    kind, key, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), kind, key.tolist(), rest


def parameters(net):
    return np.concatenate([array.ravel() for array in net.weights + net.biases])


def assert_same_parameters(net, twin, tolerance=1e-11):
    assert [w.shape for w in net.weights] == [w.shape for w in twin.weights]
    assert [b.shape for b in net.biases] == [b.shape for b in twin.biases]
    np.testing.assert_allclose(parameters(net), parameters(twin), rtol=tolerance, atol=tolerance)


def watch_loop(monkeypatch, after_call=lambda: None):
    """Return a list to which every call of the compiled loop adds how many examples it was given."""
    calls, run = [], Loop.run

    def watched(loop, order, step):
        calls.append(order.size)
        result = run(loop, order, step)
        after_call()
        return result

    monkeypatch.setattr(Loop, "run", watched)
    return calls


NUMBER = re.compile(r"\d+\.\d+(?:e[-+]\d+)?")


def assert_same_lines(printed, expected):
    """Compare what was printed: all words and whole numbers exactly, costs to ten digits."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", expected)
    costs, expected_costs = ([float(text) for text in NUMBER.findall(one)] for one in (printed, expected))
    np.testing.assert_allclose(costs, expected_costs, rtol=1e-10)


def both(capsys, ours, twin, *data):
    """Run our code and the twin from the same seeds on copies of the same lists; return both return values.

    Both must print the same, and leave the generators in the same states and the lists in the same order.
    """
    runs = []
    for run in (ours, twin):
        copies = [list(one) for one in data]
        seed()
        returned = run(*copies)
        runs.append((returned, capsys.readouterr().out, states(), [[id(pair) for pair in copy] for copy in copies]))
    (mine, printed, *rest), (expected, expected_lines, *expected_rest) = runs
    assert_same_lines(printed, expected_lines)
    assert rest == expected_rest
    return mine, expected
