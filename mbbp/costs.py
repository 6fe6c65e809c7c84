"""The costs: the built-in ones by name, and custom ones.

Backpropagation makes two assumptions: the cost is a mean C = 1/n sum_x C_x over the examples, and C_x is a function of
the output activations (M. Nielsen, *Neural Networks and Deep Learning*, ch. 2). A `Cost` is such a C_x, with its
gradient grad_a C and its output error delta^L.

The kernels of the built-in ones are in the table of `mbbp.kernels.costs`, their NumPy twins in `mbbp.reference`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbbp import reference
from mbbp.activations import Activation
from mbbp.custom import Scalars, compile_all, elementwise, plain_functions
from mbbp.kernels.costs import BUILT_IN, CostKernels, custom
from mbbp.parameters import Array
from mbbp.validation import refuse_unknown


@dataclass(frozen=True)
class Cost:
    """A cost C_x = sum_j c(a_j, y_j) of one example, for outputs a and targets y.

    Parameters
    ----------
    name : str
        Its name in error messages and tables.
    function, gradient : callable
        c(a, y) and its derivative dc/da for one output a and its target y: Python functions that Numba can compile.
        They may use ``if``, ``math`` and NumPy. Their arguments have the network's dtype.

    Attributes
    ----------
    function : callable
        C_x for each column, from (z, a, y) of shapes (n_L, m): an array (m,).
    gradient : callable
        grad_a C from (a, y) of shapes (n_L, m): an array (n_L, m).

    Raises
    ------
    TypeError
        If `function` or `gradient` cannot be called.

    Examples
    --------
    >>> import mbbp
    >>> def huber(a, y): return 0.5 * (a - y) ** 2 if abs(a - y) < 1 else abs(a - y) - 0.5
    >>> def huber_gradient(a, y): return max(-1.0, min(1.0, a - y))
    >>> net = mbbp.Network([2, 3, 1], activation="tanh", cost=mbbp.Cost("huber", huber, huber_gradient))
    """

    name: str
    function: Callable[..., Any]
    gradient: Callable[[Any, Any], Any]
    kernels: CostKernels | None = field(default=None, repr=False, compare=False)
    fused_error: Callable[[Any, Any], Any] | None = field(default=None, repr=False)  # delta^L from (a, y)
    scalars: Scalars | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernels is not None:
            return
        scalars = plain_functions(function=self.function, gradient=self.gradient)
        terms = elementwise(scalars[0])
        object.__setattr__(self, "scalars", scalars)
        object.__setattr__(self, "function", lambda z, a, y: terms(a, y).sum(axis=0))
        object.__setattr__(self, "gradient", elementwise(scalars[1]))
        object.__setattr__(self, "kernels", custom(*scalars))

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle cannot store kernels and twins, but it can store the functions they are made from
        return (get_cost, (self.name,)) if self.scalars is None else (Cost, (self.name, *self.scalars))

    def __deepcopy__(self, memo: Any) -> Cost:
        return self  # it never changes, and a copy would be compiled again

    @property
    def is_custom(self) -> bool:
        """Whether it is a custom one, made of a user's functions."""
        return self.scalars is not None

    def delta(self, output: Activation, z: Array, a: Array, y: Array) -> Array:
        """Return the output error delta^L = grad_a C * sigma'(z) (BP1), by the short formula if sigma' cancels.

        Parameters
        ----------
        output : Activation
            The activation of the output layer.
        z, a, y : ndarray of shape (n_L, m)
            Weighted inputs, activations and targets.

        Returns
        -------
        ndarray of shape (n_L, m)
        """
        if self.fused_error is not None:
            error: Array = self.fused_error(a, y)
            return error
        return output.multiply_by_derivative(z, a, self.gradient(a, y))

    def check_fits(self, output: Activation) -> None:
        """Check that the cost is defined for the activation of the output layer.

        Raises
        ------
        ValueError
            If it is not. The message gives the reason.
        """
        assert self.kernels is not None
        expected = self.required_activation
        if expected is not None and (output.name != expected or output.is_custom):
            given = f"a custom {output.name!r}" if output.is_custom else output.name
            raise ValueError(
                f"cost: expected a {expected} output layer for {self.name}, got {given}; "
                f"{self.name} needs {expected} outputs, because {self.kernels.reason}"
            )

    def check_targets(self, argument: str, Y: Array) -> None:
        """Check that the cost is defined for these targets.

        Raises
        ------
        ValueError
            If it is not: the targets of cross_entropy and log_likelihood must be from 0 to 1.
        """
        if self.required_activation is not None and not (Y.min() >= 0 and Y.max() <= 1):
            raise ValueError(
                f"{argument}: expected probabilities from 0 to 1 for the {self.name} cost, "
                f"got numbers from {Y.min():g} to {Y.max():g}"
            )

    @property
    def formula(self) -> str:
        """The formula of C_x, for a table; empty for a custom cost."""
        assert self.kernels is not None
        return self.kernels.formula

    @property
    def required_activation(self) -> str | None:
        """The only activation of the output layer that the cost is defined for; None for any."""
        assert self.kernels is not None
        return self.kernels.required_activation

    def compile(self, dtype: np.dtype[Any]) -> None:
        """Compile custom functions now, so that an error in them is found at once.

        Raises
        ------
        TypeError
            If Numba cannot compile a function.
        """
        if self.is_custom and self.kernels is not None:
            named = [("function", self.kernels.total), ("gradient", self.kernels.output_error)]
            compile_all(f"cost {self.name!r}", named, "2 numbers", dtype)

    def address(self, dtype: np.dtype[Any]) -> int:
        """Return the address of the kernel that sums C_x over a mini-batch."""
        assert self.kernels is not None
        return self.kernels.total.address(dtype)

    def error_address(self, dtype: np.dtype[Any]) -> int:
        """Return the address of the kernel that computes the output error."""
        assert self.kernels is not None
        return self.kernels.output_error.address(dtype)

    @property
    def is_fused(self) -> bool:
        """Whether the kernel of the output error includes the factor sigma'."""
        assert self.kernels is not None
        return self.kernels.is_fused


def _built_in(name: str, compiled: CostKernels) -> Cost:
    function, gradient = getattr(reference, name), getattr(reference, f"{name}_gradient")
    return Cost(name, function, gradient, compiled, getattr(reference, f"{name}_error", None))


COSTS = {name: _built_in(name, compiled) for name, compiled in BUILT_IN.items()}


def get_cost(cost: str | Cost) -> Cost:
    """Return the cost with this name (``-`` counts as ``_``), or the given one.

    Raises
    ------
    ValueError
        If no cost has this name.
    TypeError
        If it is neither a name nor a Cost.
    """
    if isinstance(cost, Cost):
        return cost
    if not isinstance(cost, str):
        raise TypeError(f"cost: expected a name or an mbbp.Cost, got {cost!r}")
    name = cost.replace("-", "_")
    if name not in COSTS:
        refuse_unknown("cost", cost, COSTS)
    return COSTS[name]
