"""The equations of backpropagation with matrix products only, without the Hadamard product.

The matrix Sigma'(z) = diag(sigma'(z)) replaces it. Each example has a different Sigma'(z), so every function here is
for one example, a column (n, 1). The source is M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, eqs. (33) to
(35), in the problem "Alternate presentation of the equations of backpropagation".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.chapter2.numbering import is_softmax
from mbbp.chapter2.shapes import as_matrix
from mbbp.parameters import Array
from mbbp.validation import as_count

MOST_LAYERS = 1_000_000


def sigma_prime_matrix(sigma_prime_z: ArrayLike) -> Array:
    """Return Sigma'(z): the square matrix with sigma'(z_j) on its diagonal and 0 elsewhere.

    Parameters
    ----------
    sigma_prime_z : array_like of shape (n, 1)
        sigma'(z) of one example.

    Returns
    -------
    ndarray of shape (n, n)

    Raises
    ------
    ValueError, TypeError
        If it is not a column of numbers.

    Examples
    --------
    >>> sigma_prime_matrix([[0.25], [0.1]])
    array([[0.25, 0.  ],
           [0.  , 0.1 ]])
    """
    return np.diag(as_matrix("sigma_prime_z", sigma_prime_z, None, 1)[:, 0])


def activation_jacobian(activation: Activation, z: ArrayLike) -> Array:
    """Return the matrix da_i/dz_j of one example. It is Sigma'(z), and for softmax it is a_i (1[i = j] - a_j).

    Parameters
    ----------
    activation : Activation
        The activation function of a layer.
    z : array_like of shape (n, 1)
        The weighted input of this layer.

    Returns
    -------
    ndarray of shape (n, n)
        The matrix is diagonal, except for softmax: there every output depends on every weighted input. The matrix of
        softmax is symmetric. Eqs. (33) and (35) also hold for softmax if this matrix replaces Sigma'(z^L).

    Raises
    ------
    ValueError, TypeError
        If the first argument is not an Activation, or z is not a column of numbers.

    Examples
    --------
    >>> import mbbp
    >>> activation_jacobian(mbbp.Network([1, 2], "softmax").layers[0].activation, [[0.0], [0.0]])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    if not isinstance(activation, Activation):
        raise TypeError(f"activation: expected an mbbp.Activation, got {activation!r}")
    column = as_matrix("z", z, None, 1)
    if is_softmax(activation):
        a = activation.function(column)
        return np.diag(a[:, 0]) - a @ a.T
    return sigma_prime_matrix(activation.derivative(column))


def output_error_by_matrix(Sigma_prime_z: ArrayLike, grad_a_C: ArrayLike) -> Array:
    """Return the error of the output layer, delta^L = Sigma'(z^L) grad_a C.

    Parameters
    ----------
    Sigma_prime_z : array_like of shape (n_L, n_L)
        From `sigma_prime_matrix`.
    grad_a_C : array_like of shape (n_L, 1)
        dC_x/da^L.

    Returns
    -------
    ndarray of shape (n_L, 1)

    Raises
    ------
    ValueError, TypeError
        If an argument is not a matrix of numbers, or if the shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (33).
    """
    gradient = as_matrix("grad_a_C", grad_a_C, None, 1)
    n = gradient.shape[0]
    return as_matrix("Sigma_prime_z", Sigma_prime_z, n, n, "it must have one row for each row of grad_a_C") @ gradient


def backpropagated_error_by_matrix(Sigma_prime_z: ArrayLike, W_next: ArrayLike, delta_next: ArrayLike) -> Array:
    """Return the error of a layer from that of the next layer, delta^l = Sigma'(z^l) (W^{l+1})^T delta^{l+1}.

    Parameters
    ----------
    Sigma_prime_z : array_like of shape (n_l, n_l)
        From `sigma_prime_matrix`.
    W_next : array_like of shape (n_{l+1}, n_l)
        W^{l+1}.
    delta_next : array_like of shape (n_{l+1}, 1)
        delta^{l+1}.

    Returns
    -------
    ndarray of shape (n_l, 1)

    Raises
    ------
    ValueError, TypeError
        If an argument is not a matrix of numbers, or if the shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (34).
    """
    W = as_matrix("W_next", W_next)
    n_next, n = W.shape
    slope = as_matrix("Sigma_prime_z", Sigma_prime_z, n, n, "it must have one row for each column of W_next")
    return slope @ W.T @ as_matrix("delta_next", delta_next, n_next, 1, "it must have one row for each row of W_next")


def error_as_product(
    l: int, Sigma_prime: Mapping[int, ArrayLike], W: Mapping[int, ArrayLike], grad_a_C: ArrayLike
) -> Array:
    """Return delta^l = Sigma'(z^l) (W^{l+1})^T ... Sigma'(z^{L-1}) (W^L)^T Sigma'(z^L) grad_a C.

    Parameters
    ----------
    l : int
        The number of the layer, 2 to L.
    Sigma_prime : mapping of int to array_like
        Sigma'(z) of layers l to L, of shapes (n_l, n_l). The key is the number of the layer.
    W : mapping of int to array_like
        The weights of layers l + 1 to L, of shapes (n_l, n_{l-1}). The key is the number of the layer.
    grad_a_C : array_like of shape (n_L, 1)
        dC_x/da^L.

    Returns
    -------
    ndarray of shape (n_l, 1)
        The product is computed from left to right, and each step multiplies two matrices. Backpropagation computes the
        same product from right to left, and each step multiplies a matrix and a vector.

    Raises
    ------
    ValueError, TypeError
        If a layer is missing, if an argument is not a matrix of numbers, or if the shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (35).

    Examples
    --------
    >>> error_as_product(2, {2: [[0.5]], 3: [[0.25]]}, {3: [[4.0]]}, [[1.0]])
    array([[0.5]])
    """
    _check_mapping("Sigma_prime", Sigma_prime)
    _check_mapping("W", W)
    L = max(Sigma_prime, default=0)
    l = as_count("l", l, least=2, most=MOST_LAYERS)
    for argument, given, first in (("Sigma_prime", Sigma_prime, l), ("W", W, l + 1)):
        last = max(L, l)
        missing = [number for number in range(first, last + 1) if number not in given]
        if missing:
            expected = f"layers {first} to {last}" if first < last else f"layer {first}"
            raise ValueError(f"{argument}: expected {expected}, got no layer {missing[0]}")
    product = as_matrix(f"Sigma_prime[{l}]", Sigma_prime[l])
    for number in range(l + 1, L + 1):
        slope = as_matrix(f"Sigma_prime[{number}]", Sigma_prime[number])
        n_out, n_in = slope.shape[0], product.shape[1]
        why = f"it stands between Sigma_prime[{number - 1}] and Sigma_prime[{number}]"
        weights = as_matrix(f"W[{number}]", W[number], n_out, n_in, why)
        product = product @ weights.T @ slope
    return product @ as_matrix("grad_a_C", grad_a_C, product.shape[1], 1, "it must have one row for each output")


def _check_mapping(argument: str, given: object) -> None:
    """Check that the keys of a mapping are numbers of layers."""
    if not isinstance(given, Mapping) or not all(isinstance(l, int) for l in given):
        raise TypeError(f"{argument}: expected a mapping whose keys are the numbers of layers, got {given!r}")
    if len(given) and not 2 <= max(given) < MOST_LAYERS:
        raise ValueError(f"{argument}: expected layers from 2 to {MOST_LAYERS - 1}, got layer {max(given)}")
