"""JAX: a network becomes a pure function, which computes the same, also under jit, grad and vmap."""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("jax")

import jax

import mbbp
from tests.exchange.networks import DTYPES, EVERY_ACTIVATION, SCALINGS, difference, inputs, made, rows, tolerance


@pytest.fixture(autouse=True)
def float64():
    """Let JAX compute in float64, and leave it as it was."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("hidden", "output"), EVERY_ACTIVATION)
def test_every_activation(hidden, output, dtype):
    net = made(hidden=hidden, output=output, dtype=dtype)
    params, function = mbbp.to_jax(net)
    x = rows(inputs(net))
    assert difference(jax.jit(function)(params, x).T, net.feedforward(x.T)) <= tolerance(net)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_every_scaling(scaling, dtype):
    net = made(dtype=dtype, scaling=SCALINGS[scaling], dropout=0.5)
    params, function = mbbp.to_jax(net)
    x = rows(inputs(net, 1))
    assert difference(jax.jit(function)(params, x).T, net.feedforward(x.T)) <= tolerance(net)


def test_many_examples_without_jit():
    net = made()
    params, function = mbbp.to_jax(net)
    x = rows(inputs(net, 1000))
    assert difference(function(params, x).T, net.feedforward(x.T)) <= tolerance(net)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (5, 4, 3, 2, 3)], ids=str)
def test_shapes(sizes):
    net = made(sizes, output="identity")
    params, function = mbbp.to_jax(net)
    assert [(one["W"].shape, one["b"].shape) for one in params] == [
        ((n_out, n_in), (n_out,)) for n_in, n_out in pairwise(sizes)
    ]
    assert difference(function(params, rows(inputs(net))).T, net.feedforward(inputs(net))) <= tolerance(net)


def test_the_gradient_is_mbbps():
    net = made(dtype="float64", output="sigmoid", cost="quadratic", scaling=SCALINGS["standardized"])
    params, function = mbbp.to_jax(net)
    X = inputs(net)
    Y = np.random.default_rng(3).random((3, X.shape[1]))

    def cost(params, x):
        return 0.5 * ((function(params, x) - Y.T) ** 2).sum() / len(x)

    found, of_inputs = jax.grad(cost, argnums=(0, 1))(params, rows(X))
    expected = net.gradient(X, Y)
    for one, dW, db in zip(found, expected.weights, expected.biases, strict=True):
        assert np.abs(one["W"] - dW).max() < 1e-14
        assert np.abs(one["b"] - db[:, 0]).max() < 1e-14
    assert of_inputs.shape == (X.shape[1], 3)


def test_vmap_and_single_examples():
    net = made()
    params, function = mbbp.to_jax(net)
    x = rows(inputs(net))
    assert np.allclose(jax.vmap(function, in_axes=(None, 0))(params, x), function(params, x), atol=1e-6)
    assert function(params, x[0]).shape == (3,)


def test_small_results_keep_their_digits():
    for activation, z, expected in (
        ("softplus", -50.0, np.exp(-50.0)),
        ("elu", -1e-9, -1e-9),
        ("gelu", -8.0, -8 * 6.220960574271785e-16),
        ("silu", -50.0, -50 * np.exp(-50.0)),
    ):
        net = mbbp.Network([1, 1], [activation], "quadratic", "float64")
        net.layers[0].W, net.layers[0].b = [[1]], [[0]]
        params, function = mbbp.to_jax(net)
        assert function(params, np.array([[z]]))[0, 0] == pytest.approx(expected, rel=1e-13)


def test_outputs_are_in_the_targets_own_units():
    net = made(output="identity", dtype="float64")
    net.schema = mbbp.Schema(target_scaling=mbbp.Scaling([1, 2, 3], [10, 20, 30]))
    params, function = mbbp.to_jax(net)
    X = inputs(net)
    assert np.allclose(function(params, rows(X)).T, net.schema.target_scaling.undo(net.feedforward(X)), atol=1e-13)


def test_float64_is_not_rounded_in_silence():
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(ValueError, match=r"net: expected a network of float32 for to_jax.*jax_enable_x64"):
        mbbp.to_jax(made(dtype="float64"))
    params, function = mbbp.to_jax(made())
    assert function(params, np.zeros((2, 3))).dtype == np.float32


def test_it_must_be_a_network():
    with pytest.raises(TypeError, match=r"net: expected an mbbp\.Network"):
        mbbp.to_jax("net")
    with pytest.raises(ValueError, match="net: expected a network whose scaling is learnt for to_jax"):
        mbbp.to_jax(mbbp.Network([1, 1], scaling="standardize"))
