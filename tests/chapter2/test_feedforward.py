"""The three forms of the forward pass against the engine."""

import numpy as np
from hypothesis import given, settings

from mbbp import chapter2
from tests.networks import distance, examples_to_try, fixed, problems

few = settings(max_examples=examples_to_try)


@few
@given(problems())
def test_the_three_forms_of_feedforward_agree_with_the_engine(problem):
    net, X, Y = problem
    net.gradient(X, Y)
    L = len(net.sizes)
    whole = chapter2.feedforward_by_matrix(net, X)
    assert list(whole.z) == list(range(2, L + 1))
    assert list(whole.a) == list(range(1, L + 1))
    assert distance(whole.output, net.feedforward(X)) < 1e-13
    for l, layer in enumerate(net.layers, 2):
        assert distance(whole.z[l], layer.z) < 1e-13
        assert distance(whole.a[l], layer.a) < 1e-13
    for i in range(X.shape[1]):
        for form in (chapter2.feedforward_by_index, chapter2.feedforward_by_vector):
            z, a = form(net, X[:, i : i + 1])
            for l in range(2, L + 1):
                assert z[l].shape == (net.sizes[l - 1], 1)
                assert distance(z[l], whole.z[l][:, i : i + 1]) < 1e-13
                assert distance(a[l], whole.a[l][:, i : i + 1]) < 1e-13
            np.testing.assert_array_equal(a[1], X[:, i : i + 1])


def test_the_inputs_of_a_float32_network_are_rounded_as_in_the_engine():
    net, X, Y = fixed(dtype="float32")
    X = X * np.pi
    np.testing.assert_array_equal(chapter2.feedforward_by_matrix(net, X).a[1], X.astype(np.float32))
    assert distance(chapter2.backpropagation(net, X, Y).theta, net.gradient(X, Y).theta) < 1e-5
