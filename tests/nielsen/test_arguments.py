"""Arguments of the book's methods that the book would broadcast, wrap around or refuse by an error of Python's."""

import re

import numpy as np
import pytest

from mbbp.nielsen import mnist_loader, network, network2

X, Y = np.ones((4, 1)), np.ones((3, 1))
REFUSED = {
    "feedforward of a vector": (
        lambda net: net.feedforward(np.ones(4)),
        ValueError,
        "a: expected shape (4, m), got (4,); pass a.reshape(-1, 1)",
    ),
    "feedforward of text": (lambda net: net.feedforward("x"), TypeError, "a: expected real numbers, got dtype <U1"),
    "feedforward of complex": (lambda net: net.feedforward(1j * X), TypeError, "a: expected real numbers, got dtype c"),
    "backprop of two": (
        lambda net: net.backprop(np.ones((4, 2)), Y),
        ValueError,
        "x: expected shape (4, 1), got (4, 2)",
    ),
    "backprop of a label": (lambda net: net.backprop(X, 2), ValueError, "y: expected shape (3, 1), got ()"),
    "10": (lambda net: mnist_loader.vectorized_result(10), ValueError, "j: expected 9 or less, got 10"),
    "-1": (lambda net: mnist_loader.vectorized_result(-1), ValueError, "j: expected 0 or more, got -1"),
    "a float": (lambda net: mnist_loader.vectorized_result(1.0), TypeError, "j: expected a whole number, got 1.0"),
    "test data": (
        lambda net: net.SGD([(X, Y)], 1, 1, 0.1, np.array(3)),
        TypeError,
        "test_data: expected a list of pairs (x, y), got array(3)",
    ),
    "endless": (lambda net: net.SGD([(X, Y)], 10**30, 1, 0.1), ValueError, "epochs: expected 9223372036854775807 or"),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    net = network.Network([4, 5, 3])
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call(net)


def test_a_custom_cost_may_take_any_y():
    class Label:
        @staticmethod
        def delta(z, a, y):
            return a - mnist_loader.vectorized_result(y)

    nabla_b, _ = network2.Network([4, 10], cost=Label).backprop(X, 3)
    assert nabla_b[0].shape == (10, 1)
