"""Threads that use the same network: only one trains it, and nobody reads what is being written."""

import copy
import threading

import numpy as np
import pytest

import mbbp
from tests.problems import labelled, network

X, Y = labelled()
READS = {
    "feedforward": lambda net: net.feedforward(X),
    "feedforward of one": lambda net: net.feedforward(X[:, :1]),
    "activations": lambda net: net.activations(X),
    "classify": lambda net: net.classify(X),
    "cost": lambda net: net.cost(X, Y),
    "accuracy": lambda net: net.accuracy(X, Y),
    "gradient": lambda net: net.gradient(X, Y),
    "theta": lambda net: setattr(net, "theta", np.zeros(net.theta.size)),
    "copy": copy.deepcopy,
    "fit": lambda net: net.fit(X, Y, epochs=1),
    "step": lambda net: net.trainer().step(X, Y),
}


def in_another_thread(run):
    """Return the error that `run` raises in another thread, or None."""
    errors = []

    def target():
        try:
            run()
            errors.append(None)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return errors[0]


@pytest.mark.parametrize("name", READS)
def test_another_thread_is_refused_while_fit_runs(name):
    net, found = network(), []
    net.fit(X, Y, epochs=2, callbacks=lambda net, _: found.append(in_another_thread(lambda: READS[name](net))))
    assert [type(error) for error in found] == [RuntimeError] * 2
    assert str(found[0]).startswith(f"{name.partition(' ')[0]}: expected a network that is not being trained")
    alone = network()
    alone.fit(X, Y, epochs=2)
    assert net.theta.tobytes() == alone.theta.tobytes()
    assert in_another_thread(lambda: READS[name](net)) is None


@pytest.mark.parametrize("name", ["fit", "step"])
def test_a_callback_that_trains_its_network_is_refused(name):
    net = network()
    with pytest.raises(RuntimeError, match=f"{name}: expected a network that is not being trained, got a call from a"):
        net.fit(X, Y, epochs=2, callbacks=lambda net, _: READS[name](net))
    assert len(net.history) == 1
    assert len(net.fit(X, Y, epochs=1)) == 2  # it can be trained again


def test_a_callback_may_read_and_copy():
    copies = []
    net = network()
    net.fit(X, Y, epochs=2, callbacks=lambda net, _: copies.append((net.cost(X, Y), copy.deepcopy(net))))
    for cost, other in copies:
        assert other.cost(X, Y) == cost
        other.fit(X, Y, epochs=1)


def test_two_trainers_in_two_threads_take_all_their_steps():
    net = mbbp.Network([4, 5, 3], dtype="float64", rng=0)
    trainers = [net.trainer(learning_rate=0.1), net.trainer(learning_rate=0.1)]
    threads = [threading.Thread(target=lambda one=one: [one.step(X, Y) for _ in range(300)]) for one in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = mbbp.Network([4, 5, 3], dtype="float64", rng=0)
    trainer = alone.trainer(learning_rate=0.1)
    for _ in range(600):
        trainer.step(X, Y)
    assert net.theta.tobytes() == alone.theta.tobytes()
