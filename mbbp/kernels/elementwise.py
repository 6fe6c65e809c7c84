"""The public kernels: sigmoid, sigmoid' and the Hadamard product, for arrays of any shape.

They can be called from Python and from a user's jitted code. In Python each is a function that checks NumPy arrays and
calls a kernel for vectors. In jitted code, Numba takes its overload instead, at the end of this file.
"""

from typing import NamedTuple

import numpy as np

from mbbp.kernels.activations import sigmoid_of, sigmoid_prime_of
from mbbp.kernels.lowlevel.compiling import CONTRACTING, ZERO, compiled_contracting, overload_of
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.known import known_to_numba
from mbbp.kernels.lowlevel.later import errors, types
from mbbp.kernels.lowlevel.records import Int, Numbers, record
from mbbp.kernels.lowlevel.views import part

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
EXPECTED = "expected an array of float32 or float64"
ONE_DTYPE = "convert one of them, for example with .astype(np.{0})"


@record
class InPlace(NamedTuple):
    """A vector whose numbers are replaced."""

    x: Numbers
    n: Int


@compiled_contracting
def _sigmoid(x):
    for i in range(x.size):
        x[i] = sigmoid_of(x[i])


@compiled_contracting
def _sigmoid_prime(x):
    for i in range(x.size):
        x[i] = sigmoid_prime_of(x[i])


@kernel(InPlace, fastmath=CONTRACTING)
def sigmoid_in_place(at):
    """X = sigma(x)."""
    _sigmoid(part(at[0].x, ZERO, at[0].n))
    return ZERO


@kernel(InPlace, fastmath=CONTRACTING)
def sigmoid_prime_in_place(at):
    """X = sigma'(x)."""
    _sigmoid_prime(part(at[0].x, ZERO, at[0].n))
    return ZERO


# --------------------------------------------------------------------------------------------------------- from Python


@known_to_numba
def sigmoid(z, out=None):
    """Return sigma(z) = 1 / (1 + exp(-z)), elementwise.

    Parameters
    ----------
    z : ndarray of float32 or float64, any shape
        The weighted inputs.
    out : ndarray of z's shape and dtype, optional
        Where to put the result. It may be `z` itself, or overlap with it. A new array by default.

    Returns
    -------
    ndarray of z's shape and dtype

    Raises
    ------
    TypeError
        If `z` is not an array of float32 or float64, or `out` is not an array of z's dtype. In jitted code this is a
        numba.TypingError.
    ValueError
        If `out` has another shape, or cannot be written to.

    Examples
    --------
    >>> import numpy as np, mbbp.kernels
    >>> mbbp.kernels.sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    return _of_vector(sigmoid_in_place, z, out)


@known_to_numba
def sigmoid_prime(z, out=None):
    """Return sigma'(z) = sigma(z) (1 - sigma(z)), elementwise.

    Parameters
    ----------
    z : ndarray of float32 or float64, any shape
        The weighted inputs.
    out : ndarray of z's shape and dtype, optional
        Where to put the result. It may be `z` itself, or overlap with it. A new array by default.

    Returns
    -------
    ndarray of z's shape and dtype

    Raises
    ------
    TypeError
        If `z` is not an array of float32 or float64, or `out` is not an array of z's dtype. In jitted code this is a
        numba.TypingError.
    ValueError
        If `out` has another shape, or cannot be written to.

    Examples
    --------
    >>> import numpy as np, mbbp.kernels
    >>> mbbp.kernels.sigmoid_prime(np.array([0.0]))
    array([0.25])
    """
    return _of_vector(sigmoid_prime_in_place, z, out)


@known_to_numba
def hadamard(s, t, out=None):
    """Return the Hadamard product of `s` and `t`: (s * t)_j = s_j t_j.

    Parameters
    ----------
    s, t : ndarray of float32 or float64, of one shape and dtype
        The factors.
    out : ndarray of their shape and dtype, optional
        Where to put the result. It may be one of the factors, or overlap with them. A new array by default.

    Returns
    -------
    ndarray of the factors' shape and dtype

    Raises
    ------
    TypeError
        If a factor is not an array of float32 or float64, or the dtypes differ. In jitted code this is a
        numba.TypingError.
    ValueError
        If the shapes differ, or `out` cannot be written to.

    Examples
    --------
    >>> import numpy as np, mbbp.kernels
    >>> mbbp.kernels.hadamard(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([3., 8.])
    """
    s = _checked("s", s)
    t = _checked("t", t, s, "s")
    result = np.empty_like(s) if out is None else _checked("out", out, s, "s", is_written=True)
    with np.errstate(all="ignore"):
        np.multiply(s, t, result)  # a ufunc takes care of arrays that overlap
    return result if out is None else out


def _checked(argument, array, like=None, name="", *, is_written=False):
    """Return an array of float32 or float64 that, if another one is given, has its shape and dtype."""
    if type(array) is not np.ndarray:
        array = _as_plain(argument, array)
    if array.dtype not in DTYPES:
        raise TypeError(f"{argument}: {EXPECTED}, got dtype {array.dtype}")
    if like is not None and array.shape != like.shape:
        raise ValueError(f"{argument}: expected the shape of {name}, {like.shape}, got {array.shape}")
    if like is not None and array.dtype != like.dtype:
        hint = ONE_DTYPE.format(like.dtype)
        raise TypeError(f"{argument}: expected {like.dtype}, the dtype of {name}, got {array.dtype}; {hint}")
    if is_written and not array.flags.writeable:
        raise ValueError(f"{argument}: expected an array that can be written to, got a read-only one")
    return array


def _as_plain(argument, array):
    """Return an array of a subclass of NumPy's as an array of NumPy's."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{argument}: {EXPECTED}, got {type(array).__name__}")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{argument}: {EXPECTED}, got a masked array; pass .filled() with a number for what is hidden")
    return array.view(np.ndarray)


def _of_vector(called, z, out):
    """Return the result of a kernel for vectors on an array of any shape and layout."""
    z = _checked("z", z)
    if out is None:
        result = z.copy("K")
    else:
        result = _checked("out", out, z, "z", is_written=True)
        np.positive(z, result)  # a ufunc takes care of arrays that overlap; an assignment does so only for some
    flags = result.flags
    is_vector = flags.forc and flags.aligned
    vector = result.ravel("K") if is_vector else result.flatten()
    called.run(InPlace(vector, vector.size), vector.dtype)
    if not is_vector:
        result[...] = vector.reshape(result.shape)
    return result if out is None else out


# ---------------------------------------------------------------------------------------------------- from jitted code


@overload_of(sigmoid)
def _compiled_sigmoid(z, out=None):
    _check_types(z=z, out=out)

    def apply(z, out=None):
        result = _result(z, out)
        vector = _vector(result)
        _sigmoid(vector)
        _put_back(vector, result)
        return result

    return apply


@overload_of(sigmoid_prime)
def _compiled_sigmoid_prime(z, out=None):
    _check_types(z=z, out=out)

    def apply(z, out=None):
        result = _result(z, out)
        vector = _vector(result)
        _sigmoid_prime(vector)
        _put_back(vector, result)
        return result

    return apply


@overload_of(hadamard)
def _compiled_hadamard(s, t, out=None):
    _check_types(s=s, t=t, out=out)
    if _is_none(out):

        def multiply(s, t, out=None):
            if s.shape != t.shape:
                raise ValueError("t: expected the shape of s")
            return s * t

    else:

        def multiply(s, t, out=None):
            if s.shape != t.shape:
                raise ValueError("t: expected the shape of s")
            if s.shape != out.shape:
                raise ValueError("out: expected the shape of s")
            if _overlap(out, s) or _overlap(out, t):
                out[...] = s * t
            else:
                np.multiply(s, t, out)
            return out

    return multiply


def _is_none(kind):
    """Return whether a type stands for None, or for an argument that was left out."""
    return kind is None or isinstance(kind, types.NoneType | types.Omitted)


def _check_types(**kinds):
    """Raise Numba's error if a type is not that of an array of float32 or float64, or differs from the first one."""
    name, first = next(iter(kinds.items()))
    for argument, kind in kinds.items():
        if argument == "out" and _is_none(kind):
            continue
        if not isinstance(kind, types.Array) or kind.dtype not in (types.float32, types.float64):
            raise errors.TypingError(f"{argument}: {EXPECTED}, got {kind}")
        if kind.dtype != first.dtype:
            hint = ONE_DTYPE.format(first.dtype)
            raise errors.TypingError(
                f"{argument}: expected {first.dtype}, the dtype of {name}, got {kind.dtype}; {hint}"
            )
        if kind.ndim != first.ndim:
            raise errors.TypingError(
                f"{argument}: expected the shape of {name}, got {kind.ndim} dimensions for {first.ndim}"
            )
    if not _is_none(kinds["out"]) and not kinds["out"].mutable:
        raise errors.TypingError("out: expected an array that can be written to, got a read-only one")


def _result(z, out):
    """Return the array for the result, holding a copy of z to work on; it is compiled."""


@overload_of(_result)
def _compiled_result(z, out):
    if _is_none(out):
        return lambda z, out: z.copy()

    def copy(z, out):
        if out.shape != z.shape:
            raise ValueError("out: expected the shape of z")
        out[...] = z
        return out

    return copy


def _vector(array):
    """Return the elements in memory's order as a contiguous vector: a view where that can be; it is compiled."""


@overload_of(_vector)
def _compiled_vector(array):
    if array.layout == "F":
        return lambda array: array.T.reshape(array.size)
    return lambda array: np.ascontiguousarray(array).reshape(array.size)


def _put_back(vector, array):
    """Write the vector that `_vector` made of `array` into it, if it was a copy; it is compiled."""


@overload_of(_put_back)
def _compiled_put_back(vector, array):
    if array.layout in "CF":
        return lambda vector, array: None

    def copy_back(vector, array):
        array[...] = vector.reshape(array.shape)

    return copy_back


def _overlap(one, other):
    """Return whether two arrays may share memory, but not number by number; it is compiled."""


@overload_of(_overlap)
def _compiled_overlap(one, other):
    if one.ndim == 0:
        return lambda one, other: False

    def overlap(one, other):
        if one.size == 0 or (one.ctypes.data == other.ctypes.data and one.strides == other.strides):
            return False
        first_of_one, end_of_one = _extent(one)
        first_of_other, end_of_other = _extent(other)
        return first_of_one < end_of_other and first_of_other < end_of_one

    return overlap


def _extent(array):
    """Return the first address of an array's memory and the one after its last; it is compiled."""


@overload_of(_extent)
def _compiled_extent(array):
    def extent(array):
        first = end = np.int64(array.ctypes.data)
        for i in range(array.ndim):
            reach = (array.shape[i] - 1) * array.strides[i]
            if reach < 0:
                first += reach
            else:
                end += reach
        return first, end + array.itemsize

    return extent
