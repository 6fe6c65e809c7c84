"""Training: the same steps as the textbook's loop, the same numbers every time, and further calls of `fit`."""

import copy
import pickle
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import mbbp
from mbbp import schedules
from mbbp.solvers import OPTIMIZERS
from tests.conftest import JIT
from tests.problems import N, continuous, figures, labelled, mini_batches, network

STEPS = 1000 if JIT else 100
SOFTMAX = {"activation": ["tanh", "softmax"], "cost": "log_likelihood"}
SCHEDULES = [
    0.05,
    schedules.Step(0.05, every=1),
    schedules.Exponential(0.05, factor=0.7),
    schedules.Cosine(0.05, epochs=4),
    schedules.ReduceWhenStuck(0.05, patience=1, min_delta=1e9),
    lambda epoch: 0.05 / epoch,
]


def trained(net=None, **options):
    """Return a small network after three epochs."""
    net = net or network()
    net.fit(*labelled(), **{"epochs": 3, "batch_size": 5, "learning_rate": 0.1} | options)
    return net


def assert_same_bits(one, other):
    assert one.theta.tobytes() == other.theta.tobytes()
    assert figures(one.history) == figures(other.history)


# ---------------------------------------------------------------------------------------------- against the reference


@pytest.mark.parametrize(
    ("batch_size", "l2", "shuffle", "problem", "options"),
    [
        (5, 0.0, False, labelled, {}),
        (5, 0.7, True, labelled, {}),
        (7, 0.0, True, labelled, SOFTMAX),
        (7, 0.7, False, labelled, SOFTMAX),
        (2, 0.3, True, labelled, {"cost": "cross_entropy"}),
        (4, 0.3, True, continuous, {"activation": ["leaky_relu", "identity"], "initializer": "he"}),
        (1, 0.0, True, continuous, {"activation": "tanh"}),
        (N, 0.7, True, continuous, {}),
        (1000, 0.0, False, continuous, {}),
    ],
)
def test_training_takes_the_steps_of_the_textbooks_loop(batch_size, l2, shuffle, problem, options):
    X, Y = problem()
    net = network(**options)
    epochs = -(-STEPS // -(-N // batch_size)) if batch_size < N else STEPS // 10
    batches = mini_batches(net.rng, N, batch_size, epochs, shuffle)
    expected = copy.deepcopy(net)
    expected.theta = mbbp.reference.sgd(net, X, Y, batches, 0.05, l2)
    net.fit(X, Y, epochs=epochs, batch_size=batch_size, learning_rate=0.05, l2=l2, shuffle=shuffle)
    for layer, right in zip(net.layers, expected.layers, strict=True):
        np.testing.assert_allclose(layer.W, right.W, rtol=0, atol=1e-10)
        np.testing.assert_allclose(layer.b, right.b, rtol=0, atol=1e-10)


def test_a_float32_network_takes_nearly_the_same_steps():
    X, y = labelled()
    net, exact = network(dtype="float32"), network()
    exact.theta = net.theta
    exact.theta = mbbp.reference.sgd(exact, X, y, mini_batches(net.rng, N, 5, 20), 0.5, 0.1)
    net.fit(X, y, epochs=20, batch_size=5, learning_rate=0.5, l2=0.1)
    assert net.theta.dtype == np.float32
    np.testing.assert_allclose(net.theta, exact.theta, rtol=0, atol=2e-5)


def test_labels_and_their_unit_vectors_train_alike():
    X, y = labelled()
    by_vectors = network()
    by_vectors.fit(X, np.eye(3)[:, y], epochs=3, batch_size=5, learning_rate=0.1)
    assert_same_bits(trained(), by_vectors)


def test_what_the_caller_gave_is_read_only_to_the_engine():
    X, y = np.asfortranarray(labelled()[0]), labelled()[1]
    weights = np.linspace(0.5, 1.5, N)
    copies = X.copy(), y.copy(), weights.copy()
    network().fit(X, y, epochs=2, example_weights=weights, validation_data=(X, y))
    for array, before in zip((X, y, weights), copies, strict=True):
        np.testing.assert_array_equal(array, before)
        assert array.flags.writeable


# --------------------------------------------------------------------------------------------- the same numbers always


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_seed_gives_the_same_bits(optimizer):
    first = trained(optimizer=optimizer)
    assert_same_bits(first, trained(optimizer=optimizer))
    assert first.theta.tobytes() != trained(network(rng=1), optimizer=optimizer).theta.tobytes()


def test_a_shuffle_is_of_the_examples_and_new_in_every_epoch():
    assert trained(epochs=1).theta.tobytes() != trained(epochs=1, shuffle=False).theta.tobytes()
    net = network()
    (first, second) = mini_batches(net.rng, N, N, 2)
    assert sorted(first) == sorted(second) == list(range(N))
    assert list(first) != list(second)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(threads, monkeypatch):
    monkeypatch.setattr(mbbp.threads, "_threads", None)  # restores it after the test
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    X, y = labelled(n=700, seed=1)
    mbbp.set_threads(1)
    alone = trained(validation_data=(X, y))
    mbbp.set_threads(threads)
    assert_same_bits(alone, trained(validation_data=(X, y)))
    assert alone.feedforward(X).tobytes() == trained().feedforward(X).tobytes()


def test_a_progress_bar_changes_no_bit(capsys):
    assert_same_bits(trained(progress=True), trained(progress=False))
    assert "epoch" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "calls"), [(1e-12, [8, 23, 23]), (1e6, [3, 2, 2])])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_how_the_loop_is_sliced_changes_no_bit(seconds, calls, optimizer, monkeypatch):
    whole = trained(batch_size=1, optimizer=optimizer)
    slices, run = [], mbbp.loop.Loop.run
    monkeypatch.setattr(
        mbbp.loop.Loop, "run", lambda loop, order, step: slices.append(order.size) or run(loop, order, step)
    )
    monkeypatch.setattr(mbbp.methods.mini_batches, "SECONDS_BETWEEN_LOOKS", seconds)
    assert_same_bits(whole, trained(batch_size=1, optimizer=optimizer))
    assert len(slices) == sum(calls)
    assert sum(slices) == 3 * N


def test_any_number_of_short_epochs():
    assert len(trained(epochs=600, batch_size=N).history) == 600


# ------------------------------------------------------------------------------------------------------------ going on


@pytest.mark.parametrize(("optimizer", "learning_rate"), list(product(OPTIMIZERS, SCHEDULES)))
def test_training_goes_on_as_if_it_had_never_stopped(optimizer, learning_rate):
    options = {"optimizer": optimizer, "learning_rate": learning_rate}
    in_two = trained(trained(epochs=2, **options), epochs=2, **options)
    assert_same_bits(in_two, trained(epochs=4, **options))
    assert in_two.history["epoch"] == [1, 2, 3, 4]


@pytest.mark.parametrize("other", ["momentum", "adamw", mbbp.Adam(beta1=0.8)], ids=str)
def test_another_optimizer_starts_afresh(other):
    net = trained(optimizer="adam")
    fresh = copy.deepcopy(net)
    fresh.optimizer_state = None
    assert_same_bits(trained(net, optimizer=other), trained(fresh, optimizer=other))
    fresh.optimizer_state = None
    assert_same_bits(trained(net, optimizer="adam"), trained(fresh, optimizer="adam"))


def test_the_same_optimizer_keeps_its_state():
    net = trained(optimizer="adam")
    forgetful = copy.deepcopy(net)
    forgetful.optimizer_state = None
    assert (trained(net, optimizer="adam").theta != trained(forgetful, optimizer="adam").theta).all()


def test_fit_returns_the_networks_own_history():
    net = network()
    first = net.fit(*labelled(), epochs=1)
    assert first is net.history is net.fit(*labelled(), epochs=2)
    assert len(first) == 3


# ------------------------------------------------------------------------------------------- state that does not belong


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: replace(state, moments=state.moments[:, :-1].copy()), "moments of shape"),
        (lambda state: replace(state, moments=np.hstack([state.moments, state.moments])), "moments of shape"),
        (lambda state: replace(state, moments=state.moments.astype(np.float32)), "moments of shape"),
        (lambda state: replace(state, moments=np.asfortranarray(state.moments)), "in C order"),
        (lambda state: replace(state, steps=np.zeros(2, np.int64)), "steps of shape"),
    ],
)
def test_an_optimizer_state_of_another_network_is_refused(change, message):
    net = trained(optimizer="adam")
    state = net.optimizer_state
    with pytest.raises(ValueError, match=f"optimizer_state: expected .*{message}"):
        net.optimizer_state = change(state)
    assert net.optimizer_state is state


def test_a_state_whose_arrays_change_shape_during_a_training_is_refused():
    net, shapes = network(), iter([(-1, 1), (1, -1)])

    def callback(net, _):
        net.optimizer_state.moments.shape = next(shapes)

    with pytest.raises(ValueError, match="optimizer_state: expected moments of shape"):
        net.fit(*labelled(), epochs=3, optimizer="momentum", callbacks=callback)
    assert len(net.history) == 1


def test_an_epoch_that_fails_leaves_the_state_of_another_optimizer():
    net = trained(optimizer="adam")
    state = net.optimizer_state
    with pytest.raises(mbbp.DivergedError):
        net.fit(np.full((4, 8), 1e150), np.full((3, 8), 1e150), epochs=1, optimizer="sgd", learning_rate=1e300)
    assert net.optimizer_state is state


def test_a_network_in_memory_that_cannot_be_written_to_is_copied():
    net = trained(optimizer="adam")
    buffers = []
    data = pickle.dumps(net, protocol=5, buffer_callback=buffers.append)
    back = pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])
    assert back.theta.flags.writeable
    assert_same_bits(trained(back, optimizer="adam"), trained(net, optimizer="adam"))


def test_an_optimizer_state_is_copied_when_it_is_assigned():
    net, other = trained(optimizer="adam"), network()
    steps = int(net.optimizer_state.steps[0])
    other.optimizer_state = net.optimizer_state
    kept = net.optimizer_state.copy()
    trained(other, optimizer="adam")
    assert int(net.optimizer_state.steps[0]) == steps
    trained(net, optimizer="adam")
    net.optimizer_state = kept
    assert int(net.optimizer_state.steps[0]) == steps


def test_a_callback_that_assigns_the_optimizer_state_is_refused():
    net = network()
    with pytest.raises(RuntimeError, match="optimizer_state: expected a network that is not being trained"):
        net.fit(*labelled(), epochs=2, optimizer="adam", callbacks=lambda net, _: setattr(net, "optimizer_state", None))
