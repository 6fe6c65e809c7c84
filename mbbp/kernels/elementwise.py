"""The elementwise kernels: sigmoid, sigmoid', the Hadamard product, and the activations.

`sigmoid`, `sigmoid_prime` and `hadamard` are public: for arrays of any shape, callable from Python and from jitted
code. The others work on the engine's own buffers and check nothing.
"""

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from mbbp.kernels.codes import IDENTITY, LEAKY_RELU, OWN, RELU, SIGMOID, SOFTMAX, TANH
from mbbp.kernels.exponential import exp, exp_parts
from mbbp.kernels.jit import compiled, compiled_contracting, compiled_fast, inlined
from mbbp.kernels.pointers import call_unary
from mbbp.kernels.views import flat

LEAK = 0.01

# ------------------------------------------------------------------------------------------------- arrays of any shape


def _checked(array):
    """Return the array, if it is one of float32 or float64."""
    if getattr(array, "dtype", None) not in (np.float32, np.float64):
        raise TypeError(f"mbbp.kernels: an array of float32 or float64 is wanted, got {array!r}")
    return array


@overload(_checked)
def _compiled_checked(array):
    if not isinstance(array, types.Array) or array.dtype not in (types.float32, types.float64):
        raise TypingError(f"mbbp.kernels: an array of float32 or float64 is wanted, got {array}")
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
        raise ValueError("out: an array of the argument's shape is wanted")
    out[...] = z
    return out


@compiled_contracting
def _sigmoid(z, a):
    one = z.dtype.type(1)
    for i in range(z.size):
        e = exp(-abs(z[i]))  # of a negative number: it never overflows
        a[i] = (one if z[i] >= 0 else e) / (one + e)


@compiled_contracting
def _sigmoid_prime(z, a):
    one = z.dtype.type(1)
    for i in range(z.size):
        e = exp(-abs(z[i]))
        a[i] = e / ((one + e) * (one + e))


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
        raise ValueError("s and t: two arrays of one shape are wanted")
    result = np.empty_like(s) if out is None else _checked(out)
    if result.shape != s.shape:
        raise ValueError("out: an array of the factors' shape is wanted")
    return np.multiply(s, t, result)


# ------------------------------------------------------------------------- the engine's own: (n, m) matrices, no checks


@inlined
def _tanh(z, a):
    two = z.dtype.type(2)
    for i in range(z.size):
        scale, rest = exp_parts(-two * abs(z[i]))
        less = scale * rest + (scale - z.dtype.type(1))  # exp(-2|z|) - 1: no digits are lost where z is small
        value = abs(less) / (less + two)
        a[i] = (value if z[i] >= 0 else -value) if z[i] == z[i] else z[i]


@inlined
def _softmax(Z, A):
    """Set A = softmax of each column of Z, by way of its largest entry so that nothing overflows."""
    n, m = Z.shape
    for i in range(m):
        largest = Z[0, i]
        for j in range(1, n):
            largest = max(largest, Z[j, i])
        for j in range(n):
            A[j, i] = Z[j, i] - largest
    a = flat(A)
    for i in range(a.size):  # of all columns in one loop, so that it runs in vector lanes however short they are
        a[i] = exp(a[i])
    for i in range(m):
        total = Z.dtype.type(0)
        for j in range(n):
            total += A[j, i]
        factor = Z.dtype.type(1) / total
        for j in range(n):
            A[j, i] *= factor


@compiled_contracting
def activate(rule, Z, A):
    """Set A = sigma(Z), by the layer's rule (code, address of f, address of f')."""
    code = rule[0]
    if code == SOFTMAX:
        _softmax(Z, A)
        return
    z, a = flat(Z), flat(A)
    zero, leak = z.dtype.type(0), z.dtype.type(LEAK)
    if code == SIGMOID:
        _sigmoid(z, a)
    elif code == TANH:
        _tanh(z, a)
    elif code == RELU:
        for i in range(z.size):
            a[i] = z[i] if z[i] > 0 else z[i] * zero  # 0, but NaN stays NaN
    elif code == LEAKY_RELU:
        for i in range(z.size):
            a[i] = z[i] if z[i] > 0 else z[i] * leak
    elif code == IDENTITY:
        for i in range(z.size):
            a[i] = z[i]
    elif code == OWN:
        for i in range(z.size):
            a[i] = call_unary(rule[1], z[i])


@inlined
def _softmax_backward(A, D):
    """D = J^T D for the Jacobian J_jk = a_j (1[j = k] - a_k) of each column."""
    n, m = A.shape
    for i in range(m):
        mean = A.dtype.type(0)
        for j in range(n):
            mean += A[j, i] * D[j, i]
        for j in range(n):
            D[j, i] = A[j, i] * (D[j, i] - mean)


@compiled_fast
def multiply_by_derivative(rule, Z, A, D):
    """Set D = D * sigma'(Z), the Hadamard product of BP1 and BP2, with sigma' from the outputs A where it can be."""
    code = rule[0]
    if code == SOFTMAX:
        _softmax_backward(A, D)
        return
    z, a, d = flat(Z), flat(A), flat(D)
    zero, one, leak = z.dtype.type(0), z.dtype.type(1), z.dtype.type(LEAK)
    if code == SIGMOID:
        for i in range(d.size):
            d[i] *= a[i] * (one - a[i])
    elif code == TANH:
        for i in range(d.size):
            d[i] *= one - a[i] * a[i]
    elif code == RELU:
        for i in range(d.size):
            d[i] *= one if z[i] > 0 else zero
    elif code == LEAKY_RELU:
        for i in range(d.size):
            d[i] *= one if z[i] > 0 else leak
    elif code == OWN:
        for i in range(d.size):
            d[i] *= call_unary(rule[2], z[i])


@compiled
def scale(x, factor):
    """Multiply a vector by a factor."""
    for i in range(x.size):
        x[i] *= factor


@compiled_fast
def all_finite(x):
    """Say whether a vector holds no NaN and no inf."""
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero  # NaN * 0 and inf * 0 are NaN, and a sum keeps it: no branch, so it vectorises
    return total == zero
