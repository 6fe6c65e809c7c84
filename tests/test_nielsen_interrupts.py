"""Ctrl-C in the middle of SGD: it is heard soon, and what was learnt until then is kept."""

import random
import signal

import numpy as np
import pytest

import mbbp.kernels.epoch
from mbbp.nielsen import engine, network, network2
from tests.book import Book, Book2
from tests.nielsen import SIZES, N, assert_same_parameters, labelled, parameters, seed, training


@pytest.fixture
def press(monkeypatch):
    """Return a function that has Ctrl-C pressed during the given call of the compiled loop, of one step each."""
    train = mbbp.kernels.epoch.train
    monkeypatch.setattr(engine, "PIECE", 1)  # one step a call

    def arrange(call):
        left = call

        def watched(*given):
            nonlocal left
            left -= 1
            result = train(*given)
            if left == 0:
                signal.raise_signal(signal.SIGINT)
            return result

        monkeypatch.setattr(mbbp.kernels.epoch, "train", watched)

    # started in a shell's background, the whole run ignores Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield arrange
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("kind", "twin"), [(network.Network, Book), (network2.Network, Book2)])
@pytest.mark.parametrize("call", [1, 2, 4, 6])
def test_the_steps_that_were_taken_are_kept(kind, twin, call, press, capsys):
    m, steps = 10, 3  # an epoch
    seed()
    net, data = kind(SIZES), training()
    order = list(map(id, data))
    press(call)
    with pytest.raises(KeyboardInterrupt):
        net.SGD(data, 5, m, 0.5)
    after = random.getstate()
    seed()
    wanted, pairs = twin(SIZES), training()
    numbers = {id(pair): number for number, pair in enumerate(pairs)}
    taken = 0
    while taken < call:
        kept = wanted.weights, wanted.biases
        wanted.epoch(pairs, m, 0.5)
        taken += steps
    if taken > call:  # the last epoch in part
        wanted.weights, wanted.biases = kept
        for start in range(0, (call - taken + steps) * m, m):
            wanted.step(pairs[start : start + m], 0.5)
    assert random.getstate() == after
    assert_same_parameters(net, wanted)
    assert capsys.readouterr().out.count("Epoch") == (call - 1) // steps
    # the list is in the order of the running epoch, and training goes on from there
    assert [order.index(id(pair)) for pair in data] == [numbers[id(pair)] for pair in pairs]
    for one, list_of_its_own in ((net, data), (wanted, pairs)):
        random.setstate(after)
        one.SGD(list_of_its_own, 1, m, 0.5)
    assert_same_parameters(net, wanted)


def test_a_large_network_is_looked_at_after_every_step_and_a_small_one_hardly_ever(monkeypatch):
    sizes = []
    train = mbbp.kernels.epoch.train
    monkeypatch.setattr(mbbp.kernels.epoch, "train", lambda *given: sizes.append(given[2].size) or train(*given))
    network.Network(SIZES).SGD(training(), 1, 1, 0.5)
    assert sizes == [N]
    monkeypatch.setattr(engine, "PIECE", 5 * engine.STEP)
    network.Network(SIZES).SGD(training(), 1, 1, 0.5)
    assert sizes[1:] == [4, 4, 4, 4, 4, 3]


def test_an_error_in_the_readers_own_code_leaves_a_usable_network(capsys):
    class Failing(network.Network):
        def evaluate(self, test_data):
            raise ZeroDivisionError("mine")

    seed()
    net, data = Failing(SIZES), training()
    with pytest.raises(ZeroDivisionError, match="mine"):
        net.SGD(data, 5, 10, 0.5, test_data=labelled())
    seed()
    twin, pairs = Book(SIZES), training()
    twin.epoch(pairs, 10, 0.5)
    assert_same_parameters(net, twin)
    assert [x.tobytes() for x, _ in data] == [x.tobytes() for x, _ in pairs]
    assert np.isfinite(parameters(net)).all()
