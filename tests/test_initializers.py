"""The initializer of Nguyen and Widrow; `tests/test_network.py` has the others."""

import numpy as np
import pytest

import mbbp
from mbbp.initializers import nguyen_widrow


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 2), (1, 20), (3, 7), (10, 100), (200, 2)])
def test_weights_of_one_length_and_biases_that_are_spread_evenly(n_in, n_out):
    W, b = nguyen_widrow(np.random.default_rng(0), n_in, n_out)
    assert W.shape == (n_out, n_in)
    assert b.shape == (n_out, 1)
    length = 0.7 * n_out ** (1 / n_in)
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), length, rtol=1e-14)
    np.testing.assert_allclose(b[:, 0] * np.sign(W[:, 0]), np.linspace(-length, length, n_out), atol=1e-14)


def test_the_regions_of_the_neurons_are_spread_evenly_over_the_inputs():
    """A neuron is in the middle of its region where w x + b = 0."""
    W, b = nguyen_widrow(np.random.default_rng(1), 1, 9)
    middles = (-b / W).ravel()
    np.testing.assert_allclose(np.sort(middles), np.linspace(-1, 1, 9), atol=1e-14)


def test_weights_have_random_directions():
    W, _ = nguyen_widrow(np.random.default_rng(2), 2, 4000)
    assert abs((W > 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(W.size)
    first, second = (nguyen_widrow(np.random.default_rng(seed), 3, 4)[0] for seed in (1, 2))
    assert (first != second).all()


@pytest.mark.parametrize("n_in", [1, 5])
def test_a_single_neuron(n_in):
    drawn = [nguyen_widrow(np.random.default_rng(seed), n_in, 1) for seed in range(200)]
    for numbers in (np.array([W for W, _ in drawn]), np.array([b for _, b in drawn])):
        assert numbers.shape[1] == 1
        assert 0.9 < np.abs(numbers).max() <= 1
        assert abs(numbers.mean()) < 5 / np.sqrt(3 * numbers.size)


def test_a_network_takes_it_by_name():
    net = mbbp.Network([2, 6, 1], ["tanh", "identity"], dtype="float64", initializer="nguyen_widrow", rng=4)
    rng = np.random.default_rng(4)
    for layer, sizes in zip(net.layers, ((2, 6), (6, 1)), strict=True):
        W, b = nguyen_widrow(rng, *sizes)
        np.testing.assert_array_equal(layer.W, W)
        np.testing.assert_array_equal(layer.b, b)
