import copy
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import mbbp
from mbbp import preparing
from tests.problems import continuous, figures, labelled, network

DIFFERENT = [
    {"learning_rate": 0.5, "shuffle": False},
    {"optimizer": "adam", "batch_size": 3, "l2": 0.1},
    {"optimizer": mbbp.Momentum(0.8), "clip_norm": 0.1, "weight_decay": 0.01},
    {"learning_rate": mbbp.schedules.Step(0.5, every=2), "subset": [1, 4, 4, 7, 20]},
    {"validation_split": 0.3, "early_stopping": 1, "epochs": 30},
    {"validation_split": [0, 5, 9], "class_weights": "balanced"},
    {"example_weights": np.linspace(0, 1, 23), "epochs": 2},
]


def different_networks():
    """Return networks of different sizes, activations, costs, scalings and dtypes."""
    return [
        network(),
        network(activation="tanh", rng=1, cost="cross_entropy"),
        mbbp.Network([4, 3], "softmax", rng=2, scaling="standardize"),
        mbbp.Network([4, 8, 8, 3], "relu", "cross_entropy", rng=3, dropout=0.2),
        network(scaling="standardize", rng=4),
        network(scaling="standardize", rng=5, dtype="float32"),
        network(scaling=0.5, rng=6),
    ]


def state_of(net):
    moments = None if net.optimizer_state is None else net.optimizer_state.moments.tobytes()
    scaling = None if net.scaling is None else (net.scaling.factor.tobytes(), str(net.scaling))
    generator = str(net.rng.bit_generator.state)
    return net.theta.tobytes(), figures(net.history), net.history.has_ended, moments, scaling, generator


@pytest.mark.parametrize("threads", [1, 3])
def test_each_network_is_trained_as_if_alone_to_the_bit(threads, threads_of_the_test):
    threads_of_the_test(threads)
    X, y = labelled()
    alone, together = different_networks(), different_networks()
    for net, own in zip(alone, DIFFERENT, strict=True):
        net.fit(X, y, **{"epochs": 5, **own})
    fits = mbbp.fit_many(together, X, y, each=DIFFERENT, epochs=5)
    assert list(map(state_of, together)) == list(map(state_of, alone))
    assert [len(history) for history in fits.histories] == [len(net.history) for net in alone]
    assert all(history is net.history for history, net in zip(fits.histories, together, strict=True))
    assert (fits.errors, fits.was_interrupted) == ((None,) * 7, False)
    assert repr(fits) == "ManyFits: 7 networks"


@pytest.fixture
def threads_of_the_test():
    yield mbbp.set_threads
    mbbp.set_threads(None)


def test_a_further_call_goes_on():
    X, Y = continuous()
    alone, together = network(), [network(), network(rng=1)]
    alone.fit(X, Y, epochs=6, optimizer="adam")
    for epochs in (2, 4):
        mbbp.fit_many(together, X, Y, epochs=epochs, optimizer="adam")
    assert state_of(together[0]) == state_of(alone)


def test_data_are_checked_and_copied_once(monkeypatch):
    X, Y = continuous()
    seen = []
    monkeypatch.setattr(preparing, "narrowed", lambda examples, dtype: seen.append(1) or narrowed(examples, dtype))
    nets = [network(rng=i, dtype="float32") for i in range(5)]
    plans = mbbp.many.trainings.make_plans(nets, X, Y, [{"epochs": 1}] * 5)
    assert len({id(plan.examples.inputs) for plan in plans}) == 1
    assert len({id(plan.examples.targets) for plan in plans}) == 1
    assert len(seen) == 1


narrowed = preparing.narrowed


def ids(arrays):
    return {id(array) for array in arrays}


def test_what_is_the_same_for_all_networks_is_held_once(monkeypatch):
    X, y = continuous()[0], np.arange(23) % 2
    weights, subset, factors = np.linspace(0.5, 2, 23), np.arange(20), {0: 2.0}
    shared = {"subset": subset, "example_weights": weights, "class_weights": factors, "epochs": 2}
    settings = [{**shared, "validation_split": float("0.25"), "shuffle": i % 2 == 0} for i in range(4)]
    sizes = [X.shape[0], 5, 2]
    nets, alone = ([mbbp.Network(sizes, rng=i) for i in range(4)] for _ in range(2))
    plans = mbbp.many.trainings.make_plans(nets, X, y, settings)
    held = [(plan.chosen, plan.chosen_for_validation, plan.examples.weights, plan.validation.weights) for plan in plans]
    assert [len(ids(arrays)) for arrays in zip(*held, strict=True)] == [1, 1, 1, 1]
    before = [array.copy() for array in held[0]]
    assert not any(array.flags.writeable for array in held[0])
    seen = []
    monkeypatch.setattr(mbbp.many.fits, "make_plans", lambda *given, **more: seen.extend(plans) or plans)
    mbbp.fit_many(nets, X, y, each=settings)
    assert seen == plans
    assert [one.tobytes() for one in before] == [one.tobytes() for one in held[0]]
    for net, own in zip(alone, settings, strict=True):
        net.fit(X, y, **own)
    assert list(map(state_of, nets)) == list(map(state_of, alone))


def test_other_parts_and_weights_are_not_mixed_up():
    X, y = continuous()[0], np.arange(23) % 2
    settings = [
        {"subset": np.arange(20), "validation_split": 0.25},
        {"subset": np.arange(3, 23), "validation_split": 0.25},
        {"subset": np.arange(20), "validation_split": 0.5},
        {"example_weights": np.linspace(0.5, 2, 23), "class_weights": {0: 2.0}},
        {"example_weights": np.linspace(0.5, 2, 23), "class_weights": {0: 3.0}},
        {"example_weights": np.linspace(2, 0.5, 23), "class_weights": "balanced"},
        {"class_weights": "balanced", "subset": np.arange(22)},
        {"class_weights": "balanced"},
    ]
    nets, alone = ([mbbp.Network([X.shape[0], 5, 2], rng=0) for _ in settings] for _ in range(2))
    mbbp.fit_many(nets, X, y, each=[{"epochs": 2, **own} for own in settings])
    for net, own in zip(alone, settings, strict=True):
        net.fit(X, y, epochs=2, **own)
    assert list(map(state_of, nets)) == list(map(state_of, alone))
    assert len({net.theta.tobytes() for net in nets}) == len(settings)


def test_networks_with_other_costs_share_the_examples(monkeypatch):
    X, Y = continuous()
    as_inputs, seen = preparing.as_inputs, []
    monkeypatch.setattr(preparing, "as_inputs", lambda *given: seen.append(1) or as_inputs(*given))
    costs = [mbbp.costs.huber(1.0), mbbp.costs.huber(1.0), mbbp.costs.huber(0.5), "quadratic"]
    nets = [network(rng=i, dtype="float32", cost=cost) for i, cost in enumerate(costs)]
    plans = mbbp.many.trainings.make_plans(nets, X, Y, [{"epochs": 1}] * len(nets))
    assert len(seen) == len(ids(plan.examples.inputs for plan in plans)) == 1
    assert len(ids(plan.examples.targets for plan in plans)) == 1
    nets.append(network(cost="cross_entropy", activation="sigmoid"))  # the others take any targets
    with pytest.raises(ValueError, match="y: expected probabilities from 0 to 1") as caught:
        mbbp.fit_many(nets, X, Y + 2)
    assert caught.value.__notes__ == ["This is an error of networks[4]."]


def test_with_several_scalings_the_inputs_are_copied_once():
    X, Y = continuous()
    subsets = [{"epochs": 2, "subset": np.arange(start, start + 9)} for start in range(4)]
    nets, alone = ([network(rng=i, dtype="float32", scaling="standardize") for i in range(4)] for _ in range(2))
    plans = mbbp.many.trainings.make_plans(nets, X, Y, subsets)
    assert len({id(plan.examples.inputs) for plan in plans}) == 2
    mbbp.fit_many(nets, X, Y, each=subsets)
    for net, own in zip(alone, subsets, strict=True):
        net.fit(X, Y, **own)
    assert list(map(state_of, nets)) == list(map(state_of, alone))


def test_a_network_that_diverges_is_reported_and_stops_no_other():
    X, Y = continuous()
    nets = [network(rng=i, activation=["tanh", "identity"]) for i in range(4)]
    each = [{}, {"learning_rate": 1e200}, {}, {}]
    with pytest.warns(UserWarning, match="1 of 4 networks diverged: 1") as caught:
        fits = mbbp.fit_many(nets, X, Y, each=each, epochs=3)
    assert [warning.filename for warning in caught] == [__file__]
    assert fits.diverged == (1,)
    assert isinstance(fits.errors[1], mbbp.DivergedError)
    assert [len(history) for history in fits.histories] == [3, 0, 3, 3]
    assert np.isfinite(nets[1].theta).all()
    assert repr(fits) == "ManyFits: 4 networks, 1 diverged"


def test_stop_training_ends_one_network_alone():
    X, Y = continuous()
    nets = [network(rng=i) for i in range(3)]

    def stop(net, row):
        if net is nets[1] and row.epoch == 2:
            raise mbbp.StopTraining

    mbbp.fit_many(nets, X, Y, epochs=4, callbacks=stop)
    assert [len(net.history) for net in nets] == [4, 2, 4]


def test_a_callback_reads_its_network_in_its_thread():
    X, Y = continuous()
    seen, nets = [], [network(rng=i) for i in range(3)]
    mbbp.fit_many(nets, X, Y, epochs=2, callbacks=lambda net, row: seen.append((nets.index(net), net.cost(X, Y))))
    assert sorted(number for number, _ in seen) == [0, 0, 1, 1, 2, 2]


def test_an_error_in_a_callback_names_the_network_and_leaves_all_usable():
    X, Y = continuous()
    nets = [network(rng=i) for i in range(3)]

    def fail(net, row):
        if net is nets[0]:
            raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today") as caught:
        mbbp.fit_many(nets, X, Y, epochs=100_000, callbacks=fail)
    assert "This is an error of networks[0]." in caught.value.__notes__
    assert all(len(net.history) < 100_000 for net in nets)
    mbbp.fit_many(nets, X, Y, epochs=1)


def press(times, when):
    """Return a callback that presses Ctrl-C so many times, once, after some epochs."""
    begun = threading.Lock()

    def callback(net, row):
        if row.epoch == when and begun.acquire(blocking=False):
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.5)  # two signals of one moment would be one

    return callback


@pytest.fixture
def no_press_before():
    mbbp.interrupts.Interrupts._last_press = -100.0
    yield
    mbbp.interrupts.Interrupts._last_press = -100.0


def test_ctrl_c_ends_all_after_their_epoch(no_press_before, capsys):
    X, Y = continuous()
    nets = [network(rng=i) for i in range(3)]
    fits = mbbp.fit_many(nets, X, Y, epochs=100_000, callbacks=press(1, 3))
    assert fits.was_interrupted
    assert repr(fits) == "ManyFits: 3 networks, interrupted"
    assert all(len(net.history) < 100_000 for net in nets)
    assert "ending after this epoch" in capsys.readouterr().err
    lengths = [len(net.history) for net in nets]
    alone = [network(rng=i) for i in range(3)]
    for net, n in zip(alone, lengths, strict=True):
        if n:
            net.fit(X, Y, epochs=n)
    assert [net.theta.tobytes() for net in nets] == [net.theta.tobytes() for net in alone]


def test_a_second_ctrl_c_raises_and_keeps_the_last_complete_epochs(no_press_before):
    X, Y = continuous()
    nets = [network(rng=i) for i in range(3)]
    seen = {}

    def keep(net, row):
        seen[nets.index(net)] = net.theta.tobytes()

    before = [net.theta.tobytes() for net in nets]
    with pytest.raises(KeyboardInterrupt):
        mbbp.fit_many(nets, X, Y, epochs=100_000, callbacks=[keep, press(2, 3)])
    assert [net.theta.tobytes() for net in nets] == [seen.get(i, before[i]) for i in range(3)]
    mbbp.fit_many(nets, X, Y, epochs=1)


def test_an_error_in_the_handler_of_a_signal_ends_all_after_their_epoch():
    X, Y = continuous()
    nets = [network(rng=i) for i in range(3)]

    def end(number, frame):
        raise TimeoutError("time is over")

    def send(net, row):
        if net is nets[0] and row.epoch == 3:
            os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(0.01)

    before = signal.signal(signal.SIGALRM, end)
    try:
        with pytest.raises(TimeoutError, match="time is over"):
            mbbp.fit_many(nets, X, Y, epochs=400, callbacks=send)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert all(len(net.history) < 400 for net in nets)
    mbbp.fit_many(nets, X, Y, epochs=1)


def test_an_interrupt_that_a_callback_raises_is_raised():
    X, Y = continuous()
    nets = [network(rng=i) for i in range(3)]

    def interrupt(net, row):
        if net is nets[1]:
            raise KeyboardInterrupt
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt) as caught:
        mbbp.fit_many(nets, X, Y, epochs=400, callbacks=interrupt)
    assert caught.value.__notes__ == ["This is an error of networks[1]."]
    assert all(len(net.history) < 400 for net in (nets[1], nets[2]))
    mbbp.fit_many(nets, X, Y, epochs=1)


def test_one_bar_counts_all_networks(capsys):
    X, Y = continuous()
    nets = [network(rng=i, activation=["tanh", "identity"]) for i in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mbbp.fit_many(nets, X, Y, each=[{}, {}, {"learning_rate": 1e200}], epochs=5, progress=True)
    seen = capsys.readouterr().err
    assert "0 of 3 networks" in seen
    assert "3 of 3 networks 100%" in seen
    assert "1 diverged" in seen


SHARED = np.random.default_rng(0)
ONE = network()
REFUSED = [
    (lambda: [], {}, ValueError, "networks: expected at least one network, got none"),
    (lambda: network(), {}, TypeError, "networks: expected a sequence of networks"),
    (lambda: [network(), 3], {}, TypeError, r"networks\[1\]: expected an mbbp.Network, got 3"),
    (lambda: [ONE, ONE], {}, ValueError, r"networks\[1\]: .* is the same network as networks\[0\]"),
    (
        lambda: [network(rng=SHARED), network(rng=SHARED)],
        {},
        ValueError,
        r"networks\[1\]: .* shares a generator with networks\[0\]",
    ),
    (lambda: [network()], {"lr": 1}, ValueError, "fit_many: expected one of .*learning_rate.*, got 'lr'"),
    (lambda: [network()], {"each": [{"X": 1}]}, ValueError, r"each\[0\]: expected one of .*, got 'X'"),
    (lambda: [network()], {"each": [{"comm": 1}]}, ValueError, r"each\[0\]: expected one of .*, got 'comm'"),
    (lambda: [network()], {"each": [{}, {}]}, ValueError, "each: expected 1 mappings"),
    (lambda: [network()], {"each": {}}, TypeError, "each: expected a sequence with a mapping for each network"),
    (lambda: [network()], {"each": [3]}, TypeError, r"each\[0\]: expected a mapping, got 3"),
    (lambda: [network()], {"client": "tcp://"}, TypeError, "client: expected a distributed.Client"),
    (lambda: [network()], {"subset": [0, 23]}, ValueError, "subset: expected numbers from 0 to 22, got 23"),
    (lambda: [network()], {"subset": [0.5]}, TypeError, "subset: expected the numbers of examples"),
    (lambda: [network()], {"subset": []}, ValueError, "subset: expected a vector with at least one number"),
    (
        lambda: [network()],
        {"subset": [1, 2], "validation_split": [2, 3]},
        ValueError,
        "validation_split: expected examples that are not in subset, got 2",
    ),
    (
        lambda: [network()],
        {"validation_split": np.arange(23)},
        ValueError,
        "validation_split: expected examples to be left for training, got all 23",
    ),
    (
        lambda: [network()],
        {"subset": [1, 1, 2], "optimizer": "dp_sgd"},
        ValueError,
        "subset: expected different numbers with dp_sgd",
    ),
    (
        lambda: [network(), network(rng=1)],
        {"checkpoint": "same.npz"},
        ValueError,
        "checkpoint: expected a different file for each network",
    ),
]


@pytest.mark.parametrize(("make", "given", "kind", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(make, given, kind, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nets = make()
    own = [net for net in (nets if isinstance(nets, list) else [nets]) if isinstance(net, mbbp.Network)]
    before = [state_of(net) for net in own]
    with pytest.raises(kind, match=message):
        mbbp.fit_many(nets, *continuous(), **given)
    assert [state_of(net) for net in own] == before


def test_a_bad_argument_of_one_network_changes_none_and_is_named():
    nets = [network(rng=i) for i in range(3)]
    before = copy.deepcopy([state_of(net) for net in nets])
    with pytest.raises(ValueError, match="l2: expected") as caught:
        mbbp.fit_many(nets, *continuous(), each=[{}, {"l2": -1}, {}])
    assert caught.value.__notes__ == ["This is an error of networks[1]."]
    assert [state_of(net) for net in nets] == before


def test_a_bootstrap_sample_with_as_many_examples_is_standardized_by_its_own_numbers():
    X, Y = continuous()
    numbers = np.random.default_rng(0).integers(23, size=23)
    net = network(scaling="standardize")
    net.fit(X, Y, epochs=1, subset=numbers)
    expected = mbbp.Scaling.learn(X[:, numbers])
    np.testing.assert_allclose(net.scaling.mean, expected.mean, rtol=1e-13)
    np.testing.assert_allclose(net.scaling.factor, expected.factor, rtol=1e-13)


def test_a_subset_equals_its_columns_alone():
    X, Y = continuous()
    numbers = np.array([3, 3, 8, 1, 20, 3])
    one, other = network(), network()
    one.fit(X, Y, epochs=3, batch_size=2, subset=numbers)
    other.fit(X[:, numbers], Y[:, numbers], epochs=3, batch_size=2)
    assert one.theta.tobytes() == other.theta.tobytes()
    assert figures(one.history) == figures(other.history)


def test_a_fold_is_validated_on_its_own_examples():
    X, Y = continuous()
    fold = np.array([4, 0, 9])
    net = network()
    net.fit(X, Y, epochs=2, validation_split=fold)
    assert net.history[-1].validation_cost == pytest.approx(net.cost(X[:, fold], Y[:, fold]), rel=1e-13)
    rest = np.setdiff1d(np.arange(23), fold)
    other = network()
    other.fit(X, Y, epochs=2, subset=rest)
    assert net.theta.tobytes() == other.theta.tobytes()


def test_a_drawn_part_is_held_out_with_all_its_copies():
    X, Y = continuous()
    numbers = np.repeat(np.arange(8), 3)
    (plan,) = mbbp.many.trainings.make_plans([network()], X, Y, [{"subset": numbers, "validation_split": 0.25}])
    assert plan.chosen_for_validation.size == 2
    assert plan.chosen.size == 18
    assert not np.intersect1d(plan.chosen, plan.chosen_for_validation).size
