"""The same numbers as scikit-learn's: parameters, loss curves, scores and predictions, over a grid of parameters."""

import itertools
import random
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn
import sklearn.neural_network
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning

import mbbp.sklearn

TOLERANCE = 1e-6
HAS_WEIGHTS = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 7)
needs_weights = pytest.mark.skipif(not HAS_WEIGHTS, reason="this scikit-learn has neither sample weights nor losses")
DIGITS = load_digits(return_X_y=True)
N = 150


def samples(kind):
    X, digits = DIGITS[0][:N] / 16, DIGITS[1][:N]
    if kind == "multiclass":
        return X, np.array([f"digit {digit}" for digit in digits])
    if kind == "binary":
        return X, digits < 4
    if kind == "one class":
        return X, np.full(N, 3)
    if kind == "multilabel":
        return make_multilabel_classification(N, n_features=12, n_classes=4, random_state=0)
    if kind == "one output":
        return X, digits + X[:, 20]
    if kind == "counts":
        return X, digits.astype(float)
    return X, np.column_stack([digits, X[:, 20], digits - 2 * X[:, 30]])


def both(kind, **parameters):
    """Return scikit-learn's estimator and ours."""
    name = "MLPClassifier" if kind in ("multiclass", "binary", "one class", "multilabel") else "MLPRegressor"
    given = {"hidden_layer_sizes": (9, 5), "random_state": 7, "max_iter": 6, **parameters}
    return [getattr(module, name)(**given) for module in (sklearn.neural_network, mbbp.sklearn)]


def call(estimators, method, *arguments, **more):
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for mlp in estimators:
            found.append(getattr(mlp, method)(*arguments, **more))
    return found


def assert_equal(estimators, X):
    theirs, ours = estimators
    for name in ("coefs_", "intercepts_", "loss_curve_", "validation_scores_"):
        assert hasattr(theirs, name) == hasattr(ours, name), name
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None
            continue
        assert len(expected) == len(getattr(ours, name))
        for one, other in zip(expected, getattr(ours, name), strict=True):
            np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE, err_msg=name)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        expected, found = getattr(theirs, name, None), getattr(ours, name, None)
        assert (found is None) == (expected is None), name
        assert expected is None or abs(found - expected) <= TOLERANCE, name
    predicted = ours.predict(X)
    assert predicted.dtype == theirs.predict(X).dtype
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_array_equal(predicted, theirs.predict(X))
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=TOLERANCE)
    else:
        np.testing.assert_allclose(predicted, theirs.predict(X), rtol=0, atol=TOLERANCE)
    if type(theirs).__name__ == "MLPRegressor" or theirs.out_activation_ != "softmax":
        return
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=0, atol=1e-4)


KINDS = ["multiclass", "binary", "multilabel", "one output", "outputs"]
SOLVERS = {
    "adam": {"solver": "adam"},
    "adam, other betas": {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "alpha": 0.5},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.005},
    "sgd, momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.6, "alpha": 0.3},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.02, "power_t": 0.3},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.3, "n_iter_no_change": 1, "max_iter": 12},
    "lbfgs": {"solver": "lbfgs"},
}
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
STOPPING = {
    "to the end": {},
    "early": {"early_stopping": True, "validation_fraction": 0.3, "tol": 0.05, "n_iter_no_change": 2, "max_iter": 15},
}
GRID = list(itertools.product(KINDS, SOLVERS, STOPPING, [True, False], [False, HAS_WEIGHTS]))


@pytest.mark.parametrize(("kind", "solver", "stopping", "shuffle", "weighted"), GRID)
def test_the_same_over_a_grid(kind, solver, stopping, shuffle, weighted):
    chance = random.Random(str((kind, solver, stopping, shuffle, weighted)))
    X, y = samples(kind)
    estimators = both(
        kind,
        shuffle=shuffle,
        activation=chance.choice(ACTIVATIONS),
        batch_size=chance.choice([40, "auto", 100, 7]),
        **SOLVERS[solver] | STOPPING[stopping],
    )
    weights = np.random.default_rng(1).uniform(0, 3, N) if weighted else None
    call(estimators, "fit", X, y, *([weights] if weighted else []))
    assert_equal(estimators, X)


@pytest.mark.parametrize("kind", [*KINDS, "one class"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start(kind, solver):
    X, y = samples(kind)
    estimators = both(kind, warm_start=True, **SOLVERS[solver])
    for _ in range(3):
        call(estimators, "fit", X, y)
        assert_equal(estimators, X)


@pytest.mark.parametrize("kind", KINDS)
def test_warm_start_with_early_stopping(kind):
    X, y = samples(kind)
    estimators = both(kind, warm_start=True, early_stopping=True, max_iter=3)
    for _ in range(3):
        call(estimators, "fit", X, y)
        assert_equal(estimators, X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "lbfgs"])
def test_partial_fit(kind, solver):
    X, y = samples(kind)
    classes = {"classes": np.unique(y)} if kind in ("multiclass", "binary") else {}
    if kind == "multilabel":
        classes = {"classes": np.arange(y.shape[1])}
    estimators = both(kind, batch_size=16, **SOLVERS[solver])
    for start in range(0, N, 50):
        call(estimators, "partial_fit", X[start : start + 50], y[start : start + 50], **classes)
        assert_equal(estimators, X)
    call(estimators, "fit", X, y)
    call(estimators, "partial_fit", X, y)
    assert_equal(estimators, X)


@needs_weights
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_poisson(solver, weighted):
    X, y = samples("counts")
    estimators = both("counts", loss="poisson", **SOLVERS[solver] | {"learning_rate_init": 0.001})
    weights = [np.random.default_rng(1).uniform(0, 3, N)] if weighted else []
    call(estimators, "fit", X, y, *weights)
    assert_equal(estimators, X)


@pytest.mark.parametrize("given", [np.random.RandomState(3), None])
def test_a_random_state_goes_on_as_theirs(given):
    X, y = samples("multiclass")
    np.random.seed(5)  # noqa: NPY002 -- scikit-learn takes its numbers from there
    state = np.random.RandomState(3) if given is not None else None
    theirs = sklearn.neural_network.MLPClassifier((5,), max_iter=3, random_state=state)
    call([theirs], "fit", X, y)
    after = np.random.uniform() if given is None else state.uniform()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    state = np.random.RandomState(3) if given is not None else None
    ours = mbbp.sklearn.MLPClassifier((5,), max_iter=3, random_state=state)
    call([ours], "fit", X, y)
    assert_equal([theirs, ours], X)
    assert after == (np.random.uniform() if given is None else state.uniform())  # noqa: NPY002


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_float32_stays_float32(kind, solver):
    X, y = samples(kind)
    estimators = both(kind, solver=solver)
    X = X.astype(np.float32)
    call(estimators, "fit", X, y)
    for one, other in zip(estimators[0].coefs_, estimators[1].coefs_, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-4)
    if hasattr(estimators[0], "predict_proba"):
        assert [mlp.predict_proba(X).dtype for mlp in estimators] == [
            np.float32 if solver != "lbfgs" else np.float64
        ] * 2


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "csr_array", "csc_array"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early", [False, True])
def test_sparse_samples(form, solver, early):
    X, y = samples("multiclass")
    sparse = getattr(scipy.sparse, form)(np.where(X > 0.5, X, 0.0))
    estimators = both("multiclass", solver=solver, early_stopping=early, batch_size=32)
    call(estimators, "fit", sparse, y)
    assert_equal(estimators, sparse)
    call(estimators[1:], "fit", sparse.toarray(), y)
    assert_equal(estimators, sparse)


def test_a_sparse_array_is_never_made_dense_as_a_whole():
    n = 1 << 15  # dense, the samples alone would take 0.5 GB
    rows = scipy.sparse.random(2000, n, density=4e-4, format="csr", random_state=0)
    y = np.asarray(rows[:, : n // 2].sum(axis=1)).ravel() > 3
    mlp = mbbp.sklearn.MLPClassifier((1,), batch_size=10, max_iter=1, random_state=0, early_stopping=True)
    call([mlp], "fit", rows[:200, :50], y[:200])  # compiling takes much longer while memory is traced
    tracemalloc.start()
    call([mlp], "fit", rows, y)
    assert mlp.predict(rows).shape == (2000,)
    assert mlp.transform(rows[:7]).shape == (7, 1)
    assert tracemalloc.get_traced_memory()[1] < 0.15e9
    tracemalloc.stop()


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "tanh"},
        {"activation": "logistic", "solver": "lbfgs"},
        {"solver": "lbfgs"},
        {"alpha": 0.5, "batch_size": 11, "shuffle": False},
        {"solver": "sgd", "momentum": 0.3},
        {"learning_rate_init": 0.01, "max_iter": 9},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["multiclass", "outputs"])
def test_parameters_that_are_changed_between_fits(changes, kind):
    X, y = samples(kind)
    estimators = both(kind, warm_start=True)
    call(estimators, "fit", X, y)
    for mlp in estimators:
        mlp.set_params(**changes)
    np.testing.assert_allclose(*(mlp.predict(X) if kind == "outputs" else mlp.predict_proba(X) for mlp in estimators))
    call(estimators, "fit", X, y)
    assert_equal(estimators, X)
    if "solver" not in changes:
        call(estimators, "partial_fit", X, y)
        assert_equal(estimators, X)
    for mlp in estimators:
        mlp.set_params(warm_start=False, solver="adam", hidden_layer_sizes=np.int64(4))
    call(estimators, "fit", X[:, :9], y)
    assert_equal(estimators, X[:, :9])


@pytest.mark.parametrize("verbose", [True, 2])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True, "tol": 0.5, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 5.0, "max_iter": 60},
    ],
)
def test_what_verbose_prints(verbose, parameters, capsys):
    X, y = samples("multiclass")
    printed = []
    for mlp in both(
        "multiclass",
        verbose=verbose,
        n_iter_no_change=1,
        **{"max_iter": 30} | {name: value for name, value in parameters.items() if name != "n_iter_no_change"},
    ):
        call([mlp], "fit", X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


@pytest.mark.parametrize("early", [False, True])
def test_a_training_that_diverges_ends_as_theirs(early):
    X, y = samples("outputs")
    estimators = both(
        "outputs", solver="sgd", learning_rate_init=100.0, early_stopping=early, activation="identity", max_iter=8
    )
    with np.errstate(all="ignore"):
        for mlp in estimators:
            if early:
                call([mlp], "fit", 1e3 * X, y)
                assert np.isnan(mlp.validation_scores_[-1])
            else:
                with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
                    call([mlp], "fit", 1e3 * X, y)
    assert estimators[0].n_iter_ == estimators[1].n_iter_


def test_edited_coefs_are_honoured():
    X, y = samples("multiclass")
    estimators = both("multiclass")
    call(estimators, "fit", X, y)
    for mlp in estimators:
        mlp.coefs_[0] = 0.5 * mlp.coefs_[0]
        mlp.intercepts_[1][:] = 0.1
        mlp.coefs_[1] += 0.01
    assert_equal(estimators, X)
    for mlp in estimators:
        mlp.coefs_ = [2 * coef for coef in mlp.coefs_]
    assert_equal(estimators, X)
    call(estimators, "partial_fit", X, y)
    assert_equal(estimators, X)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(), (3,)])
def test_a_sample_that_is_wrong_beyond_measure_costs_as_much(kind, dtype, sizes):
    X, y = samples(kind)
    X = (30 * X).astype(dtype)
    estimators = both(kind, solver="sgd", hidden_layer_sizes=sizes, learning_rate_init=10.0, momentum=0.0, max_iter=3)
    call(estimators, "fit", X, y)
    theirs, ours = (mlp.loss_curve_ for mlp in estimators)
    assert max(theirs) > 5
    # theirs has lost digits in 1 - p, where a logistic output p is close to 1
    exact = kind == "multiclass" and dtype == "float64"
    np.testing.assert_allclose(ours, theirs, rtol=1e-9 if exact else 1e-3)


@given(
    n=st.integers(2, 30),
    n_features=st.integers(1, 9),
    n_classes=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 9), max_size=3),
    batch_size=st.integers(1, 40),
    dtype=st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
    order=st.sampled_from("CF"),
    seed=st.integers(0, 2**32 - 1),
)
def test_samples_of_any_shape_dtype_and_order(n, n_features, n_classes, sizes, batch_size, dtype, order, seed):
    rng = np.random.default_rng(seed)
    X = np.asarray(rng.integers(0, 5, (n, n_features)), dtype, order=order)
    y = rng.integers(0, n_classes, n)
    parameters = {"hidden_layer_sizes": sizes, "batch_size": batch_size, "random_state": seed, "max_iter": 2}
    for kind in ("multiclass", "one output"):
        estimators = both(kind, **parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a batch that is larger than all samples
            call(estimators, "fit", X, y)
        theirs, ours = estimators
        tolerance = 1e-4 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance, atol=tolerance)
        for one, other in zip(theirs.coefs_, ours.coefs_, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(other, one, rtol=0, atol=tolerance)
