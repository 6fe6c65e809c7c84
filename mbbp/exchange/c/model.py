"""The numbers of a header: weights in the order and the precision in which the C code reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mbbp.exchange.plain import Plain
from mbbp.parameters import Array

WEIGHTS = ("float32", "float64", "int8")
LARGEST = 127  # of the 8-bit weights: from -127 to 127, so that both signs are alike
ROW, MOST_PADDING = 16, 0.25  # 8-bit weights of an input become 16, 32, ... if at most this part is added to them
AT_ONCE = 4  # inputs whose products are added together: the sum is read and written once for all of them


class Layer(NamedTuple):
    """One layer as the C code reads it.

    Attributes
    ----------
    w : ndarray of shape (n_in, n_out) or wider, in C order
        The weights of one input lie side by side. So the inner loop runs over the neurons, and a compiler can use
        vectors for it without changing the order of any sum. Integers if there is a scale; then there may be more
        columns, of zeros, since compilers use vectors well for bytes only where whole vectors fill a row.
    scale : ndarray of shape (n_out,), or None
        The weights are w * scale.
    b : ndarray of shape (n_out,)
    activation : str
    """

    w: Array
    scale: Array | None
    b: Array
    activation: str

    @property
    def is_padded(self) -> bool:
        """Whether the rows of w hold more numbers than there are neurons."""
        return self.w.shape[1] > self.b.size

    @property
    def weights(self) -> Array:
        """The weights that the integers stand for, in float64."""
        w = self.w[:, : self.b.size].astype(np.float64)
        return w if self.scale is None else w * self.scale.astype(np.float64)


class Model(NamedTuple):
    """A network as the C code computes it.

    Attributes
    ----------
    plain : Plain
    weights : {"float32", "float64", "int8"}
    dtype : dtype
        That of the inputs, of the outputs and of all arithmetic.
    layers : tuple of Layer
    mean : ndarray of shape (n_in,), or None
    factor : ndarray of shape (n_in,), or of shape (1,) if it is the same for all inputs, or None
    """

    plain: Plain
    weights: str
    dtype: np.dtype[Any]
    layers: tuple[Layer, ...]
    mean: Array | None
    factor: Array | None

    @property
    def n_weights(self) -> int:
        """The number of weights, without the biases."""
        return sum(len(layer.w) * layer.b.size for layer in self.layers)

    @property
    def constant_bytes(self) -> int:
        """The bytes of all arrays of constants."""
        arrays = [self.mean, self.factor if self.factor is not None and self.factor.size > 1 else None]
        for layer in self.layers:
            arrays += [layer.w, layer.scale, layer.b]
        return sum(array.nbytes for array in arrays if array is not None)

    @property
    def buffers(self) -> tuple[int, int]:
        """How many numbers the two arrays hold that the hidden layers write to in turns."""
        hidden = self.plain.sizes[1:-1]
        return max(hidden[0::2], default=0), max(hidden[1::2], default=0)

    @property
    def stack_bytes(self) -> int:
        """The bytes of the arrays on the stack: those of predict, and the outputs if they are classified."""
        n = sum(self.buffers) + (self.plain.sizes[-1] if self.plain.is_classifier else 0)
        n += max(layer.w.shape[1] if layer.is_padded else 0 for layer in self.layers)
        return n * self.dtype.itemsize


def model_of(plain: Plain, weights: str) -> Model:
    """Return the numbers of a header.

    Raises
    ------
    ValueError
        If a number of the network is too large for the dtype of the header, or a factor of the scaling becomes 0.
    """
    dtype = np.dtype(np.float32 if weights == "int8" else weights)
    mean = None if plain.mean is None else _cast("means of the scaling", plain.mean, dtype, weights)
    factor = None if plain.factor is None else _cast("factors of the scaling", plain.factor, dtype, weights)
    if factor is not None:
        if not factor.all():
            raise ValueError(f"weights: expected a precision that holds the factors of the scaling, got {weights!r}")
        factor = factor[:1] if (factor == factor[0]).all() else factor
    layers = []
    for one in plain.layers:
        b = _cast("biases", one.b, dtype, weights)
        w, scale = np.ascontiguousarray(_cast("weights", one.W, dtype, weights).T), None
        if weights == "int8":
            w, scale = quantized(one.W)
            w = _padded(w)
        layers.append(Layer(w, scale, b, one.activation))
    return Model(plain, weights, dtype, tuple(layers), mean, factor)


def quantized(W: Array) -> tuple[Array, Array]:
    """Return 8-bit weights (n_in, n_out) and their scale (n_out,), such that W.T is nearly weights * scale.

    The largest weight of each neuron becomes 127 or -127, and each weight is off by half a scale at most.
    """
    exact = W.astype(np.float64)
    # A scale below float32's normal numbers would have few digits itself.
    scale = np.maximum(abs(exact).max(axis=1) / LARGEST, np.finfo(np.float32).tiny).astype(np.float32)
    integers = np.clip(np.rint(exact.T / scale.astype(np.float64)), -LARGEST, LARGEST)
    return np.ascontiguousarray(integers.astype(np.int8)), scale


def _padded(w: Array) -> Array:
    more = -w.shape[1] % ROW
    return np.pad(w, ((0, 0), (0, more))) if more <= MOST_PADDING * w.shape[1] else w


def _cast(what: str, array: Array, dtype: np.dtype[Any], weights: str) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        cast = array.astype(dtype)
    if not np.isfinite(cast).all():
        raise ValueError(f"weights: expected a precision that holds the {what} of the network, got {weights!r}")
    return cast
