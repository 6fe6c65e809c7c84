"""Single training steps: the numbers of `fit` to the bit, for input of any kind, and no trace of a step that fails."""

import copy
import pickle
import threading
import time

import numpy as np
import pandas
import pytest

import mbbp
import mbbp.threads
from mbbp import loop
from mbbp.kernels.team import SLOT
from mbbp.solvers import OPTIMIZERS
from mbbp.trainer import SIZES_KEPT
from tests.conftest import JIT
from tests.problems import N, continuous, labelled
from tests.test_inputs import KINDS, LABEL_KINDS, LABELS, PLAIN_X, PLAIN_Y
from tests.test_threads import assert_same

DTYPES = ["float32", "float64"]
PROBLEMS = {"labels": labelled, "targets": continuous}
NO_CLIPPING = 1e300  # no gradient is longer, but it must be there to be measured, and is then the one that `fit` uses
dtypes = pytest.mark.parametrize("dtype", DTYPES)
optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)
problems = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def network(dtype="float64", **options):
    return mbbp.Network([4, 5, 3], dtype=dtype, rng=0, **options)


def trained_by_steps(net, X, Y, batch_size, **options):
    """Return the trainer and the costs after a step for each mini-batch, in the order of the columns."""
    trainer = net.trainer(**options)
    return trainer, [
        trainer.step(X[:, start : start + batch_size], Y[..., start : start + batch_size])
        for start in range(0, X.shape[1], batch_size)
    ]


def bits(net, state):
    return net.theta.tobytes(), state.moments.tobytes(), state.steps.tolist()


# ----------------------------------------------------------------------------------------------------- the same as fit


@dtypes
@problems
@optimizers
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.05, "weight_decay": 0.3}], ids=str)
def test_steps_are_those_of_fit_to_the_bit(optimizer, problem, dtype, options):
    X, y = problem()
    options = {"optimizer": optimizer, "learning_rate": 0.05, "clip_norm": NO_CLIPPING} | options
    fitted, stepped = network(dtype), network(dtype)
    fitted.fit(X, y, epochs=1, batch_size=5, shuffle=False, progress=False, **options)
    trainer, costs = trained_by_steps(stepped, X, y, 5, **options)
    assert bits(stepped, trainer._state) == bits(fitted, fitted.optimizer_state)
    assert np.average(costs, weights=[5, 5, 5, 5, 3]) == pytest.approx(fitted.history["training_cost"][0], rel=1e-12)
    assert trainer.steps == 5


@dtypes
@optimizers
def test_steps_that_need_no_gradient_are_those_of_fit_but_for_rounding(optimizer, dtype):
    # `fit` measures the gradient of the last mini-batch of an epoch, which for sgd and momentum is another sum
    X, y = labelled()
    fitted, stepped = network(dtype), network(dtype)
    fitted.fit(X, y, epochs=1, batch_size=5, shuffle=False, progress=False, optimizer=optimizer)
    trained_by_steps(stepped, X, y, 5, optimizer=optimizer)
    if optimizer in ("sgd", "momentum"):
        np.testing.assert_allclose(stepped.theta, fitted.theta, rtol=0, atol=4 * np.finfo(dtype).eps)
    else:
        assert stepped.theta.tobytes() == fitted.theta.tobytes()


@problems
def test_a_cost_is_the_one_before_the_step(problem):
    X, y = problem()
    net = network()
    trainer = net.trainer()
    for _ in range(3):
        expected = mbbp.reference.cost(net, X, y)
        assert trainer.step(X, y) == pytest.approx(expected, rel=1e-13)


@problems
def test_any_size_of_mini_batch_may_follow_any_other(problem):
    X, y = problem()
    fitted, stepped = network(), network()
    trainer = stepped.trainer(optimizer="adam", clip_norm=NO_CLIPPING)
    sizes = [*range(1, SIZES_KEPT + 4), 3, 1, SIZES_KEPT + 3, 2, 2, N]
    for m in sizes:
        trainer.step(X[:, :m], y[..., :m])
        fitted.fit(X[:, :m], y[..., :m], epochs=1, batch_size=m, optimizer="adam", clip_norm=NO_CLIPPING, shuffle=False)
        assert bits(stepped, trainer._state) == bits(fitted, fitted.optimizer_state)
    assert trainer.steps == len(sizes)
    assert len(trainer._batches) <= SIZES_KEPT


def test_labels_and_targets_may_alternate():
    X, y = labelled()
    by_turns, by_labels = network(), network()
    one, other = by_turns.trainer(optimizer="adam"), by_labels.trainer(optimizer="adam")
    for i in range(6):
        assert one.step(X, np.eye(3)[:, y] if i % 2 else y) == other.step(X, y)
    assert by_turns.theta.tobytes() == by_labels.theta.tobytes()


@optimizers
def test_the_learning_rate_may_change_between_steps(optimizer):
    X, y = labelled()
    options = {"optimizer": optimizer, "clip_norm": NO_CLIPPING}
    fitted, stepped = network(), network()
    trainer = stepped.trainer(learning_rate=0.1, **options)
    for m, rate in ((5, 0.1), (7, 0.1), (5, 0.02), (7, 0.02), (5, 0.3)):  # of both sizes, the memory was kept
        trainer.learning_rate = rate
        assert trainer.learning_rate == rate
        trainer.step(X[:, :m], y[:m])
        fitted.fit(X[:, :m], y[:m], epochs=1, batch_size=m, learning_rate=rate, shuffle=False, **options)
    assert stepped.theta.tobytes() == fitted.theta.tobytes()


@pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf, "0.1", None])
def test_a_learning_rate_that_makes_no_sense_is_refused(rate):
    trainer = network().trainer(learning_rate=0.25)
    with pytest.raises((ValueError, TypeError), match="learning_rate: expected a finite number above 0"):
        trainer.learning_rate = rate
    assert trainer.learning_rate == 0.25


@optimizers
def test_parameters_that_are_assigned_between_steps_are_used(optimizer):
    X, y = labelled()
    net, fresh = network(), network()
    trainer = net.trainer(optimizer=optimizer)
    trainer.step(X, y)
    new = np.random.default_rng(3).standard_normal(net.theta.size)
    net.theta = fresh.theta = new
    net.layers[0].W = fresh.layers[0].W = np.ones((5, 4))
    assert trainer.step(X, y) == mbbp.Network.cost(fresh, X, y)
    assert trainer.steps == 2
    if optimizer == "sgd":  # which remembers nothing
        fresh.trainer().step(X, y)
        assert net.theta.tobytes() == fresh.theta.tobytes()


def test_nothing_is_added_to_the_history_and_the_state_is_the_trainers_own():
    X, y = labelled()
    net = network()
    net.fit(X, y, epochs=2, optimizer="adam")
    steps, rng = net.optimizer_state.steps.tolist(), net.rng.bit_generator.state
    first, second = net.trainer(optimizer="adam"), net.trainer(optimizer="adam")
    first.step(X, y)
    first.step(X, y)
    second.step(X, y)
    assert len(net.history) == 2
    assert net.optimizer_state.steps.tolist() == steps
    assert net.rng.bit_generator.state == rng
    assert (first.steps, second.steps) == (2, 1)


@dtypes
def test_threads_share_a_step_and_give_the_same(dtype, monkeypatch):
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    monkeypatch.setattr(loop, "LEAST_EXAMPLES", 1)
    X, y = labelled(60)
    found = []
    try:
        for n in (1, 3):
            mbbp.set_threads(n)
            net = network(dtype)
            trainer, costs = trained_by_steps(net, X, y, 30, optimizer="adam")
            found.append([net.theta, np.array(costs), trainer.steps])
    finally:
        mbbp.set_threads(None)
    assert_same(*found)


# --------------------------------------------------------------------------------------------------- input of any kind


def after_two_steps(dtype, X, Y, options):
    """Return the parameters and the costs after two steps, the second of which finds all memory there."""
    net = network(dtype)
    trainer = net.trainer(**options)
    return [trainer.step(X, Y) for _ in range(2)], net.theta.tobytes()


@dtypes
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_inputs_and_targets_of_any_kind(kind, dtype):
    X, Y = kind(PLAIN_X.astype(dtype)), kind(PLAIN_Y.astype(dtype))
    before = np.array(X).tobytes(), np.array(Y).tobytes()
    plain = PLAIN_X.astype(dtype), PLAIN_Y.astype(dtype)
    assert after_two_steps(dtype, X, Y, {"optimizer": "adam"}) == after_two_steps(dtype, *plain, {"optimizer": "adam"})
    assert (np.array(X).tobytes(), np.array(Y).tobytes()) == before


@dtypes
@pytest.mark.parametrize("kind", LABEL_KINDS.values(), ids=LABEL_KINDS)
def test_labels_of_any_kind(kind, dtype):
    X = PLAIN_X.astype(dtype)
    assert after_two_steps(dtype, X, kind(LABELS), {}) == after_two_steps(dtype, X, LABELS, {})


@dtypes
def test_bytes_are_the_numbers_that_they_are(dtype, rng):
    pixels = rng.integers(0, 256, PLAIN_X.shape).astype(np.uint8)
    numbers = pixels.astype(dtype)
    assert after_two_steps(dtype, pixels, LABELS, {}) == after_two_steps(dtype, numbers, LABELS, {})


def test_labels_of_a_single_output():
    X, y = labelled()
    nets = [mbbp.Network([4, 1], cost="cross_entropy", dtype="float64", rng=0) for _ in range(2)]
    costs = [nets[0].trainer().step(X, y % 2), nets[1].trainer().step(X, (y % 2)[None].astype(float))]
    assert costs[0] == costs[1]
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


# ---------------------------------------------------------------------------------------------------------- what fails

X, y = labelled()
Y = continuous()[1]


def with_one(array, value):
    array = array.copy()
    array[..., -1] = value
    return array


FAULTS = {
    "another width": (X[:3], y, ValueError, r"X: expected shape \(4, m\), got \(3, 23\)"),
    "rows of samples": (X.T, y, ValueError, r"X: .*for rows of samples pass X\.T"),
    "one example as a vector": (X[:, 0], y[:1], ValueError, r"X: .*pass X\.reshape\(-1, 1\)"),
    "no example": (X[:, :0], y[:0], ValueError, "X: expected at least one column"),
    "text": (np.full((4, 23), "a"), y, TypeError, "X: expected real numbers"),
    "objects": (X.astype(str).astype(object), y, TypeError, "X: expected real numbers"),
    "complex numbers": (X.astype(complex), y, TypeError, "X: expected real numbers"),
    "None": (None, y, TypeError, "X: expected real numbers"),
    "rows of other lengths": ([[1.0], [1.0, 2.0]], y, ValueError, "X: expected rows of equal length"),
    "NaN": (with_one(X, np.nan), y, ValueError, "X: expected finite numbers, got"),
    "inf": (with_one(X, np.inf), y, ValueError, "X: expected finite numbers, got"),
    "minus inf in a list": (with_one(X, -np.inf).tolist(), y, ValueError, "X: expected finite numbers, got"),
    "a NaN for a target": (X, with_one(Y, np.nan), ValueError, "Y: expected finite numbers, got"),
    "an inf for a target": (X, with_one(Y, -np.inf), ValueError, "Y: expected finite numbers, got"),
    "NaN in both": (with_one(X, np.nan), with_one(Y, np.nan), ValueError, "X: expected finite numbers, got"),
    "a label too large": (X, with_one(y, 3), ValueError, "Y: expected labels from 0 to 2, got"),
    "a label below 0": (X, with_one(y, -1), ValueError, "Y: expected labels from 0 to 2, got"),
    "a label too large in a list": (X, with_one(y, 3).tolist(), ValueError, "Y: expected labels from 0 to 2, got 3"),
    "a label that is not whole": (X, y + 0.5, ValueError, "Y: expected labels from 0 to 2, got 0.5"),
    "too few labels": (X, y[1:], ValueError, "Y: expected one target for each of the 23 columns of X, got 22 labels"),
    "too many targets": (X[:, 1:], Y, ValueError, "Y: expected one target .* 22 columns of X, got 23 columns"),
    "targets of another width": (X, Y[:2], ValueError, r"Y: expected shape \(3, m\), got \(2, 23\)"),
    "no target": (X, None, TypeError, "Y: expected real numbers"),
    "labels as text": (X, y.astype(str), TypeError, "Y: expected real numbers"),
}


@pytest.mark.parametrize("first_step", [None, (X, y), (X, Y)], ids=["at first", "after labels", "after targets"])
@pytest.mark.parametrize(("X_given", "Y_given", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_a_mini_batch_that_is_refused_changes_nothing(X_given, Y_given, error, message, first_step):
    net, plain = network(), network()
    trainer, other = net.trainer(optimizer="adam"), plain.trainer(optimizer="adam")
    if first_step is not None:
        trainer.step(*first_step)
        other.step(*first_step)
    before = bits(net, trainer._state)
    for _ in range(2):
        with pytest.raises(error, match=message):
            trainer.step(X_given, Y_given)
        assert bits(net, trainer._state) == before
    for good in ((X, y), (X, Y)):
        assert trainer.step(*good) == other.step(*good)
    assert bits(net, trainer._state) == bits(plain, other._state)


def test_a_frame_of_text_is_refused():
    with pytest.raises(
        TypeError,
        match=r"X: expected real numbers, got .* in row .*, column .*; for columns of text, pandas.get_dummies",
    ):
        network().trainer().step(pandas.DataFrame(X).astype({0: str}), y)


@dtypes
@optimizers
def test_a_step_that_diverges_is_not_taken(optimizer, dtype):
    huge = 1e30 if dtype == "float32" else 1e200
    net = mbbp.Network([4, 3], "identity", dtype=dtype, rng=0)
    trainer = net.trainer(optimizer=optimizer)
    trainer.step(X, y)
    net.theta = np.full(net.theta.size, huge)
    before = bits(net, trainer._state)
    for _ in range(2):
        with pytest.raises(mbbp.DivergedError, match="step: the cost became NaN or inf, and this step was not taken"):
            trainer.step(np.full_like(X, huge), y)
        assert bits(net, trainer._state) == before
    net.theta = np.zeros(net.theta.size)
    trainer.step(X, y)
    assert trainer.steps == 2
    assert np.isfinite(net.theta).all()
    assert len(net.history) == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimizer": "rprop"}, ValueError, "optimizer: .*got 'rprop'"),
        ({"optimizer": mbbp.Adam}, TypeError, "optimizer: expected a name or an mbbp.Optimizer"),
        ({"learning_rate": 0}, ValueError, "learning_rate: expected a finite number above 0"),
        ({"learning_rate": "0.1"}, TypeError, "learning_rate"),
        ({"weight_decay": -1}, ValueError, "weight_decay"),
        ({"clip_norm": 0}, ValueError, "clip_norm"),
        ({"clip_norm": np.nan}, ValueError, "clip_norm"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        network().trainer(**options)


@optimizers
def test_by_default_the_learning_rate_is_the_optimizers(optimizer):
    trainer = network().trainer(optimizer=optimizer)
    assert trainer.learning_rate == OPTIMIZERS[optimizer].default_learning_rate
    assert trainer.optimizer == OPTIMIZERS[optimizer]
    assert trainer.steps == 0


# ------------------------------------------------------------------------------------------------ threads, and copies


def test_an_interrupt_leaves_a_usable_trainer(monkeypatch):
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    monkeypatch.setattr(loop, "LEAST_EXAMPLES", 1)
    mbbp.set_threads(2)
    try:
        net = mbbp.Network([4, 5, 3], rng=0)
        trainer = net.trainer()
        X, y = np.random.default_rng(0).random((4, 64), np.float32), np.arange(64) % 3
        trainer.step(X, y)
        team = trainer._batch._loop._team

        def interrupted(calls, give_up):
            other = threading.Thread(target=calls[1])
            other.start()
            while not team[1].arrivals[SLOT]:  # until it waits for this thread
                time.sleep(0.001)
            give_up()
            other.join()
            raise KeyboardInterrupt

        with monkeypatch.context() as while_interrupted:
            while_interrupted.setattr(loop, "run_together", interrupted)
            with pytest.raises(KeyboardInterrupt):
                trainer.step(X, y)
        assert team[0].arrivals.any()
        other = copy.deepcopy(net)
        assert trainer.step(X, y) == pytest.approx(other.cost(X, y), rel=1e-6)
        other.trainer().step(X, y)
        np.testing.assert_array_equal(net.theta, other.theta)
    finally:
        mbbp.set_threads(None)


def test_threads_that_share_a_trainer_take_turns():
    net = mbbp.Network([4, 5, 3], rng=0)
    trainer, rng = net.trainer(learning_rate=0.01), np.random.default_rng(0)
    X, y, wrong = rng.random((4, 16), np.float32), np.arange(16) % 3, np.full(16, 1 << 40)
    refused = []

    def work(labels):
        for _ in range(300 if JIT else 3):
            try:
                trainer.step(X, labels)
            except ValueError as error:
                refused.append(str(error))

    mbbp.threads.run_together([lambda: work(y), lambda: work(wrong)])
    assert trainer.steps == len(refused) == (300 if JIT else 3)
    assert np.isfinite(net.theta).all()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_trainer_cannot_be_copied(copied):
    trainer = mbbp.Network([2, 2], rng=0).trainer()
    with pytest.raises(TypeError, match="Trainer: it cannot be pickled or copied"):
        copied(trainer)


# ------------------------------------------------------------------------------------------- interrupted and concurrent


def test_a_callback_that_sets_the_learning_rate_is_refused():
    net = network()
    trainer = net.trainer()
    with pytest.raises(RuntimeError, match="learning_rate: expected a network that is not being trained"):
        net.fit(X, y, epochs=1, callbacks=lambda *_: setattr(trainer, "learning_rate", 0.5))
    assert trainer.learning_rate == 0.1
    trainer.learning_rate = 0.5
    assert trainer.learning_rate == 0.5


def test_an_interrupt_in_the_first_step_leaves_a_usable_trainer(monkeypatch):
    net, other = network(), network()
    trainer = net.trainer()
    prepare = mbbp.loop.Loop.prepare

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(mbbp.loop.Loop, "prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.step(X, y)
    monkeypatch.setattr(mbbp.loop.Loop, "prepare", prepare)
    assert trainer.step(X, y) == other.trainer().step(X, y)
    assert net.theta.tobytes() == other.theta.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_arrays_of_another_dtype_are_converted_as_the_first_time(dtype):
    inputs = np.round(4 * X).astype(dtype)
    slow, quick = mbbp.Network([4, 5, 3], rng=0).trainer(), mbbp.Network([4, 5, 3], rng=0).trainer()
    quick.step(np.zeros(X.shape, np.float32), y)
    slow.step(np.zeros(X.shape, np.float32), y)
    for _ in range(3):
        slow._batch = None  # as if it were the first one of its kind
        assert quick.step(inputs, y.astype(np.int32)) == slow.step(inputs, y)
    with pytest.raises(ValueError, match=r"X: expected numbers that float32 can hold, got 1e\+39 in row 0, column 0"):
        quick.step(np.full(X.shape, 1e39), y)
