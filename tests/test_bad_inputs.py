"""Bad input: the error names the argument, and nothing has changed."""

import numpy as np
import pytest

import mbbp

N_IN, N_OUT, M = 4, 3, 6
GOOD_X = np.random.default_rng(0).standard_normal((N_IN, M))
GOOD_Y = np.random.default_rng(1).dirichlet(np.ones(N_OUT), M).T

ON_INPUTS = {
    "feedforward": lambda net, X: net.feedforward(X),
    "activations": lambda net, X: net.activations(X),
    "classify": lambda net, X: net.classify(X),
}
ON_EXAMPLES = {
    "cost": lambda net, X, Y: net.cost(X, Y),
    "accuracy": lambda net, X, y: net.accuracy(X, y),
    "gradient": lambda net, X, Y: net.gradient(X, Y),
    "fit": lambda net, X, y: net.fit(X, y, epochs=1),
}
EVERYWHERE = ON_INPUTS | {name: lambda net, X, f=f: f(net, X, GOOD_Y) for name, f in ON_EXAMPLES.items()}


def with_one(array, row, column, value):
    changed = np.array(array, np.float64)
    changed[row, column] = value
    return changed


def with_object(array, row, column, value):
    changed = array.astype(object)
    changed[row, column] = value
    return changed


def shape(*numbers):
    return f"got shape ({', '.join(map(str, numbers))})"


BAD_X = {
    "a row too few": (np.zeros((3, 6)), ValueError, "expected shape (4, m), got (3, 6)"),
    "rows of samples": (
        np.zeros((6, 4)),
        ValueError,
        "expected shape (4, m), got (6, 4); for rows of samples pass X.T",
    ),
    "one example": (np.zeros(4), ValueError, "got (4,); for a single example pass X.reshape(-1, 1)"),
    "a number": (1.0, ValueError, "expected shape (4, m) with one example per column, got ()"),
    "three dimensions": (np.zeros((4, 6, 1)), ValueError, "got (4, 6, 1)"),
    "no column": (np.zeros((4, 0)), ValueError, "expected at least one column, " + shape(4, 0)),
    "nan": (with_one(GOOD_X, 2, 5, np.nan), ValueError, "expected finite numbers, got nan in row 2, column 5"),
    "inf": (with_one(GOOD_X, 0, 1, np.inf), ValueError, "expected finite numbers, got inf in row 0, column 1"),
    "-inf": (with_one(GOOD_X, 3, 0, -np.inf), ValueError, "expected finite numbers, got -inf in row 3, column 0"),
    "nan in float16": (with_one(GOOD_X, 1, 1, np.nan).astype("f2"), ValueError, "got nan in row 1, column 1"),
    "too large": (
        with_one(GOOD_X, 1, 4, -1e39),
        ValueError,
        "expected numbers that float32 can hold, got -1e+39 in row 1, column 4",
    ),
    "complex": (GOOD_X + 0j, TypeError, "expected real numbers, got dtype complex128"),
    "objects": (with_object(GOOD_X, 1, 5, 1j), TypeError, "expected real numbers, got 1j in row 1, column 5"),
    "strings": (GOOD_X.astype(str), TypeError, "expected real numbers, got dtype <U"),
    "dates": (np.zeros((4, 6), "M8[D]"), TypeError, "expected real numbers, got dtype datetime64"),
    "nothing": (None, TypeError, "expected real numbers, got None"),
    "an object": ({4: 6}, TypeError, "expected real numbers, got {4: 6}"),
    "masked": (np.ma.masked_less(GOOD_X, 0), ValueError, "expected an array without masked values, got some"),
    "ragged": (
        [[1, 2], [3], [4, 5], [6, 7]],
        ValueError,
        "expected rows of equal length, got rows of different lengths",
    ),
}
BAD_Y = {
    "a row too few": (np.zeros((2, 6)), ValueError, "expected shape (3, m), got (2, 6)"),
    "rows of samples": (
        np.zeros((6, 3)),
        ValueError,
        "expected shape (3, m), got (6, 3); for rows of samples pass {}.T",
    ),
    "a column too few": (
        GOOD_Y[:, 1:],
        ValueError,
        "expected one target for each of the 6 columns of X, got 5 columns",
    ),
    "a label too few": (
        [0, 1, 2, 0, 1],
        ValueError,
        "expected one target for each of the 6 columns of X, got 5 labels",
    ),
    "no label": ([], ValueError, "expected at least one label, got none"),
    "a number": (1.0, ValueError, "expected shape (3, m) with one example per column, got ()"),
    "nan": (with_one(GOOD_Y, 2, 5, np.nan), ValueError, "expected finite numbers, got nan in row 2, column 5"),
    "inf": (with_one(GOOD_Y, 0, 1, np.inf), ValueError, "expected finite numbers, got inf in row 0, column 1"),
    "too large": (
        with_one(GOOD_Y, 1, 4, 1e39),
        ValueError,
        "expected numbers that float32 can hold, got 1e+39 in row 1, column 4",
    ),
    "a negative label": ([0, 1, -1, 0, 1, 2], ValueError, "expected labels from 0 to 2, got -1 at position 2"),
    "too large a label": ([0, 1, 2, 3, 1, 2], ValueError, "expected labels from 0 to 2, got 3 at position 3"),
    "half a label": (
        [0, 0.5, 2, 0, 1, 2],
        ValueError,
        "expected labels from 0 to 2, got 0.5 (not a whole number) at position 1",
    ),
    "no number for a label": (
        [0, 1, 2, 0, 1, np.nan],
        ValueError,
        "expected labels from 0 to 2, got nan at position 5",
    ),
    "an infinite label": ([np.inf, 1, 2, 0, 1, 0], ValueError, "expected labels from 0 to 2, got inf at position 0"),
    "complex": (GOOD_Y + 0j, TypeError, "expected real numbers, got dtype complex128"),
    "names": (list("abcabc"), TypeError, "expected real numbers, got dtype <U1"),
    "objects": ([0, 1, None, 0, 1, 2], TypeError, "got None in position 2; fill missing values"),
    "ragged": ([[1, 2], [3], [4, 5]], ValueError, "expected rows of equal length, got rows of different lengths"),
}


@pytest.fixture
def net():
    """Return a network with trained parameters, a history, and z, a and delta in its layers."""
    net = mbbp.Network([N_IN, 5, N_OUT], rng=0)
    net.fit(GOOD_X, GOOD_Y, epochs=1)
    net.gradient(GOOD_X, GOOD_Y)
    return net


def state(net):
    arrays = [net.theta, *(x for layer in net.layers for x in (layer.z, layer.a, layer.delta))]
    return [array.tobytes() for array in arrays], net.history[:], str(net.rng.bit_generator.state)


def refused(net, run, error, message):
    """Assert that `run` raises this error with this message, and that the network is unchanged."""
    before = state(net)
    with pytest.raises(error) as raised:
        run()
    assert state(net) == before
    assert str(raised.value).startswith(message.partition(":")[0] + ":")
    assert message.partition(": ")[2] in str(raised.value)


@pytest.mark.parametrize("method", EVERYWHERE)
@pytest.mark.parametrize(("X", "error", "message"), BAD_X.values(), ids=BAD_X)
def test_bad_inputs(net, method, X, error, message):
    refused(net, lambda: EVERYWHERE[method](net, X), error, "X: " + message)


@pytest.mark.parametrize("method", ON_EXAMPLES)
@pytest.mark.parametrize(("Y", "error", "message"), BAD_Y.values(), ids=BAD_Y)
def test_bad_targets(net, method, Y, error, message):
    name = "y" if method in ("accuracy", "fit") else "Y"
    refused(net, lambda: ON_EXAMPLES[method](net, GOOD_X, Y), error, f"{name}: " + message.format(name))


@pytest.mark.parametrize("method", ON_EXAMPLES)
@pytest.mark.parametrize("value", [-0.01, 1.01])
@pytest.mark.parametrize(("output", "cost"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_targets_that_are_no_probabilities(method, value, output, cost):
    net = mbbp.Network([N_IN, N_OUT], output, cost, rng=0)
    net.gradient(GOOD_X, GOOD_Y)
    name = "y" if method in ("accuracy", "fit") else "Y"
    message = f"{name}: expected probabilities from 0 to 1 for the {cost} cost, got numbers from"
    refused(net, lambda: ON_EXAMPLES[method](net, GOOD_X, with_one(GOOD_Y, 1, 2, value)), ValueError, message)


def test_a_single_output_takes_the_labels_0_and_1():
    net = mbbp.Network([N_IN, 1])
    with pytest.raises(ValueError, match="Y: expected labels from 0 to 1, got 2 at position 2; for a regression pass"):
        net.cost(GOOD_X, [0, 1, 2, 0, 1, 1])


def test_float64_holds_what_float32_does_not():
    net = mbbp.Network([N_IN, N_OUT], dtype="float64", rng=0)
    assert np.isfinite(net.feedforward(with_one(GOOD_X, 1, 4, -1e39))).all()


BAD_WEIGHTS = {
    "too few": (np.ones(5), ValueError, "expected 6 numbers, one for each example, " + shape("5,")),
    "a row": (np.ones((1, 6)), ValueError, shape(1, 6)),
    "negative": ([1, 1, -1, 1, 1, 1], ValueError, "got -1 at position 2"),
    "nan": ([1, 1, np.nan, 1, 1, 1], ValueError, "got nan at position 2"),
    "all 0": (np.zeros(6), ValueError, "not all of them 0 (in float32), got zeros"),
    "strings": (list("abcdef"), TypeError, "expected real numbers, got dtype <U1"),
}


@pytest.mark.parametrize("method", ["cost", "gradient"])
@pytest.mark.parametrize(("weights", "error", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_example_weights(net, method, weights, error, message):
    run = getattr(net, method)
    refused(net, lambda: run(GOOD_X, GOOD_Y, example_weights=weights), error, "example_weights: " + message)


NAMES = "elu, exp, gelu, identity, leaky_relu, relu, sigmoid, silu, softmax, softplus, tanh"
BAD_NETWORKS = {
    "one layer": ({"sizes": [4]}, ValueError, "sizes: expected at least two whole numbers of 1 or more, got [4]"),
    "no layer": ({"sizes": []}, ValueError, "sizes: expected at least two whole"),
    "an empty layer": ({"sizes": [4, 0, 3]}, ValueError, "sizes: expected at least two whole numbers of 1 or more"),
    "a negative size": ({"sizes": [4, -2]}, ValueError, "sizes: expected at least two whole numbers of 1 or more"),
    "half a neuron": ({"sizes": [4, 2.5]}, TypeError, "sizes: expected at least two whole"),
    "a float": ({"sizes": [4.0, 2.0]}, TypeError, "sizes: expected at least two whole"),
    "a string": ({"sizes": "43"}, TypeError, "sizes: expected at least two whole"),
    "a number": (
        {"sizes": 4},
        TypeError,
        "sizes: expected at least two whole numbers of 1 or more, got 4",
    ),
    "an activation": ({"activation": "sigmoyd"}, ValueError, f"activation: expected one of {NAMES}, got 'sigmoyd'"),
    "one of the activations": (
        {"activation": ["tanh", "tan"]},
        ValueError,
        f"activation: expected one of {NAMES}, got 'tan'",
    ),
    "too few activations": (
        {"activation": ["tanh"]},
        ValueError,
        "activation: expected one for all, or one for each of the 2 computing layers, got 1",
    ),
    "one for the input too": (
        {"activation": ["tanh"] * 3},
        ValueError,
        "activation: expected one for all, or one for each of the 2 computing layers, got 3",
    ),
    "no activation": (
        {"activation": None},
        TypeError,
        "activation: expected one for all, or one for each layer, got None",
    ),
    "a function": (
        {"activation": np.tanh},
        TypeError,
        "activation: expected one for all, or one for each layer, got",
    ),
    "functions": ({"activation": [np.tanh, np.tanh]}, TypeError, "activation: expected a name or an mbbp.Activation"),
    "softmax everywhere": (
        {"activation": "softmax"},
        ValueError,
        "activation: expected softmax for the output layer only, got softmax for a hidden layer; pass one activation "
        "for each layer, for example ['sigmoid', 'softmax']",
    ),
    "softmax inside": (
        {"activation": ["softmax", "sigmoid"]},
        ValueError,
        "activation: expected softmax for the output layer only",
    ),
    "a cost": (
        {"cost": "square"},
        ValueError,
        "cost: expected one of absolute, cross_entropy, huber, log_likelihood, poisson, quadratic, quantile, "
        "squared_hinge, got 'square'",
    ),
    "a number as the cost": ({"cost": 2}, TypeError, "cost: expected a name or an mbbp.Cost, got 2"),
    "cross-entropy of tanh": (
        {"activation": ["tanh", "tanh"], "cost": "cross_entropy"},
        ValueError,
        "cost: expected a sigmoid output layer for cross_entropy, got tanh; cross_entropy needs",
    ),
    "log-likelihood of sigmoid": (
        {"activation": ["sigmoid", "sigmoid"], "cost": "log-likelihood"},
        ValueError,
        "cost: expected a softmax output layer for log_likelihood, got sigmoid; log_likelihood",
    ),
    "cross-entropy of a custom sigmoid": (
        {"activation": [mbbp.Activation("sigmoid", abs, abs)] * 2, "cost": "cross_entropy"},
        ValueError,
        "cost: expected a sigmoid output layer for cross_entropy, got a custom 'sigmoid'",
    ),
    "relu alone": (
        {"activation": "relu"},
        ValueError,
        "activation: expected one for each layer, or a named cost, got 'relu', which is for hidden ones; for classes "
        "pass ['relu', 'softmax'], for numbers pass ['relu', 'identity']",
    ),
    "leaky relu and no hidden layer": (
        {"sizes": [4, 3], "activation": "leaky_relu", "cost": "quadratic"},
        ValueError,
        "activation: expected one for each layer, or a named cost, got 'leaky_relu'",
    ),
    "a seed below 0": ({"rng": -1}, ValueError, "rng: expected 0 or more, got -1"),
    "a seed that is text": ({"rng": "0"}, TypeError, "rng: expected a whole number, got '0'"),
    "a word for the scaling": (
        {"scaling": "standardise"},
        ValueError,
        "scaling: expected None, a number, 'standardize'",
    ),
    "scaling by 0": ({"scaling": 0}, ValueError, "scaling: expected a finite number other than 0, got 0"),
    "scaling by nan": ({"scaling": np.nan}, ValueError, "scaling: expected a finite number other than 0, got nan"),
    "scaling by a list": ({"scaling": [1, 2]}, TypeError, "scaling: expected None, a number, 'standardize' or an"),
    "scaling of other features": (
        {"scaling": mbbp.Scaling([1, 2, 3])},
        ValueError,
        "scaling: expected a Scaling of 4 features, got one of 3",
    ),
    "a dtype": ({"dtype": "float16"}, ValueError, "dtype: expected 'float32' or 'float64', got 'float16'"),
    "an unknown dtype": (
        {"dtype": "single-ish"},
        ValueError,
        "dtype: expected 'float32' or 'float64', got 'single-ish'",
    ),
    "a foreign byte order": ({"dtype": ">f4"}, ValueError, "dtype: expected 'float32' or 'float64', got '>f4'"),
    "an initializer": (
        {"initializer": "xavier"},
        ValueError,
        "initializer: expected one of default, glorot, he, large, nguyen_widrow, got 'xavier'",
    ),
    "no initializer": (
        {"initializer": None},
        TypeError,
        "initializer: expected a name or a function (rng, n_in, n_out), got None",
    ),
    "an initializer of other shapes": (
        {"initializer": lambda rng, n_in, n_out: (np.zeros((n_in, n_out)), np.zeros((n_out, 1)))},
        ValueError,
        "W: expected shape (5, 4), got (4, 5)",
    ),
}


@pytest.mark.parametrize(("options", "error", "message"), BAD_NETWORKS.values(), ids=BAD_NETWORKS)
def test_bad_networks(options, error, message):
    with pytest.raises(error) as raised:
        mbbp.Network(**{"sizes": [4, 5, 3]} | options)
    assert str(raised.value).startswith(message)


def test_an_unknown_optimizer(net):
    known = "adagrad, adam, adamw, dp_sgd, lbfgs, levenberg_marquardt, momentum, nesterov, rmsprop, sgd"
    message = f"optimizer: expected one of {known}, got 'rprop'"
    refused(net, lambda: net.fit(GOOD_X, GOOD_Y, optimizer="rprop"), ValueError, message)


ASSIGNMENTS = {
    "theta": (lambda net, value: setattr(net, "theta", value), (43,)),
    "W": (lambda net, value: setattr(net.layers[0], "W", value), (5, 4)),
    "b": (lambda net, value: setattr(net.layers[1], "b", value), (3, 1)),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
@pytest.mark.parametrize(
    "value", [0.0, np.zeros(3), np.zeros((4, 5)), np.zeros((1, 3)), np.zeros((43, 1))], ids=np.shape
)
def test_assigning_another_shape(net, name, value):
    assign, expected = ASSIGNMENTS[name]
    refused(net, lambda: assign(net, value), ValueError, f"{name}: expected shape {expected}, got {np.shape(value)}")


@pytest.mark.parametrize("name", ASSIGNMENTS)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_assigning_what_is_not_finite(net, name, value):
    assign, expected = ASSIGNMENTS[name]
    array = np.zeros(expected)
    array.flat[-1] = value
    refused(net, lambda: assign(net, array), ValueError, f"{name}: expected finite numbers in float32, got {value}")


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_assigning_what_is_no_real_number(net, name):
    assign, expected = ASSIGNMENTS[name]
    refused(net, lambda: assign(net, np.zeros(expected, complex)), TypeError, f"{name}: expected real numbers")
    refused(net, lambda: assign(net, np.full(expected, "a")), TypeError, f"{name}: expected real numbers")
    refused(net, lambda: assign(net, [[1], [1, 2]]), ValueError, f"{name}: expected rows of equal length")
