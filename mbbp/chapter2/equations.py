"""The Hadamard product and the four fundamental equations of backpropagation. Each one is a function.

An array of one example has shape (n, 1). An array of a mini-batch has shape (n, m), with one example per column. An
array may hold numbers, or objects that can be added and multiplied, such as the symbols of SymPy.

The equations are (28) and (BP1) to (BP4) of M. Nielsen, *Neural Networks and Deep Learning*.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from mbbp.chapter2.shapes import as_array, as_matrix
from mbbp.parameters import Array


def hadamard(s: ArrayLike, t: ArrayLike) -> Array:
    """Return the Hadamard product s ⊙ t: (s ⊙ t)_j = s_j t_j.

    Parameters
    ----------
    s, t : array_like of the same shape
        The arrays to multiply, element by element.

    Returns
    -------
    ndarray of this shape

    Raises
    ------
    ValueError
        If s and t have different shapes.
    TypeError
        If s or t does not hold numbers.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (28).

    Examples
    --------
    >>> hadamard([1, 2], [3, 4])
    array([3, 8])
    """
    left, right = as_array("s", s), as_array("t", t)
    if left.shape != right.shape:
        raise ValueError(f"t: expected shape {left.shape}, got {right.shape}; s and t must have the same shape")
    return left * right


def output_error(grad_a_C: ArrayLike, sigma_prime_z: ArrayLike) -> Array:
    """Return the error of the output layer, delta^L = grad_a C ⊙ sigma'(z^L) (BP1).

    Parameters
    ----------
    grad_a_C : array_like of shape (n_L, m)
        dC_x/da^L: how fast the cost of each example changes with its outputs.
    sigma_prime_z : array_like of shape (n_L, m)
        sigma'(z^L).

    Returns
    -------
    ndarray of shape (n_L, m)

    Raises
    ------
    ValueError, TypeError
        If an argument is not a matrix of numbers, or if the shapes differ.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eqs. (BP1) and (BP1a).

    Examples
    --------
    For the quadratic cost grad_a C = a^L - y, eq. (30):

    >>> import numpy as np
    >>> a, y, sigma_prime_z = np.array([[0.5], [0.75]]), np.array([[1.0], [0.0]]), np.array([[0.25], [0.1875]])
    >>> output_error(a - y, sigma_prime_z)
    array([[-0.125   ],
           [ 0.140625]])
    """
    gradient = as_matrix("grad_a_C", grad_a_C)
    n, m = gradient.shape
    slope = as_matrix("sigma_prime_z", sigma_prime_z, n, m, "it must have the shape of grad_a_C")
    return hadamard(gradient, slope)


def backpropagated_error(W_next: ArrayLike, delta_next: ArrayLike, sigma_prime_z: ArrayLike) -> Array:
    """Return the error of a layer from that of the next layer, delta^l = ((W^{l+1})^T delta^{l+1}) ⊙ sigma'(z^l) (BP2).

    Parameters
    ----------
    W_next : array_like of shape (n_{l+1}, n_l)
        W^{l+1}: the weights from the layer to the next layer.
    delta_next : array_like of shape (n_{l+1}, m)
        delta^{l+1}: the error of the next layer.
    sigma_prime_z : array_like of shape (n_l, m)
        sigma'(z^l).

    Returns
    -------
    ndarray of shape (n_l, m)

    Raises
    ------
    ValueError, TypeError
        If an argument is not a matrix of numbers, or if the shapes do not fit together.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (BP2); eq. (45) is the same in components.

    Examples
    --------
    >>> backpropagated_error([[1.0, 2.0, 3.0]], [[0.5]], [[0.25], [0.25], [0.0]])
    array([[0.125],
           [0.25 ],
           [0.   ]])
    """
    W = as_matrix("W_next", W_next)
    delta = as_matrix("delta_next", delta_next, W.shape[0], None, "it must have one row for each row of W_next")
    slope = as_matrix(
        "sigma_prime_z",
        sigma_prime_z,
        W.shape[1],
        delta.shape[1],
        "it must have one row for each column of W_next and one column for each column of delta_next",
    )
    return hadamard(W.T @ delta, slope)


def bias_gradient(delta: ArrayLike) -> Array:
    """Return dC/db^l: the error delta^l of one example (BP3), or the mean of the columns for a mini-batch.

    Parameters
    ----------
    delta : array_like of shape (n_l, m)
        The error of the layer.

    Returns
    -------
    ndarray of shape (n_l, 1)

    Raises
    ------
    ValueError, TypeError
        If delta is not a matrix of numbers with at least one column.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eqs. (BP3) and (31). The mean follows from the first assumption
    about the cost, C = 1/m sum_x C_x.

    Examples
    --------
    >>> bias_gradient([[0.5, 0.25]])
    array([[0.375]])
    """
    error = as_matrix("delta", delta)
    return error.sum(axis=1, keepdims=True) / _examples(error)


def weight_gradient(delta: ArrayLike, a_in: ArrayLike) -> Array:
    """Return dC/dW^l, where dC/dw^l_jk = a^{l-1}_k delta^l_j (BP4); for a mini-batch the mean, 1/m delta^l (A^{l-1})^T.

    Parameters
    ----------
    delta : array_like of shape (n_l, m)
        delta_out: the error of the layer into which the weights lead.
    a_in : array_like of shape (n_{l-1}, m)
        a^{l-1}: the activations of the layer from which the weights come.

    Returns
    -------
    ndarray of shape (n_l, n_{l-1})

    Raises
    ------
    ValueError, TypeError
        If an argument is not a matrix of numbers, if the numbers of columns differ, or if there is no column.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eqs. (BP4) and (32).

    Examples
    --------
    >>> weight_gradient([[0.5], [1.0]], [[2.0], [0.0], [1.0]])
    array([[1. , 0. , 0.5],
           [2. , 0. , 1. ]])
    """
    error = as_matrix("delta", delta)
    a = as_matrix("a_in", a_in, None, error.shape[1], "it must have one column for each column of delta")
    return error @ a.T / _examples(error)


def _examples(delta: Array) -> int:
    m = delta.shape[1]
    if m == 0:
        raise ValueError(f"delta: expected at least one column, got shape {delta.shape}")
    return m


bp1 = output_error
bp2 = backpropagated_error
bp3 = bias_gradient
bp4 = weight_gradient
