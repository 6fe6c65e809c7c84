"""Learning-rate schedules: the learning rate of each epoch, and the arguments that are refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import schedules
from mbbp.schedules import Constant, Cosine, Exponential, ReduceWhenStuck, Schedule, Step, get_schedule
from tests.conftest import plain
from tests.problems import epoch, history_of, labelled, network

EMPTY = mbbp.History()


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Constant(0.3), [0.3] * 5),
        (Step(0.8, every=2), [0.8, 0.8, 0.4, 0.4, 0.2]),
        (Step(0.8, every=1, factor=2), [0.8, 1.6, 3.2, 6.4, 12.8]),
        (Step(0.8), [0.8] * 10 + [0.4]),
        (Exponential(1.0, factor=0.1), [1, 0.1, 0.01, 0.001, 0.0001]),
        (Exponential(1.0), [1, 0.95]),
        (Cosine(1.0, epochs=4), [1, 0.5 + 0.25 * 2**0.5, 0.5, 0.5 - 0.25 * 2**0.5, 0, 0, 0]),
        (Cosine(1.0, epochs=2, final=0.2), [1, 0.6, 0.2, 0.2]),
        (Cosine(0.1, epochs=1, final=0.3), [0.1, 0.3]),
        (get_schedule(3), [3.0] * 3),
        (get_schedule(lambda epoch: 1 / epoch), [1, 0.5, 1 / 3]),
        (get_schedule(Step(0.8, every=1)), [0.8, 0.4]),
    ],
    ids=plain,
)
def test_rates_by_epoch(schedule, rates):
    assert [schedule(number, EMPTY) for number in range(1, len(rates) + 1)] == pytest.approx(rates, abs=1e-15)


@given(st.floats(1e-6, 1e3), st.floats(0, 1e3), st.integers(2, 60))
def test_a_cosine_goes_steadily_from_the_first_rate_to_the_last(initial, final, epochs):
    schedule = Cosine(initial, epochs, final)
    rates = [schedule(number, EMPTY) for number in range(1, epochs + 3)]
    assert rates[0] == pytest.approx(initial)
    assert rates[epochs:] == pytest.approx([final] * 2)
    steps = np.diff(rates[: epochs + 1]) * np.sign(final - initial)
    assert (steps >= -1e-12 * max(initial, final)).all()


# -------------------------------------------------------------------------------------------------- reduce when stuck


@pytest.mark.parametrize(
    ("options", "figures", "rate"),
    [
        ({"patience": 2}, [], 1.0),
        ({"patience": 2}, [3, 2, 1], 1.0),
        ({"patience": 2}, [3, 2, 2], 1.0),
        ({"patience": 2}, [3, 2, 2, 2], 0.5),
        ({"patience": 2}, [3, 2, 2, 2, 1, 1], 0.5),
        ({"patience": 2}, [3, 2, 2, 2, 2, 2], 0.25),  # after a reduction, the count starts again
        ({"patience": 1}, [1, 2, 3, 4], 0.125),
        ({"patience": 1, "factor": 0.1}, [1, 2], 0.1),
        ({"patience": 1, "least": 0.3}, [1, 2, 3, 4], 0.3),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.5, 2.5], 0.5),  # a change by at most min_delta is no improvement
        ({"patience": 2, "min_delta": 0.5}, [3, 2.8, 2.4], 1.0),
        ({"patience": 2, "monitor": "training_accuracy"}, [0.5, 0.6, 0.7], 1.0),
        ({"patience": 2, "monitor": "training_accuracy"}, [0.7, 0.6, 0.5], 0.5),
        ({"patience": 2, "monitor": "validation_cost"}, [None, None, None, 3, 2], 1.0),
        ({"patience": 2, "monitor": "validation_cost"}, [None, 3, None, 3, 3], 0.5),
    ],
    ids=str,
)
def test_reduce_when_stuck(options, figures, rate):
    schedule = ReduceWhenStuck(1.0, **options)
    history = history_of(schedule.monitor, figures)
    assert schedule(len(figures) + 1, history) == pytest.approx(rate)


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 4), st.integers(0, 2))
def test_reduce_when_stuck_is_decided_epoch_by_epoch(costs, patience, min_delta):
    rate, best, since = 1.0, None, 0
    for cost in costs:
        is_better = best is None or cost < best - min_delta
        best, since = (cost, 0) if is_better else (best, since + 1)
        if since and since % patience == 0:
            rate *= 0.5
    schedule = ReduceWhenStuck(1.0, patience=patience, min_delta=min_delta)
    assert schedule(len(costs) + 1, history_of("training_cost", costs)) == rate


# ------------------------------------------------------------------------------------------------------------ in `fit`


@pytest.mark.parametrize(
    ("learning_rate", "rates"),
    [
        (2, [2, 2, 2]),
        (Step(np.float32(0.5), every=1), [0.5, 0.25, 0.125]),
        (lambda epoch: np.float64(epoch), [1, 2, 3]),
        (ReduceWhenStuck(0.4, "learning_rate", patience=1), [0.4, 0.4, 0.2]),
        (Cosine(0.4, epochs=2, final=0.1), [0.4, 0.25, 0.1]),
        (Constant(1), [1, 1, 1]),
    ],
    ids=plain,
)
def test_each_epoch_has_its_rate_and_records_it(learning_rate, rates):
    X, y = labelled()
    net, by_hand = network(), network()
    history = net.fit(X, y, epochs=3, batch_size=5, learning_rate=learning_rate)
    assert history["learning_rate"] == rates
    assert json.loads(json.dumps(history["learning_rate"])) == rates
    for rate in rates:
        by_hand.fit(X, y, epochs=1, batch_size=5, learning_rate=rate or (lambda _: 0.0))
    assert net.theta.tobytes() == by_hand.theta.tobytes()


def test_a_function_is_told_the_epoch_of_the_whole_history():
    net, told = network(), []
    for _ in range(2):
        net.fit(*labelled(), epochs=2, learning_rate=lambda epoch: told.append(epoch) or 0.1)
    assert told == [1, 2, 3, 4]


class Own(Schedule):
    """A custom schedule."""

    def __call__(self, epoch, history):
        return [0.1, np.nan][epoch - 1]


@pytest.mark.parametrize(
    ("learning_rate", "error", "message"),
    [
        (lambda epoch: 0.1 if epoch == 1 else np.nan, ValueError, "learning_rate of epoch 2: .*got nan"),
        (lambda epoch: 0.1 if epoch == 1 else -0.1, ValueError, "learning_rate of epoch 2: .*got -0.1"),
        (lambda epoch: 0.1 if epoch == 1 else np.inf, ValueError, "learning_rate of epoch 2"),
        (lambda epoch: 0.1 if epoch == 1 else None, TypeError, "learning_rate of epoch 2: .*got None"),
        (lambda epoch: 0.1 / (2 - epoch), ZeroDivisionError, "division by zero"),
        (Own(1.0), ValueError, "learning_rate of epoch 2: .*got nan"),
    ],
)
def test_a_rate_that_makes_no_sense_leaves_the_network_as_it_was(learning_rate, error, message):
    net, one_epoch = network(), network()
    one_epoch.fit(*labelled(), epochs=1, learning_rate=0.1)
    with pytest.raises(error, match=message):
        net.fit(*labelled(), epochs=3, learning_rate=learning_rate)
    assert net.theta.tobytes() == one_epoch.theta.tobytes()
    assert net.rng.bit_generator.state == one_epoch.rng.bit_generator.state
    assert len(net.history) == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        *[
            (lambda kind=kind, bad=bad: kind(bad), ValueError, "initial: expected a finite number above 0")
            for kind in (Constant, Step, Exponential, Cosine, ReduceWhenStuck)
            for bad in (0, -1.0, np.nan, np.inf)
        ],
        *[
            (lambda bad=bad: get_schedule(bad), ValueError, "learning_rate: expected a finite number above 0")
            for bad in (0, -1, np.nan, np.inf)
        ],
        (lambda: get_schedule("fast"), TypeError, "learning_rate: .*got 'fast'"),
        (lambda: get_schedule([0.1, 0.2]), TypeError, "learning_rate"),
        (lambda: Step(1.0, every=0), ValueError, "every: expected 1 or more"),
        (lambda: Step(1.0, every=1.5), TypeError, "every: expected a whole number"),
        (lambda: Step(1.0, factor=0), ValueError, "factor: expected a finite number above 0"),
        (lambda: Exponential(1.0, factor=-0.5), ValueError, "factor"),
        (lambda: Exponential(1.0, factor=np.nan), ValueError, "factor"),
        (lambda: Cosine(1.0, epochs=0), ValueError, "epochs: expected 1 or more"),
        (lambda: Cosine(1.0, final=-0.1), ValueError, "final"),
        (lambda: ReduceWhenStuck(1.0, patience=0), ValueError, "patience"),
        (lambda: ReduceWhenStuck(1.0, factor=1), ValueError, "factor: expected a finite number above 0 and below 1"),
        (lambda: ReduceWhenStuck(1.0, factor=0), ValueError, "factor"),
        (lambda: ReduceWhenStuck(1.0, min_delta=-1), ValueError, "min_delta"),
        (lambda: ReduceWhenStuck(1.0, least=np.nan), ValueError, "least"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ("loss", "learning_rate: expected one of .*training_cost.*, got 'loss'"),
        (
            "validation_cost",
            "learning_rate: expected validation_data or validation_split for the monitor validation_cost",
        ),
    ],
)
def test_what_is_monitored_must_be_recorded(monitor, message):
    with pytest.raises(ValueError, match=message):
        network().fit(*labelled(), learning_rate=schedules.ReduceWhenStuck(0.1, monitor))


def test_a_schedule_keeps_no_state_so_it_serves_many_networks():
    schedule = ReduceWhenStuck(1.0, patience=1)
    stuck = mbbp.History([epoch(number) for number in range(1, 4)])
    assert [schedule(4, stuck), schedule(1, EMPTY), schedule(4, stuck)] == [0.25, 1.0, 0.25]


def test_a_rate_of_0_warns_once_where_fit_is_called():
    X, y = labelled()
    net = network()
    schedule = Cosine(0.4, epochs=2)
    net.fit(X, y, epochs=2, learning_rate=schedule)
    before = net.theta.copy()
    with pytest.warns(
        UserWarning, match="learning_rate: it is 0 in epoch 3, which changes nothing; a schedule"
    ) as caught:
        net.fit(X, y, epochs=2, learning_rate=schedule)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(net.theta, before)
