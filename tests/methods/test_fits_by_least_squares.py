"""Whole trainings by the Levenberg-Marquardt method: where they end, how they go on, and what they refuse."""

import signal
import sys

import numpy as np
import pytest

import mbbp
from mbbp.interrupts import Interrupts
from mbbp.progress import Progress
from tests.methods.test_levenberg_marquardt import curved, network, spec, trained
from tests.problems import figures

# ------------------------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize(
    "system",
    [
        "parameters",
        "residuals",
    ],
)
def test_a_linear_network_reaches_the_exact_solution(system):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 30)), rng.standard_normal((2, 30))
    net = mbbp.Network([3, 2], "identity", dtype="float64", rng=0)
    how = spec(system=system, tolerance=0)
    history = trained(net, (X, Y), epochs=100, optimizer=how).history
    exact = np.linalg.lstsq(np.vstack([X, np.ones(30)]).T, Y.T, rcond=None)[0].T
    np.testing.assert_allclose(net.layers[0].W, exact[:, :3], rtol=0, atol=1e-10)
    np.testing.assert_allclose(net.layers[0].b[:, 0], exact[:, 3], rtol=0, atol=1e-10)
    assert len(history) < 15
    assert history.has_ended
    assert not history.was_interrupted
    assert history[-1].gradient_norm < 1e-7  # before the last step
    n = len(history)
    assert len(trained(net, (X, Y), epochs=100, optimizer=how).history) <= n + 2  # nothing is left to gain


def test_it_ends_where_nothing_is_left_to_gain_and_costs_only_fall():
    history = trained(data=curved(noise=0.3, m=60), epochs=2000).history
    assert 5 < len(history) < 2000
    assert history.has_ended
    assert all(np.diff(history["training_cost"]) <= 0)
    assert history[-1].gradient_norm < 1e-3
    short = trained(data=curved(noise=0.3, m=60), epochs=2000, optimizer=spec(tolerance=1e-3)).history
    assert len(short) < len(history)
    exact = trained(network((3, 20, 2)), epochs=300, optimizer=spec(tolerance=0)).history  # all residuals can be 0
    assert exact[-1].training_cost < 1e-20


def test_float32_learns_nearly_as_well():
    X = np.linspace(-1, 1, 200)[None]
    net = mbbp.Network([1, 20, 1], ["tanh", "identity"], initializer="nguyen_widrow", rng=0)
    history = trained(net, (X, np.sinc(2 * X)), epochs=60).history
    assert net.theta.dtype == np.float32
    assert history[-1].training_cost < 1e-5
    assert history[-1].training_cost == pytest.approx(net.cost(X, np.sinc(2 * X)), rel=1e-3)


# ------------------------------------------------------------------------------------------------------------ going on

WAYS = {
    "plain": {},
    "scaling": {"optimizer": spec(scaling=True)},
    "bayesian": {"optimizer": spec(bayesian=True)},
    "residuals": {"optimizer": spec(system="residuals")},
    "conjugate gradients": {"optimizer": spec(system="conjugate_gradient")},
    "mini-batches": {"batch_size": 10, "optimizer": spec(scaling=True)},
    "l2": {"l2": 0.1, "validation_split": 0.2},
}


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("scaling", [None, "standardize"])
def test_it_goes_on_after_it_was_saved(options, scaling, tmp_path):
    data = curved(40, noise=0.2)
    whole, parted = network(scaling=scaling), network(scaling=scaling)
    trained(whole, data, epochs=10, **options)
    trained(parted, data, epochs=5, checkpoint=tmp_path / "run.npz", **options)
    mbbp.save(parted, tmp_path / "net.npz")
    for name in ("net.npz", "run.npz"):
        back = mbbp.load(tmp_path / name)
        assert back.history == parted.history
        assert back.optimizer_state.optimizer == parted.optimizer_state.optimizer
        trained(back, data, epochs=5, **options)
        assert back.theta.tobytes() == whole.theta.tobytes()
        assert figures(back.history) == figures(whole.history)
        assert back.optimizer_state.moments.tobytes() == whole.optimizer_state.moments.tobytes()


def test_other_settings_begin_with_their_own_damping():
    net = trained(epochs=8)
    began = net.history[-1].damping
    trained(net, epochs=1, optimizer=spec(damping=1e3, acceleration=False))
    assert net.history[-1].damping > 100 * began
    net = trained(epochs=3)
    net.fit(*curved(), epochs=1, optimizer="adam")
    assert trained(net, epochs=1).history[-1].damping > 0


def test_mini_batches_are_shuffled():
    thetas = [trained(epochs=1, batch_size=10, shuffle=shuffle).theta for shuffle in (True, False)]
    assert (thetas[0] != thetas[1]).all()
    whole = [trained(epochs=1, shuffle=shuffle).theta.tobytes() for shuffle in (True, False)]
    assert whole[0] == whole[1]


def test_a_shuffle_is_drawn_anew_for_each_epoch_and_all_examples_are_used(monkeypatch):
    seen, prepare = [], mbbp.methods.systems.OfParameters.prepare

    def look(system, order):
        seen.append(order.copy())
        prepare(system, order)

    monkeypatch.setattr(mbbp.methods.systems.OfParameters, "prepare", look)
    trained(epochs=2, batch_size=10, optimizer=spec(system="parameters"))
    assert [order.size for order in seen] == [10, 10, 4] * 2
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == list(range(24))
    assert first.tolist() != second.tolist()


# ------------------------------------------------------------------------------------------------------- between epochs


def test_early_stopping_restores_the_best_parameters():
    data, other = curved(20, noise=0.5), curved(200, noise=0.5, seed=2)
    net = network((3, 12, 2))
    kept = []
    history = trained(
        net, data, epochs=300, validation_data=other, early_stopping=5,
        callbacks=lambda net, _: kept.append(net.theta.copy()),
    ).history  # fmt: skip
    best = int(np.argmin(history["validation_cost"]))
    assert best < len(history) - 1 < 299
    assert net.theta.tobytes() == kept[best].tobytes()
    assert history.has_ended
    assert history[best].validation_cost == net.cost(*other)


def test_callbacks_and_stop_training():
    def stop(net, row):
        assert net.history[-1] == row
        assert row.training_cost == pytest.approx(net.cost(*curved()))
        if row.epoch == 3:
            raise mbbp.StopTraining

    history = trained(epochs=10, callbacks=stop).history
    assert len(history) == 3
    assert history.has_ended


def test_a_callback_that_fails_leaves_the_epoch():
    def fail(net, row):
        if row.epoch == 3:
            raise ZeroDivisionError

    net = network()
    with pytest.raises(ZeroDivisionError):
        trained(net, epochs=10, callbacks=fail)
    assert net.theta.tobytes() == trained(epochs=3).theta.tobytes()
    assert not net.history.has_ended


def test_progress_counts_examples(monkeypatch, capsys):
    counted = []
    monkeypatch.setattr(Progress, "advance", lambda self, n: counted.append(n))
    trained(epochs=2, batch_size=10)
    trained(epochs=2)
    assert counted == [10, 10, 4, 10, 10, 4, 24, 24]
    monkeypatch.undo()
    shown = trained(epochs=3, progress=True)
    assert "cost" in capsys.readouterr().err
    assert shown.theta.tobytes() == trained(epochs=3).theta.tobytes()


@pytest.fixture
def handled(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Interrupts, "_last_press", -10.0)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("options", [WAYS["bayesian"], WAYS["mini-batches"]], ids=["bayesian", "mini-batches"])
def test_ctrl_c(times, options, handled, monkeypatch):
    calls, parts = [], 3 if "batch_size" in options else 1

    def press(self, n):
        calls.append(n)
        if len(calls) == 2 * parts + 1:  # in the third epoch
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "advance", press)
    net = network()
    if times == 1:
        trained(net, epochs=9, **options)
    else:
        with pytest.raises(KeyboardInterrupt):
            trained(net, epochs=9, **options)
    assert net.history.was_interrupted
    monkeypatch.undo()
    monkeypatch.setattr(Interrupts, "_last_press", -10.0)
    whole = 4 - times
    expected = trained(epochs=whole, **options)
    assert figures(net.history) == figures(expected.history)
    assert net.theta.tobytes() == expected.theta.tobytes()
    trained(net, epochs=2, **options)
    trained(expected, epochs=2, **options)
    assert net.theta.tobytes() == expected.theta.tobytes()


# ------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "system",
    [
        "parameters",
        "residuals",
        "conjugate_gradient",
    ],
)
@pytest.mark.parametrize("batch_size", [None, 10])
def test_outputs_that_overflow_are_refused_and_nothing_changes(system, batch_size):
    X, Y = curved()
    net = network()
    trained(net, epochs=1, optimizer=spec(system=system), batch_size=batch_size)
    before = net.theta.copy()
    with pytest.raises(mbbp.DivergedError, match="epoch 2: the cost became NaN or inf; the network has the parameters"):
        trained(net, (X, np.where(X[:2] > 0, 1e200, Y)), epochs=1, optimizer=spec(system=system), batch_size=batch_size)
    assert net.theta.tobytes() == before.tobytes()
    assert len(net.history) == 1
    trained(net, epochs=1, optimizer=spec(system=system), batch_size=batch_size)
    assert len(net.history) == 2


def test_parameters_that_overflow_at_the_start():
    net = mbbp.Network([3, 5, 2], ["relu", "identity"], dtype="float64", rng=0, scaling="standardize")
    net.theta = np.full(net.theta.size, 1e160)
    with pytest.raises(mbbp.DivergedError):
        trained(net, epochs=1)
    assert (net.theta == 1e160).all()
    assert len(net.history) == 0
    assert net.optimizer_state is None
    assert not net.engine.scaling_is_learnt


def test_a_step_that_overflows_is_not_taken():
    """With next to no damping, the first steps go far out, where exp overflows."""
    X = np.linspace(-1, 1, 30)[None]
    net = mbbp.Network([1, 4, 1], ["exp", "identity"], dtype="float64", rng=3)
    net.theta = 0.01 * net.theta
    history = trained(net, (X, 50 * X**3), epochs=30, optimizer=spec(damping=1e-14, acceleration=False)).history
    assert all(np.diff(history["training_cost"]) <= 0)
    assert np.isfinite(net.theta).all()


@pytest.mark.parametrize(
    ("how", "options", "error", "says"),
    [
        (
            {},
            {"learning_rate": 0.1},
            ValueError,
            "learning_rate: expected None with levenberg_marquardt, which",
        ),
        ({}, {"clip_norm": 1.0}, ValueError, "clip_norm: expected None with levenberg_marquardt, got 1.0"),
        ({}, {"weight_decay": 0.1}, ValueError, "weight_decay: expected 0 with levenberg_marquardt, got 0.1; use l2"),
        ({"cost": mbbp.costs.huber()}, {}, ValueError, "cost: expected quadratic with levenberg_marquardt, got 'huber"),
        ({"dropout": 0.5}, {}, ValueError, "dropout: expected a network without it for levenberg_marquardt"),
        ({}, {"optimizer": spec(bayesian=True), "l2": 1.0}, ValueError, "l2: expected 0 with bayesian=True"),
        ({}, {"optimizer": spec(bayesian=True), "batch_size": 5}, ValueError, "batch_size: expected None with bayes"),
        ({}, {"batch_size": 0}, ValueError, "batch_size: expected 1 or more, got 0"),
        ({}, {"l2": -1.0}, ValueError, "l2: expected a finite number of at least 0"),
        ({}, {"optimizer": mbbp.LevenbergMarquardt}, TypeError, "optimizer: expected a name or an mbbp.Optimizer"),
    ],
)
def test_what_it_does_not_take(how, options, error, says):
    net = network(**how)
    before = net.theta.tobytes()
    with pytest.raises(error, match=says):
        trained(net, **options)
    assert net.theta.tobytes() == before
    assert len(net.history) == 0


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"damping": 0}, ValueError),
        ({"damping": -1.0}, ValueError),
        ({"damping": "1"}, TypeError),
        ({"memory_limit": 0}, ValueError),
        ({"memory_limit": np.inf}, ValueError),
        ({"tolerance": -1e-3}, ValueError),
        ({"tolerance": 1.0}, ValueError),
        ({"scaling": 1}, TypeError),
        ({"acceleration": "yes"}, TypeError),
        ({"bayesian": None}, TypeError),
        ({"system": "normal"}, ValueError),
        ({"system": None}, ValueError),
        ({"weight_decay": 0.1}, ValueError),
        ({"weight_decay": "0"}, TypeError),
    ],
)
def test_settings_that_are_wrong(settings, error):
    (name,) = settings
    with pytest.raises(error, match=f"^{name}: expected "):
        spec(**settings)


def test_a_batch_size_of_all_examples_is_no_mini_batch():
    assert trained(epochs=3, batch_size=24).theta.tobytes() == trained(epochs=3).theta.tobytes()
    assert trained(epochs=3, batch_size=1000, optimizer=spec(bayesian=True)).history[-1].effective_parameters > 0


def test_without_scipy_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg.lapack", None)
    net = network(scaling="standardize")
    with pytest.raises(ImportError, match="levenberg_marquardt: needs scipy; pip install scipy"):
        trained(net)
    assert len(net.history) == 0
    assert not net.engine.scaling_is_learnt


# ------------------------------------------------------------------------------------------------------------ damping


def test_mini_batches_that_cannot_be_improved_do_not_end_the_learning():
    x, weights = np.linspace(-4, 4, 400)[None], np.ones(400)
    weights[200:] = 0
    net = mbbp.Network([1, 8, 1], ["tanh", "identity"], dtype="float64", rng=1)
    how = {"batch_size": 20, "shuffle": False, "example_weights": weights, "optimizer": "levenberg_marquardt"}
    history = net.fit(x, np.sin(x), epochs=15, **how)
    costs = history["training_cost"]
    assert costs[-1] < 0.1 * costs[0]
    assert history[-1].damping < 1e3


@pytest.mark.parametrize("system", ["parameters", "residuals", "conjugate_gradient"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_targets_are_learnt_after_a_fit_that_has_converged(system, dtype):
    x = np.linspace(-1, 1, 6)[None]
    net = mbbp.Network([1, 6, 1], ["tanh", "identity"], dtype=dtype, rng=1)
    how = spec(system=system)
    net.fit(x, np.sin(x), epochs=200, optimizer=how)
    net.fit(x, np.cos(3 * x), epochs=200, optimizer=how)
    assert net.history[-1].training_cost < 1e-5


def test_parameters_and_errors_of_0_have_finite_precisions():
    x = np.linspace(-1, 1, 60)[None]
    net = mbbp.Network([1, 6, 1], ["tanh", "identity"], dtype="float64", rng=1)
    net.theta[:] = 0
    how = spec(bayesian=True)
    net.fit(x, 0 * x, epochs=3, optimizer=how)
    history = net.fit(x, np.sin(3 * x) + 3, epochs=60, optimizer=how)
    assert np.isfinite(history["prior_precision"]).all()
    assert np.isfinite(history["noise_precision"]).all()
    assert history[-1].training_cost < 0.3


@pytest.mark.parametrize("damping", [1e-300, 1e300])
def test_a_damping_that_is_far_out_is_brought_back(damping):
    x = np.linspace(-1, 1, 60)[None]
    net = mbbp.Network([1, 6, 1], ["tanh", "identity"], dtype="float64", rng=1)
    costs = net.fit(x, np.sin(3 * x), epochs=300, optimizer=spec(damping=damping))["training_cost"]
    assert costs[-1] < 1e-3
