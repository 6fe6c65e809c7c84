"""The public kernels: sigmoid, sigmoid' and the Hadamard product, for arrays of any shape.

They can be called from Python and from jitted code.
"""

import numpy as np
from numba import TypingError, types
from numba.extending import overload

from mbbp.kernels.activations import sigmoid_of, sigmoid_prime_of
from mbbp.kernels.lowlevel.compiling import compiled, compiled_contracting


def _checked(array):
    """Return the array, if it is one of float32 or float64."""
    if getattr(array, "dtype", None) not in (np.float32, np.float64):
        raise TypeError(f"mbbp.kernels: expected an array of float32 or float64, got {array!r}")
    return array


@overload(_checked)
def _compiled_checked(array):
    if not isinstance(array, types.Array) or array.dtype not in (types.float32, types.float64):
        raise TypingError(f"mbbp.kernels: expected an array of float32 or float64, got {array}")
    return lambda array: array


def _vector(array):
    """Return the elements in memory's order as a contiguous vector: a view where that can be, else a copy."""
    return array.T.reshape(array.size) if array.flags.f_contiguous else array.reshape(array.size)


@overload(_vector)
def _compiled_vector(array):
    if array.layout == "F":
        return lambda array: array.T.reshape(array.size)
    return lambda array: np.ascontiguousarray(array).reshape(array.size)


def _put_back(vector, array):
    """Write the vector that `_vector` made of `array` into it, where it was a copy."""
    if not (array.flags.f_contiguous or array.flags.c_contiguous):
        array[...] = vector.reshape(array.shape)


@overload(_put_back)
def _compiled_put_back(vector, array):
    if array.layout in "CF":
        return lambda vector, array: None

    def copy_back(vector, array):
        array[...] = vector.reshape(array.shape)

    return copy_back


@compiled
def _result(z, out):
    """Return the array for the result, holding a copy of z to work on."""
    if out is None:
        return _checked(z).copy()
    if _checked(out).shape != _checked(z).shape:
        raise ValueError("out: expected an array of the shape of z")
    out[...] = z
    return out


@compiled_contracting
def _sigmoid(z, a):
    for i in range(z.size):
        a[i] = sigmoid_of(z[i])


@compiled_contracting
def _sigmoid_prime(z, a):
    for i in range(z.size):
        a[i] = sigmoid_prime_of(z[i])


@compiled
def sigmoid(z, out=None):
    """Return sigma(z) = 1 / (1 + exp(-z)), elementwise.

    Parameters
    ----------
    z : ndarray of float32 or float64, any shape
        The weighted inputs.
    out : ndarray of z's shape and dtype, optional
        Where to put the result; may be `z` itself. A new array by default.

    Returns
    -------
    ndarray of z's shape and dtype

    Raises
    ------
    numba.TypingError
        If `z` is no array of float32 or float64.
    ValueError
        If `out` has another shape.

    Examples
    --------
    >>> import numpy as np, mbbp.kernels
    >>> mbbp.kernels.sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    result = _result(z, out)
    vector = _vector(result)
    _sigmoid(vector, vector)
    _put_back(vector, result)
    return result


@compiled
def sigmoid_prime(z, out=None):
    """Return sigma'(z) = sigma(z) (1 - sigma(z)), elementwise.

    Parameters
    ----------
    z : ndarray of float32 or float64, any shape
        The weighted inputs.
    out : ndarray of z's shape and dtype, optional
        Where to put the result; may be `z` itself. A new array by default.

    Returns
    -------
    ndarray of z's shape and dtype

    Raises
    ------
    numba.TypingError
        If `z` is no array of float32 or float64.
    ValueError
        If `out` has another shape.

    Examples
    --------
    >>> import numpy as np, mbbp.kernels
    >>> mbbp.kernels.sigmoid_prime(np.array([0.0]))
    array([0.25])
    """
    result = _result(z, out)
    vector = _vector(result)
    _sigmoid_prime(vector, vector)
    _put_back(vector, result)
    return result


@compiled
def hadamard(s, t, out=None):
    """Return the Hadamard product of `s` and `t`: (s * t)_j = s_j t_j.

    Parameters
    ----------
    s, t : ndarray of float32 or float64, of one shape
        The factors.
    out : ndarray of their shape, optional
        Where to put the result; may be one of the factors. A new array by default.

    Returns
    -------
    ndarray of the factors' shape

    Raises
    ------
    numba.TypingError
        If a factor is no array of float32 or float64.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np, mbbp.kernels
    >>> mbbp.kernels.hadamard(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([3., 8.])
    """
    if _checked(s).shape != _checked(t).shape:
        raise ValueError("t: expected an array of the shape of s")
    result = np.empty_like(s) if out is None else _checked(out)
    if result.shape != s.shape:
        raise ValueError("out: expected an array of the shape of s")
    return np.multiply(s, t, result)
