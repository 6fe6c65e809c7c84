"""Ctrl-C in the middle of SGD: training ends soon, and what was learnt until then is kept."""

import random
import signal

import numpy as np
import pytest

from mbbp.nielsen import compiled_sgd, network, network2
from tests.book import Book, Book2
from tests.nielsen.helpers import SIZES, N, assert_same_parameters, labelled, parameters, seed, training, watch_loop


@pytest.fixture
def press(monkeypatch):
    """Return a function that presses Ctrl-C in the given call of the compiled loop. Each call takes one step."""
    monkeypatch.setattr(compiled_sgd, "PIECE", 1)  # one step a call

    def arrange(number):
        calls = watch_loop(monkeypatch, lambda: len(calls) == number and signal.raise_signal(signal.SIGINT))

    # a test run that a shell started in the background ignores Ctrl-C
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
    expected, pairs = twin(SIZES), training()
    numbers = {id(pair): number for number, pair in enumerate(pairs)}
    taken = 0
    while taken < call:
        kept = expected.weights, expected.biases
        expected.epoch(pairs, m, 0.5)
        taken += steps
    if taken > call:  # the last epoch in part
        expected.weights, expected.biases = kept
        for start in range(0, (call - taken + steps) * m, m):
            expected.step(pairs[start : start + m], 0.5)
    assert random.getstate() == after
    assert_same_parameters(net, expected)
    assert capsys.readouterr().out.count("Epoch") == (call - 1) // steps
    # the list is in the order of the running epoch, and training goes on from there
    assert [order.index(id(pair)) for pair in data] == [numbers[id(pair)] for pair in pairs]
    for one, its_list in ((net, data), (expected, pairs)):
        random.setstate(after)
        one.SGD(its_list, 1, m, 0.5)
    assert_same_parameters(net, expected)


def test_a_large_network_handles_ctrl_c_after_every_step_and_a_small_one_after_many(monkeypatch, loop_calls):
    network.Network(SIZES).SGD(training(), 1, 1, 0.5)
    assert loop_calls == [N]
    monkeypatch.setattr(compiled_sgd, "PIECE", 5 * compiled_sgd.STEP)
    network.Network(SIZES).SGD(training(), 1, 1, 0.5)
    assert loop_calls[1:] == [4, 4, 4, 4, 4, 3]


def test_an_error_in_custom_code_leaves_a_usable_network(capsys):
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
