"""Early stopping: when it ends the training, and with which parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import EarlyStopping, Epoch, History
from mbbp.stopping import Best, as_early_stopping
from tests.problems import continuous, epoch, labelled, network

X, Y = labelled(n=30)
VALIDATION = (labelled(n=90, seed=1)[0], np.random.default_rng(0).permutation(90) % 3)  # random labels


def watch(rule, values):
    """Return the number of epochs of a training with these values, and the epoch whose parameters are kept."""
    history, theta = History(), np.zeros(1)
    best = Best(rule)
    for number, value in enumerate(values, 1):
        theta[0] = number
        history.append(epoch(number, **{rule.monitor: value}))
        if best.is_over(history, theta):
            break
    epochs = len(history)
    best.restore(theta)
    return epochs, theta[0]


@pytest.mark.parametrize(
    ("monitor", "options", "values", "epochs", "kept"),
    [
        ("training_cost", {"patience": 1}, [3, 2, 2, 1], 3, 2),
        ("training_cost", {"patience": 2}, [3, 2, 2, 1, 1, 1, 0], 6, 4),
        ("training_cost", {"patience": 3}, [1, 2, 3, 4, 5], 4, 1),
        ("training_cost", {"patience": 3}, [4, 3, 2, 1], 4, 4),
        ("validation_cost", {"patience": 1}, [1, 0.5, 0.6, 0.1], 3, 2),
        ("validation_accuracy", {"patience": 1}, [0.1, 0.2, 0.15, 0.9], 3, 2),
        ("training_accuracy", {"patience": 2}, [0.9, 0.8, 0.7, 1.0], 3, 1),
        ("examples_per_second", {"patience": 1}, [1, 2, 3, 2.5, 9], 4, 3),
        ("gradient_norm", {"patience": 1}, [3, 2, 1, 1.5, 0], 4, 3),
        ("training_cost", {"patience": 2, "min_delta": 1}, [5, 4.5, 3.9, 3.5, 3.0, 0], 5, 3),
        ("training_cost", {"patience": 1, "min_delta": 1}, [5, 4, 0], 2, 1),  # a change by 1 is not more than 1
        ("training_cost", {"patience": 1, "restore_best": False}, [1, 2, 0], 2, 2),
    ],
    ids=str,
)
def test_patience_is_counted_from_the_best_epoch(monitor, options, values, epochs, kept):
    assert watch(EarlyStopping(monitor, **options), values) == (epochs, kept)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 5))
def test_it_stops_at_the_first_epoch_whose_best_is_patience_epochs_ago(costs, patience):
    firsts = [costs.index(min(costs[:i])) + 1 for i in range(1, len(costs) + 1)]  # the best of the first i epochs
    over = [i for i, first in enumerate(firsts, 1) if i - first >= patience]
    epochs = over[0] if over else len(costs)
    assert watch(EarlyStopping("training_cost", patience), costs) == (epochs, firsts[epochs - 1])


# ------------------------------------------------------------------------------------------------------------ in `fit`


@pytest.mark.parametrize("monitor", [name for name in Epoch._fields if name not in Epoch._field_defaults])
def test_any_recorded_figure_can_be_watched(monitor):
    # No column changes by more than 1e9, so the first epoch stays the best.
    rule = EarlyStopping(monitor, patience=2, min_delta=1e9)
    assert len(network().fit(X, Y, epochs=9, validation_data=VALIDATION, early_stopping=rule)) == 3


@pytest.mark.parametrize(
    ("monitor", "measure", "best"),
    [
        ("validation_cost", lambda net: net.cost(*VALIDATION), min),
        ("validation_accuracy", lambda net: net.accuracy(*VALIDATION), max),
    ],
)
@pytest.mark.parametrize("how", ["patience", "epochs", "callback"])
def test_the_best_parameters_come_back(monitor, measure, best, how):
    def stop(net, row):
        if row.epoch == 20:
            raise mbbp.StopTraining

    options = {
        "patience": {"epochs": 500, "early_stopping": EarlyStopping(monitor, patience=10)},
        "epochs": {"epochs": 20, "early_stopping": EarlyStopping(monitor, patience=100)},
        "callback": {"epochs": 500, "early_stopping": EarlyStopping(monitor, patience=100), "callbacks": stop},
    }[how]
    net = network()
    history = net.fit(X, Y, learning_rate=1.0, validation_data=VALIDATION, **options)
    assert len(history) < 500
    assert best(history[monitor]) != history[-1]._asdict()[monitor]  # otherwise nothing would have to be restored
    assert measure(net) == best(history[monitor])
    if how == "patience":
        assert len(history) - 1 - history[monitor].index(best(history[monitor])) == 10


def test_the_last_parameters_stay_if_the_rule_says_so():
    net = network()
    rule = EarlyStopping(patience=3, restore_best=False)
    history = net.fit(X, Y, epochs=500, learning_rate=1.0, validation_data=VALIDATION, early_stopping=rule)
    assert net.cost(*VALIDATION) == history[-1].validation_cost != min(history["validation_cost"])


def test_an_early_stop_changes_nothing_before_it():
    stopped, whole = network(), network()
    rule = EarlyStopping(patience=3, restore_best=False)
    options = {"learning_rate": 1.0, "validation_data": VALIDATION}
    stopped.fit(X, Y, epochs=500, early_stopping=rule, **options)
    whole.fit(X, Y, epochs=len(stopped.history), **options)
    assert stopped.theta.tobytes() == whole.theta.tobytes()


def test_each_fit_waits_afresh():
    net = network()
    rule = EarlyStopping("epoch", patience=2)
    for _ in range(2):
        net.fit(X, Y, epochs=9, early_stopping=rule)
    assert len(net.history) == 6


# ---------------------------------------------------------------------------------------------------------- the values


@pytest.mark.parametrize(
    ("value", "has_validation", "rule"),
    [
        (3, True, EarlyStopping("validation_cost", patience=3)),
        (3, False, EarlyStopping("training_cost", patience=3)),
        (EarlyStopping("seconds"), True, EarlyStopping("seconds")),
        (None, True, None),
    ],
    ids=str,
)
def test_a_number_is_the_patience_on_a_cost(value, has_validation, rule):
    assert as_early_stopping(value, has_validation=has_validation) == rule


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: EarlyStopping("loss"), ValueError, "monitor: expected one of .*validation_cost, got 'loss'"),
        (lambda: EarlyStopping(patience=0), ValueError, "patience: expected 1 or more"),
        (lambda: EarlyStopping(patience=1.5), TypeError, "patience: expected a whole number"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta: expected a finite number of at least 0"),
        (lambda: EarlyStopping(min_delta=np.nan), ValueError, "min_delta"),
        (lambda: as_early_stopping(0, has_validation=True), ValueError, "early_stopping: expected 1 or more"),
        (lambda: as_early_stopping(True, has_validation=True), TypeError, "early_stopping: .*got True"),
        (lambda: as_early_stopping("3", has_validation=True), TypeError, "early_stopping: .*got '3'"),
    ],
)
def test_values_that_make_no_sense_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_regression_has_no_accuracy_to_watch():
    with pytest.raises(ValueError, match="early_stopping: expected labels or unit vectors as y"):
        network().fit(*continuous(), early_stopping=EarlyStopping("training_accuracy"))


def test_the_best_parameters_come_back_after_an_error_too():
    net, X, y = network(), *labelled()
    kept = []

    def fail(net, row):
        kept.append(net.theta.copy())
        if row.epoch == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        net.fit(X, y, epochs=5, early_stopping=EarlyStopping("epoch", patience=9), callbacks=fail)
    np.testing.assert_array_equal(net.theta, kept[0])  # the column "epoch" is best in the first


@pytest.mark.parametrize("value", [None, 3, np.array(["training_cost", "epoch"])])
def test_a_monitor_that_is_no_name_is_refused(value):
    with pytest.raises(TypeError, match="monitor: expected a name"):
        EarlyStopping(value)
