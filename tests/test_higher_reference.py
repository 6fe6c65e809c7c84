"""The oracle's Jacobians, products and second-order derivatives against derivatives that share no line with them.

The forward pass, the tangents and the gradient here are written for whole matrices. They take complex numbers, so the
complex step gives their derivatives without a difference of nearly equal numbers.
"""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import reference
from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS
from mbbp.parameters import parameter_views
from tests.networks import fixed, problems

STEP = 1e-30
SIZES = {1: [4, 3], 2: [4, 5, 3], 3: [3, 4, 5, 2]}
M = 3
HIDDEN = sorted(set(ACTIVATIONS) - {"softmax"})
ALL_COSTS = [*COSTS.values(), mbbp.costs.huber(0.25), mbbp.costs.quantile(0.9)]


def fits(output, cost):
    return cost.required_activation in (None, output)


def kinds():
    """Yield every output activation with every cost that fits, in networks of one, two and three layers in turn."""
    pairs = [(output, cost) for cost in ALL_COSTS for output in ACTIVATIONS if fits(output, cost)]
    for number, (output, cost) in enumerate(pairs):
        hidden = [HIDDEN[(number + 3 * place) % len(HIDDEN)] for place in range(number % 3)]
        yield pytest.param((*hidden, output), cost, number, id=f"{'-'.join((*hidden, output))}, {cost}")


networks = pytest.mark.parametrize(("activation", "cost", "number"), list(kinds()))


def mild(rng, n_in, n_out):
    """Draw parameters for which no output saturates: there the complex step of this file loses digits itself."""
    return 0.8 * rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), 0.3 * rng.standard_normal((n_out, 1))


def build(activation, cost, number):
    """Return a network, every fifth of float32 and two of four with a scaling; and inputs and targets that fit."""
    rng = np.random.default_rng(number)
    sizes = SIZES[len(activation)]
    scalings = [
        None,
        mbbp.Scaling(rng.standard_normal(sizes[0]), rng.uniform(0.2, 2.0, sizes[0])),
        None,
        mbbp.Scaling(factor=0.3),
    ]
    dtype = "float32" if number % 5 == 0 else "float64"
    net = mbbp.Network(sizes, activation, cost, dtype, mild, rng=number, scaling=scalings[number % 4])
    Y = rng.dirichlet(np.ones(sizes[-1]), M).T
    if net.cost_function.is_of_classes:
        Y = np.eye(sizes[-1])[Y.argmax(axis=0)].T
    elif net.cost_function.name in ("log_likelihood", "poisson"):
        Y = 1.5 * Y  # whose columns do not add up to 1
    return net, rng.standard_normal((sizes[0], M)), Y, rng


# ------------------------------------------------------------------------- whole matrices, with real or complex numbers


def forward(net, X, theta=None):
    """Return z and a of every layer, the inputs first, for real or complex inputs before scaling."""
    W, b = parameter_views(net.theta.astype(float) if theta is None else theta, net.sizes)
    zs, activations = [], [X]
    if net.scaling is not None:
        mean = 0.0 if net.scaling.mean is None else net.scaling.mean[:, np.newaxis]
        activations = [(X - mean) * net.scaling.factor[:, np.newaxis]]
    for i, layer in enumerate(net.layers):
        zs.append(W[i] @ activations[-1] + b[i])
        activations.append(layer.activation.function(zs[-1]))
    return zs, activations


def input_tangent(net, X, V):
    """Return d/dt of a^L(X + t V)."""
    zs, activations = forward(net, X)
    W, _ = parameter_views(net.theta.astype(float), net.sizes)
    tangent = (V if net.scaling is None else V * net.scaling.factor[:, np.newaxis]) + 0 * X
    for i, layer in enumerate(net.layers):
        tangent = layer.activation.multiply_by_derivative(zs[i], activations[i + 1], W[i] @ tangent)
    return tangent


def gradient(net, X, Y, theta):
    """Return the gradient of the mean cost."""
    zs, activations = forward(net, X, theta)
    W, _ = parameter_views(theta, net.sizes)
    found = np.empty_like(theta)
    by_W, by_b = parameter_views(found, net.sizes)
    delta = net.cost_function.delta(net.layers[-1].activation, zs[-1], activations[-1], Y)
    for i in reversed(range(len(net.layers))):
        by_W[i][...], by_b[i][...] = delta @ activations[i].T / len(X.T), delta.mean(axis=1, keepdims=True)
        if i:
            sigma = net.layers[i - 1].activation
            delta = sigma.multiply_by_derivative(zs[i - 1], activations[i], W[i].T @ delta)
    return found


def along(net, v):
    return net.theta.astype(float) + 1j * STEP * v


def stepped_jacobians(net, X):
    """Return the Jacobians of z^L and of a^L by the parameters, by one complex step for each."""
    steps = [forward(net, X, along(net, unit)) for unit in np.eye(net.theta.size)]
    return [np.moveaxis([part[-1].imag / STEP for part in parts], 0, -1) for parts in zip(*steps, strict=True)]


def stepped_input_jacobian(net, X):
    steps = [forward(net, X + 1j * STEP * unit[:, np.newaxis])[1][-1] for unit in np.eye(len(X))]
    return np.moveaxis([step.imag / STEP for step in steps], 0, -1)


def assert_close(found, exact, tolerance=1e-12):
    assert found.shape == exact.shape
    assert found.dtype == np.float64
    assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max()


# ---------------------------------------------------------------------------------------------------------- first order


@networks
def test_the_jacobians_are_those_of_the_complex_step(activation, cost, number):
    net, X, _, _ = build(activation, cost, number)
    assert_close(reference.jacobian(net, X), stepped_jacobians(net, X)[1])
    assert_close(reference.input_jacobian(net, X), stepped_input_jacobian(net, X))


@networks
def test_the_products_are_those_with_the_jacobians(activation, cost, number):
    net, X, _, rng = build(activation, cost, number)
    J, J_in = stepped_jacobians(net, X)[1], stepped_input_jacobian(net, X)
    v, V, U = (rng.standard_normal(shape) for shape in (net.theta.size, X.shape, J.shape[:2]))
    by_theta, by_inputs = np.einsum("kmp,p->km", J, v), np.einsum("kmj,jm->km", J_in, V)
    assert_close(reference.jvp(net, X, v), by_theta)
    assert_close(reference.jvp(net, X, input_direction=V), by_inputs)
    assert_close(reference.jvp(net, X, v, V), by_theta + by_inputs)
    theta, inputs = reference.vjp(net, X, U)
    assert_close(theta, np.einsum("km,kmp->p", U, J))
    assert_close(inputs, np.einsum("km,kmj->jm", U, J_in))
    g = reference.backpropagate(net, X, U)
    assert np.isnan(g.cost)
    np.testing.assert_array_equal(g.theta, theta)
    np.testing.assert_array_equal(g.inputs, inputs)
    assert all(np.shares_memory(part, g.theta) for part in [*g.weights, *g.biases])


@networks
def test_each_example_has_its_gradient(activation, cost, number):
    net, X, Y, _ = build(activation, cost, number)
    rows = reference.per_example_gradients(net, X, Y)
    for i, row in enumerate(rows):
        one = slice(i, i + 1)
        numeric = [reference.complex_step(net, X[:, one], Y[:, one], unit) for unit in np.eye(net.theta.size)]
        np.testing.assert_allclose(row, numeric, rtol=0, atol=1e-12 * np.abs(rows).max())
    assert_close(rows.mean(axis=0), reference.gradient(net, X, Y).theta)
    norms = reference.gradient_norms(net, X, Y)
    np.testing.assert_allclose(norms, np.sqrt((rows**2).sum(axis=1)), rtol=1e-14)
    for most in (1e-6, 0.7 * norms.max() + 1e-6, 2 * norms.max() + 1e-6):
        clipped = sum(row if norm <= most else row * most / norm for row, norm in zip(rows, norms, strict=True))
        assert_close(reference.clipped_gradient_sum(net, X, Y, most), clipped)


def test_a_gradient_of_0_is_not_divided_by():
    net, X, _ = fixed([3, 2], "identity")
    Y = reference.feedforward(net, X)[1][-1]
    np.testing.assert_array_equal(reference.clipped_gradient_sum(net, X, Y, 1e-300), np.zeros(net.theta.size))


# --------------------------------------------------------------------------------------------------------- second order


@networks
def test_the_derivatives_along_directions_are_those_of_the_complex_step(activation, cost, number):
    net, X, _, rng = build(activation, cost, number)
    directions = rng.standard_normal((len(X), 2))
    found = reference.directional_derivatives(net, X, directions)
    assert_close(found.outputs, forward(net, X)[1][-1], 1e-14)
    assert found.first.shape == found.second.shape == (2, net.sizes[-1], M)
    for v, first, second in zip(directions.T[:, :, np.newaxis], found.first, found.second, strict=True):
        assert_close(first, forward(net, X + 1j * STEP * v)[1][-1].imag / STEP)
        assert_close(second, input_tangent(net, X + 1j * STEP * v, v).imag / STEP)


@networks
def test_the_laplacian_is_the_sum_of_the_second_derivatives(activation, cost, number):
    net, X, _, _ = build(activation, cost, number)
    units = np.eye(len(X))[:, :, np.newaxis]
    second = [input_tangent(net, X + 1j * STEP * unit, unit).imag / STEP for unit in units]
    found, exact = reference.laplacian(net, X), np.sum(second, axis=0)
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() <= 1e-12 * np.abs(second).max(initial=0)  # parts may cancel in the sum


@pytest.mark.parametrize("activation", [*HIDDEN[:-1], "tanh"])
def test_the_second_derivative_is_that_of_a_second_difference(activation):
    net, X, _ = fixed([3, 4, 2], [activation, "softmax"], scaling=0.5)
    v, h = np.array([[0.3], [-0.5], [0.4]]), 1e-3
    ends = [forward(net, X + t * h * v)[1][-1] for t in (-2, -1, 0, 1, 2)]
    numeric = sum(factor * end for factor, end in zip((-1, 16, -30, 16, -1), ends, strict=True)) / (12 * h * h)
    np.testing.assert_allclose(reference.directional_derivatives(net, X, v).second[0], numeric, rtol=0, atol=1e-8)


@networks
def test_the_hessian_is_that_of_the_complex_step(activation, cost, number):
    net, X, Y, rng = build(activation, cost, number)
    v = rng.standard_normal(net.theta.size)
    assert_close(reference.hessian_vector_product(net, X, Y, v), gradient(net, X, Y, along(net, v)).imag / STEP)


@networks
def test_the_gauss_newton_product_is_that_of_its_matrices(activation, cost, number):
    net, X, Y, rng = build(activation, cost, number)
    v = rng.standard_normal(net.theta.size)
    of_z, of_a = stepped_jacobians(net, X)
    found = reference.gauss_newton_vector_product(net, X, Y, v)
    matrix = np.zeros((v.size, v.size))
    for i in range(M):
        J, S = (of_z if cost.is_fused else of_a)[:, i], outer_hessian(net, X[:, i : i + 1], Y[:, i : i + 1])
        matrix += J.T @ S @ J / M
    assert_close(found, matrix @ v)
    np.testing.assert_allclose(matrix, matrix.T, rtol=0, atol=1e-14 * np.abs(matrix).max())
    assert v @ found >= -1e-12 * np.abs(matrix).max()


def outer_hessian(net, x, y):
    """Return S of one example: the derivatives of grad_a C by a^L, or for a fused cost those of delta^L by z^L."""
    zs, activations = forward(net, x)
    cost, sigma = net.cost_function, net.layers[-1].activation
    columns = []
    for unit in np.eye(net.sizes[-1])[:, :, np.newaxis]:
        if cost.is_fused:
            z = zs[-1] + 1j * STEP * unit
            columns.append(cost.delta(sigma, z, sigma.function(z), y))
        else:
            columns.append(cost.gradient(activations[-1] + 1j * STEP * unit, y))
    return np.imag(np.hstack(columns)) / STEP


# ------------------------------------------------------------------------------------------------ what must always hold


@given(problems(), st.integers(0, 2**32 - 1))
def test_the_two_products_are_adjoint_at_all_sizes(problem, seed):
    net, X, _ = problem
    rng = np.random.default_rng(seed)
    v, V, U = (rng.standard_normal(shape) for shape in (net.theta.size, X.shape, (net.sizes[-1], X.shape[1])))
    theta, inputs = reference.vjp(net, X, U)
    left, right = theta @ v + (inputs * V).sum(), (U * reference.jvp(net, X, v, V)).sum()
    assert left == pytest.approx(right, rel=1e-11, abs=1e-11 * np.linalg.norm(theta) * np.linalg.norm(v))


@given(problems(), st.integers(0, 2**32 - 1))
def test_both_curvatures_are_symmetric_at_all_sizes(problem, seed):
    net, X, Y = problem
    u, v = np.random.default_rng(seed).standard_normal((2, net.theta.size))
    for product in (reference.hessian_vector_product, reference.gauss_newton_vector_product):
        along_u, along_v = product(net, X, Y, u), product(net, X, Y, v)
        scale = np.linalg.norm(along_u) * np.linalg.norm(v) + np.linalg.norm(along_v) * np.linalg.norm(u)
        assert abs(along_u @ v - along_v @ u) <= 1e-12 * scale
        assert np.abs(product(net, X, Y, 2 * u - v) - 2 * along_u + along_v).max() <= 1e-12 * (1 + scale)


@given(problems())
def test_the_shapes_are_as_said_at_all_sizes(problem):
    net, X, Y = problem
    (n_in, m), n_out, n_theta = X.shape, net.sizes[-1], net.theta.size
    assert reference.jacobian(net, X).shape == (n_out, m, n_theta)
    assert reference.input_jacobian(net, X).shape == (n_out, m, n_in)
    assert reference.per_example_gradients(net, X, Y).shape == (m, n_theta)
    assert reference.gradient_norms(net, X, Y).shape == (m,)
    assert reference.laplacian(net, X).shape == (n_out, m)
    found = reference.directional_derivatives(net, X, np.eye(n_in))
    assert [part.shape for part in found] == [(n_out, m), (n_in, n_out, m), (n_in, n_out, m)]
    np.testing.assert_array_equal(np.moveaxis(found.first, 0, -1).shape, reference.input_jacobian(net, X).shape)


@pytest.mark.parametrize(("output", "cost"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_for_a_single_layer_and_a_fused_cost_it_is_the_hessian(output, cost, rng):
    net, X, Y = fixed([4, 3], output, cost)  # z is linear in theta
    v = rng.standard_normal(net.theta.size)
    hessian, gauss_newton = (
        product(net, X, Y, v) for product in (reference.hessian_vector_product, reference.gauss_newton_vector_product)
    )
    assert_close(gauss_newton, hessian, 1e-14)


def test_labels_stand_for_unit_vectors(rng):
    net, X, _ = fixed([3, 4, 2], ["tanh", "softmax"], "log_likelihood")
    v, vectors = rng.standard_normal(net.theta.size), np.eye(2)[[0, 1, 1, 0]].T
    for product in (reference.hessian_vector_product, reference.gauss_newton_vector_product):
        np.testing.assert_array_equal(product(net, X, [0, 1, 1, 0], v), product(net, X, vectors, v))
    np.testing.assert_array_equal(
        reference.per_example_gradients(net, X, [0, 1, 1, 0]), reference.per_example_gradients(net, X, vectors)
    )


# ------------------------------------------------------------------------------------------- custom ones, bad arguments


def custom_net(second_of_activation=None, second_of_cost=None):
    """Return what the oracle reads of a network: made by `mbbp.Network` it would be compiled."""
    cube = mbbp.Activation("cube", lambda z: z * z * z, lambda z: 3 * z * z, second_derivative=second_of_activation)
    fourth = mbbp.Cost(
        "fourth", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3, second_derivative=second_of_cost
    )
    layers = [SimpleNamespace(activation=one) for one in (cube, ACTIVATIONS["tanh"])]
    theta = np.random.default_rng(0).standard_normal(3 * 4 + 4 + 4 * 2 + 2) / 2
    return SimpleNamespace(sizes=(3, 4, 2), theta=theta, layers=layers, cost_function=fourth, scaling=None)


def test_custom_second_derivatives_are_used(rng):
    net = custom_net(lambda z: 6 * z, lambda a, y: 12 * (a - y) ** 2)
    X, Y, v = rng.standard_normal((3, M)), rng.random((2, M)), rng.standard_normal(net.theta.size)
    found = reference.hessian_vector_product(net, X, Y, v)
    assert_close(found, gradient(net, X, Y.astype(complex), along(net, v)).imag / STEP)
    second = reference.directional_derivatives(net, X, np.eye(3)).second[1]
    unit = np.eye(3)[:, 1:2]
    assert_close(second, input_tangent(net, X + 1j * STEP * unit, unit).imag / STEP)


def test_a_second_derivative_that_is_missing_is_told(rng):
    X, Y, v = rng.standard_normal((3, M)), rng.random((2, M)), np.ones(26)
    of_activation = "^activation 'cube': expected a second_derivative for second-order products, got none$"
    of_cost = "^cost 'fourth': expected a second_derivative for second-order products, got none$"
    net = custom_net(None, lambda a, y: 12 * (a - y) ** 2)
    for call in (reference.laplacian, lambda net, X: reference.hessian_vector_product(net, X, Y, v)):
        with pytest.raises(TypeError, match=of_activation):
            call(net, X)
    assert reference.gauss_newton_vector_product(net, X, Y, v).any()  # it needs that of the cost alone
    net = custom_net(lambda z: 6 * z)
    for product in (reference.hessian_vector_product, reference.gauss_newton_vector_product):
        with pytest.raises(TypeError, match=of_cost):
            product(net, X, Y, v)
    assert reference.laplacian(net, X).any()
    assert reference.jacobian(custom_net(), X).any()


X, Y, N = np.eye(3)[:, :2], np.eye(2), 26
REFUSED = {
    "no network": (lambda net: reference.laplacian("net", X), TypeError, "net: expected an mbbp.Network, got 'net'"),
    "no direction": (
        lambda net: reference.jvp(net, X),
        ValueError,
        "theta_direction: expected a direction here or as input_direction, got neither",
    ),
    "a short direction": (
        lambda net: reference.jvp(net, X, np.ones(25)),
        ValueError,
        "theta_direction: expected 26 numbers, one for each parameter of the network, got shape (25,)",
    ),
    "one input": (
        lambda net: reference.jvp(net, X, input_direction=np.ones((3, 1))),
        ValueError,
        "input_direction: expected shape (3, 2), one column for each of X, got (3, 1)",
    ),
    "transposed": (
        lambda net: reference.vjp(net, X, np.ones((3, 2))),
        ValueError,
        "vectors: expected shape (2, 2), one",
    ),
    "complex": (lambda net: reference.backpropagate(net, X, 1j * Y), TypeError, "output_gradient: expected real"),
    "a vector": (
        lambda net: reference.directional_derivatives(net, X, np.ones(3)),
        ValueError,
        "directions: expected shape (3, k) with one direction per column, got (3,)",
    ),
    "text": (lambda net: reference.hessian_vector_product(net, X, Y, "v"), TypeError, "direction: expected real numb"),
    "a matrix": (
        lambda net: reference.gauss_newton_vector_product(net, X, Y, np.ones((26, 1))),
        ValueError,
        "direction: expected 26 numbers",
    ),
    "too few targets": (
        lambda net: reference.per_example_gradients(net, X, [0]),
        ValueError,
        "Y: expected one target for each of the 2 columns of X",
    ),
    "a norm of 0": (
        lambda net: reference.clipped_gradient_sum(net, X, Y, 0),
        ValueError,
        "clip_norm: expected a number above 0, got 0",
    ),
    "no norm": (
        lambda net: reference.clipped_gradient_sum(net, X, Y, np.inf),
        ValueError,
        "clip_norm: expected a finite number, got inf",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    net, _, _ = fixed([3, 4, 2])
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call(net)
