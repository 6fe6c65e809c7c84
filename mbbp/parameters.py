"""Where each weight and bias lives in the one flat vector ``theta``.

``theta`` holds, layer after layer, the weights ``W`` and then the biases ``b``. A weight matrix (n_out, n_in) is in
Fortran order: the weights that lead from one input to all neurons lie side by side, so that a vector register takes
neighbouring neurons at once.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

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
        Column i is the gradient of the cost C_x of example i with respect to its own input, where it was asked for.
    """

    cost: float
    weights: list[Array]
    biases: list[Array]
    theta: Array
    inputs: Array | None = None


def parameter_count(sizes: Sequence[int]) -> int:
    """Return the number of weights and biases of a network of these sizes.

    Examples
    --------
    >>> parameter_count([784, 30, 10])
    23860
    """
    return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))


def parameter_views(theta: Array, sizes: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Return the weights and biases of each layer as views of `theta`.

    Parameters
    ----------
    theta : ndarray of shape (parameter_count(sizes),)
        The flat vector.
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.

    Returns
    -------
    weights : list of ndarray
        Shapes (n_out, n_in).
    biases : list of ndarray
        Shapes (n_out, 1).
    """
    weights, biases, offset = [], [], 0
    for n_in, n_out in pairwise(sizes):
        end = offset + n_out * n_in
        weights.append(theta[offset:end].reshape(n_in, n_out).T)
        biases.append(theta[end : end + n_out].reshape(n_out, 1))
        offset = end + n_out
    return weights, biases
