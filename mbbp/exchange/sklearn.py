"""Networks from the estimators of scikit-learn: multilayer perceptrons, linear models, and scalers before them.

scikit-learn is not imported here: an estimator tells its own class. Only classes whose predictions are known are taken,
and no subclasses of them, which may predict something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mbbp.exchange.chain import Factor, Function, Linear, Shift, Step, as_layer, assemble, refuse
from mbbp.exchange.rebuild import names_of, rebuild
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.schema import Column, Schema

ACTIVATIONS = {"logistic": "sigmoid", "tanh": "tanh", "relu": "relu", "identity": "identity", "softmax": "softmax"}
LINEAR_REGRESSORS = {
    *("ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "LarsCV", "Lasso"),
    *("LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression", "LinearSVR", "MultiTaskElasticNet"),
    *("MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV", "OrthogonalMatchingPursuit", "QuantileRegressor"),
    *("Ridge", "RidgeCV", "SGDRegressor", "TheilSenRegressor"),
}
COUNT_REGRESSORS = {"GammaRegressor", "PoissonRegressor"}  # exp of a linear function
PROBABLE_CLASSIFIERS = {"LogisticRegression", "LogisticRegressionCV", "SGDClassifier"}
SCORE_CLASSIFIERS = {"LinearSVC", "Perceptron", "RidgeClassifier", "RidgeClassifierCV"}  # no probabilities


def from_sklearn(estimator: Any) -> Network:
    """Return the network that computes what a fitted estimator of scikit-learn predicts.

    Parameters
    ----------
    estimator : object
        MLPClassifier or MLPRegressor, of scikit-learn or of `mbbp.sklearn`; a linear model, such as LinearRegression,
        Ridge, LogisticRegression, SGDClassifier or PoissonRegressor; a Pipeline of StandardScaler, MinMaxScaler,
        MaxAbsScaler, RobustScaler or 'passthrough' and one of these; or a TransformedTargetRegressor of one with a
        StandardScaler of the targets.

    Returns
    -------
    Network
        Its examples are columns: where the estimator takes X, it takes X.T. `feedforward` gives predict_proba(X).T; for
        two classes it has one output, the second column of it. Classifiers without probabilities give their decision
        function, and regressors their prediction. The scalers become the scaling of the network. Its dtype is that of
        the coefficients. The names of the classes and the columns are in its schema, as texts.

    Raises
    ------
    ValueError
        If it is not fitted, or a part of it cannot be converted: the message names the part, and says why.

    Notes
    -----
    The outputs are those of the estimator up to rounding. A network for several labels at a time (multilabel) has one
    sigmoid output for each; the labels are its targets then, not its classes, since more than one can be right. A
    classifier without probabilities becomes a network with the cost squared_hinge, whose `classify` follows its rule.
    """
    steps, cost, schema, network = _parts(estimator)
    if network is not None and not steps:
        network.schema = schema
        return network
    if network is not None:
        layers = [as_layer("estimator", "a layer", one.W, one.b.reshape(-1)) for one in network.layers]
        if any(one.activation.is_custom for one in network.layers):
            refuse("estimator", "an MLP after a scaler", "it has a custom activation")
        for layer, one in zip(layers, network.layers, strict=True):
            steps += [layer, Function("its activation", one.activation.name)]
        parts = assemble("estimator", steps)
        return rebuild("estimator", parts._replace(cost=network.cost_function, schema=schema, rates=network.dropout))
    parts = assemble("estimator", steps)
    return rebuild("estimator", parts._replace(cost=cost, schema=schema))


Found = tuple[list[Step], str | None, Schema | None, Network | None]


def _name(estimator: Any) -> tuple[str, str]:
    """Return the package and the name of the class of an estimator."""
    kind = type(estimator)
    return kind.__module__.partition(".")[0], kind.__name__


def _get(estimator: Any, attribute: str) -> Any:
    """Return what `fit` has set.

    Raises
    ------
    ValueError
        If it is not there.
    """
    if not hasattr(estimator, attribute):
        raise ValueError(
            f"estimator: expected a fitted estimator, got {type(estimator).__name__} without "
            f"{attribute}; call fit first"
        )
    return getattr(estimator, attribute)


def _parts(estimator: Any) -> Found:
    package, name = _name(estimator)
    if package == "sklearn" and name == "Pipeline":
        return _of_pipeline(estimator)
    if package == "sklearn" and name == "TransformedTargetRegressor":
        return _of_transformed(estimator)
    if name in ("MLPClassifier", "MLPRegressor") and package in ("sklearn", "mbbp"):
        return _of_mlp(estimator, package)
    if package == "sklearn" and name in (LINEAR_REGRESSORS | COUNT_REGRESSORS):
        return _of_regressor(estimator, name)
    if package == "sklearn" and name in (SCORE_CLASSIFIERS | PROBABLE_CLASSIFIERS):
        return _of_classifier(estimator, name)
    where = f"{type(estimator).__module__}.{name}"
    return refuse("estimator", where, "mbbp knows no network for it; help(mbbp.from_sklearn) names those it knows")


def _columns(estimator: Any) -> tuple[Column, ...] | None:
    names = names_of(getattr(estimator, "feature_names_in_", None))
    return None if names is None else tuple(Column(one) for one in names)


def _schema(
    estimator: Any, classes: tuple[str, ...] | None = None, targets: tuple[str, ...] | None = None
) -> Schema | None:
    columns = _columns(estimator)
    nothing = columns is None and classes is None and targets is None
    return None if nothing else Schema(columns, classes, targets)


def _of_pipeline(pipeline: Any) -> Found:
    steps: list[Step] = []
    columns: tuple[Column, ...] | None = None
    for index, (label, step) in enumerate(pipeline.steps):
        where = f"the step {label!r} ({type(step).__name__})"
        columns = _columns(step) if columns is None else columns
        if index < len(pipeline.steps) - 1:
            steps += _scaler(step, where)
    more, cost, schema, network = _parts(pipeline.steps[-1][1])
    if columns is not None:
        schema = Schema(columns, *(() if schema is None else (schema.classes, schema.targets)))
    return steps + more, cost, schema, network


def _scaler(step: Any, where: str) -> Iterator[Step]:
    """Yield the shifts and factors of a step before the last one.

    Raises
    ------
    ValueError
        If it does more than that.
    """
    package, name = _name(step)
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return
    if getattr(step, "clip", False):
        refuse("estimator", where, "it cuts what is beyond the range, clip=True")
    if package == "sklearn" and name in ("StandardScaler", "RobustScaler"):
        centre, scale = (_get(step, one) for one in (("mean_" if name[0] == "S" else "center_"), "scale_"))
        has_centre = step.with_mean if name[0] == "S" else step.with_centering
        if centre is not None and has_centre:
            yield Shift(where, -np.asarray(centre, np.float64))
        if scale is not None:
            yield Factor(where, 1 / np.asarray(scale, np.float64))
    elif package == "sklearn" and name == "MaxAbsScaler":
        yield Factor(where, 1 / np.asarray(_get(step, "scale_"), np.float64))
    elif package == "sklearn" and name == "MinMaxScaler":
        scale = np.asarray(_get(step, "scale_"), np.float64)
        yield Shift(where, np.asarray(step.min_, np.float64) / scale)  # (x + min / scale) scale, as mbbp scales
        yield Factor(where, scale)
    elif package == "sklearn" and name == "FunctionTransformer":
        if step.func is not None or step.inverse_func is not None:
            refuse("estimator", where, "its function is Python code")
    elif package == "sklearn" and name == "Pipeline":
        for label, inner in step.steps:
            yield from _scaler(inner, f"the step {label!r} ({type(inner).__name__})")
    else:
        refuse("estimator", where, "it is no scaler that mbbp knows")


def _of_transformed(estimator: Any) -> Found:
    inner, transformer = _get(estimator, "regressor_"), estimator.transformer_
    steps, cost, schema, network = _parts(inner)
    where = f"the transformer {type(transformer).__name__}"
    if estimator.func is not None or estimator.inverse_func is not None:
        refuse("estimator", "TransformedTargetRegressor", "its function of the targets is Python code")
    undone = [
        Factor(one.where, one.v, not one.divides) if isinstance(one, Factor) else Shift(one.where, one.v, -one.times)
        for one in list(_scaler(transformer, where))[::-1]
        if isinstance(one, Factor | Shift)
    ]
    if not undone:
        return steps, cost, schema, network
    if network is not None:
        refuse("estimator", "TransformedTargetRegressor", "an estimator of mbbp in it is not supported")
    if isinstance(steps[-1], Function):
        if steps[-1].name != "identity":
            refuse("estimator", where, f"the outputs of the regressor are {steps[-1].name}, not linear")
        steps = steps[:-1]
    return [*steps, *undone], cost, schema, network


def _of_mlp(estimator: Any, package: str) -> Found:
    coefs, intercepts = _get(estimator, "coefs_"), estimator.intercepts_
    classes = targets = None
    if hasattr(estimator, "classes_"):
        names = tuple(str(one) for one in np.asarray(estimator.classes_).reshape(-1))
        n_out = coefs[-1].shape[1]
        is_multilabel = bool(getattr(estimator._label_binarizer, "y_type_", "").startswith("multilabel"))
        classes, targets = (None, names) if is_multilabel else (names, None)
        if not is_multilabel and len(names) != max(n_out, 2):
            refuse("estimator", type(estimator).__name__, f"it has {len(names)} classes and {n_out} outputs")
    schema = _schema(estimator, classes, targets)
    if package == "mbbp":
        return [], None, schema, estimator.to_network()
    steps: list[Step] = []
    for i, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        given = estimator.out_activation_ if i == len(coefs) - 1 else estimator.activation
        if given not in (*ACTIVATIONS, "exp"):
            refuse("estimator", type(estimator).__name__, f"its activation is {given!r:.100}")
        steps += [as_layer("estimator", f"layer {i + 1}", np.asarray(W).T, b)]
        steps += [Function(f"layer {i + 1}", ACTIVATIONS.get(given, given))]
    return steps, None, schema, None


def _linear_step(estimator: Any) -> Linear:
    W = np.atleast_2d(np.asarray(_get(estimator, "coef_")))
    given: Array = np.atleast_1d(np.asarray(estimator.intercept_))
    b = np.broadcast_to(given, len(W)) if given.size == 1 else given
    return as_layer("estimator", type(estimator).__name__, W, b.astype(W.dtype))


def _of_regressor(estimator: Any, name: str) -> Found:
    steps: list[Step] = [_linear_step(estimator)]
    if name in COUNT_REGRESSORS:
        return [*steps, Function(name, "exp")], "poisson" if name[0] == "P" else "quadratic", _schema(estimator), None
    return steps, "quadratic", _schema(estimator), None


def _of_classifier(estimator: Any, name: str) -> Found:
    step, classes = _linear_step(estimator), np.asarray(estimator.classes_)
    kind_of_labels = str(getattr(getattr(estimator, "_label_binarizer", None), "y_type_", ""))
    if classes.ndim != 1 or isinstance(estimator.classes_, list) or kind_of_labels.startswith("multilabel"):
        refuse("estimator", name, "it tells several labels at a time")
    if len(step.b) != (1 if len(classes) == 2 else len(classes)):
        refuse("estimator", name, f"it has {len(classes)} classes and {len(step.b)} outputs")
    schema = _schema(estimator, tuple(str(one) for one in classes))
    is_binary = len(classes) == 2
    loss = getattr(estimator, "loss", "log_loss")
    if name in SCORE_CLASSIFIERS or (name == "SGDClassifier" and loss not in ("log_loss", "modified_huber")):
        return [step], "squared_hinge", schema, None
    if name == "SGDClassifier" and (loss != "log_loss" or not is_binary):
        refuse("estimator", name, f"its probabilities for the loss {loss!r} and {len(classes)} classes are no softmax")
    is_one_against_rest = getattr(estimator, "multi_class", "auto") == "ovr" or (
        getattr(estimator, "solver", "") == "liblinear"
    )
    if is_binary:
        if getattr(estimator, "multi_class", "auto") == "multinomial":
            refuse("estimator", name, "multi_class='multinomial' with two classes is a softmax of twice the numbers")
        return [step, Function(name, "sigmoid")], "cross_entropy", schema, None
    if is_one_against_rest:
        refuse("estimator", name, "it tells each class from all others apart, which is no softmax")
    return [step, Function(name, "softmax")], "log_likelihood", schema, None
