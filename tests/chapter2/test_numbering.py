"""Parameters by the number of their layer, and the checks that all functions share."""

import numpy as np
import pytest

from mbbp import chapter2
from mbbp.chapter2 import numbering
from tests.networks import fixed


def test_parameters_have_the_number_of_their_layer_and_are_copies():
    net, _, _ = fixed()
    before = net.theta.copy()
    W, b = chapter2.parameters(net)
    assert list(W) == list(b) == [2, 3, 4]
    for l, layer in enumerate(net.layers, 2):
        np.testing.assert_array_equal(W[l], layer.W)
        np.testing.assert_array_equal(b[l], layer.b)
    np.testing.assert_array_equal(numbering.flat(W, b), net.theta)
    W[2][...] = b[3][...] = 7
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, X, Y: chapter2.backpropagation("net", X, Y), "net: expected an mbbp.Network, got 'net'"),
        (lambda net, X, Y: chapter2.feedforward_by_matrix(None, X), "net: expected an mbbp.Network, got None"),
        (lambda net, X, Y: chapter2.backpropagation(net, X[:2], Y), "X: expected "),
        (lambda net, X, Y: chapter2.backpropagation(net, X, Y[:, :2]), "Y: expected "),
        (lambda net, X, Y: chapter2.feedforward_by_matrix(net, X[:2]), "X: expected "),
        (lambda net, X, Y: chapter2.feedforward_by_index(net, X), r"X: expected shape \(3, 1\), got \(3, 4\)"),
        (lambda net, X, Y: chapter2.feedforward_by_vector(net, X), "X: expected .* give one example at a time"),
        (lambda net, X, Y: chapter2.gradient_descent_step(net, X, Y, -1), "learning_rate: expected "),
        (lambda net, X, Y: chapter2.gradient_descent_step(net, X, Y, "x"), "learning_rate: expected "),
    ],
)
def test_bad_arguments_are_named(call, message):
    net, X, Y = fixed()
    with pytest.raises((ValueError, TypeError), match=message):
        call(net, X, Y)
