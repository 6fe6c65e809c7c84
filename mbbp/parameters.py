"""The place of each weight and bias in the parameter vector ``theta``.

``theta`` holds the weights ``W`` and then the biases ``b`` of the first computing layer, then those of the next layer,
and so on. A weight matrix (n_out, n_in) is in Fortran order: the weights from one input to all neurons are contiguous,
so that a vector register can hold the weights of several neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Gradient(NamedTuple):
    """The gradient of a cost with respect to the parameters of a network.

    Attributes
    ----------
    cost : float
        The mean cost C over the mini-batch.
    weights : list of ndarray
        ``weights[i]`` is dC/dW of ``net.layers[i]``, of shape (n_out, n_in): a view of `theta`.
    biases : list of ndarray
        ``biases[i]`` is dC/db of ``net.layers[i]``, of shape (n_out, 1): a view of `theta`.
    theta : ndarray of shape (n_parameters,)
        The whole gradient as one flat vector, in the order of ``net.theta``.
    inputs : ndarray of shape (n_in, m) or None
        Column i is the gradient dC_x/dx of example i with respect to its input. None unless it was requested.
    """

    cost: float
    weights: list[Array]
    biases: list[Array]
    theta: Array
    inputs: Array | None = None

    def __repr__(self) -> str:
        norm = float(np.linalg.norm(self.theta))
        return f"Gradient(cost={self.cost:.6g}, norm={norm:.6g}, {self.theta.size:,} parameters)"


class DirectionalDerivatives(NamedTuple):
    """The outputs, and their derivatives along directions v in the space of the inputs.

    Attributes
    ----------
    outputs : ndarray of shape (n_L, m)
        a^L(x).
    first, second : ndarray of shape (k, n_L, m)
        d/dt and d^2/dt^2 of a^L(x + t v) at t = 0, for each of k directions.
    """

    outputs: Array
    first: Array
    second: Array


def parameter_count(sizes: Sequence[int]) -> int:
    """Return the number of weights and biases of a network with these layer sizes.

    Examples
    --------
    >>> parameter_count([784, 30, 10])
    23860
    """
    return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))


def backprop_flops(sizes: Sequence[int], m: int) -> int:
    """Return the floating-point operations of the matrix products in one training step on a mini-batch of m examples.

    The forward pass has one product for each computing layer. The backward pass has one product for the weight gradient
    of each computing layer, and one for the error of each hidden layer. A multiplication with an addition counts as two
    operations.

    Examples
    --------
    >>> backprop_flops([784, 30, 10], 10)
    958800
    """
    products = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    return 2 * m * (3 * sum(products) - products[0])


def parameter_offsets(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first index of the weights and of the biases of each layer in `theta`.

    Examples
    --------
    >>> parameter_offsets([784, 30, 10])
    [(0, 23520), (23550, 23850)]
    """
    offsets, end = [], 0
    for n_in, n_out in pairwise(sizes):
        offsets.append((end, end + n_out * n_in))
        end += n_out * (n_in + 1)
    return offsets


def parameter_views(theta: Array, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Return the weights and biases of each layer as views of `theta`.

    Parameters
    ----------
    theta : ndarray of shape (parameter_count(sizes),)
        The parameter vector.
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.

    Returns
    -------
    weights : list of ndarray
        Shapes (n_out, n_in).
    biases : list of ndarray
        Shapes (n_out, 1).
    """
    weights, biases = [], []
    W = 0
    for n_in, n_out in pairwise(sizes):
        b = W + n_out * n_in
        end = b + n_out
        weights.append(theta[W:b].reshape(n_in, n_out).T)
        biases.append(theta[b:end].reshape(n_out, 1))
        W = end
    return weights, biases
