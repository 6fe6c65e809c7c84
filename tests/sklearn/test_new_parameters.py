"""What scikit-learn's MLP does not have: losses, activations, dropout, class weights, validation sets, callbacks."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_pinball_loss, roc_auc_score

import mbbp
import mbbp.threads
from mbbp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]
HIDDEN = ["identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"]


def noisy(n=600):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (n, 2))
    return x, x[:, 0] ** 2 + x[:, 1] + rng.exponential(0.5, n)


def numeric_gradient(mlp, x, y, epsilon=1e-6):
    """Return the gradient of the summed loss of the samples by the weights of the first layer."""
    found = np.empty_like(mlp.coefs_[0])
    examples = mlp._examples(np.ascontiguousarray(x), y, None, "y")
    for index in np.ndindex(found.shape):
        costs = []
        for sign in (1, -1):
            mlp.coefs_[0][index] += sign * epsilon
            costs.append(mlp._model.engine.score(examples).cost)
            mlp.coefs_[0][index] -= sign * epsilon
        found[index] = (costs[0] - costs[1]) / (2 * epsilon)
    return found


@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "adamw", "rmsprop"])
def test_every_activation_learns(activation, solver):
    mlp = MLPClassifier((30,), activation, solver=solver, max_iter=60, learning_rate_init=0.005, random_state=0)
    assert mlp.fit(X, Y).score(X, Y) > 0.9


def test_an_activation_for_each_layer_and_for_the_outputs():
    softsign = mbbp.Activation("softsign", lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2)
    mlp = MLPClassifier((20, 10), ["gelu", softsign], random_state=0, max_iter=30, learning_rate_init=0.01).fit(X, Y)
    assert mlp.score(X, Y) > 0.9
    assert [one.name for one in mlp._model.engine.activations] == ["gelu", "softsign", "softmax"]
    logistic = MLPClassifier((20,), out_activation="logistic", random_state=0, max_iter=30).fit(X, Y)
    assert logistic.out_activation_ == "logistic"
    np.testing.assert_allclose(logistic.predict_proba(X).sum(axis=1), 1.0, atol=1e-12)
    positive = MLPRegressor(hidden_layer_sizes=(5,), out_activation="softplus", random_state=0).fit(X, Y)
    assert (positive.predict(X) > 0).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"activation": ["relu"], "hidden_layer_sizes": (5, 5)},
            "activation: expected one, or one for each of 2 hidden",
        ),
        (
            {"activation": ["swish"], "hidden_layer_sizes": (5,)},
            "activation: expected one of identity, .*, got 'swish'",
        ),
        ({"activation": "softmax"}, "The 'activation' parameter of MLPClassifier must be"),
        ({"out_activation": "tanh"}, "out_activation: expected logistic, or softmax .*, got 'tanh'"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
        ({"dropout": [0.1, 0.2, 0.3]}, "dropout: expected a number, or 2 numbers"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout: expected its default for the solver lbfgs"),
        ({"clip_norm": 1.0, "solver": "lbfgs"}, "clip_norm: expected its default for the solver lbfgs"),
        ({"learning_rate": abs, "solver": "lbfgs"}, "learning_rate: expected its default for the solver lbfgs"),
        ({"scoring": "no such scorer"}, "no such scorer"),
        ({"callbacks": [3]}, "callbacks: expected functions, got 3"),
        (
            {"learning_rate": mbbp.schedules.ReduceWhenStuck(0.1, monitor="validation_cost")},
            "learning_rate: expected early_stopping=True",
        ),
        ({"clip_norm": 0.0}, "The 'clip_norm' parameter"),
        ({"label_smoothing": 1.0}, "The 'label_smoothing' parameter"),
        ({"loss": "hinge"}, "The 'loss' parameter"),
        ({"solver": "newton"}, "The 'solver' parameter"),
        ({"learning_rate": lambda epoch: math.nan}, "learning_rate of epoch 1"),
        ({"scoring": "no such scorer", "early_stopping": True}, "no such scorer"),
        ({"n_threads": 0}, "The 'n_threads' parameter"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**parameters).fit(X, Y)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "quantile", "squared_error", mbbp.costs.huber(0.3)])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_losses_for_numbers(loss, solver):
    x, y = noisy()
    mlp = MLPRegressor(loss, (20,), "tanh", solver=solver, max_iter=300, learning_rate_init=0.01, random_state=0)
    assert mlp.fit(x, y).score(x, y) > 0.75


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_loss_quantile_predicts_the_quantile(quantile):
    x, y = noisy(2000)
    falling = mbbp.schedules.Cosine(0.02, 150)
    mlp = MLPRegressor("quantile", (20,), "tanh", quantile=quantile, learning_rate=falling, max_iter=150, tol=0)
    mlp.set_params(random_state=0, n_iter_no_change=np.inf).fit(x, y)
    assert abs((y < mlp.predict(x)).mean() - quantile) < 0.03
    assert mlp.loss_ == pytest.approx(mean_pinball_loss(y, mlp.predict(x), alpha=quantile), rel=0.02)


def test_squared_hinge_gives_margins():
    for labels in (Y, Y > 4):
        mlp = MLPClassifier((30,), loss="squared_hinge", random_state=0, max_iter=60, learning_rate_init=0.01)
        assert not hasattr(mlp, "predict_proba")
        mlp.fit(X, labels)
        assert mlp.score(X, labels) > 0.95
        margins = mlp.decision_function(X)
        chosen = margins.argmax(axis=1) if margins.ndim == 2 else margins > 0
        np.testing.assert_array_equal(mlp.predict(X), chosen)
    assert not hasattr(MLPClassifier(), "decision_function")


def test_a_custom_cost():
    log_cosh = mbbp.Cost("log_cosh", lambda a, y: math.log(math.cosh(a - y)), lambda a, y: math.tanh(a - y))
    x, y = noisy()
    assert MLPRegressor(log_cosh, (20,), max_iter=200, random_state=0).fit(x, y).score(x, y) > 0.6


def test_class_weight_is_a_weight_of_samples():
    labels = np.where(Y == 3, "rare", "other")
    factors = np.where(labels == "rare", 5.0, 1.0)
    one = MLPClassifier((9,), class_weight={"rare": 5.0}, random_state=0, max_iter=5).fit(X, labels)
    other = MLPClassifier((9,), random_state=0, max_iter=5).fit(X, labels, factors)
    assert one.loss_curve_ == other.loss_curve_
    balanced = MLPClassifier((9,), class_weight="balanced", random_state=0, max_iter=5).fit(X, labels)
    assert balanced.predict_proba(X)[:, 1].mean() > other.predict_proba(X)[:, 1].mean()


@pytest.mark.parametrize("labels", [Y, Y > 4])
def test_label_smoothing_makes_a_network_less_sure(labels):
    sure, smooth = (
        MLPClassifier((30,), label_smoothing=share, solver="lbfgs", random_state=0).fit(X, labels)
        for share in (0.0, 0.2)
    )
    n = len(sure.classes_)
    assert sure.predict_proba(X).max(axis=1).mean() > 0.99
    assert smooth.predict_proba(X).max(axis=1).mean() == pytest.approx(0.8 + 0.2 / n, abs=0.02)


def test_dropout_is_in_training_only_and_regularizes():
    plain, dropped, again = (
        MLPClassifier((100,), dropout=rate, random_state=0, max_iter=30, learning_rate_init=0.01).fit(X, Y)
        for rate in (0.0, [0.2, 0.5], [0.2, 0.5])
    )
    assert dropped.loss_ > 2 * plain.loss_
    assert dropped.loss_curve_ == again.loss_curve_
    assert dropped.score(X, Y) > 0.95
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    assert dropped.to_network().dropout == (0.2, 0.5)


def test_without_new_parameters_the_random_numbers_are_the_same():
    state = np.random.RandomState(0)
    MLPClassifier((5,), random_state=state, max_iter=1).fit(X, Y)
    other = np.random.RandomState(0)
    other.uniform(size=64 * 5 + 5 + 5 * 10 + 10)
    other.shuffle(np.arange(len(X)))
    assert state.uniform() == other.uniform()


def test_clip_norm_limits_the_step():
    mlp = MLPRegressor(
        hidden_layer_sizes=(5,),
        solver="sgd",
        momentum=0.0,
        nesterovs_momentum=False,
        alpha=0.0,
        clip_norm=0.5,
        learning_rate_init=0.1,
        batch_size=len(X),
        max_iter=1,
        random_state=0,
    )
    start = MLPRegressor(hidden_layer_sizes=(5,), solver="sgd", learning_rate_init=1e-30, max_iter=1, random_state=0)
    start.fit(X, 1000.0 * Y)
    mlp.fit(X, 1000.0 * Y)
    assert np.linalg.norm(mlp._model.theta - start._model.theta) == pytest.approx(0.05)


@pytest.mark.parametrize("learning_rate", [mbbp.schedules.Cosine(0.01, 5), lambda epoch: 0.01 / epoch])
@pytest.mark.parametrize("solver", ["adam", "sgd", mbbp.optimizers.Adagrad()])
def test_schedules_count_on(learning_rate, solver):
    once = MLPClassifier((9,), solver=solver, learning_rate=learning_rate, max_iter=4, random_state=0).fit(X, Y)
    rates = []
    twice = MLPClassifier((9,), solver=solver, learning_rate=learning_rate, random_state=0)
    for _ in range(4):
        twice.partial_fit(X, Y, classes=np.unique(Y))
        rates.append(twice._optimizer.learning_rate)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == once._optimizer.learning_rate < rates[0]


def test_a_schedule_that_waits_for_the_loss():
    stuck = mbbp.schedules.ReduceWhenStuck(0.01, patience=1, min_delta=10.0)
    mlp = MLPClassifier((9,), learning_rate=stuck, max_iter=4, random_state=0).fit(X, Y)
    assert mlp._optimizer.learning_rate == 0.0025


def test_a_validation_set_of_ones_own():
    own = (X[300:], Y[300:])
    mlp = MLPClassifier((9,), random_state=0, max_iter=7).fit(X[:300], Y[:300], eval_set=own)
    same = MLPClassifier((9,), random_state=0, max_iter=7).fit(X[:300], Y[:300])
    assert mlp.loss_curve_ == same.loss_curve_
    assert len(mlp.eval_loss_curve_) == 7
    picked = np.log(mlp.predict_proba(own[0])[np.arange(len(own[1])), own[1]])
    assert mlp.eval_loss_curve_[-1] == pytest.approx(-picked.mean())
    stopped = MLPClassifier((9,), random_state=0, early_stopping=True, max_iter=50)
    stopped.fit(X[:300], Y[:300], eval_set=own)
    assert stopped.best_validation_score_ == pytest.approx(stopped.score(*own))
    assert stopped.loss_curve_[:7] == same.loss_curve_
    other = MLPClassifier((9,), solver="lbfgs", random_state=0, max_iter=7).fit(X[:300], Y[:300], eval_set=own)
    assert len(other.eval_loss_curve_) == other.n_iter_
    for bad in (own[0], (own[0],), [own], (own[0][:, :3], own[1]), (own[0], own[1][1:]), (own[0], np.full(100, 77))):
        with pytest.raises(ValueError, match=r"eval_set|features|inconsistent|classes"):
            MLPClassifier((9,), max_iter=1).fit(X[:300], Y[:300], eval_set=bad)


def test_early_stopping_by_any_scorer():
    x, y = make_classification(600, weights=[0.9], random_state=0)
    mlp = MLPClassifier((9,), early_stopping=True, scoring="roc_auc", random_state=0, max_iter=60)
    mlp.fit(x[:400], y[:400], eval_set=(x[400:], y[400:]))
    assert mlp.best_validation_score_ == pytest.approx(roc_auc_score(y[400:], mlp.predict_proba(x[400:])[:, 1]))
    by_function = MLPClassifier(
        (9,), early_stopping=True, random_state=0, max_iter=60, scoring=lambda one, x, y: -float(one.n_iter_)
    )
    by_function.fit(x, y)
    assert by_function.validation_scores_ == [-float(n) for n in range(1, by_function.n_iter_ + 1)]


def test_callbacks_see_each_epoch_and_stop():
    seen = []

    def look(mlp):
        seen.append((mlp.n_iter_, mlp.score(X, Y)))
        return mlp.n_iter_ == 4

    for solver in ("adam", "lbfgs"):
        seen.clear()
        mlp = MLPClassifier((9,), solver=solver, callbacks=look, random_state=0, max_iter=20).fit(X, Y)
        assert [n for n, _ in seen] == [1, 2, 3, 4]
        assert mlp.n_iter_ == 4
        assert seen[-1][1] == mlp.score(X, Y)
    for bad in (3, "x"):
        with pytest.raises(ValueError, match="callbacks"):
            MLPClassifier(callbacks=bad).fit(X, Y)


def test_callbacks_by_scikit_learns_protocol():
    pytest.importorskip("sklearn.callback")

    class Recorder:
        def __init__(self):
            self.calls = []

        def setup(self, estimator, context):
            self.calls.append("setup")

        def teardown(self, estimator, context):
            self.calls.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            self.calls.append(f"begin {context.task_name} {context.task_id}")

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            assert fitted_estimator is not estimator
            self.calls.append(f"end {context.task_name} {context.task_id} {fitted_estimator.predict(X).shape[0]}")
            return context.task_name == "epoch" and context.task_id == 1

    recorder = Recorder()
    mlp = MLPClassifier((5,), random_state=0, max_iter=9).set_callbacks(recorder).fit(X, Y)
    assert mlp.n_iter_ == 2
    n = len(X)
    assert recorder.calls == [
        "setup",
        "begin fit 0",
        "begin epoch 0",
        f"end epoch 0 {n}",
        "begin epoch 1",
        f"end epoch 1 {n}",
        f"end fit 0 {n}",
        "teardown",
    ]


def test_the_progress_bar(capsys):
    MLPClassifier((5,), random_state=0, max_iter=3, progress_bar=True).fit(X, Y)
    shown = capsys.readouterr().err
    assert "epoch 3/3" in shown
    assert "loss" in shown
    MLPClassifier((5,), random_state=0, max_iter=3).fit(X, Y)
    assert not capsys.readouterr().err


def test_transform_gives_a_hidden_layer():
    mlp = MLPClassifier((12, 7), "tanh", random_state=0, max_iter=5).fit(X, Y)
    first = np.tanh(X @ mlp.coefs_[0] + mlp.intercepts_[0])
    np.testing.assert_allclose(mlp.transform(X, 0), first, atol=1e-12)
    second = np.tanh(first @ mlp.coefs_[1] + mlp.intercepts_[1])
    for layer in (-1, 1):
        np.testing.assert_allclose(mlp.transform(X, layer), second, atol=1e-12)
    assert mlp.get_feature_names_out()[0] == "mlpclassifier0"
    assert mlp.set_output(transform="pandas").transform(X).shape == (len(X), 7)
    for layer in (2, -3, 0.5):
        with pytest.raises(ValueError, match="layer: expected a whole number from -2 to 1"):
            mlp.transform(X, layer)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_gradients_by_inputs(loss):
    targets = np.column_stack([Y, 2.0 * Y])
    mlp = MLPRegressor(loss, (6,), "tanh", random_state=0, max_iter=5).fit(X, targets)
    x, y, epsilon = X[:3].copy(), targets[:3], 1e-6
    found = mlp.input_gradient(x, y)

    def loss_of(rows):
        return [mlp._model.engine.score(mlp._examples(rows[[i]], y[[i]], None, "y")).cost for i in range(3)]

    for j in (5, 20, 33):
        more, less = x.copy(), x.copy()
        more[:, j] += epsilon
        less[:, j] -= epsilon
        expected = (np.array(loss_of(more)) - np.array(loss_of(less))) / (2 * epsilon) * mlp._loss_factor
        np.testing.assert_allclose(found[:, j], expected, rtol=1e-5, atol=1e-8)


def test_threads_are_kept_to(monkeypatch):
    seen = []
    monkeypatch.setattr(mbbp.threads, "available_cores", lambda: 4)
    monkeypatch.setattr(mbbp.threads, "_threads", None)
    for name in mbbp.threads.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)

    def look(mlp):
        seen.append(mbbp.threads.get_threads())

    for n_threads in (None, 1, 3, 9):
        MLPClassifier((5,), callbacks=look, n_threads=n_threads, max_iter=1).fit(X, Y)
    assert seen == [4, 1, 3, 4]
    assert mbbp.threads.get_threads() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert mbbp.threads.get_threads() == 2
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert mbbp.threads.get_threads() == 1
    monkeypatch.setenv("NUMBA_NUM_THREADS", "nonsense")
    assert mbbp.threads.get_threads() == 2


def test_a_network_of_ones_own():
    mlp = MLPClassifier((9,), random_state=0, max_iter=40).fit(X, Y)
    net = mlp.to_network()
    np.testing.assert_array_equal(net.feedforward(X.T), mlp.predict_proba(X).T)
    net.theta = 0 * net.theta
    assert mlp.score(X, Y) > 0.2


def test_gradients_of_the_losses_in_the_estimator():
    mlp = MLPClassifier((4,), "gelu", loss="squared_hinge", random_state=0, max_iter=3).fit(X[:, 20:26], Y)
    x, y = X[:5, 20:26], Y[:5]
    examples = mlp._examples(np.ascontiguousarray(x), y, None, "y")
    found = mlp._model.engine.gradient(examples).theta[: mlp.coefs_[0].size].reshape(mlp.coefs_[0].shape)
    np.testing.assert_allclose(found, numeric_gradient(mlp, x, y), atol=1e-7)


def test_a_loss_needs_its_output_activation():
    with pytest.raises(ValueError, match="out_activation: expected exp for the loss poisson, got identity"):
        MLPRegressor("poisson", out_activation="identity").fit(X, Y)
    with pytest.raises(ValueError, match="y: expected numbers of at least 0"):
        MLPRegressor("poisson").fit(X, Y - 5.0)
    fitted = MLPRegressor("poisson", (5,), max_iter=2).fit(X, Y)
    before = fitted.predict(X)
    for bad in ((X, Y - 5.0), (X, np.column_stack([Y, Y]))):
        with pytest.raises(ValueError, match="eval_set: expected"):
            fitted.fit(X, Y, eval_set=bad)
        np.testing.assert_array_equal(fitted.predict(X), before)
    with pytest.raises(ValueError, match="transform: expected a network with a hidden layer"):
        MLPClassifier((), max_iter=2).fit(X, Y).transform(X)


def test_a_schedule_that_has_ended_needs_no_warning(recwarn):
    mlp = MLPClassifier((5,), learning_rate=mbbp.schedules.Cosine(0.01, 3), max_iter=3).fit(X, Y)
    assert mlp.n_iter_ == 3
    assert not recwarn.list


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warning_points_to_the_users_line(solver):
    with pytest.warns(ConvergenceWarning) as found:
        MLPClassifier((5,), solver=solver, max_iter=2).fit(X, Y)
    assert found[0].filename == __file__
