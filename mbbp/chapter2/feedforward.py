"""The warm-up: the output of a network, neuron by neuron, layer by layer, and for a whole mini-batch at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.numbering import ByLayer, Functions, activation_functions, check_single, inputs, parameters
from mbbp.network import Network
from mbbp.parameters import Array


class Feedforward(NamedTuple):
    """What a forward pass computes.

    Attributes
    ----------
    z : dict of int to ndarray
        The weighted inputs of layers 2 to L, of shapes (n_l, m).
    a : dict of int to ndarray
        The activations of layers 1 to L, of shapes (n_l, m).
    """

    z: ByLayer
    a: ByLayer

    @property
    def output(self) -> Array:
        """The activations a^L of the last layer."""
        return self.a[max(self.a)]


def feedforward_by_index(net: Network, X: ArrayLike) -> Feedforward:
    """Compute a^l_j = sigma(sum_k w^l_jk a^{l-1}_k + b^l_j) neuron by neuron, with a loop for each index.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_1, 1)
        The input of one example.

    Returns
    -------
    Feedforward
        Its arrays are columns (n_l, 1).

    Raises
    ------
    ValueError, TypeError
        If X has the wrong shape, more than one column, or NaN or inf in it.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (23); sigma takes the layer's z as a vector, eq. (24).

    Examples
    --------
    >>> import mbbp
    >>> net = mbbp.Network([2, 3, 1], rng=0)
    >>> feedforward_by_index(net, [[1.0], [0.0]]).output.shape
    (1, 1)
    """
    x = inputs(net, X)
    check_single("X", x)
    W, b = parameters(net)
    sigma, _ = activation_functions(net)
    z: ByLayer = {}
    a = {1: x}
    for l in range(2, len(net.sizes) + 1):
        z[l] = np.zeros((net.sizes[l - 1], 1))
        for j in range(net.sizes[l - 1]):
            for k in range(net.sizes[l - 2]):
                z[l][j, 0] += W[l][j, k] * a[l - 1][k, 0]
            z[l][j, 0] += b[l][j, 0]
        a[l] = sigma[l](z[l])
    return Feedforward(z, a)


def feedforward_by_vector(net: Network, X: ArrayLike) -> Feedforward:
    """Compute a^l = sigma(W^l a^{l-1} + b^l) layer by layer, for one example.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_1, 1)
        The input of one example.

    Returns
    -------
    Feedforward
        Its arrays are columns (n_l, 1).

    Raises
    ------
    ValueError, TypeError
        If X has the wrong shape, more than one column, or NaN or inf in it.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (25).
    """
    x = inputs(net, X)
    check_single("X", x)
    return forward_pass(*parameters(net), activation_functions(net)[0], x)


def feedforward_by_matrix(net: Network, X: ArrayLike) -> Feedforward:
    """Compute A^l = sigma(W^l A^{l-1} + b^l) for a mini-batch, whose examples are the columns of A^1 = X.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_1, m)
        Inputs, one example a column.

    Returns
    -------
    Feedforward
        Its arrays are matrices (n_l, m); the one column b^l is added to each of theirs.

    Raises
    ------
    ValueError, TypeError
        If X has the wrong shape, no column, or NaN or inf in it.

    Notes
    -----
    The same eq. (25), for X = [x_1 x_2 ... x_m]: the problem "Fully matrix-based approach to backpropagation over a
    mini-batch" of M. Nielsen, *Neural Networks and Deep Learning*, ch. 2.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], rng=0)
    >>> z, a = feedforward_by_matrix(net, np.zeros((2, 5)))
    >>> a[1].shape, z[2].shape, a[3].shape
    ((2, 5), (3, 5), (1, 5))
    """
    x = inputs(net, X)
    return forward_pass(*parameters(net), activation_functions(net)[0], x)


def forward_pass(W: ByLayer, b: ByLayer, sigma: Functions, x: Array) -> Feedforward:
    """Return z^l = W^l a^{l-1} + b^l and a^l = sigma^l(z^l) of every layer, for parameters and functions by layer."""
    z: ByLayer = {}
    a = {1: x}
    for l in sorted(W):
        z[l] = W[l] @ a[l - 1] + b[l]
        a[l] = sigma[l](z[l])
    return Feedforward(z, a)
