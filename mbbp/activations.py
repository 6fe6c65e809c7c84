"""The activations: the built-in ones by name, and custom ones.

The kernels of the built-in ones are in the table of `mbbp.kernels.activations`, their NumPy twins in `mbbp.reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mbbp import reference
from mbbp.custom import Scalars, compile_all, elementwise, plain_functions, plain_or_none
from mbbp.kernels.activations import BUILT_IN, ActivationKernels, custom
from mbbp.parameters import Array
from mbbp.validation import refuse_unknown


@dataclass(frozen=True)
class Activation:
    """An activation function sigma(z) with its derivative sigma'(z), for each weighted input z of a layer.

    Parameters
    ----------
    name : str
        Its name in error messages and tables.
    function, derivative : callable
        sigma and sigma' of one number: Python functions that Numba can compile. They may use ``if``, ``math`` and
        NumPy. Their argument has the network's dtype. The compiled loop over the neurons is vectorised, also with
        ``exp`` and ``tanh``.
    kinks : sequence of float, optional
        The z at which sigma' jumps. There is no derivative at a kink, so a gradient check skips it.
    second_derivative : callable, optional
        sigma'' of one number, like `derivative`. Only second-order products need it, such as a Hessian times a vector.

    Attributes
    ----------
    function, derivative : callable
        sigma and sigma' for arrays, in plain NumPy.
    second_derivative : callable or None
        sigma'' for arrays, in plain NumPy; None if it is not known, and for softmax.

    Raises
    ------
    TypeError
        If `function`, `derivative` or `second_derivative` cannot be called.

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
    kernels: ActivationKernels | None = field(default=None, repr=False, compare=False)
    jacobian_product: Callable[[Array, Array], Array] | None = field(default=None, repr=False)
    second_product: Callable[[Array, Array, Array], Array] | None = field(default=None, repr=False)  # from (a, e, Rz)
    second_derivative: Callable[[Any], Any] | None = field(default=None, repr=False)
    scalars: Scalars | None = field(default=None, init=False, repr=False)
    second_scalar: Callable[..., float] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernels is not None:
            return
        scalars = plain_functions(function=self.function, derivative=self.derivative)
        second = plain_or_none(second_derivative=self.second_derivative)
        object.__setattr__(self, "scalars", scalars)
        object.__setattr__(self, "function", elementwise(scalars[0]))
        object.__setattr__(self, "derivative", elementwise(scalars[1]))
        object.__setattr__(self, "second_scalar", second)
        object.__setattr__(self, "second_derivative", None if second is None else elementwise(second))
        object.__setattr__(self, "kernels", custom(*scalars))

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle cannot store kernels and twins, but it can store the functions they are made from
        if self.scalars is None:
            return get_activation, ("activation", self.name)
        return partial(Activation, second_derivative=self.second_scalar), (self.name, *self.scalars, self.kinks)

    def __deepcopy__(self, memo: Any) -> Activation:
        return self  # it never changes, and a copy would be compiled again

    @property
    def is_custom(self) -> bool:
        """Whether it is a custom one, made of a user's functions."""
        return self.scalars is not None

    @property
    def formula(self) -> str:
        """The formula of sigma, for a table; empty for a custom activation."""
        assert self.kernels is not None
        return self.kernels.formula

    def compile(self, dtype: np.dtype[Any]) -> None:
        """Compile custom functions now, so that an error in them is found at once.

        Raises
        ------
        TypeError
            If Numba cannot compile a function.
        """
        if self.is_custom and self.kernels is not None and self.kernels.multiply_by_derivative is not None:
            named = [("function", self.kernels.activate), ("derivative", self.kernels.multiply_by_derivative)]
            compile_all(f"activation {self.name!r}", named, "one number", dtype)

    def addresses(self, dtype: np.dtype[Any], *, backward: bool) -> tuple[int, int]:
        """Return the addresses of its two kernels, and 0 for a kernel that is not needed."""
        assert self.kernels is not None
        derivative = self.kernels.multiply_by_derivative
        return self.kernels.activate.address(dtype), derivative.address(dtype) if derivative and backward else 0

    def multiply_by_derivative(self, z: Array, a: Array, delta: Array) -> Array:
        """Return delta * sigma'(z), or for softmax J^T delta with the Jacobian J: the NumPy twin of the kernel."""
        if self.jacobian_product is not None:
            return self.jacobian_product(a, delta)
        product: Array = delta * self.derivative(z)
        return product

    def multiply_by_second_derivative(self, z: Array, a: Array, e: Array, tangent_z: Array) -> Array:
        """Return e * sigma''(z) * tangent_z, or for softmax R{J e} for a fixed e: the NumPy twin of the kernel.

        Parameters
        ----------
        z, a : ndarray of shape (n, m)
            Weighted inputs and activations.
        e : ndarray of shape (n, m)
            What `multiply_by_derivative` multiplies by sigma'(z).
        tangent_z : ndarray of shape (n, m)
            The direction Rz in which z changes.

        Returns
        -------
        ndarray of shape (n, m)

        Raises
        ------
        TypeError
            If it is a custom activation without a second derivative.
        """
        if self.second_product is not None:
            return self.second_product(a, e, tangent_z)
        if self.second_derivative is None:
            raise TypeError(
                f"activation {self.name!r}: expected a second_derivative for second-order products, got none"
            )
        product: Array = e * self.second_derivative(z) * tangent_z
        return product


def _no_derivative(z: Array) -> Array:
    raise TypeError(
        "softmax: each output depends on every weighted input, so it has a Jacobian instead of sigma'(z); "
        "see Activation.multiply_by_derivative"
    )


def _built_in(name: str, compiled: ActivationKernels) -> Activation:
    return Activation(
        name,
        getattr(reference, name),
        getattr(reference, f"{name}_prime", _no_derivative),
        compiled.kinks,
        compiled,
        getattr(reference, f"{name}_jacobian_product", None),
        second_product=getattr(reference, f"{name}_second_derivative_product", None),
        second_derivative=getattr(reference, f"{name}_second_derivative", None),
    )


# An output that is nearly the same for half of all z, with hardly a gradient, learns next to nothing there.
HIDDEN_ONLY = ("relu", "leaky_relu", "gelu", "silu", "elu")
ANY = "any"  # what a cost asks for that is defined for every activation of the output layer

ACTIVATIONS = {name: _built_in(name, compiled) for name, compiled in BUILT_IN.items()}


def get_activation(argument: str, activation: str | Activation) -> Activation:
    """Return the activation with this name, or the given one.

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
        raise TypeError(f"{argument}: expected a name or an mbbp.Activation, got {activation!r}")
    if activation not in ACTIVATIONS:
        refuse_unknown(argument, activation, ACTIVATIONS)
    return ACTIVATIONS[activation]


def layer_activations(
    activation: str | Activation | Sequence[str | Activation], n_layers: int, output: str | None = None
) -> list[Activation]:
    """Return one activation for each computing layer, given one for each, or a single one.

    A single one is for all layers, with two exceptions: the output layer gets the activation `output`; and relu,
    leaky_relu, gelu, silu and elu are for hidden layers only.

    Parameters
    ----------
    activation : str, Activation, or a sequence of them
        One for each layer, or a single one.
    n_layers : int
        The number of computing layers.
    output : str, optional
        The activation that the cost asks for or is meant for, if a cost is named: that of the output layer, unless it
        has been named.

    Raises
    ------
    ValueError
        If a name is unknown, there are not `n_layers` activations, a hidden layer has softmax, or it is not known which
        activation the output layer gets.
    TypeError
        If one is neither a name nor an Activation.
    """
    if isinstance(activation, str | Activation):
        activation = _for_all_layers(get_activation("activation", activation), n_layers, output)
    try:
        given = list(activation)
    except TypeError:
        raise TypeError(f"activation: expected one for all, or one for each layer, got {activation!r}") from None
    found = [get_activation("activation", one) for one in given]
    if len(found) != n_layers:
        raise ValueError(
            f"activation: expected one for all, or one for each of the {n_layers} computing layers, got {len(found)}"
        )
    softmax = ACTIVATIONS["softmax"]
    if softmax in found[:-1]:
        raise ValueError(
            "activation: expected softmax for the output layer only, got softmax for a hidden layer; "
            f"pass one activation for each layer, for example {['sigmoid'] * (n_layers - 1) + ['softmax']}"
        )
    return found


def _for_all_layers(activation: Activation, n_layers: int, output: str | None) -> list[Activation]:
    hidden = [activation] * (n_layers - 1)
    if n_layers > 1 and activation.name != "softmax" and output not in (None, ANY):
        return [*hidden, ACTIVATIONS[str(output)]]
    if activation.name not in HIDDEN_ONLY:
        return [*hidden, activation]
    if n_layers > 1 and output == ANY:
        return [*hidden, ACTIVATIONS["identity"]]
    names = [activation.name] * (n_layers - 1)
    raise ValueError(
        f"activation: expected one for each layer, or a named cost, got {activation.name!r}, which is for hidden ones; "
        f"for classes pass {[*names, 'softmax']}, for numbers pass {[*names, 'identity']}"
    )
