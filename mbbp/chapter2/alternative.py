"""The alternate presentation of the equations: by matrix multiplication alone, with Sigma'(z) = diag(sigma'(z)).

Sigma'(z) belongs to one example, so all is for one column. The source is the problem "Alternate presentation of the
equations of backpropagation" of M. Nielsen, *Neural Networks and Deep Learning*, eqs. (33) to (35).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.chapter2.numbering import is_softmax
from mbbp.chapter2.shapes import as_matrix
from mbbp.parameters import Array


def sigma_prime_matrix(sigma_prime_z: ArrayLike) -> Array:
    """Return Sigma'(z): the square matrix with sigma'(z_j) on its diagonal, and 0 elsewhere.

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
        If it is no column of numbers.

    Examples
    --------
    >>> sigma_prime_matrix([[0.25], [0.1]])
    array([[0.25, 0.  ],
           [0.  , 0.1 ]])
    """
    return np.diag(as_matrix("sigma_prime_z", sigma_prime_z, None, 1)[:, 0])


def activation_jacobian(activation: Activation, z: ArrayLike) -> Array:
    """Return the matrix da_i/dz_j of one example: Sigma'(z), and for softmax a_i (1[i = j] - a_j).

    Parameters
    ----------
    activation : Activation
        The layer's.
    z : array_like of shape (n, 1)
        Its weighted input.

    Returns
    -------
    ndarray of shape (n, n)
        A softmax moves all its outputs with every input, so its matrix is full, where the others' is diagonal; with it
        in Sigma'(z^L)'s place, and it is symmetric, eqs. (33) and (35) hold for a softmax too.

    Raises
    ------
    ValueError, TypeError
        If z is no column of numbers.

    Examples
    --------
    >>> import mbbp
    >>> activation_jacobian(mbbp.Network([1, 2], "softmax").layers[0].activation, [[0.0], [0.0]])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
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
        If an argument is no matrix of numbers, or their shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (33).
    """
    gradient = as_matrix("grad_a_C", grad_a_C, None, 1)
    n = gradient.shape[0]
    return as_matrix("Sigma_prime_z", Sigma_prime_z, n, n, "square, a row for each of grad_a_C") @ gradient


def backpropagated_error_by_matrix(Sigma_prime_z: ArrayLike, W_next: ArrayLike, delta_next: ArrayLike) -> Array:
    """Return the error of a layer from that of the next, delta^l = Sigma'(z^l) (W^{l+1})^T delta^{l+1}.

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
        If an argument is no matrix of numbers, or their shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (34).
    """
    W = as_matrix("W_next", W_next)
    slope = as_matrix("Sigma_prime_z", Sigma_prime_z, W.shape[1], W.shape[1], "square, a row for each column of W_next")
    return slope @ W.T @ as_matrix("delta_next", delta_next, W.shape[0], 1, "a row for each of W_next")


def error_as_product(
    l: int, Sigma_prime: Mapping[int, ArrayLike], W: Mapping[int, ArrayLike], grad_a_C: ArrayLike
) -> Array:
    """Return delta^l = Sigma'(z^l) (W^{l+1})^T ... Sigma'(z^{L-1}) (W^L)^T Sigma'(z^L) grad_a C.

    Parameters
    ----------
    l : int
        The layer, 2 to L.
    Sigma_prime : mapping of int to array_like
        Sigma'(z) of the layers l to L, by their numbers, of shapes (n_l, n_l).
    W : mapping of int to array_like
        The weights of the layers l + 1 to L, by their numbers, of shapes (n_l, n_{l-1}).
    grad_a_C : array_like of shape (n_L, 1)
        dC_x/da^L.

    Returns
    -------
    ndarray of shape (n_l, 1)
        Multiplied from the left, a matrix at a time: what backpropagation does from the right, a vector at a time.

    Raises
    ------
    ValueError, TypeError
        If a layer is missing, an argument is no matrix of numbers, or their shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (35).

    Examples
    --------
    >>> error_as_product(2, {2: [[0.5]], 3: [[0.25]]}, {3: [[4.0]]}, [[1.0]])
    array([[0.5]])
    """
    L = max(Sigma_prime, default=0)
    for argument, given, first in (("Sigma_prime", Sigma_prime, l), ("W", W, l + 1)):
        missing = [number for number in range(first, max(L, l) + 1) if number not in given]
        if missing:
            raise ValueError(f"{argument}: the layers {first} to {max(L, l)} are wanted, got none for {missing[0]}")
    product = as_matrix(f"Sigma_prime[{l}]", Sigma_prime[l])
    for number in range(l + 1, L + 1):
        slope = as_matrix(f"Sigma_prime[{number}]", Sigma_prime[number])
        n_out, n_in = slope.shape[0], product.shape[1]
        weights = as_matrix(f"W[{number}]", W[number], n_out, n_in, f"between Sigma'(z^{number - 1}) and its own")
        product = product @ weights.T @ slope
    return product @ as_matrix("grad_a_C", grad_a_C, product.shape[1], 1, "a row for each output")
