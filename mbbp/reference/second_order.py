"""Second-order derivatives: products with the Hessian and with the Gauss-Newton matrix, and those along directions.

One example at a time, as in the book. R{.} stands for the derivative d/dt along a direction (B. Pearlmutter, *Fast
exact multiplication by the Hessian*, Neural Computation 6 (1994)). It is applied to each equation of backpropagation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array, DirectionalDerivatives, parameter_views
from mbbp.reference.algorithm import (
    backward_pass,
    forward_pass,
    network_parameters,
    one_vector,
    scaled_inputs,
    scaling_factors,
    targets_of,
)
from mbbp.reference.jacobians import parameter_direction, tangent_pass
from mbbp.reference_arguments import NetworkLike, as_directions

Product = Callable[[NetworkLike, Array, Array, Array], Array]  # of one example, from (net, x, y, direction)


def directional_derivatives(net: NetworkLike, X: ArrayLike, directions: ArrayLike) -> DirectionalDerivatives:
    """Return the first and second derivatives of the outputs when the inputs move along directions.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    directions : array_like of shape (n_in, k)
        Directions v of the inputs before they are scaled, one per column. Each is for all examples.

    Returns
    -------
    DirectionalDerivatives
        d/dt and d^2/dt^2 of a^L(x + t v) at t = 0, for each x and v.

    Raises
    ------
    TypeError
        If an activation has no second derivative.
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    moved = scaling_factors(net) * as_directions("directions", net, directions)
    m, k, n_out = inputs.shape[1], moved.shape[1], net.sizes[-1]
    outputs, first, second = np.empty((n_out, m)), np.empty((k, n_out, m)), np.empty((k, n_out, m))
    for i in range(m):
        zs, activations = forward_pass(net, inputs[:, i : i + 1])
        outputs[:, i] = activations[-1][:, 0]
        for d in range(k):
            one, two = _along_input(net, zs, activations, moved[:, d : d + 1])
            first[d, :, i], second[d, :, i] = one[:, 0], two[:, 0]
    return DirectionalDerivatives(outputs, first, second)


def _along_input(net: NetworkLike, zs: list[Array], activations: list[Array], v: Array) -> tuple[Array, Array]:
    """Return d/dt and d^2/dt^2 of a^L of one example, when its scaled input moves along v (n_in, 1).

    From a = sigma(z) follow a' = sigma'(z) z' and a'' = sigma''(z) z'^2 + sigma'(z) z''. A line has no second
    derivative, so a'' of the input layer is 0.
    """
    weights, _ = network_parameters(net)
    first, second = v, np.zeros_like(v)
    for i, layer in enumerate(net.layers):
        sigma, z, a = layer.activation, zs[i], activations[i + 1]
        z_1, z_2 = weights[i] @ first, weights[i] @ second
        first = sigma.multiply_by_derivative(z, a, z_1)
        second = sigma.multiply_by_second_derivative(z, a, z_1, z_1) + sigma.multiply_by_derivative(z, a, z_2)
    return first, second


def laplacian(net: NetworkLike, X: ArrayLike) -> Array:
    """Return the Laplacian of each output: the sum of its second derivatives by each of the inputs before scaling.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.

    Returns
    -------
    ndarray of shape (n_L, m)

    Raises
    ------
    TypeError
        If an activation has no second derivative.
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    scaled_inputs(net, X)  # so that an error is about net or X, and not about the directions
    total: Array = directional_derivatives(net, X, np.eye(net.sizes[0])).second.sum(axis=0)
    return total


def hessian_vector_product(net: NetworkLike, X: ArrayLike, Y: ArrayLike, direction: ArrayLike) -> Array:
    """Return H v: the Hessian by the parameters of the mean cost C = 1/m sum_x C_x, times a direction.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    direction : array_like of shape (n_parameters,)
        The vector v, in the order of ``net.theta``.

    Returns
    -------
    ndarray of shape (n_parameters,)

    Raises
    ------
    TypeError
        If an activation or the cost has no second derivative.
    TypeError, ValueError
        If an argument is not what is expected above.

    Notes
    -----
    It is the derivative d/dt of the gradient at theta + t v. At a kink, where there is none, each activation and the
    cost take the side that their first derivatives take.
    """
    return _mean_product(net, X, Y, direction, _hessian_product)


def gauss_newton_vector_product(net: NetworkLike, X: ArrayLike, Y: ArrayLike, direction: ArrayLike) -> Array:
    """Return G v: the Gauss-Newton matrix of the mean cost, times a direction.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    direction : array_like of shape (n_parameters,)
        The vector v, in the order of ``net.theta``.

    Returns
    -------
    ndarray of shape (n_parameters,)

    Raises
    ------
    TypeError
        If the cost has no second derivative.
    TypeError, ValueError
        If an argument is not what is expected above.

    Notes
    -----
    G = 1/m sum_x J^T S J. For most costs J is the Jacobian of a^L by the parameters and S is the diagonal matrix of
    d^2 C_x / da_j^2. For cross_entropy, log_likelihood and poisson, J is the Jacobian of z^L and S = d delta^L / dz^L.
    G is the Hessian without the terms that have second derivatives of J; it has no negative eigenvalue (N. Schraudolph,
    *Fast curvature matrix-vector products for second-order gradient descent*, Neural Computation 14 (2002)).
    """
    return _mean_product(net, X, Y, direction, _gauss_newton_product)


def _mean_product(net: NetworkLike, X: ArrayLike, Y: ArrayLike, direction: ArrayLike, product: Product) -> Array:
    inputs = scaled_inputs(net, X)
    m = inputs.shape[1]
    targets = targets_of(net, Y, m)
    v = parameter_direction("direction", net, direction)
    total = np.zeros(net.theta.size)
    for i in range(m):
        total += product(net, inputs[:, i : i + 1], targets[:, i : i + 1], v)
    return total / m


def _tangents(
    net: NetworkLike, x: Array, direction: Array
) -> tuple[list[Array], list[Array], list[Array], list[Array]]:
    """Return z, a, Rz and Ra of one example for a direction of the parameters; the input does not move."""
    zs, activations = forward_pass(net, x)
    return zs, activations, *tangent_pass(net, zs, activations, direction, np.zeros_like(x))


def _hessian_product(net: NetworkLike, x: Array, y: Array, direction: Array) -> Array:
    """Return R{dC_x/dtheta} of one example: R{.} of (BP1) to (BP4), by the product rule."""
    zs, activations, tangent_zs, tangents = _tangents(net, x, direction)
    weights, _ = network_parameters(net)
    V, _ = parameter_views(direction, net.sizes)
    cost, sigma, z, a = net.cost_function, net.layers[-1].activation, zs[-1], activations[-1]
    delta = cost.delta(sigma, z, a, y)  # BP1
    tangent_delta = cost.error_tangent(z, a, y, tangents[-1])
    if cost.fused_error is None:  # delta = sigma' * e, with e = grad_a C
        e = cost.gradient(a, y)
        tangent_delta = sigma.multiply_by_derivative(z, a, tangent_delta)
        tangent_delta = tangent_delta + sigma.multiply_by_second_derivative(z, a, e, tangent_zs[-1])
    tangent_b = [tangent_delta]  # R{BP3}
    tangent_w = [tangent_delta @ activations[-2].T + delta @ tangents[-2].T]  # R{BP4}
    for i in range(2, len(net.sizes)):
        sigma, z, a = net.layers[-i].activation, zs[-i], activations[-i]
        e = weights[-i + 1].T @ delta
        tangent_e = V[-i + 1].T @ delta + weights[-i + 1].T @ tangent_delta
        delta = sigma.multiply_by_derivative(z, a, e)  # BP2
        tangent_delta = sigma.multiply_by_derivative(z, a, tangent_e)  # R{BP2}
        tangent_delta = tangent_delta + sigma.multiply_by_second_derivative(z, a, e, tangent_zs[-i])
        tangent_b.insert(0, tangent_delta)
        tangent_w.insert(0, tangent_delta @ activations[-i - 1].T + delta @ tangents[-i - 1].T)
    return one_vector(net, tangent_b, tangent_w)


def _gauss_newton_product(net: NetworkLike, x: Array, y: Array, direction: Array) -> Array:
    """Return J^T S J v of one example: J v by a tangent pass, and J^T (S J v) by backpropagation of that."""
    zs, activations, _, tangents = _tangents(net, x, direction)
    cost, sigma = net.cost_function, net.layers[-1].activation
    error = cost.error_tangent(zs[-1], activations[-1], y, tangents[-1])
    if cost.fused_error is None:
        error = sigma.multiply_by_derivative(zs[-1], activations[-1], error)
    return one_vector(net, *backward_pass(net, zs, activations, error))
