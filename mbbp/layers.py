"""A computing layer: its part of the parameter vector, and its z, a and delta of the last backward pass."""

from __future__ import annotations

from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.arrays import copy_into
from mbbp.fixed import Fixed
from mbbp.kernels.layout import Layout
from mbbp.parameters import Array


class Layer(Fixed):
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
        self._passed: list[tuple[Layout, Array, int] | None] = [None]

    def keep(self, layout: Layout, work: Array, index: int) -> None:
        """Keep the workspace of a backward pass, in which this is the computing layer number `index`, from 0."""
        self._passed[0] = layout, work, index

    def _kept(self, number: int) -> Array | None:
        passed = self._passed[0]
        if passed is None:
            return None
        layout, work, index = passed
        return layout.block(work, index)[number]

    @property
    def z(self) -> Array | None:
        """The weighted inputs (n_out, m) of the last backward pass."""
        return self._kept(0)

    @property
    def a(self) -> Array | None:
        """The activations (n_out, m) of the last backward pass."""
        return self._kept(1)

    @property
    def delta(self) -> Array | None:
        """The errors dC_x/dz (n_out, m) of the last backward pass."""
        return self._kept(2)

    @property
    def W(self) -> Array:  # noqa: N802
        """The weights (n_out, n_in)."""
        return self._W.view()

    @W.setter
    def W(self, value: ArrayLike) -> None:  # noqa: N802
        copy_into("W", self._W, value)

    @property
    def b(self) -> Array:
        """The biases (n_out, 1)."""
        return self._b.view()

    @b.setter
    def b(self, value: ArrayLike) -> None:
        copy_into("b", self._b, value)

    def __repr__(self) -> str:
        return f"Layer({self.n_in} -> {self.n_out}, {self.activation.name})"
