"""The activations by name, and a user's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbbp import reference
from mbbp.kernels import codes
from mbbp.kernels.pointers import address_of
from mbbp.parameters import Array
from mbbp.validation import refuse_unknown

Scalar = Callable[[float], float]


def _elementwise(function: Scalar) -> Callable[[Array], Array]:
    """Return the NumPy twin of a scalar function: the same numbers, for an array, in its own dtype."""

    def apply(z: Array) -> Array:
        values = [function(value) for value in z.ravel()]
        return np.array(values, dtype=z.dtype).reshape(z.shape)

    return apply


@dataclass(frozen=True)
class Activation:
    """An activation function sigma(z) and its derivative, applied to each weighted input of a layer.

    Parameters
    ----------
    name : str
        What it is called in errors and tables.
    function, derivative : callable
        sigma and sigma' of one number. Plain Python functions with ``if``, ``math`` or NumPy in them, which Numba
        compiles; they see numbers of the network's dtype.
    kinks : sequence of float, optional
        The z where sigma' jumps, so that a gradient check knows that no derivative is to be had there.

    Attributes
    ----------
    function, derivative : callable
        sigma and sigma' for arrays, in plain NumPy.

    Examples
    --------
    >>> import math, mbbp
    >>> def swish(z): return z / (1 + math.exp(-z))
    >>> def swish_prime(z):
    ...     s = 1 / (1 + math.exp(-z))
    ...     return s + z * s * (1 - s)
    >>> net = mbbp.Network([2, 3, 1], activation=[mbbp.Activation("swish", swish, swish_prime), "sigmoid"])
    """

    name: str
    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    kinks: Sequence[float] = ()
    code: int = field(default=codes.OWN, repr=False)
    formula: str = field(default="", repr=False)
    own: tuple[Scalar, Scalar] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.code != codes.OWN:
            return
        for argument in ("function", "derivative"):
            if not callable(getattr(self, argument)):
                raise TypeError(f"{argument}: a function of one number is wanted, got {getattr(self, argument)!r}")
        plain = tuple(getattr(f, "py_func", f) for f in (self.function, self.derivative))
        object.__setattr__(self, "own", plain)
        object.__setattr__(self, "function", _elementwise(plain[0]))
        object.__setattr__(self, "derivative", _elementwise(plain[1]))

    def __getstate__(self) -> dict[str, Any]:
        # pickle cannot take the NumPy twins of the user's own functions, but what they are made of
        own = {} if self.own is None else {"function": self.own[0], "derivative": self.own[1]}
        return self.__dict__ | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def rule(self, dtype: np.dtype[Any]) -> tuple[int, int, int]:
        """Return what the kernels know it by: its code and, if it is a user's own, the addresses of its functions.

        Raises
        ------
        TypeError
            If Numba cannot compile it.
        """
        if self.own is None:
            return self.code, 0, 0
        function, derivative = self.own
        return (
            self.code,
            address_of(function, 1, dtype, f"activation {self.name!r}, function"),
            address_of(derivative, 1, dtype, f"activation {self.name!r}, derivative"),
        )


def _no_derivative(z: Array) -> Array:
    raise TypeError(
        "softmax: its outputs hang together, so it has a Jacobian in sigma'(z)'s place; see costs.Cost.delta"
    )


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("sigmoid", reference.sigmoid, reference.sigmoid_prime, (), codes.SIGMOID, "1 / (1 + exp(-z))"),
        Activation("tanh", reference.tanh, reference.tanh_prime, (), codes.TANH, "tanh(z)"),
        Activation("relu", reference.relu, reference.relu_prime, (0.0,), codes.RELU, "max(z, 0)"),
        Activation(
            "leaky_relu",
            reference.leaky_relu,
            reference.leaky_relu_prime,
            (0.0,),
            codes.LEAKY_RELU,
            "max(z, 0.01 z)",
        ),
        Activation("identity", reference.identity, reference.identity_prime, (), codes.IDENTITY, "z"),
        Activation("softmax", reference.softmax, _no_derivative, (), codes.SOFTMAX, "exp(z_j) / sum_k exp(z_k)"),
    )
}


def get_activation(argument: str, activation: str | Activation) -> Activation:
    """Return the activation of this name, or the one given.

    Raises
    ------
    ValueError
        If no activation has this name.
    TypeError
        If it is neither a name nor an Activation.
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str):
        raise TypeError(f"{argument}: a name or an mbbp.Activation is wanted, got {activation!r}")
    if activation not in ACTIVATIONS:
        refuse_unknown(argument, activation, ACTIVATIONS)
    return ACTIVATIONS[activation]


def layer_activations(activation: str | Activation | Sequence[str | Activation], n_layers: int) -> list[Activation]:
    """Return one activation for each computing layer, from one for all or one for each.

    Raises
    ------
    ValueError
        If a name is unknown, there are not `n_layers` of them, or a hidden layer has softmax.
    TypeError
        If one is neither a name nor an Activation.
    """
    if isinstance(activation, str | Activation):
        activation = [activation] * n_layers
    try:
        given = list(activation)
    except TypeError:
        raise TypeError(f"activation: one for all, or one for each layer, is wanted, got {activation!r}") from None
    found = [get_activation("activation", one) for one in given]
    if len(found) != n_layers:
        raise ValueError(
            f"activation: one for all, or one for each of the {n_layers} computing layers, got {len(found)}"
        )
    softmax = ACTIVATIONS["softmax"]
    if softmax in found[:-1]:
        raise ValueError(
            "activation: softmax is for the output layer only; "
            f"for hidden layers too, give one for each, as in {['sigmoid'] * (n_layers - 1) + ['softmax']}"
        )
    return found
