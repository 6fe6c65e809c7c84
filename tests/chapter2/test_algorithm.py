"""The algorithm of backpropagation and a step of gradient descent, against the engine and the book's program."""

import numpy as np
import pytest
from hypothesis import given, settings

import mbbp
from mbbp import chapter2, reference
from tests.networks import OUTPUTS, distance, examples_to_try, fixed, problems

few = settings(max_examples=examples_to_try)


@few
@given(problems())
def test_every_intermediate_result_is_that_of_the_engine(problem):
    net, X, Y = problem
    gradient = net.gradient(X, Y)
    passed = chapter2.backpropagation(net, X, Y)
    np.testing.assert_array_equal(passed.a[1], X)
    for l, layer in enumerate(net.layers, 2):
        for found, exact in (
            (passed.z[l], layer.z),
            (passed.a[l], layer.a),
            (passed.delta[l], layer.delta),
            (passed.nabla_w[l], gradient.weights[l - 2]),
            (passed.nabla_b[l], gradient.biases[l - 2]),
        ):
            assert found.shape == exact.shape
            assert distance(found, exact) < 1e-12
    assert distance(passed.theta, gradient.theta) < 1e-12
    assert passed.cost == pytest.approx(gradient.cost, rel=1e-12)
    assert distance(passed.theta, reference.gradient(net, X, Y).theta) < 1e-12


@pytest.mark.parametrize(("output", "cost"), OUTPUTS)
def test_labels_and_saturated_outputs_give_the_gradient_of_the_engine(output, cost):
    net, X, _ = fixed((3, 4, 3), ["tanh", output], cost)
    net.layers[-1].W = 300 * net.layers[-1].W
    labels = [0, 2, 1, 1]
    passed, gradient = chapter2.backpropagation(net, X, labels), net.gradient(X, labels)
    assert distance(passed.theta, gradient.theta) < 1e-12
    assert passed.cost == pytest.approx(gradient.cost, rel=1e-12)


def test_custom_functions_give_the_gradient_of_the_engine():
    custom = mbbp.Activation("cube", lambda z: z * z * z, lambda z: 3 * z * z)
    fourth = mbbp.Cost("fourth", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3)
    net, X, Y = fixed((3, 4, 2), [custom, "tanh"], fourth)
    assert distance(chapter2.backpropagation(net, X, Y).theta, net.gradient(X, Y).theta) < 1e-12


def test_print_shows_each_step_with_its_numbers():
    net, X, Y = fixed((2, 3, 1), "sigmoid", m=2)
    passed = chapter2.backpropagation(net, X, Y)
    text = str(passed)
    assert [line[:2] for line in text.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4.", "5."]
    for equation in (
        "a^1 = X   (2, 2)",
        "z^2 = W^2 a^1 + b^2   (3, 2)",
        "a^3 = sigma(z^3), sigmoid   (1, 2)",
        "delta^3 = grad_a C ⊙ sigma'(z^3)   (1, 2)",
        "delta^2 = ((W^3)^T delta^3) ⊙ sigma'(z^2)   (3, 2)",
        "dC/dW^2 = 1/m delta^2 (a^1)^T   (3, 2)",
        "dC/db^3 = 1/m sum_x delta^3   (1, 1)",
    ):
        assert equation in text
    assert f"{passed.delta[3][0, 0]:.4f}".rstrip("0") in text
    assert repr(passed) == f"Backpropagation([2, 3, 1], m = 2, C = {passed.cost:.6g})"
    assert "4. Output" in str(
        chapter2.backpropagation(*fixed((2, 1), m=2))
    )  # without a hidden layer there is no step for (BP2)


@few
@given(problems())
def test_a_step_of_gradient_descent_is_that_of_the_book(problem):
    net, X, Y = problem
    before = net.theta.copy()
    step = chapter2.gradient_descent_step(net, X, Y, 0.7)
    np.testing.assert_array_equal(net.theta, before)
    exact = reference.sgd(net, X, Y, [range(X.shape[1])], 0.7)
    assert distance(step.theta, exact) < 1e-12
    W, b = chapter2.parameters(net)
    for l in W:
        assert distance(step.W[l], W[l] - 0.7 * step.passed.nabla_w[l]) == 0
        assert distance(step.b[l], b[l] - 0.7 * step.passed.nabla_b[l]) == 0
    net.fit(X, Y, epochs=1, batch_size=X.shape[1], learning_rate=0.7, shuffle=False)
    assert distance(net.theta, step.theta) < 1e-12
