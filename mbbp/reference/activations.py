"""The activations and their derivatives, elementwise; and softmax, down each column."""

from __future__ import annotations

import math

import numpy as np

from mbbp.parameters import Array
from mbbp.reference_arguments import of_arrays, of_columns


@of_arrays
def sigmoid(z: Array) -> Array:
    """Return sigma(z) = 1 / (1 + exp(-z)), computed so that no exponential overflows."""
    e = np.exp(np.where(z.real < 0, z, -z))
    return np.where(z.real < 0, e, 1.0) / (1.0 + e)


@of_arrays
def sigmoid_prime(z: Array) -> Array:
    """Return sigma'(z) = sigma(z) (1 - sigma(z))."""
    return sigmoid(z) * sigmoid(-z)


@of_arrays
def tanh(z: Array) -> Array:
    """Return the hyperbolic tangent."""
    return np.tanh(z)


@of_arrays
def tanh_prime(z: Array) -> Array:
    """Return 1 - tanh(z)^2."""
    return 1.0 - np.tanh(z) ** 2


@of_arrays
def relu(z: Array) -> Array:
    """Return max(z, 0)."""
    return np.where(z.real > 0, z, 0.0)


@of_arrays
def relu_prime(z: Array) -> Array:
    """Return 1 where z > 0, else 0 (the kink at 0 counts as inactive)."""
    return np.where(z.real > 0, 1.0, 0.0)


LEAK = 0.01


@of_arrays
def leaky_relu(z: Array) -> Array:
    """Return z where z > 0, else 0.01 z."""
    return np.where(z.real > 0, z, LEAK * z)


@of_arrays
def leaky_relu_prime(z: Array) -> Array:
    """Return 1 where z > 0, else 0.01."""
    return np.where(z.real > 0, 1.0, LEAK)


@of_arrays
def identity(z: Array) -> Array:
    """Return z: a linear neuron."""
    return z


@of_arrays
def identity_prime(z: Array) -> Array:
    """Return 1."""
    return np.ones_like(z)


_erf_of_reals = np.vectorize(math.erf, otypes=[float])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def _erf(z: Array) -> Array:
    """Return the error function of real or complex numbers.

    From the real part x on, erf is integrated along the imaginary axis: erf(x + iy) - erf(x) is 2/sqrt(pi) times the
    integral of i exp(-(x + it)^2) for t from 0 to y. Gauss's formula takes it; it is exact to rounding for |y| < 2.
    """
    real: Array = _erf_of_reals(z.real)
    if not np.iscomplexobj(z):
        return real
    x, half = z.real[..., np.newaxis], 0.5 * z.imag[..., np.newaxis]
    path = x + 1j * half * (1.0 + NODES)
    return real + 1j * z.imag / math.sqrt(math.pi) * (WEIGHTS * np.exp(-(path**2))).sum(axis=-1)


@of_arrays
def gelu(z: Array) -> Array:
    """Return z Phi(z), with the normal distribution Phi(z) = (1 + erf(z / sqrt 2)) / 2.

    D. Hendrycks and K. Gimpel, *Gaussian error linear units* (2016).
    """
    return 0.5 * z * (1.0 + _erf(z / math.sqrt(2)))


@of_arrays
def gelu_prime(z: Array) -> Array:
    """Return Phi(z) + z Phi'(z), with the normal density Phi'(z) = exp(-z^2 / 2) / sqrt(2 pi)."""
    return 0.5 * (1.0 + _erf(z / math.sqrt(2))) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


@of_arrays
def silu(z: Array) -> Array:
    """Return z sigma(z) with the sigmoid sigma.

    S. Elfwing, E. Uchibe and K. Doya, *Sigmoid-weighted linear units* (2018).
    """
    return z * sigmoid(z)


@of_arrays
def silu_prime(z: Array) -> Array:
    """Return sigma(z) + z sigma'(z) with the sigmoid sigma."""
    return sigmoid(z) + z * sigmoid_prime(z)


@of_arrays
def elu(z: Array) -> Array:
    """Return z where z > 0, else exp(z) - 1.

    D.-A. Clevert, T. Unterthiner and S. Hochreiter, *Fast and accurate deep network learning by exponential linear
    units* (2016), with alpha = 1.
    """
    return np.where(z.real > 0, z, np.expm1(np.where(z.real > 0, 0.0, z)))


@of_arrays
def elu_prime(z: Array) -> Array:
    """Return 1 where z > 0, else exp(z)."""
    return np.exp(np.where(z.real > 0, 0.0, z))


@of_arrays
def softplus(z: Array) -> Array:
    """Return ln(1 + exp(z)), computed so that no exponential overflows."""
    positive = z.real > 0
    return np.where(positive, z, 0.0) + np.log1p(np.exp(np.where(positive, -z, z)))


@of_arrays
def softplus_prime(z: Array) -> Array:
    """Return the sigmoid of z."""
    return sigmoid(z)


@of_arrays
def exp(z: Array) -> Array:
    """Return exp(z); inf if that is too large a number."""
    with np.errstate(over="ignore"):
        return np.exp(z)


@of_arrays
def exp_prime(z: Array) -> Array:
    """Return exp(z)."""
    return exp(z)


@of_columns
def softmax(z: Array) -> Array:
    """Return exp(z_j) / sum_k exp(z_k), down each column."""
    e = np.exp(z - z.real.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@of_columns
def softmax_jacobian_product(a: Array, delta: Array) -> Array:
    """Return J^T delta for the Jacobian J_jk = a_j (1[j = k] - a_k) of softmax, column by column."""
    return a * (delta - (delta * a).sum(axis=0, keepdims=True))
