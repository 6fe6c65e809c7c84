"""Levenberg-Marquardt and DP-SGD as solvers of the estimators."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score

import mbbp
from mbbp.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (200, 2))
Y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
LABELS = np.array(["a", "b", "c"])[RNG.integers(0, 3, 200)]


def regressor(**parameters):
    given = {"activation": "tanh", "solver": "levenberg_marquardt", "random_state": 0, "max_iter": 200}
    return MLPRegressor(hidden_layer_sizes=(10,), **(given | parameters))


def test_it_fits_closely_in_a_few_iterations():
    mlp = regressor(alpha=0.0, max_iter=60, solver=mbbp.LevenbergMarquardt(tolerance=0.1)).fit(X, Y)
    assert mlp.score(X, Y) > 0.999
    assert mlp.n_iter_ == len(mlp.loss_curve_) == len(mlp.history_) < 60
    assert mlp.loss_ == mlp.loss_curve_[-1] == min(mlp.loss_curve_)
    assert mlp.history_[-1].damping > 0
    assert mlp.coefs_[0].dtype == np.float64
    again = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(again.predict(X), mlp.predict(X))


@pytest.mark.parametrize("weights", [None, RNG.random(200)])
def test_it_reaches_the_optimum_of_the_same_loss_as_lbfgs(weights):
    found = []
    for solver in ("levenberg_marquardt", "lbfgs"):
        mlp = regressor(solver=solver, alpha=20.0, max_iter=3000, tol=1e-6)
        found.append(mlp.fit(X, Y, sample_weight=weights).loss_)
    assert found[0] <= found[1]  # lbfgs ends a little before the optimum
    assert found[0] == pytest.approx(found[1], rel=5e-3)


def test_with_several_outputs_the_gradient_of_scikit_learn_is_0():
    """It is that of the sum over the outputs, with alpha / (2 n) ||W||^2."""
    targets = np.stack([Y, X[:, 0]], axis=1)
    mlp = regressor(alpha=20.0, max_iter=3000).fit(X, targets)
    gradient = mlp.to_network().gradient(X.T, targets.T)
    for dW, W in zip(gradient.weights, mlp.coefs_, strict=True):
        np.testing.assert_allclose(dW.T, -20.0 / 200 * W, atol=1e-5)
    squares = sum(np.square(W).sum() for W in mlp.coefs_)
    assert mlp.loss_ == pytest.approx(gradient.cost / 2 + 20.0 / 400 * squares)


def test_a_bayesian_regressor_counts_its_parameters():
    noisy = Y + 0.1 * RNG.standard_normal(200)
    mlp = regressor(solver=mbbp.LevenbergMarquardt(bayesian=True), max_iter=100)
    mlp.set_params(hidden_layer_sizes=(30,))
    with pytest.warns(ConvergenceWarning):
        mlp.set_params(max_iter=30).fit(X, noisy)
    assert mlp.history_[-1].effective_parameters < 121 / 2


def test_an_end_before_convergence_is_told():
    with pytest.warns(ConvergenceWarning, match="levenberg_marquardt: Maximum iterations"):
        regressor(max_iter=2).fit(X, Y)


def test_callbacks_and_evaluation_sets():
    mlp = regressor(callbacks=lambda mlp: mlp.n_iter_ == 3).fit(X, Y, eval_set=(X, Y))
    assert mlp.n_iter_ == 3
    assert len(mlp.eval_loss_curve_) == 3
    mlp = regressor(max_iter=4, warm_start=True, callbacks=lambda mlp: mlp.n_iter_ == 3)
    first = mlp.fit(X, Y).loss_
    assert mlp.fit(X, Y).loss_curve_[3] < first


@pytest.mark.parametrize("solver", ["dp_sgd", mbbp.DPSGD(noise_multiplier=0.5)])
def test_a_private_classifier(solver):
    mlp = MLPClassifier(
        hidden_layer_sizes=(5,), solver=solver, max_iter=3, batch_size=50, learning_rate_init=0.5, random_state=0
    )
    mlp.fit(X.astype(np.float32), LABELS)
    assert mlp.coefs_[0].dtype == np.float32
    assert mlp.n_iter_ == 3
    assert mlp.history_["epsilon"] == sorted(mlp.history_["epsilon"])
    assert mlp.history_[-1].epsilon > 0
    assert set(mlp.predict(X)) <= set("abc")


def test_they_work_in_a_search():
    assert cross_val_score(regressor(alpha=1e-3), X, Y, cv=3).min() > 0.95


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"loss": "poisson"}, ValueError, "loss: expected 'squared_error' with the solver levenberg_marquardt"),
        ({"dropout": 0.5}, ValueError, "dropout: expected its default for the solver levenberg_marquardt"),
        ({"clip_norm": 1.0}, ValueError, "clip_norm: expected its default"),
        ({"solver": "newton"}, ValueError, "solver"),
        ({"batch_size": 10, "solver": mbbp.LevenbergMarquardt(bayesian=True)}, ValueError, "batch_size"),
    ],
)
def test_what_they_cannot_do_is_refused(parameters, error, message):
    mlp = regressor(**parameters)
    before = copy.deepcopy(mlp.__dict__)
    with pytest.raises(error, match=message):
        mlp.fit(X, np.abs(Y))
    assert mlp.__dict__.keys() - {"_writer"} >= before.keys()


@pytest.mark.parametrize("mlp", [regressor(), MLPClassifier(solver="dp_sgd")])
def test_there_is_no_partial_fit(mlp):
    assert not hasattr(mlp, "partial_fit")


def test_a_warm_start_goes_on_spending_privacy():
    mlp = MLPClassifier(hidden_layer_sizes=(5,), solver="dp_sgd", warm_start=True, max_iter=3, random_state=0)
    spent = mlp.fit(X, LABELS).history_["epsilon"]
    twin = copy.copy(mlp)
    assert mlp.fit(X, LABELS).history_["epsilon"][:3] == spent
    assert mlp.history_["epsilon"] == sorted(mlp.history_["epsilon"])
    assert len(mlp.history_) == len(mlp.loss_curve_) == 6
    assert len(twin.history_) == 3
    assert twin.fit(X, LABELS).history_["epsilon"] == mlp.history_["epsilon"]


def test_a_refused_fit_leaves_the_model(monkeypatch):
    mlp = regressor(alpha=0.0, solver=mbbp.LevenbergMarquardt(tolerance=0.1)).fit(X, Y)
    before, n_iter = mlp.predict(X), mlp.n_iter_
    for solver, error in ((mbbp.LevenbergMarquardt(memory_limit=10), MemoryError), ("levenberg_marquardt", ValueError)):
        with pytest.raises(error):
            mlp.set_params(solver=solver, loss="squared_error" if error is MemoryError else "huber").fit(X, Y)
        mlp.set_params(loss="squared_error")
        np.testing.assert_array_equal(mlp.predict(X), before)
        assert mlp.n_iter_ == n_iter
