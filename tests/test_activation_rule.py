"""Which activation each layer gets, and which cost, when not all of them are named."""

import numpy as np
import pytest

import mbbp

SWISH = mbbp.Activation("swish", lambda z: z / (1 + np.exp(-z)), lambda z: z)
ABSOLUTE = mbbp.Cost("absolute", lambda a, y: abs(a - y), lambda a, y: np.sign(a - y))


@pytest.mark.parametrize(
    ("activation", "cost", "names", "cost_name"),
    [
        ("sigmoid", None, ["sigmoid"] * 3, "quadratic"),
        ("tanh", None, ["tanh"] * 3, "quadratic"),
        ("identity", None, ["identity"] * 3, "quadratic"),
        (SWISH, None, ["swish"] * 3, "quadratic"),
        ("relu", "quadratic", ["relu", "relu", "identity"], "quadratic"),
        ("leaky_relu", "quadratic", ["leaky_relu", "leaky_relu", "identity"], "quadratic"),
        ("relu", ABSOLUTE, ["relu", "relu", "identity"], "absolute"),
        ("sigmoid", "quadratic", ["sigmoid"] * 3, "quadratic"),
        ("tanh", "quadratic", ["tanh"] * 3, "quadratic"),
        ("gelu", "quadratic", ["gelu", "gelu", "identity"], "quadratic"),
        ("silu", "huber", ["silu", "silu", "identity"], "huber"),
        ("elu", "absolute", ["elu", "elu", "identity"], "absolute"),
        ("softplus", "quantile", ["softplus"] * 3, "quantile"),
        ("exp", None, ["exp"] * 3, "quadratic"),
        ("gelu", "poisson", ["gelu", "gelu", "exp"], "poisson"),
        ("sigmoid", "squared_hinge", ["sigmoid", "sigmoid", "identity"], "squared_hinge"),
        (["elu", "elu", "tanh"], "squared_hinge", ["elu", "elu", "tanh"], "squared_hinge"),
        ("relu", mbbp.costs.huber(2.0), ["relu", "relu", "identity"], "huber"),
        ("relu", "log_likelihood", ["relu", "relu", "softmax"], "log_likelihood"),
        ("relu", "cross-entropy", ["relu", "relu", "sigmoid"], "cross_entropy"),
        ("sigmoid", "log_likelihood", ["sigmoid", "sigmoid", "softmax"], "log_likelihood"),
        ("tanh", "cross_entropy", ["tanh", "tanh", "sigmoid"], "cross_entropy"),
        (["relu", "tanh", "softmax"], None, ["relu", "tanh", "softmax"], "log_likelihood"),
        (["relu", "tanh", "softmax"], "quadratic", ["relu", "tanh", "softmax"], "quadratic"),
        (["relu", "relu", "relu"], None, ["relu"] * 3, "quadratic"),
    ],
)
def test_what_is_not_named_follows(activation, cost, names, cost_name):
    net = mbbp.Network([4, 6, 5, 3], activation, cost)
    assert [layer.activation.name for layer in net.layers] == names
    assert net.cost_function.name == cost_name


def test_a_network_without_a_hidden_layer():
    assert mbbp.Network([4, 3], "softmax").cost_function.name == "log_likelihood"
    with pytest.raises(ValueError, match="cost: expected a softmax output layer"):
        mbbp.Network([4, 3], "tanh", "log_likelihood")


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu", "silu", "elu"])
def test_what_is_for_hidden_layers_alone_needs_a_cost(name):
    with pytest.raises(ValueError, match=f"activation: expected one for each layer, or a named cost, got '{name}'"):
        mbbp.Network([4, 6, 3], name)


def test_poisson_needs_exp_outputs():
    with pytest.raises(ValueError, match="cost: expected an exp output layer for poisson, got identity"):
        mbbp.Network([4, 6, 3], ["relu", "identity"], "poisson")


def test_relu_with_a_cost_learns_iris_like_classes(rng):
    """With relu on the outputs as well, a third was right."""
    centres = np.array([[0, 0], [4, 0], [0, 4]])
    y = rng.integers(0, 3, 300)
    X = (centres[y] + rng.standard_normal((300, 2))).T
    net = mbbp.Network([2, 10, 3], "relu", "log_likelihood", rng=0)
    net.fit(X, y, epochs=20, optimizer="adam", learning_rate=0.01)
    assert net.accuracy(X, y) > 0.9
