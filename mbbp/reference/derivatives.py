"""Numeric derivatives of the cost, and the gradient that is made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array
from mbbp.reference.algorithm import cost
from mbbp.reference_arguments import NetworkLike, as_network, as_number, as_vector


def central_difference(net: NetworkLike, X: ArrayLike, Y: ArrayLike, direction: ArrayLike, step: float = 1e-6) -> float:
    """Return the derivative of the cost along `direction`: [C(theta + h d) - C(theta - h d)] / 2h.

    The truncation error is of the order of h^2, the rounding error of the order of 1e-16 / h.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    theta, moved, h = _along(net, direction, step)
    rise = cost(net, X, Y, theta + moved) - cost(net, X, Y, theta - moved)
    return float(rise.real) / (2 * h)


def complex_step(net: NetworkLike, X: ArrayLike, Y: ArrayLike, direction: ArrayLike, step: float = 1e-30) -> float:
    """Return the derivative of the cost along `direction`: Im C(theta + i h d) / h, exact except for rounding.

    W. Squire and G. Trapp, *Using complex variables to estimate derivatives of real functions*, SIAM Review 40 (1998).
    The activations and the cost must be analytic between their kinks.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    theta, moved, h = _along(net, direction, step)
    return complex(cost(net, X, Y, theta + 1j * moved)).imag / h


def _along(net: NetworkLike, direction: ArrayLike, step: float) -> tuple[Array, Array, float]:
    """Return the network's parameters, a step in a direction, and its size h."""
    theta, h = np.asarray(as_network(net).theta, np.float64), as_number("step", step)
    if h == 0.0:
        raise ValueError("step: expected a number other than 0, got 0")
    return theta, h * as_vector("direction", direction, theta.size, "parameter of the network"), h


def numeric_gradient(
    net: NetworkLike,
    X: ArrayLike,
    Y: ArrayLike,
    derivative: Callable[[NetworkLike, ArrayLike, ArrayLike, Array], float] = central_difference,
) -> Array:
    """Return the gradient with respect to every parameter, one numeric derivative at a time.

    It takes at least one forward pass for every parameter; backpropagation takes one forward and one backward pass.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    if not callable(derivative):
        raise TypeError(f"derivative: expected central_difference or complex_step, got {derivative!r}")
    out = np.empty(as_network(net).theta.size)
    direction = np.zeros(net.theta.size)
    for i in range(out.size):
        direction[i] = 1.0
        out[i] = derivative(net, X, Y, direction)
        direction[i] = 0.0
    return out
