"""The derivatives of the outputs: Jacobians, and products with them from the left and from the right.

One example at a time, as in the book. Backpropagation (BP1 to BP4) starts from any dC/da^L, so it gives the product of
a row vector with the Jacobian. A tangent pass gives the product with a column vector: along a direction, R{.} stands
for the derivative d/dt, and each equation of the forward pass has its own one: from z = W a + b follows, for a
direction with the weights V and the biases v, that Rz = V a + W Ra + v; and from a = sigma(z) that Ra = sigma'(z) Rz.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array, Gradient, parameter_views
from mbbp.reference.algorithm import (
    backprop_scaled,
    backward_pass,
    forward_pass,
    network_parameters,
    one_vector,
    scaled_inputs,
    scaling_factors,
    targets_of,
)
from mbbp.reference_arguments import NetworkLike, as_columns, as_network, as_number, as_vector


def backpropagate(net: NetworkLike, X: ArrayLike, output_gradient: ArrayLike) -> Gradient:
    """Return the gradient of any function of the outputs, given its derivatives by the outputs.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    output_gradient : array_like of shape (n_L, m)
        Column i is dC/da^L for the outputs of example i.

    Returns
    -------
    Gradient
        The sum over the examples, which is not divided by m. `inputs` (n_in, m) has the gradients by the inputs before
        they are scaled. `cost` is NaN: it is not known here.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    theta, by_inputs = _vjp(net, X, output_gradient, "output_gradient")
    weights, biases = parameter_views(theta, net.sizes)
    return Gradient(math.nan, weights, biases, theta, by_inputs)


def vjp(net: NetworkLike, X: ArrayLike, vectors: ArrayLike) -> tuple[Array, Array]:
    """Return u^T J: vectors times the Jacobian of the outputs, by the parameters and by the inputs.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    vectors : array_like of shape (n_L, m)
        A vector u for the outputs of each example.

    Returns
    -------
    theta : ndarray of shape (n_parameters,)
        The sum over the examples of u^T da^L/dtheta.
    inputs : ndarray of shape (n_in, m)
        Column i is u^T da^L/dx for example i, by its inputs before they are scaled.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    return _vjp(net, X, vectors, "vectors")


def _vjp(net: NetworkLike, X: ArrayLike, vectors: ArrayLike, argument: str) -> tuple[Array, Array]:
    inputs = scaled_inputs(net, X)
    m = inputs.shape[1]
    columns = as_columns(argument, vectors, net.sizes[-1], m)
    theta, by_inputs = np.zeros(net.theta.size), np.empty((net.sizes[0], m))
    for i in range(m):
        by_theta, by_inputs[:, i : i + 1] = _backpropagate(net, *_forward(net, inputs, i), columns[:, i : i + 1])
        theta += by_theta
    return theta, by_inputs


def _forward(net: NetworkLike, inputs: Array, i: int) -> tuple[list[Array], list[Array]]:
    return forward_pass(net, inputs[:, i : i + 1])


def _backpropagate(net: NetworkLike, zs: list[Array], activations: list[Array], u: Array) -> tuple[Array, Array]:
    """Return u^T da^L/dtheta (n_parameters,) and u^T da^L/dx (n_in, 1) of one example, from u (n_L, 1)."""
    delta = net.layers[-1].activation.multiply_by_derivative(zs[-1], activations[-1], u)  # BP1
    nabla_b, nabla_w = backward_pass(net, zs, activations, delta)
    weights, _ = network_parameters(net)
    by_input: Array = scaling_factors(net) * (weights[0].T @ nabla_b[0])  # nabla_b is delta, by BP3
    return one_vector(net, nabla_b, nabla_w), by_input


def jvp(
    net: NetworkLike,
    X: ArrayLike,
    theta_direction: ArrayLike | None = None,
    input_direction: ArrayLike | None = None,
) -> Array:
    """Return J v: how the outputs change when the parameters, the inputs or both move along a direction.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    theta_direction : array_like of shape (n_parameters,), optional
        The direction of the parameters; by default they do not move.
    input_direction : array_like of shape (n_in, m), optional
        The direction of each input, before it is scaled; by default they do not move. One of the two must be given.

    Returns
    -------
    ndarray of shape (n_L, m)

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    m = inputs.shape[1]
    if theta_direction is None and input_direction is None:
        raise ValueError("theta_direction: expected a direction here or as input_direction, got neither")
    moved, along = np.zeros(inputs.shape), np.zeros(net.theta.size)
    if input_direction is not None:
        moved = scaling_factors(net) * as_columns("input_direction", input_direction, net.sizes[0], m)
    if theta_direction is not None:
        along = parameter_direction("theta_direction", net, theta_direction)
    columns = [tangent_pass(net, *_forward(net, inputs, i), along, moved[:, i : i + 1])[1][-1] for i in range(m)]
    return np.hstack(columns)


def parameter_direction(argument: str, net: NetworkLike, value: ArrayLike) -> Array:
    """Return a direction of the parameters in float64. TypeError or ValueError if it is none."""
    return as_vector(argument, value, net.theta.size, "parameter of the network").astype(np.float64)


def tangent_pass(
    net: NetworkLike, zs: list[Array], activations: list[Array], direction: Array, tangent_x: Array
) -> tuple[list[Array], list[Array]]:
    """Return Rz of layers 2 to L and Ra of layers 1 to L of one example, as `feedforward` returns z and a.

    Parameters
    ----------
    net : Network
        The network.
    zs, activations : list of ndarray
        What the forward pass has returned.
    direction : ndarray of shape (n_parameters,)
        The direction of the parameters.
    tangent_x : ndarray of shape (n_in, 1)
        The direction of the scaled input.
    """
    weights, _ = network_parameters(net)
    V, v = parameter_views(direction, net.sizes)
    tangent_zs: list[Array] = []
    tangents = [tangent_x]
    for i, layer in enumerate(net.layers):
        tangent_zs.append(V[i] @ activations[i] + weights[i] @ tangents[-1] + v[i])
        # the Jacobian of softmax is symmetric, so the product with its transpose is the product with itself
        tangents.append(layer.activation.multiply_by_derivative(zs[i], activations[i + 1], tangent_zs[-1]))
    return tangent_zs, tangents


def jacobian(net: NetworkLike, X: ArrayLike) -> Array:
    """Return the derivatives of all outputs by all parameters.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.

    Returns
    -------
    ndarray of shape (n_L, m, n_parameters)
        ``[k, i]`` is d a^L_k(x_i) / d theta, in the order of ``net.theta``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    found = np.empty((net.sizes[-1], inputs.shape[1], net.theta.size))
    for k, i, by_theta, _ in _output_gradients(net, inputs):
        found[k, i] = by_theta
    return found


def input_jacobian(net: NetworkLike, X: ArrayLike) -> Array:
    """Return the derivatives of all outputs by all inputs, before they are scaled.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.

    Returns
    -------
    ndarray of shape (n_L, m, n_in)
        ``[k, i]`` is d a^L_k(x_i) / d x_i.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    found = np.empty((net.sizes[-1], inputs.shape[1], net.sizes[0]))
    for k, i, _, by_input in _output_gradients(net, inputs):
        found[k, i] = by_input[:, 0]
    return found


def _output_gradients(net: NetworkLike, inputs: Array) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield (k, i) and the gradient of output k of example i, by the parameters and by the input."""
    for i in range(inputs.shape[1]):
        zs, activations = _forward(net, inputs, i)
        for k in range(net.sizes[-1]):
            unit = np.zeros((net.sizes[-1], 1))
            unit[k] = 1.0
            yield k, i, *_backpropagate(net, zs, activations, unit)


def per_example_gradients(net: NetworkLike, X: ArrayLike, Y: ArrayLike) -> Array:
    """Return the gradient of the cost C_x of each example.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.

    Returns
    -------
    ndarray of shape (m, n_parameters)
        Row i is dC_x/dtheta of example i. The mean of the rows is `gradient`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    targets = targets_of(net, Y, inputs.shape[1])
    rows = np.empty((inputs.shape[1], net.theta.size))
    for i in range(len(rows)):
        _, nabla_b, nabla_w = backprop_scaled(net, inputs[:, i : i + 1], targets[:, i : i + 1])
        rows[i] = one_vector(net, nabla_b, nabla_w)
    return rows


def gradient_norms(net: NetworkLike, X: ArrayLike, Y: ArrayLike) -> Array:
    """Return the Euclidean norm of the gradient of the cost C_x of each example, (m,).

    Raises
    ------
    TypeError, ValueError
        If an argument is not what `per_example_gradients` expects.
    """
    norms: Array = np.linalg.norm(per_example_gradients(net, X, Y), axis=1)
    return norms


def clipped_gradient_sum(net: NetworkLike, X: ArrayLike, Y: ArrayLike, clip_norm: float) -> Array:
    """Return the sum of the gradients g of all examples, each times min(1, clip_norm / ||g||).

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    clip_norm : float
        The largest norm of the gradient of a single example; above 0.

    Returns
    -------
    ndarray of shape (n_parameters,)

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.

    Notes
    -----
    M. Abadi et al., *Deep learning with differential privacy* (2016), algorithm 1, without its noise.
    """
    most = as_number("clip_norm", clip_norm)
    if most <= 0.0:
        raise ValueError(f"clip_norm: expected a number above 0, got {clip_norm!r}")
    total = np.zeros(as_network(net).theta.size)
    for g in per_example_gradients(net, X, Y):
        norm = float(np.linalg.norm(g))
        total += g if norm <= most else g * (most / norm)
    return total
