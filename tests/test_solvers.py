"""What the optimizers that only `fit` can use have in common: who takes them, their files and their histories."""

import json
import re

import numpy as np
import pytest

import mbbp
from mbbp import Epoch, History, schedules
from mbbp.solvers import OPTIMIZERS, SOLVERS, get_optimizer
from tests.problems import N, continuous, epoch, figures, labelled, network

EACH = [
    *SOLVERS.values(),
    mbbp.LevenbergMarquardt(bayesian=True, damping=np.float32(0.5), tolerance=1e-9),
    mbbp.LevenbergMarquardt(scaling=True, acceleration=False, system="parameters", memory_limit=10**9),
    mbbp.LBFGS(memory=np.int64(4), tolerance=0),
    mbbp.DPSGD(noise_multiplier=2, clip_norm=np.float64(0.5), delta=1e-4),
]
each = pytest.mark.parametrize("solver", EACH, ids=repr)
COLUMNS = list(Epoch._field_defaults)


def trained(solver, net=None, epochs=3, **options):
    net = network() if net is None else net
    net.fit(*labelled(), epochs=epochs, optimizer=solver, **options)
    return net


def test_the_names_are_apart():
    assert set(SOLVERS) == {"levenberg_marquardt", "lbfgs", "dp_sgd"}
    assert not OPTIMIZERS.keys() & SOLVERS.keys()
    for name, solver in SOLVERS.items():
        assert get_optimizer(name, solvers=True) == solver
        assert solver.name == name


@pytest.mark.parametrize("solver", [*SOLVERS, *SOLVERS.values()], ids=str)
def test_a_trainer_refuses_them(solver):
    name = solver if isinstance(solver, str) else solver.name
    says = f"optimizer: expected one that takes single steps, got '{name}'; use Network.fit"
    with pytest.raises(TypeError, match=re.escape(says)):
        network().trainer(optimizer=solver)
    with pytest.raises(TypeError, match=re.escape(says)):
        get_optimizer(solver)
    with pytest.raises(TypeError, match=f"takes steps from a gradient, got '{name}'; use Network.fit"):
        SOLVERS[name].step(None, None, None, None)


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"expected one of adagrad, .*, dp_sgd, lbfgs, levenberg_.* got 'lm'"):
        trained("lm")
    with pytest.raises(ValueError, match="expected one of adagrad, adam, adamw, momentum, nesterov, rmsprop, sgd, got"):
        network().trainer(optimizer="lm")


@each
def test_a_network_is_saved_and_loaded(solver, tmp_path):
    net = trained(solver)
    for name in ("net.npz", "net.mbbp"):
        mbbp.save(net, tmp_path / name)
        back = mbbp.load(tmp_path / name)
        assert back.theta.tobytes() == net.theta.tobytes()
        assert back.history == net.history
        assert back.history.has_ended == net.history.has_ended
        state = back.optimizer_state
        assert state.optimizer == net.optimizer_state.optimizer == solver
        assert repr(state.optimizer) == repr(solver)
        assert state.moments.tobytes() == net.optimizer_state.moments.tobytes()
        assert state.steps == net.optimizer_state.steps
        trained(solver, back, epochs=1)


def test_a_history_of_every_method_is_one_table(tmp_path):
    net = network()
    for optimizer in ("sgd", *EACH, "adam"):
        trained(optimizer, net, epochs=2)
    mbbp.save(net, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    assert back.history == net.history
    measured = {row for row in range(len(net.history)) if net.history["damping"][row] is not None}
    assert len(measured) == 6
    assert net.history["learning_rate"][0] is not None


def test_a_file_without_the_new_columns(tmp_path, monkeypatch):
    """As versions before wrote it, and as it is written where no method has measured them."""
    net = trained("sgd")
    mbbp.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as stored:
        assert stored["history"].shape == (3, 9)
    assert mbbp.load(tmp_path / "net.npz").history == net.history
    trained("lbfgs", net)
    mbbp.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as stored:
        assert stored["history"].shape == (6, 9)
    assert mbbp.load(tmp_path / "net.npz").history == net.history
    trained("dp_sgd", net)
    mbbp.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as stored:
        assert stored["history"].shape == (9, 15)


# ------------------------------------------------------------------------------------------------------------- history


@each
def test_the_columns_that_a_method_measures(solver):
    history = trained(solver).history
    measured = [name for name in COLUMNS if None not in history[name]]
    assert measured == [name for name in COLUMNS if name in solver.columns]
    assert all(set(history[name]) == {None} for name in set(COLUMNS) - set(measured))
    assert all(isinstance(value, float) for name in measured for value in history[name])
    assert (None in history["learning_rate"]) != solver.has_learning_rate


@each
def test_a_history_is_shown(solver, tmp_path):
    history = trained(solver).history
    columns = history.to_dict()
    assert list(columns) == list(Epoch._fields)
    assert json.loads(json.dumps(columns)) == columns
    frame = history.to_frame()
    assert list(frame.columns) == list(Epoch._fields[1:])
    for name in solver.columns:
        assert frame[name].tolist() == history[name]
    assert repr(history).startswith(f"History({len(history)} epoch")
    html = history._repr_html_()
    for name in ("damping", "effective parameters", "epsilon", "delta"):
        assert (name in html) == (name.replace(" ", "_") in solver.columns)
    assert ("learning rate" in html) == solver.has_learning_rate
    history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000


def test_an_epsilon_of_inf_is_shown():
    history = trained(mbbp.DPSGD(noise_multiplier=0.0)).history
    assert "inf" in history._repr_html_()
    assert history.to_frame()["epsilon"].tolist() == [np.inf] * 3


# ------------------------------------------------------------------------------------------------------------ monitors


@pytest.mark.parametrize("monitor", [*COLUMNS, "learning_rate"])
@pytest.mark.parametrize("solver", ["sgd", "adam", *EACH], ids=repr)
def test_a_monitor_is_one_that_the_method_measures(solver, monitor):
    net = network()
    one = get_optimizer(solver, solvers=True)
    measured = getattr(one, "columns", ()) + (("learning_rate",) if getattr(one, "has_learning_rate", True) else ())
    stopping = mbbp.EarlyStopping(monitor, patience=2)
    if monitor in measured:
        assert len(trained(solver, net, epochs=4, early_stopping=stopping).history) >= 1
        return
    with pytest.raises(
        ValueError, match=f"early_stopping: expected a monitor that {one.name} measures, got '{monitor}'"
    ):
        trained(solver, net, early_stopping=stopping)
    assert len(net.history) == 0
    if not isinstance(solver, str) or solver == "adam":
        return
    rate = schedules.ReduceWhenStuck(0.1, monitor=monitor)
    with pytest.raises(ValueError, match=f"learning_rate: expected a monitor that sgd measures, got '{monitor}'"):
        trained(solver, net, learning_rate=rate)


def test_gains_of_a_column_that_some_epochs_have():
    history = History([epoch(1), epoch(2, epsilon=3.0), epoch(3, epsilon=2.0)])
    assert history.gains("epsilon") == [-np.inf, -3.0, -2.0]


def test_a_schedule_follows_epsilon_after_epochs_without_it():
    net = trained("sgd", epochs=2)
    rate = schedules.ReduceWhenStuck(0.2, monitor="epsilon", patience=1, factor=0.5)
    history = trained("dp_sgd", net, epochs=4, learning_rate=rate).history
    rates = history["learning_rate"][2:]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.2


# --------------------------------------------------------------------------------------------------------------- alike


@pytest.mark.parametrize("solver", SOLVERS)
def test_regression_in_other_units_and_by_presets(solver):
    X = np.random.default_rng(0).standard_normal((2, 60))
    y = 1000 + X[0]
    net = mbbp.regressor(X, y, epochs=20, rng=0, optimizer=solver, progress=False)
    assert np.abs(net.feedforward(X)[0] - y).mean() < 1.5
    assert len(net.history) <= 20


@pytest.mark.parametrize("solver", ["levenberg_marquardt", "lbfgs"])
def test_the_same_numbers_every_time_and_in_any_memory(solver):
    X, Y = continuous()
    nets = [network() for _ in range(4)]
    forms = [(X, Y), (np.asfortranarray(X), np.asfortranarray(Y)), (X[:, ::-1][:, ::-1], Y), (X.tolist(), Y.tolist())]
    for net, (x, y) in zip(nets, forms, strict=True):
        net.fit(x, y, epochs=4, optimizer=solver)
        assert net.theta.tobytes() == nets[0].theta.tobytes()
        assert figures(net.history) == figures(nets[0].history)


@pytest.mark.parametrize("solver", SOLVERS)
def test_held_out_examples_and_class_weights(solver):
    X, y = labelled(60)
    net = network()
    row = net.fit(
        X, y, epochs=2, optimizer=solver, validation_split=0.25, class_weights={0: 2.0}, batch_size=45,
    )[-1]  # fmt: skip
    held_out = mbbp.subsets.split(60, None, 0.25)[1]
    assert row.validation_cost == pytest.approx(net.cost(X[:, held_out], y[held_out]))
    assert row.validation_accuracy == pytest.approx(net.accuracy(X[:, held_out], y[held_out]))
    if solver != "dp_sgd":  # after the step
        kept = np.setdiff1d(np.arange(60), held_out)
        weights = np.where(y[kept] == 0, 2.0, 1.0)
        assert row.training_cost == pytest.approx(net.cost(X[:, kept], y[kept], example_weights=weights))
        assert row.examples_per_second == pytest.approx(45 / row.seconds)


def test_dp_sgd_takes_the_batch_size_of_mini_batches_and_the_others_all_examples():
    assert trained("dp_sgd", epochs=1).optimizer_state.steps == -(-N // 10)
    net = trained(mbbp.LevenbergMarquardt(bayesian=True), epochs=1)
    assert net.history[0].damping > 0
