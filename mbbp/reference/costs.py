"""The costs. Each cost C_x is a function of an output column a; here with its gradient or its whole output error.

The functions also take z, because the logarithm of a saturated output has to be computed from z.

For second-order products each cost has d^2 C_x / da_j^2, elementwise, or, if its output error is given as a whole, the
tangent R{delta^L} of that error: R{.} stands for the derivative d/dt along any direction.
"""

from __future__ import annotations

import numpy as np

from mbbp.parameters import Array
from mbbp.reference.activations import softplus
from mbbp.reference_arguments import of_arrays, of_columns


@of_columns
def quadratic(z: Array, a: Array, y: Array) -> Array:
    """Return C_x = 1/2 sum_j (a_j - y_j)^2 for each column."""
    return 0.5 * ((a - y) ** 2).sum(axis=0)


@of_arrays
def quadratic_gradient(a: Array, y: Array) -> Array:
    """Return grad_a C = a - y."""
    return a - y


@of_arrays
def quadratic_second_derivative(a: Array, y: Array) -> Array:
    """Return d^2 C_x / da_j^2 = 1."""
    return np.ones_like(a - y)


@of_columns
def cross_entropy(z: Array, a: Array, y: Array) -> Array:
    """Return C_x = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)] for each column, with a = sigma(z)."""
    return (softplus(z) - y * z).sum(axis=0)


@of_arrays
def cross_entropy_gradient(a: Array, y: Array) -> Array:
    """Return grad_a C = (a - y) / (a (1 - a))."""
    return (a - y) / (a * (1.0 - a))


@of_arrays
def cross_entropy_error(a: Array, y: Array) -> Array:
    """Return the output error delta^L = a - y for sigmoid outputs, where sigma' cancels."""
    return a - y


@of_arrays
def cross_entropy_error_tangent(tangent_a: Array, y: Array) -> Array:
    """Return R{delta^L} = Ra for sigmoid outputs."""
    return tangent_a


@of_columns
def log_likelihood(z: Array, a: Array, y: Array) -> Array:
    """Return C_x = -sum_j y_j ln a_j for each column, with a = softmax(z)."""
    shifted = z - z.real.max(axis=0, keepdims=True)
    return (y * (np.log(np.exp(shifted).sum(axis=0, keepdims=True)) - shifted)).sum(axis=0)


@of_arrays
def log_likelihood_gradient(a: Array, y: Array) -> Array:
    """Return grad_a C = -y / a."""
    return -y / a


@of_columns
def log_likelihood_error(a: Array, y: Array) -> Array:
    """Return the output error delta^L = a sum_j y_j - y for softmax outputs, where the Jacobian cancels."""
    return a * y.sum(axis=0, keepdims=True) - y


@of_columns
def log_likelihood_error_tangent(tangent_a: Array, y: Array) -> Array:
    """Return R{delta^L} = Ra sum_j y_j for softmax outputs."""
    return tangent_a * y.sum(axis=0, keepdims=True)


@of_columns
def poisson(z: Array, a: Array, y: Array) -> Array:
    """Return C_x = sum_j [y_j ln(y_j / a_j) - y_j + a_j] for each column, with a = exp(z) and 0 ln 0 = 0.

    It is half of the Poisson deviance: P. McCullagh and J. Nelder, *Generalized Linear Models*, section 2.3.
    """
    is_zero = y == 0
    return (np.where(is_zero, 0.0, y * (np.log(np.where(is_zero, 1.0, y)) - z)) - y + a).sum(axis=0)


@of_arrays
def poisson_gradient(a: Array, y: Array) -> Array:
    """Return grad_a C = 1 - y / a."""
    return 1.0 - y / a


@of_arrays
def poisson_error(a: Array, y: Array) -> Array:
    """Return the output error delta^L = a - y for exp outputs, where sigma' = a cancels."""
    return a - y


@of_arrays
def poisson_error_tangent(tangent_a: Array, y: Array) -> Array:
    """Return R{delta^L} = Ra for exp outputs."""
    return tangent_a


@of_columns
def huber(z: Array, a: Array, y: Array, *, delta: float = 1.0) -> Array:
    """Return the sum of 1/2 d_j^2 where |d_j| <= delta, else delta (|d_j| - delta/2), for each column; d = a - y.

    P. Huber, *Robust estimation of a location parameter*, Annals of Mathematical Statistics 35 (1964).
    """
    d = a - y
    size = d * np.sign(d.real)
    return np.where(size.real <= delta, 0.5 * d**2, delta * (size - 0.5 * delta)).sum(axis=0)


@of_arrays
def huber_gradient(a: Array, y: Array, *, delta: float = 1.0) -> Array:
    """Return grad_a C = d where |d| <= delta, else delta sign(d); d = a - y."""
    d = a - y
    return np.where(np.abs(d.real) <= delta, d, delta * np.sign(d.real))


@of_arrays
def huber_second_derivative(a: Array, y: Array, *, delta: float = 1.0) -> Array:
    """Return d^2 C_x / da_j^2 = 1 where |d| <= delta, else 0; d = a - y."""
    return np.where(np.abs((a - y).real) <= delta, 1.0, 0.0)


@of_columns
def absolute(z: Array, a: Array, y: Array) -> Array:
    """Return C_x = sum_j |a_j - y_j| for each column."""
    return ((a - y) * np.sign((a - y).real)).sum(axis=0)


@of_arrays
def absolute_gradient(a: Array, y: Array) -> Array:
    """Return grad_a C = sign(a - y), which is 0 at the kink."""
    return np.sign((a - y).real)


@of_arrays
def absolute_second_derivative(a: Array, y: Array) -> Array:
    """Return d^2 C_x / da_j^2 = 0, also at the kink."""
    return np.zeros_like(a - y)


@of_columns
def quantile(z: Array, a: Array, y: Array, *, q: float = 0.5) -> Array:
    """Return C_x = sum_j max(q (y_j - a_j), (q - 1) (y_j - a_j)) for each column: the pinball loss.

    R. Koenker and G. Bassett, *Regression quantiles*, Econometrica 46 (1978).
    """
    d = y - a
    return np.where(d.real > 0, q * d, (q - 1.0) * d).sum(axis=0)


@of_arrays
def quantile_gradient(a: Array, y: Array, *, q: float = 0.5) -> Array:
    """Return grad_a C = -q where y > a, 1 - q where y < a, and 0 at the kink."""
    d = (y - a).real
    return np.where(d > 0, -q, np.where(d < 0, 1.0 - q, 0.0))


@of_arrays
def quantile_second_derivative(a: Array, y: Array, *, q: float = 0.5) -> Array:
    """Return d^2 C_x / da_j^2 = 0, for any q and also at the kink."""
    return np.zeros_like(a - y)


@of_columns
def squared_hinge(z: Array, a: Array, y: Array) -> Array:
    """Return C_x = sum_j max(0, 1 - t_j a_j)^2 for each column, with t = 2 y - 1.

    Y. Tang, *Deep learning using linear support vector machines* (2013).
    """
    short = 1.0 - (2.0 * y - 1.0) * a
    return (np.where(short.real < 0, 0.0, short) ** 2).sum(axis=0)


@of_arrays
def squared_hinge_gradient(a: Array, y: Array) -> Array:
    """Return grad_a C = -2 t max(0, 1 - t a), with t = 2 y - 1."""
    t = 2.0 * y - 1.0
    short = 1.0 - t * a
    return -2.0 * t * np.where(short.real < 0, 0.0, short)


@of_arrays
def squared_hinge_second_derivative(a: Array, y: Array) -> Array:
    """Return d^2 C_x / da_j^2 = 2 t^2 where 1 - t a > 0, else 0, with t = 2 y - 1."""
    t = 2.0 * y - 1.0
    return np.where((1.0 - t * a).real > 0, 2.0 * t * t, 0.0)
