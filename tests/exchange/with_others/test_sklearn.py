"""Networks from scikit-learn's estimators: the same outputs and labels, and all else is named."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import linear_model as linear
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import LinearSVC, LinearSVR

import mbbp
import mbbp.sklearn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 3)) * [1, 10, 0.1] + [0, 5, 1]
NEW = RNG.standard_normal((40, 3)) * [1, 10, 0.1] + [0, 5, 1]
SCORE = X[:, 0] + (X[:, 1] - 5) / 10
CLASSES = {
    "texts": np.array(["no", "yes"])[(SCORE > 0).astype(int)],
    "numbers": np.digitize(SCORE, [-0.5, 0.5]) * 2,
    "flags": SCORE > 0.3,
}
NUMBERS = {"one": 3 * SCORE + 100, "two": np.stack([SCORE, 50 * SCORE + 1], axis=1)}


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few have converged
        return estimator.fit(X, y)


def mlp(**options):
    return MLPClassifier(**{"hidden_layer_sizes": (5, 4), "max_iter": 5, "random_state": 0} | options)


def regressor(**options):
    return MLPRegressor(**{"hidden_layer_sizes": (5, 4), "max_iter": 5, "random_state": 0} | options)


CLASSIFIERS = {
    **{f"MLP, {name}": mlp(activation=name) for name in ("identity", "logistic", "tanh", "relu")},
    "MLP without a hidden layer": mlp(hidden_layer_sizes=()),
    "standardized": make_pipeline(StandardScaler(), mlp()),
    "centred": make_pipeline(StandardScaler(with_std=False), mlp()),
    "scaled": make_pipeline(StandardScaler(with_mean=False), mlp()),
    "minmax": make_pipeline(MinMaxScaler((-1, 2)), mlp()),
    "maxabs": make_pipeline(MaxAbsScaler(), mlp()),
    "robust": make_pipeline(RobustScaler(), mlp()),
    "several": make_pipeline(
        "passthrough", FunctionTransformer(), make_pipeline(StandardScaler(), MinMaxScaler()), make_pipeline(mlp())
    ),
    "LogisticRegression": linear.LogisticRegression(),
    "LogisticRegressionCV": make_pipeline(StandardScaler(), linear.LogisticRegression(fit_intercept=False)),
    "RidgeClassifier": linear.RidgeClassifier(),
    "LinearSVC": make_pipeline(StandardScaler(), LinearSVC()),
    "Perceptron": linear.Perceptron(),
    "SGDClassifier": linear.SGDClassifier(),
}


def expected_outputs(estimator, net):
    if hasattr(estimator, "predict_proba"):
        found = estimator.predict_proba(NEW)
        return found[:, -net.sizes[-1] :].T
    return np.asarray(estimator.decision_function(NEW)).reshape(len(NEW), -1).T


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("classes", CLASSES)
def test_classifiers(classes, name):
    estimator = fitted(CLASSIFIERS[name], X, CLASSES[classes])
    net = mbbp.from_sklearn(estimator)
    expected = expected_outputs(estimator, net)
    assert net.dtype == np.float64
    assert np.abs(net.feedforward(NEW.T) - expected).max() <= 1e-12 * max(1, np.abs(expected).max())
    assert np.array_equal(np.array(net.schema.classes)[net.classify(NEW.T)], estimator.predict(NEW).astype(str))


REGRESSORS = {
    "MLP": regressor(),
    "MLP of standardized": make_pipeline(StandardScaler(), regressor(activation="tanh")),
    "LinearRegression": linear.LinearRegression(),
    "Ridge": make_pipeline(MinMaxScaler(), linear.Ridge()),
    "Lasso": linear.Lasso(0.01),
    "standardized targets": TransformedTargetRegressor(
        make_pipeline(StandardScaler(), regressor()), transformer=StandardScaler()
    ),
    "scaled targets": TransformedTargetRegressor(linear.Ridge(), transformer=MinMaxScaler()),
    "targets as they are": TransformedTargetRegressor(linear.Ridge()),
}


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("targets", NUMBERS)
def test_regressors(targets, name):
    estimator = fitted(REGRESSORS[name], X, NUMBERS[targets])
    net = mbbp.from_sklearn(estimator)
    expected = estimator.predict(NEW).reshape(len(NEW), -1).T
    assert np.abs(net.feedforward(NEW.T) - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("make", [linear.HuberRegressor, linear.SGDRegressor, LinearSVR, linear.QuantileRegressor])
def test_regressors_of_one_number(make):
    estimator = fitted(make_pipeline(StandardScaler(), make()), X, NUMBERS["one"])
    assert np.allclose(
        mbbp.from_sklearn(estimator).feedforward(NEW.T)[0], estimator.predict(NEW), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("make", [linear.PoissonRegressor, linear.GammaRegressor])
def test_regressors_of_counts(make):
    estimator = fitted(make(), X, np.exp(SCORE))
    net = mbbp.from_sklearn(estimator)
    assert net.layers[-1].activation.name == "exp"
    assert np.allclose(net.feedforward(NEW.T)[0], estimator.predict(NEW), rtol=1e-12)


def test_the_dtype_is_that_of_the_coefficients():
    estimator = fitted(mlp(), X.astype(np.float32), CLASSES["numbers"])
    net, new = mbbp.from_sklearn(estimator), NEW.astype(np.float32)
    assert net.dtype == np.float32
    assert np.abs(net.feedforward(new.T) - estimator.predict_proba(new).T).max() < 1e-6


def test_several_labels_at_a_time_are_targets():
    Y = np.stack([SCORE > 0, SCORE > 0.5, SCORE < 1], axis=1).astype(int)
    estimator = fitted(mlp(), X, Y)
    net = mbbp.from_sklearn(estimator)
    assert np.abs(net.feedforward(NEW.T) - estimator.predict_proba(NEW).T).max() < 1e-12
    assert net.schema.classes is None
    assert net.schema.targets == ("0", "1", "2")


@pytest.mark.parametrize("after_a_scaler", [True, False])
def test_our_own_estimators(after_a_scaler):
    def made(estimator):
        return make_pipeline(StandardScaler(), estimator) if after_a_scaler else estimator

    options = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    for classes, y in CLASSES.items():
        estimator = fitted(made(mbbp.sklearn.MLPClassifier(**options)), X, y)
        net = mbbp.from_sklearn(estimator)
        expected = expected_outputs(estimator, net)
        assert np.abs(net.feedforward(NEW.T) - expected).max() <= 1e-12, classes
        assert net.schema.classes == tuple(map(str, estimator.classes_))
    estimator = fitted(made(mbbp.sklearn.MLPRegressor(**options)), X, NUMBERS["two"])
    net = mbbp.from_sklearn(estimator)
    assert np.allclose(net.feedforward(NEW.T), estimator.predict(NEW).T, rtol=1e-12, atol=1e-12)


def test_names_of_columns_come_along():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    for estimator in (mlp(), make_pipeline(StandardScaler(), mlp()), linear.LinearRegression()):
        y = SCORE if isinstance(estimator, linear.LinearRegression) else CLASSES["texts"]
        assert mbbp.from_sklearn(fitted(estimator, frame, y)).schema.input_names == ("a", "b", "c")


def times_two(X):
    return 2 * X


class OwnClassifier(MLPClassifier):
    pass


REFUSED = {
    "a forest": (RandomForestClassifier(2), "RandomForestClassifier: mbbp knows no network"),
    "a subclass": (OwnClassifier((2,), max_iter=2), "OwnClassifier: mbbp knows no network"),
    "a normalizer": (make_pipeline(Normalizer(), mlp()), r"'normalizer' \(Normalizer\): it is no scaler"),
    "a function": (
        make_pipeline(FunctionTransformer(times_two), mlp()),
        "FunctionTransformer.: its function is Python",
    ),
    "a clip": (make_pipeline(MinMaxScaler(clip=True), mlp()), "MinMaxScaler.: it cuts"),
    "one against the rest": (linear.SGDClassifier(loss="log_loss"), "SGDClassifier: its probabilities"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_named(name):
    estimator, message = REFUSED[name]
    fitted(estimator, X, CLASSES["numbers"])
    with pytest.raises(ValueError, match=f"^estimator: expected a multilayer perceptron.*{message}"):
        mbbp.from_sklearn(estimator)


@pytest.mark.parametrize("make", [MinMaxScaler, MaxAbsScaler])
def test_scalers_that_cut_are_refused(make):
    if "clip" not in make().get_params():
        pytest.skip("this scikit-learn has no clip here")
    message = rf"^estimator: .*{make.__name__}\W+it cuts what is beyond the range, clip=True"
    estimator = fitted(make_pipeline(make(clip=True), linear.Ridge()), X, SCORE)
    with pytest.raises(ValueError, match=message):
        mbbp.from_sklearn(estimator)
    estimator = fitted(TransformedTargetRegressor(linear.Ridge(), transformer=make(clip=True)), X, SCORE)
    with pytest.raises(ValueError, match=message):
        mbbp.from_sklearn(estimator)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("make", [linear.RidgeClassifier, linear.RidgeClassifierCV])
def test_linear_classifiers_of_several_labels_are_refused(make, labels):
    Y = np.stack([SCORE > 0, SCORE > 0.5, SCORE < 1], axis=1).astype(int)[:, :labels]
    with pytest.raises(ValueError, match=f"^estimator: .* got {make.__name__}: it tells several labels at a time"):
        mbbp.from_sklearn(fitted(make(), X, Y))


def test_functions_of_targets_are_refused():
    estimator = fitted(TransformedTargetRegressor(linear.Ridge(), func=np.exp, inverse_func=np.log), X, SCORE)
    with pytest.raises(ValueError, match="TransformedTargetRegressor: its function of the targets is Python code"):
        mbbp.from_sklearn(estimator)
    transformer = FunctionTransformer(inverse_func=np.exp, check_inverse=False)
    estimator = TransformedTargetRegressor(linear.Ridge(), transformer=transformer, check_inverse=False)
    with pytest.raises(ValueError, match="the transformer FunctionTransformer: its function is Python code"):
        mbbp.from_sklearn(fitted(estimator, X, SCORE))


@pytest.mark.parametrize(
    "estimator",
    [
        mlp(),
        regressor(),
        make_pipeline(StandardScaler(), mlp()),
        linear.Ridge(),
        linear.LogisticRegression(),
        TransformedTargetRegressor(linear.Ridge()),
        mbbp.sklearn.MLPClassifier(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_it_must_be_fitted(estimator):
    from sklearn.base import clone

    with pytest.raises(ValueError, match=r"^estimator: expected a fitted estimator, got \w+ without"):
        mbbp.from_sklearn(clone(estimator))


@pytest.mark.parametrize("wrong", [None, 3, "net", np.eye(2), MLPClassifier], ids=str)
def test_it_must_be_an_estimator(wrong):
    with pytest.raises(ValueError, match=r"^estimator: expected"):
        mbbp.from_sklearn(wrong)


def test_numbers_that_are_not_finite_are_refused():
    estimator = fitted(mlp(), X, CLASSES["texts"])
    estimator.coefs_[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^estimator: expected finite weights and biases in layer 1"):
        mbbp.from_sklearn(estimator)
