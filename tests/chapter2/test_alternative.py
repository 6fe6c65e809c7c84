"""The equations in matrix products only, against the engine."""

import numpy as np
from hypothesis import given, settings

import mbbp
from mbbp import chapter2, reference
from tests.networks import ELEMENTWISE, distance, examples_to_try, problems, slopes

few = settings(max_examples=examples_to_try)


@few
@given(problems(most_examples=3))
def test_the_alternate_equations_and_their_product_agree_with_the_engine(problem):
    net, X, Y = problem
    net.gradient(X, Y)
    L = len(net.sizes)
    W, _ = chapter2.parameters(net)
    for i in range(X.shape[1]):
        z, a = chapter2.feedforward_by_vector(net, X[:, i : i + 1])
        Sigma_prime = {l: chapter2.activation_jacobian(net.layers[l - 2].activation, z[l]) for l in z}
        grad_a_C = net.cost_function.gradient(a[L], Y[:, i : i + 1])
        delta = chapter2.output_error_by_matrix(Sigma_prime[L], grad_a_C)
        for l in range(L, 1, -1):
            if l < L:
                delta = chapter2.backpropagated_error_by_matrix(Sigma_prime[l], W[l + 1], delta)
            exact = net.layers[l - 2].delta[:, i : i + 1]
            assert distance(delta, exact) < 1e-11
            assert distance(chapter2.error_as_product(l, Sigma_prime, W, grad_a_C), exact) < 1e-11


@few
@given(problems(ELEMENTWISE, most_examples=1))
def test_sigma_prime_matrix_replaces_the_hadamard_product(problem):
    net, X, Y = problem
    passed = chapter2.backpropagation(net, X, Y)
    for l, slope in slopes(net, passed).items():
        matrix = chapter2.sigma_prime_matrix(slope)
        np.testing.assert_array_equal(matrix, chapter2.activation_jacobian(net.layers[l - 2].activation, passed.z[l]))
        np.testing.assert_array_equal(matrix @ passed.a[l], chapter2.hadamard(slope, passed.a[l]))
        assert np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0


def test_the_jacobian_of_softmax_is_the_numeric_derivative(rng):
    softmax = mbbp.Network([1, 4], "softmax").layers[0].activation
    z = rng.standard_normal((4, 1))
    numeric = np.hstack([reference.softmax(z + 1e-30j * np.eye(4)[:, j : j + 1]).imag / 1e-30 for j in range(4)])
    assert distance(chapter2.activation_jacobian(softmax, z), numeric) < 1e-15
