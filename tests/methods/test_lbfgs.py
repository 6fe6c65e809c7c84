"""L-BFGS against SciPy's with the gradient of the oracle, and what happens between its iterations."""

import copy
import signal
import sys

import numpy as np
import pytest
import scipy.optimize

import mbbp
from mbbp import reference
from mbbp.interrupts import Interrupts
from mbbp.progress import Progress
from tests.problems import N, continuous, figures, is_weight, labelled, network

KINDS = {
    "quadratic": (continuous, {"activation": ["tanh", "identity"]}, {}),
    "labels": (labelled, {}, {}),
    "cross_entropy": (labelled, {"cost": "cross_entropy"}, {"l2": 0.5}),
    "log_likelihood": (labelled, {"activation": ["tanh", "softmax"], "cost": "log_likelihood"}, {"l2": 3.0}),
    "weighted": (labelled, {"cost": "cross_entropy"}, {"example_weights": np.linspace(0, 3, N), "l2": 0.1}),
    "scaled": (continuous, {"scaling": mbbp.Scaling(np.linspace(-1, 1, 4), np.linspace(0.5, 2, 4))}, {}),
    "with a memory": (continuous, {}, {"optimizer": mbbp.LBFGS(memory=3)}),
}


def trained(net=None, epochs=5, data=labelled, **options):
    net = network() if net is None else net
    net.fit(*data(), epochs=epochs, **{"optimizer": "lbfgs"} | options)
    return net


def direct(net, X, y, epochs, *, l2=0.0, weights=None, memory=10, tolerance=1e-8):
    """Return what SciPy finds with the costs and gradients of the oracle, and the parameters of each iteration."""
    net, thetas = copy.deepcopy(net), []
    of_weights, n = is_weight(net), X.shape[1]

    def objective(theta):
        net.theta = theta
        costs = [reference.cost(net, X[:, [i]], y[..., [i]]) for i in range(n)]
        value = np.mean(costs if weights is None else weights * costs) + 0.5 * l2 / n * theta @ (of_weights * theta)
        return value, reference.gradient(net, X, y, weights).theta + l2 / n * of_weights * theta

    options = {"maxiter": epochs, "maxcor": memory, "gtol": tolerance, "ftol": np.finfo(float).eps, "maxfun": 10**6}
    scipy.optimize.minimize(
        objective, net.theta.copy(), jac=True, method="L-BFGS-B", callback=lambda x: thetas.append(x.copy()),
        options=options,
    )  # fmt: skip
    return thetas


@pytest.mark.parametrize(("problem", "how", "options"), KINDS.values(), ids=KINDS)
def test_its_iterations_are_those_of_scipy(problem, how, options):
    X, y = problem()
    thetas = []
    net = network(**how)
    trained(net, epochs=6, data=problem, callbacks=lambda net, _: thetas.append(net.theta.copy()), **options)
    memory = options.get("optimizer", mbbp.LBFGS()).memory
    given = {"l2": options.get("l2", 0.0), "weights": options.get("example_weights"), "memory": memory}
    expected = direct(network(**how), X, y, 6, **given)
    assert len(thetas) == len(expected) == 6
    for found, exact in zip(thetas, expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-7)
    row = net.history[-1]
    examples = {"example_weights": options["example_weights"]} if "example_weights" in options else {}
    assert row.training_cost == pytest.approx(net.cost(X, y, **examples))  # after the iteration, without the L2 term
    assert row.gradient_norm == pytest.approx(np.linalg.norm(net.gradient(X, y, **examples).theta), rel=1e-9)
    assert row.training_accuracy == (net.accuracy(X, y) if problem is labelled else None)
    assert row.learning_rate is None
    assert row[9:] == (None,) * 6


def test_the_optimum():
    X, y = labelled()
    net = network(cost="cross_entropy")
    history = trained(net, epochs=10_000, l2=1.0).history
    assert 10 < len(history) < 1000
    assert history.has_ended
    assert not history.was_interrupted
    slope = net.gradient(X, y).theta + net.theta * is_weight(net) / N
    assert np.abs(slope).max() < 1e-6
    before = net.theta.copy()
    again = trained(net, epochs=50, l2=1.0).history  # there is nothing to gain, and an epoch says so
    assert len(again) <= len(history) + 2
    assert history.has_ended
    np.testing.assert_allclose(net.theta, before, rtol=0, atol=1e-6)


def test_at_the_optimum_from_the_start_there_is_one_epoch(tmp_path):
    X, _ = continuous()
    net = network(scaling="standardize")
    seen = []
    with pytest.raises(ValueError, match="scaling: expected a learnt scaling"):
        net.feedforward(X)
    net.theta = np.zeros(net.theta.size)
    net.layers[-1].b[...] = 0.0
    net.fit(
        X, np.full((3, N), 0.5), epochs=9, optimizer="lbfgs", callbacks=lambda _, row: seen.append(row),
        checkpoint=tmp_path / "run.npz",
    )  # fmt: skip
    assert list(net.history) == seen
    assert net.history["epoch"] == [1]
    assert net.history[0].training_cost == 0
    assert net.history.has_ended
    assert net.engine.scaling_is_learnt
    assert not net.theta.any()
    assert len(mbbp.load(tmp_path / "run.npz").history) == 1


@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
def test_float32(cost):
    net, exact = network(dtype="float32", cost=cost), network(cost=cost)
    exact.theta = net.theta
    history = trained(net, epochs=100, l2=1.0).history
    assert net.theta.dtype == np.float32
    assert history[-1].training_cost == pytest.approx(
        trained(exact, epochs=100, l2=1.0).history[-1].training_cost, 1e-4
    )


# ------------------------------------------------------------------------------------------------------ between epochs


def test_a_further_training_begins_with_an_empty_memory(tmp_path):
    one, other = trained(epochs=4), trained(epochs=4)
    mbbp.save(one, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    assert back.history == one.history
    assert back.optimizer_state.optimizer == mbbp.LBFGS()
    other.optimizer_state = None
    for net in (one, other, back):
        trained(net, epochs=3)
    assert one.theta.tobytes() == other.theta.tobytes() == back.theta.tobytes()
    assert one.history["epoch"] == list(range(1, 8))
    assert one.history[-1].training_cost < one.history[3].training_cost


def test_early_stopping_restores_the_best_parameters():
    other, kept = labelled(n=200, seed=1), []
    net = network()
    history = trained(
        net, epochs=300, validation_data=other, early_stopping=5,
        callbacks=lambda net, _: kept.append(net.theta.copy()),
    ).history  # fmt: skip
    best = int(np.argmin(history["validation_cost"]))
    assert best < len(history) - 1 < 299
    assert net.theta.tobytes() == kept[best].tobytes()
    assert history[best].validation_cost == net.cost(*other)
    assert history.has_ended


@pytest.mark.parametrize("error", [mbbp.StopTraining, ZeroDivisionError])
def test_what_a_callback_raises_leaves_the_last_iteration(error, tmp_path):
    def fail(_, row):
        if row.epoch == 3:
            raise error

    net = network()
    try:
        trained(net, epochs=9, callbacks=fail, checkpoint=tmp_path / "run.npz")
    except ZeroDivisionError:
        assert error is ZeroDivisionError
    else:
        assert error is mbbp.StopTraining
    expected = trained(epochs=3)
    assert net.theta.tobytes() == expected.theta.tobytes()
    assert figures(net.history) == figures(expected.history)
    assert net.history.has_ended == (error is mbbp.StopTraining)
    assert len(mbbp.load(tmp_path / "run.npz").history) == (3 if error is mbbp.StopTraining else 2)


def test_progress(monkeypatch, capsys):
    counted = []
    monkeypatch.setattr(Progress, "advance", lambda self, n: counted.append(n))
    trained(epochs=3)
    assert counted == [N] * 3
    monkeypatch.undo()
    assert trained(epochs=3, progress=True).theta.tobytes() == trained(epochs=3).theta.tobytes()
    assert "cost" in capsys.readouterr().err


@pytest.fixture
def handled(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Interrupts, "_last_press", -10.0)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_line_search(times, handled, monkeypatch):
    net, calls = network(), []
    objective = mbbp.methods.lbfgs.MinimizeLBFGS._objective

    def press(method, theta):
        calls.append(len(net.history))
        if calls.count(2) == 1 and calls[-1] == 2:  # in the third iteration
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return objective(method, theta)

    monkeypatch.setattr(mbbp.methods.lbfgs.MinimizeLBFGS, "_objective", press)
    if times == 1:
        trained(net, epochs=9)
    else:
        with pytest.raises(KeyboardInterrupt):
            trained(net, epochs=9)
    assert net.history.was_interrupted
    monkeypatch.undo()
    expected = trained(epochs=4 - times)
    assert figures(net.history) == figures(expected.history)
    assert net.theta.tobytes() == expected.theta.tobytes()


# ------------------------------------------------------------------------------------------------------------- refused


def test_costs_that_overflow_are_refused_and_nothing_changes():
    net = network(activation=["tanh", "identity"], scaling="standardize")
    before = net.theta.copy()
    X, Y = continuous()
    with pytest.raises(mbbp.DivergedError, match="epoch 1: the cost became NaN or inf; the network has the parameters"):
        net.fit(X, 1e200 * Y, epochs=3, optimizer="lbfgs")
    assert net.theta.tobytes() == before.tobytes()
    assert len(net.history) == 0
    assert net.optimizer_state is None
    assert not net.engine.scaling_is_learnt


def test_a_line_search_that_overflows():
    X = np.linspace(-3, 3, 30)[None]
    net = mbbp.Network([1, 4, 1], ["exp", "identity"], dtype="float64", rng=3)
    net.theta = 3 * net.theta
    history = trained(net, epochs=40, data=lambda: (X, 1e3 * X**3)).history
    assert all(np.diff(history["training_cost"]) <= 0)
    assert np.isfinite(net.theta).all()


@pytest.mark.parametrize(
    ("how", "options", "says"),
    [
        ({}, {"learning_rate": 0.1}, "learning_rate: expected None with lbfgs, which has none, got 0.1"),
        ({}, {"clip_norm": 1.0}, "clip_norm: expected None with lbfgs, got 1.0"),
        ({}, {"weight_decay": 0.1}, "weight_decay: expected 0 with lbfgs, got 0.1; use l2"),
        ({"dropout": 0.5}, {}, "dropout: expected a network without it for lbfgs"),
        ({}, {"batch_size": 5}, "batch_size: expected None with lbfgs, which takes all examples, got 5"),
    ],
)
def test_what_it_does_not_take(how, options, says):
    net = network(**how)
    before = net.theta.tobytes()
    with pytest.raises(ValueError, match=says):
        trained(net, **options)
    assert net.theta.tobytes() == before
    assert len(net.history) == 0


def test_a_batch_of_all_examples():
    assert trained(batch_size=N).theta.tobytes() == trained().theta.tobytes()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"memory": 0}, ValueError),
        ({"memory": 2.5}, TypeError),
        ({"memory": None}, TypeError),
        ({"tolerance": -1.0}, ValueError),
        ({"tolerance": np.nan}, ValueError),
        ({"tolerance": "0"}, TypeError),
        ({"weight_decay": 1.0}, ValueError),
    ],
)
def test_settings_that_are_wrong(settings, error):
    (name,) = settings
    with pytest.raises(error, match=f"^{name}: expected "):
        mbbp.LBFGS(**settings)


def test_without_scipy_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    net = network(scaling="standardize")
    with pytest.raises(ImportError, match="lbfgs: needs scipy; pip install scipy"):
        trained(net)
    assert len(net.history) == 0
    assert not net.engine.scaling_is_learnt
