"""The output of a network, computed in three ways: neuron by neuron, layer by layer, and for a whole mini-batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.numbering import ByLayer, Functions, activation_functions, check_single, inputs, parameters
from mbbp.network import Network
from mbbp.parameters import Array


class Feedforward(NamedTuple):
    """The result of a forward pass.

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
        """a^L, the activations of the last layer."""
        return self.a[max(self.a)]


def feedforward_by_index(net: Network, X: ArrayLike) -> Feedforward:
    """Compute a^l_j = sigma(sum_k w^l_jk a^{l-1}_k + b^l_j) neuron by neuron, with one loop for each index.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_1, 1)
        The input of one example.

    Returns
    -------
    Feedforward
        Its arrays are columns of shape (n_l, 1).

    Raises
    ------
    TypeError
        If `net` is not a network, or if X does not hold real numbers.
    ValueError
        If X has the wrong shape or more than one column, or if it holds NaN or inf.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (23). Here sigma is applied to the vector z of a layer, as in
    eq. (24).

    Examples
    --------
    >>> import mbbp
    >>> net = mbbp.Network([2, 3, 1], rng=0)
    >>> feedforward_by_index(net, [[1.0], [0.0]]).output.shape
    (1, 1)
    """
    x = _single_input(net, X)
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
        Its arrays are columns of shape (n_l, 1).

    Raises
    ------
    TypeError
        If `net` is not a network, or if X does not hold real numbers.
    ValueError
        If X has the wrong shape or more than one column, or if it holds NaN or inf.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (25).
    """
    return network_forward_pass(net, _single_input(net, X))


def feedforward_by_matrix(net: Network, X: ArrayLike) -> Feedforward:
    """Compute A^l = sigma(W^l A^{l-1} + b^l) for a mini-batch. The examples are the columns of A^1 = X.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_1, m)
        Inputs, one example per column.

    Returns
    -------
    Feedforward
        Its arrays are matrices (n_l, m). The column b^l is added to each column of W^l A^{l-1}.

    Raises
    ------
    TypeError
        If `net` is not a network, or if X does not hold real numbers.
    ValueError
        If X has the wrong shape or no column, or if it holds NaN or inf.

    Notes
    -----
    This is eq. (25) for X = [x_1 x_2 ... x_m]; M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, problem "Fully
    matrix-based approach to backpropagation over a mini-batch".

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], rng=0)
    >>> z, a = feedforward_by_matrix(net, np.zeros((2, 5)))
    >>> a[1].shape, z[2].shape, a[3].shape
    ((2, 5), (3, 5), (1, 5))
    """
    return network_forward_pass(net, inputs(net, X))


def _single_input(net: Network, X: ArrayLike) -> Array:
    """Return the input of one example as a float64 column (n_1, 1)."""
    x = inputs(net, X)
    check_single("X", x)
    return x


def network_forward_pass(net: Network, x: Array) -> Feedforward:
    """Return the forward pass of a network for checked inputs in float64."""
    return forward_pass(*parameters(net), activation_functions(net)[0], x)


def forward_pass(W: ByLayer, b: ByLayer, sigma: Functions, x: Array) -> Feedforward:
    """Return z^l = W^l a^{l-1} + b^l and a^l = sigma^l(z^l) of every layer, 2 to L."""
    z: ByLayer = {}
    a = {1: x}
    for l in sorted(W):
        z[l] = W[l] @ a[l - 1] + b[l]
        a[l] = sigma[l](z[l])
    return Feedforward(z, a)
