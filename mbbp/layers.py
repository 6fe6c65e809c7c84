"""A computing layer: its part of the parameter vector, and its z, a and delta of the last backward pass."""

from __future__ import annotations

from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.parameters import Array
from mbbp.validation import as_numeric_array


class Layer:
    """A computing layer: a = sigma(z) with z = W a_in + b.

    Attributes
    ----------
    n_in, n_out : int
        The number of inputs and of neurons.
    activation : Activation
        The activation function sigma.
    W : ndarray of shape (n_out, n_in)
        The weights, a view of ``net.theta``. Assigning to it copies into the network.
    b : ndarray of shape (n_out, 1)
        The biases, also a view of ``net.theta``.
    z, a, delta : ndarray of shape (n_out, m) or None
        The weighted inputs, the activations and the errors dC_x/dz from the last call of ``net.gradient``, one example
        per column. None before the first call.
    """

    def __init__(self, activation: Activation, W: Array, b: Array) -> None:
        self.activation = activation
        self.n_out, self.n_in = W.shape
        self._W, self._b = W, b
        self.z: Array | None = None
        self.a: Array | None = None
        self.delta: Array | None = None

    @property
    def W(self) -> Array:  # noqa: N802
        """The weights (n_out, n_in)."""
        return self._W

    @W.setter
    def W(self, value: ArrayLike) -> None:  # noqa: N802
        _assign("W", self._W, value)

    @property
    def b(self) -> Array:
        """The biases (n_out, 1)."""
        return self._b

    @b.setter
    def b(self, value: ArrayLike) -> None:
        _assign("b", self._b, value)

    def __repr__(self) -> str:
        return f"Layer({self.n_in} -> {self.n_out}, {self.activation.name})"


def _assign(argument: str, view: Array, value: ArrayLike) -> None:
    array = as_numeric_array(argument, value)
    if array.shape != view.shape:
        raise ValueError(f"{argument}: expected shape {view.shape}, got {array.shape}")
    view[...] = array
