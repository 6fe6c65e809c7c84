"""The two exercises against numeric derivatives and the engine."""

import numpy as np
import pytest
from hypothesis import given, settings

import mbbp
from mbbp import chapter2, reference
from tests.networks import distance, examples_to_try, fixed, problems

few = settings(max_examples=examples_to_try)


def numeric_gradient(net, X, Y, functions):
    """Return the gradient by complex steps. functions[l][j] is the activation function of neuron j of layer l."""

    def cost(theta):
        weights, biases = mbbp.parameters.parameter_views(theta, net.sizes)
        total = 0.0
        for i in range(X.shape[1]):
            a = X[:, i]
            for l, (W, b) in enumerate(zip(weights, biases, strict=True), 2):
                z = np.array([sum(W[j, k] * a[k] for k in range(a.size)) + b[j, 0] for j in range(W.shape[0])])
                a = np.array([functions[l][j](z[j : j + 1])[0] for j in range(z.size)])
            total += net.cost_function.function(z[:, None], a[:, None], Y[:, i : i + 1])[0]
        return total / X.shape[1]

    steps = 1e-30j * np.eye(net.theta.size)
    return np.array([cost(net.theta + step).imag / 1e-30 for step in steps])


@pytest.mark.parametrize("f", ["sigmoid", "relu", "identity", "tanh"])
@pytest.mark.parametrize(("l", "j"), [(2, 0), (2, 3), (3, 1), (4, 1)])
def test_a_modified_neuron_gives_the_numeric_derivative(l, j, f):
    net, X, Y = fixed((2, 4, 3, 2), "tanh", m=3)
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, l, j, f)
    functions = {n: [reference.tanh] * net.sizes[n - 1] for n in (2, 3, 4)}
    functions[l][j] = getattr(reference, f)
    assert distance(found.theta, numeric_gradient(net, X, Y, functions)) < 1e-12
    plain = net.gradient(X, Y).theta
    assert (distance(found.theta, plain) < 1e-12) == (f == "tanh")  # if f is sigma, nothing changes
    assert f"tanh, but {f} for neuron {j}" in str(found)


def test_a_modified_neuron_does_not_change_the_weighted_inputs_of_its_layer():
    net, X, Y = fixed((2, 3, 2), "identity")
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 2, 1, "tanh")
    np.testing.assert_array_equal(found.z[2], chapter2.feedforward_by_matrix(net, X).z[2])
    np.testing.assert_array_equal(found.a[2][1], np.tanh(found.z[2][1]))


def test_a_modified_neuron_alone_in_its_layer_is_a_layer_with_this_activation():
    net, X, Y = fixed((3, 4, 1, 2), "tanh")
    other, *_ = fixed((3, 4, 1, 2), ["tanh", "sigmoid", "tanh"])
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 3, 0, "sigmoid")
    assert distance(found.theta, other.gradient(X, Y).theta) < 1e-12
    custom = mbbp.Activation("cube", lambda z: z * z * z, lambda z: 3 * z * z)
    other, *_ = fixed((3, 4, 1, 2), ["tanh", custom, "tanh"])
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 3, 0, custom)
    assert distance(found.theta, other.gradient(X, Y).theta) < 1e-12


@pytest.mark.parametrize(("output", "cost"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_a_hidden_neuron_may_be_modified_with_every_cost(output, cost):
    net, X, Y = fixed((2, 3, 1, 3), ["tanh", "tanh", output], cost)
    other, *_ = fixed((2, 3, 1, 3), ["tanh", "relu", output], cost)
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 3, 0, "relu")
    assert distance(found.theta, other.gradient(X, Y).theta) < 1e-12
    with pytest.raises(ValueError, match=r"l: expected a hidden layer \(2 to 3\), got the output layer 4"):
        chapter2.backpropagation_with_modified_neuron(net, X, Y, 4, 0, "relu")


@pytest.mark.parametrize(
    ("l", "j", "f", "message"),
    [
        (1, 0, "relu", "l: expected .* got 1"),
        (5, 0, "relu", "l: expected a layer from 2 to 4, got 5"),
        (2.5, 0, "relu", "l: expected "),
        (2, 4, "relu", "j: expected a neuron from 0 to 3 of layer 2, got 4"),
        (2, -1, "relu", "j: expected "),
        (2, 0, "swish", "f: .*'swish'"),
        (2, 0, "softmax", "f: expected a function of one weighted input, got softmax"),
        (2, 0, None, "f: expected "),
    ],
)
def test_a_neuron_that_does_not_exist_is_refused(l, j, f, message):
    net, X, Y = fixed()
    with pytest.raises((ValueError, TypeError), match=message):
        chapter2.backpropagation_with_modified_neuron(net, X, Y, l, j, f)


@few
@given(problems([("identity", "quadratic"), ("tanh", "quadratic")]))
def test_linear_neurons_agree_with_the_engine_for_identity(problem):
    net, X, Y = problem
    linear = mbbp.Network(net.sizes, "identity", dtype="float64")
    linear.theta = net.theta
    gradient = linear.gradient(X, Y)
    found = chapter2.backpropagation_with_linear_neurons(net, X, Y)
    assert distance(found.theta, gradient.theta) < 1e-12
    assert found.cost == pytest.approx(gradient.cost, rel=1e-12)
    for l, layer in enumerate(linear.layers, 2):
        assert distance(found.delta[l], layer.delta) < 1e-12
        np.testing.assert_array_equal(found.z[l], found.a[l])


def test_linear_neurons_need_a_cost_that_accepts_them():
    net, X, Y = fixed(activation="sigmoid", cost="cross_entropy")
    with pytest.raises(
        ValueError, match="net: expected a cost that accepts linear outputs, such as quadratic, got cross_"
    ):
        chapter2.backpropagation_with_linear_neurons(net, X, Y)
