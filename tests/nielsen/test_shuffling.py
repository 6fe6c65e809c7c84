"""The shuffle gives the permutation of `random.shuffle`, and the same state of the generator."""

import random
from types import SimpleNamespace

import numpy as np
import pytest

from mbbp.kernels.shuffling import Exchanges, exchange
from mbbp.nielsen import shuffling
from tests.conftest import plain

SIZES = [*range(70), 127, 128, 129, 255, 256, 257, 623, 624, 625, 999, 1000, 1001, 1023, 1024, 1025, 2047, 2048, 4099]


@pytest.fixture(autouse=True)
def from_the_first_entry_on(monkeypatch):
    """Shuffle lists of all lengths with compiled code, the short ones too."""
    monkeypatch.setattr(shuffling, "FEW", 0)


def both(n, start):
    """Return n numbers as Python and as we shuffle them, each with the state of the generator after it."""
    found = []
    for shuffle, numbers in ((random.shuffle, list(range(n))), (shuffling.shuffle, np.arange(n))):
        random.setstate(start)
        shuffle(numbers)
        found.append((list(numbers), random.getstate()))
    return found


@pytest.mark.parametrize("n", SIZES)
def test_every_length_is_shuffled_as_python_does(n):
    for seed in range(3):
        random.seed(seed)
        python, ours = both(n, random.getstate())
        assert ours == python


@pytest.mark.parametrize("drawn", [0, 1, 622, 623, 624, 625])
def test_from_every_place_in_the_state(drawn):
    random.seed(7)
    for _ in range(drawn):
        random.getrandbits(32)
    python, ours = both(700, random.getstate())
    assert ours == python


def test_the_normal_number_that_is_kept_for_later_is_kept():
    random.seed(7)
    random.gauss(0, 1)
    assert random.getstate()[2] is not None
    python, ours = both(50, random.getstate())
    assert ours == python
    assert ours[1][2] is not None


@pytest.mark.parametrize("n", [10, 999, 1000, 1500])
def test_short_ones_are_left_to_python(n, monkeypatch):
    monkeypatch.undo()
    calls = []
    spy = SimpleNamespace(run=lambda *given: calls.append(given) or exchange.run(*given))
    monkeypatch.setattr(shuffling, "exchange", spy)
    random.seed(7)
    python, ours = both(n, random.getstate())
    assert ours == python
    assert bool(calls) == (n >= shuffling.FEW == 1000)


def exchanged(order, last, words):
    """Return the entry that comes next."""
    given = Exchanges(order, last, np.array(words, np.int64), len(words))
    return exchange.run(given, np.dtype(np.float64))


def test_no_word_is_drawn_that_python_would_not_draw():
    order = np.arange(8)
    assert exchanged(order, 7, [7 << 28, 0xFFFFFFFF]) == 6  # 7 is exchanged with itself; then 7 is too large for 6
    assert order.tolist() == list(range(8))
    assert exchanged(order, 6, [2 << 29]) == 5
    assert order.tolist() == [0, 1, 6, 3, 4, 5, 2, 7]


@pytest.mark.parametrize(
    "other",
    [lambda x: None, np.random.shuffle, random.Random.shuffle, random.SystemRandom().shuffle, random.Random().sample],
    ids=plain,
)
def test_another_shuffle_is_recognised(other, monkeypatch):
    assert shuffling.is_standard_shuffle()
    monkeypatch.setattr(random, "shuffle", other)
    assert not shuffling.is_standard_shuffle()


def test_a_custom_generator_is_used(monkeypatch):
    mine, twin = random.Random(3), random.Random(3)
    monkeypatch.setattr(random, "shuffle", mine.shuffle)
    assert shuffling.is_standard_shuffle()
    order, expected = np.arange(1500), list(range(1500))
    before = random.getstate()
    shuffling.shuffle(order)
    twin.shuffle(expected)
    assert order.tolist() == expected
    assert mine.getstate() == twin.getstate()
    assert random.getstate() == before
