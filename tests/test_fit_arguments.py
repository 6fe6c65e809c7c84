"""The arguments that `fit` and `set_threads` refuse, and that nothing has changed then."""

import numpy as np
import pytest

import mbbp
from tests.problems import N, continuous, labelled, network

X, Y = labelled()
SPREAD = continuous()
HOLED = X.copy()
HOLED[2, 7] = np.nan


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size: expected 1 or more, got 0"),
        ({"batch_size": -3}, ValueError, "batch_size: expected 1 or more, got -3"),
        ({"batch_size": 2.5}, TypeError, "batch_size: expected a whole number, got 2.5"),
        ({"epochs": 0}, ValueError, "epochs: expected 1 or more, got 0"),
        ({"epochs": -1}, ValueError, "epochs: expected 1 or more"),
        ({"epochs": "3"}, TypeError, "epochs: expected a whole number, got '3'"),
        ({"learning_rate": -0.1}, ValueError, "learning_rate: expected a finite number above 0, got -0.1"),
        ({"learning_rate": 0}, ValueError, "learning_rate: expected a finite number above 0"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate: .*got nan"),
        ({"learning_rate": np.inf}, ValueError, "learning_rate: .*got inf"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate: .*got 'fast'"),
        ({"learning_rate": "0.1"}, TypeError, "learning_rate: .*got '0.1'"),
        ({"learning_rate": 0.1j}, TypeError, "learning_rate"),
        ({"l2": -1}, ValueError, "l2: expected a finite number of at least 0, got -1"),
        ({"l2": np.nan}, ValueError, "l2: .*got nan"),
        ({"l2": None}, TypeError, "l2"),
        ({"weight_decay": -1}, ValueError, "weight_decay: expected a finite number of at least 0"),
        ({"weight_decay": np.inf}, ValueError, "weight_decay"),
        ({"clip_norm": 0}, ValueError, "clip_norm: expected a finite number above 0"),
        ({"clip_norm": np.nan}, ValueError, "clip_norm"),
        ({"clip_norm": "1"}, TypeError, "clip_norm: .*got '1'"),
        (
            {"optimizer": "rprop"},
            ValueError,
            "optimizer: expected one of adagrad, adam, adamw, dp_sgd, .*, sgd, got 'rprop'",
        ),
        ({"optimizer": mbbp.Adam}, TypeError, "optimizer: expected a name or an mbbp.Optimizer"),
        ({"validation_data": X}, TypeError, r"validation_data: expected a pair \(X, y\)"),
        ({"validation_data": (X, Y, Y)}, TypeError, "validation_data: expected a pair"),
        ({"validation_data": (X[:3], Y)}, ValueError, r"validation_data\[0\]: expected shape \(4, m\), got \(3, 23\)"),
        (
            {"validation_data": (X.T, Y)},
            ValueError,
            r"validation_data\[0\]: expected shape \(4, m\).*validation_data\[0\]\.T",
        ),
        ({"validation_data": (HOLED, Y)}, ValueError, r"validation_data\[0\]: .*nan in row 2, column 7"),
        ({"validation_data": (X, Y[:-1])}, ValueError, r"validation_data\[1\]: .*23 columns of validation_data\[0\]"),
        ({"validation_data": (X, Y + 1)}, ValueError, r"validation_data\[1\]: expected labels from 0 to 2"),
        ({"X": X[:3]}, ValueError, r"X: expected shape \(4, m\), got \(3, 23\)"),
        ({"X": X[:, :0]}, ValueError, "X: expected at least one column"),
        ({"X": HOLED}, ValueError, "X: expected finite numbers, got nan in row 2, column 7"),
        ({"X": X.astype(str)}, TypeError, "X: expected real numbers"),
        ({"y": Y[:-1]}, ValueError, "y: expected one target for each of the 23 columns of X"),
        ({"y": Y - 1}, ValueError, "y: expected labels from 0 to 2, got -1"),
        ({"y": Y + 0.5}, ValueError, "y: expected labels from 0 to 2.*not a whole number"),
        ({"callbacks": 5}, TypeError, r"callbacks: expected functions \(net, epoch\), got 5"),
        ({"callbacks": [print, "x"]}, TypeError, "callbacks: .*got 'x'"),
        ({"callbacks": None}, TypeError, "callbacks: .*got None"),
        ({"early_stopping": 0}, ValueError, "early_stopping: expected 1 or more"),
        ({"early_stopping": True}, TypeError, "early_stopping: expected an mbbp.EarlyStopping or a number of epochs"),
        ({"early_stopping": 2.0}, TypeError, "early_stopping"),
        ({"early_stopping": "validation_cost"}, TypeError, "early_stopping"),
        ({"shuffle": np.array([True, False])}, TypeError, "shuffle: expected True or False, got"),
        ({"shuffle": "no"}, TypeError, "shuffle: expected True or False, got 'no'"),
        ({"progress": np.array([True, False])}, TypeError, "progress: expected True or False, got"),
        ({"progress": 1}, TypeError, "progress: expected True or False, got 1"),
        (
            {"early_stopping": mbbp.EarlyStopping()},
            ValueError,
            "early_stopping: expected validation_data or validation_split for the monitor validation_cost",
        ),
        (
            {"early_stopping": mbbp.EarlyStopping("training_accuracy"), "y": SPREAD[1]},
            ValueError,
            "early_stopping: expected labels or unit vectors as y for the monitor training_accuracy",
        ),
        (
            {
                "early_stopping": mbbp.EarlyStopping("validation_accuracy"),
                "y": SPREAD[1],
                "validation_data": SPREAD,
            },
            ValueError,
            "early_stopping: expected labels or unit vectors as y for the monitor validation_accuracy",
        ),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_bad_argument_is_named_and_changes_nothing(options, error, message):
    net = network()
    net.fit(X, Y, epochs=1, optimizer="momentum")
    theta, state, rng = net.theta.copy(), net.optimizer_state, net.rng.bit_generator.state
    moments = state.moments.copy()
    with pytest.raises(error, match=message):
        net.fit(**{"X": X, "y": Y, "optimizer": "adam"} | options)
    assert net.theta.tobytes() == theta.tobytes()
    assert net.rng.bit_generator.state == rng
    assert len(net.history) == 1
    assert net.optimizer_state is state
    assert state.moments.tobytes() == moments.tobytes()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": np.int32(5), "epochs": np.int64(1)},
        {"learning_rate": np.float32(0.1), "l2": 0, "weight_decay": 0, "clip_norm": 10},
        {"X": X.tolist(), "y": Y.tolist()},
        {"validation_data": [X, Y]},
        {"callbacks": iter([lambda net, row: None])},
        {"X": np.ascontiguousarray(X, np.float32), "y": Y.astype(np.uint8)},
        {"X": X[:, :1], "y": Y[:1]},
    ],
    ids=lambda options: ", ".join(options),
)
def test_what_means_the_same_is_as_good(options):
    net = network()
    assert len(net.fit(**{"X": X, "y": Y, "epochs": 1} | options)) == 1


@pytest.mark.parametrize("batch_size", [N, N + 1, 10**9, 2**63 - 1])
def test_a_mini_batch_is_at_most_everything(batch_size):
    whole, large = network(), network()
    whole.fit(X, Y, epochs=2, batch_size=N)
    large.fit(X, Y, epochs=2, batch_size=batch_size)
    assert whole.theta.tobytes() == large.theta.tobytes()


# ------------------------------------------------------------------------------------------------------------- threads


@pytest.fixture(autouse=True)
def threads_as_before(monkeypatch):
    monkeypatch.setattr(mbbp.threads, "_threads", None)


def test_there_are_as_many_threads_as_cores_unless_set(monkeypatch):
    cores = mbbp.get_threads()
    assert cores >= 1
    mbbp.set_threads(cores + 3)
    assert mbbp.get_threads() == cores + 3
    mbbp.set_threads(None)
    assert mbbp.get_threads() == cores
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert mbbp.get_threads() == 7
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert mbbp.get_threads() == 1


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, "n: expected 1 or more, got 0"),
        (-2, ValueError, "n: expected 1 or more"),
        (1.5, TypeError, "n: expected a whole number, got 1.5"),
        ("2", TypeError, "n: expected a whole number, got '2'"),
    ],
)
def test_a_number_of_threads_that_makes_no_sense_changes_nothing(n, error, message):
    mbbp.set_threads(3)
    with pytest.raises(error, match=message):
        mbbp.set_threads(n)
    assert mbbp.get_threads() == 3
