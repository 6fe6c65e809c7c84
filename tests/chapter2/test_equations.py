"""BP1 to BP4 and the Hadamard product against the engine."""

import numpy as np
import pytest
from hypothesis import given, settings

from mbbp import chapter2
from tests.networks import ELEMENTWISE, distance, examples_to_try, problems, slopes

few = settings(max_examples=examples_to_try)


@few
@given(problems(ELEMENTWISE))
def test_bp1_to_bp4_agree_with_the_engine(problem):
    net, X, Y = problem
    gradient = net.gradient(X, Y)
    z, a = chapter2.feedforward_by_matrix(net, X)
    L = len(net.sizes)
    slope = slopes(net, chapter2.Feedforward(z, a))
    W, _ = chapter2.parameters(net)
    delta = {L: chapter2.bp1(net.cost_function.gradient(a[L], Y), slope[L])}
    for l in range(L - 1, 1, -1):
        delta[l] = chapter2.bp2(W[l + 1], delta[l + 1], slope[l])
    for l, layer in enumerate(net.layers, 2):
        assert distance(delta[l], layer.delta) < 1e-12
        assert distance(chapter2.bp3(delta[l]), gradient.biases[l - 2]) < 1e-12
        assert distance(chapter2.bp4(delta[l], a[l - 1]), gradient.weights[l - 2]) < 1e-12


def test_the_short_names_are_the_equations():
    assert (chapter2.bp1, chapter2.bp2) == (chapter2.output_error, chapter2.backpropagated_error)
    assert (chapter2.bp3, chapter2.bp4) == (chapter2.bias_gradient, chapter2.weight_gradient)


def test_for_one_example_bp3_is_the_error_and_bp4_a_product_of_two_numbers(rng):
    delta, a = rng.standard_normal((3, 1)), rng.standard_normal((4, 1))
    np.testing.assert_array_equal(chapter2.bias_gradient(delta), delta)
    found = chapter2.weight_gradient(delta, a)
    for j, k in np.ndindex(3, 4):
        assert found[j, k] == a[k, 0] * delta[j, 0]


def test_the_hadamard_product_multiplies_elements():
    np.testing.assert_array_equal(chapter2.hadamard([1, 2], [3, 4]), [3, 8])
    np.testing.assert_array_equal(
        chapter2.hadamard(np.full((2, 3), 2.0), np.arange(6).reshape(2, 3)), [[0, 2, 4], [6, 8, 10]]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: chapter2.hadamard([[1], [2]], [[1, 2]]),
            r"t: expected shape \(2, 1\), got \(1, 2\); s and t must have the same shape",
        ),
        (lambda: chapter2.hadamard([1], "x"), "t: expected numbers, got dtype"),
        (lambda: chapter2.hadamard([[1], [1, 2]], [1]), "s: expected rows of equal length"),
        (lambda: chapter2.bp1([1.0, 2.0], [1.0, 2.0]), r"grad_a_C: expected shape \(n, m\), got \(2,\)"),
        (
            lambda: chapter2.bp1([[1.0]], [[1.0, 2.0]]),
            r"sigma_prime_z: expected shape \(1, 1\), got \(1, 2\); it must have the shape of grad_a_C",
        ),
        (
            lambda: chapter2.bp2(np.ones((2, 3)), np.ones((3, 1)), np.ones((3, 1))),
            r"delta_next: expected shape \(2, m\)",
        ),
        (
            lambda: chapter2.bp2(np.ones((2, 3)), np.ones((2, 1)), np.ones((2, 1))),
            r"sigma_prime_z: expected shape \(3, 1\)",
        ),
        (
            lambda: chapter2.bp2(np.ones((2, 3)), np.ones((2, 4)), np.ones((3, 1))),
            r"sigma_prime_z: expected shape \(3, 4\)",
        ),
        (lambda: chapter2.bp3(np.ones((2, 0))), r"delta: expected at least one column, got shape \(2, 0\)"),
        (
            lambda: chapter2.bp4(np.ones((2, 3)), np.ones((2, 4))),
            r"a_in: expected shape \(n, 3\), got \(2, 4\); it must have one column for each column of delta",
        ),
        (lambda: chapter2.sigma_prime_matrix(np.ones((2, 2))), r"sigma_prime_z: expected shape \(n, 1\)"),
        (
            lambda: chapter2.output_error_by_matrix(np.ones((2, 3)), np.ones((2, 1))),
            r"Sigma_prime_z: expected shape \(2, 2\)",
        ),
        (
            lambda: chapter2.backpropagated_error_by_matrix(np.ones((2, 2)), np.ones((1, 2)), np.ones((2, 1))),
            r"delta_next: expected shape \(1, 1\)",
        ),
        (
            lambda: chapter2.backpropagated_error_by_matrix(np.ones((1, 1)), np.ones((1, 2)), np.ones((1, 1))),
            r"Sigma_prime_z: expected shape \(2, 2\)",
        ),
        (
            lambda: chapter2.error_as_product(2, {3: [[1]]}, {3: [[1]]}, [[1]]),
            "Sigma_prime: expected layers 2 to 3, got no layer 2",
        ),
        (
            lambda: chapter2.error_as_product(2, {2: [[1]], 3: [[1]]}, {}, [[1]]),
            "W: expected layer 3, got no layer 3",
        ),
        (
            lambda: chapter2.error_as_product(4, {3: [[1]]}, {}, [[1]]),
            "Sigma_prime: expected layer 4, got no layer 4",
        ),
        (
            lambda: chapter2.error_as_product(2, {2: np.eye(2), 3: [[1]]}, {3: np.ones((1, 3))}, [[1]]),
            r"W\[3\]: expected shape \(1, 2\)",
        ),
        (lambda: chapter2.error_as_product(2, {2: np.eye(2)}, {}, [[1]]), r"grad_a_C: expected shape \(2, 1\)"),
    ],
)
def test_shapes_that_do_not_fit_together_are_refused(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
