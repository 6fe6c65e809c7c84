"""The second derivatives of the activations, elementwise; and that of softmax as a product, down each column.

Where a formula subtracts two numbers that are nearly equal, another one is used here that does not. No number overflows
on the way, so that the results are right also for large |z|.
"""

from __future__ import annotations

import math

import numpy as np

from mbbp.parameters import Array
from mbbp.reference.activations import exp, sigmoid_prime
from mbbp.reference_arguments import of_arrays, of_columns


@of_arrays
def sigmoid_second_derivative(z: Array) -> Array:
    """Return sigma''(z) = sigma'(z) (1 - 2 sigma(z)), where 1 - 2 sigma(z) = -tanh(z / 2)."""
    return -sigmoid_prime(z) * np.tanh(0.5 * z)


@of_arrays
def tanh_second_derivative(z: Array) -> Array:
    """Return -2 tanh(z) (1 - tanh(z)^2), where 1 - tanh(z)^2 = [2 e / (1 + e^2)]^2 with e = exp(-|z|)."""
    e = np.exp(np.where(z.real < 0, z, -z))
    return -2.0 * np.tanh(z) * (2.0 * e / (1.0 + e * e)) ** 2


@of_arrays
def relu_second_derivative(z: Array) -> Array:
    """Return 0: relu is linear on both sides of its kink."""
    return np.zeros_like(z)


@of_arrays
def leaky_relu_second_derivative(z: Array) -> Array:
    """Return 0: leaky_relu is linear on both sides of its kink."""
    return np.zeros_like(z)


@of_arrays
def identity_second_derivative(z: Array) -> Array:
    """Return 0."""
    return np.zeros_like(z)


FAR = 40.0  # exp(-z^2 / 2) is 0 from here on, while z^2 could overflow


@of_arrays
def gelu_second_derivative(z: Array) -> Array:
    """Return Phi'(z) (2 - z^2), with the normal density Phi'(z) = exp(-z^2 / 2) / sqrt(2 pi)."""
    near = np.where(np.abs(z.real) < FAR, z, FAR)
    return np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi) * (2.0 - near * near)


@of_arrays
def silu_second_derivative(z: Array) -> Array:
    """Return 2 sigma'(z) + z sigma''(z) = sigma'(z) (2 - z tanh(z / 2)) with the sigmoid sigma."""
    return sigmoid_prime(z) * (2.0 - z * np.tanh(0.5 * z))


@of_arrays
def elu_second_derivative(z: Array) -> Array:
    """Return 0 where z > 0, else exp(z)."""
    positive = z.real > 0
    return np.where(positive, 0.0, np.exp(np.where(positive, 0.0, z)))


@of_arrays
def softplus_second_derivative(z: Array) -> Array:
    """Return sigma'(z) with the sigmoid sigma."""
    return sigmoid_prime(z)


@of_arrays
def exp_second_derivative(z: Array) -> Array:
    """Return exp(z)."""
    return exp(z)


@of_columns
def softmax_second_derivative_product(a: Array, e: Array, tangent_z: Array) -> Array:
    """Return R{J e} for a fixed e: how J e changes when z changes along `tangent_z`, column by column.

    J_jk = a_j (1[j = k] - a_k) is the Jacobian of softmax at a = softmax(z), and R{.} stands for the derivative d/dt at
    z + t tangent_z. Since J e = a * (e - s) with s = sum_k a_k e_k, it is Ra * (e - s) - a sum_k Ra_k e_k. In the sum,
    e_k - s may stand for e_k, because all Ra_k together are 0.
    """
    tangent_a = a * (tangent_z - (a * tangent_z).sum(axis=0, keepdims=True))
    product = tangent_a * (e - (a * e).sum(axis=0, keepdims=True))
    return product - a * product.sum(axis=0, keepdims=True)
