"""The costs: the built-in ones by name, and custom ones.

Backpropagation makes two assumptions: the cost is a mean C = 1/n sum_x C_x over the examples, and C_x is a function of
the output activations (M. Nielsen, *Neural Networks and Deep Learning*, ch. 2). A `Cost` is such a C_x, with its
gradient grad_a C and its output error delta^L.

The kernels of the built-in ones are in the table of `mbbp.kernels.costs`, their NumPy twins in `mbbp.reference`.

Two of them have a parameter. `huber` and `quantile` make such a cost; the names alone stand for the defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mbbp import reference
from mbbp.activations import Activation
from mbbp.custom import Scalars, compile_all, elementwise, plain_functions, plain_or_none
from mbbp.kernels.costs import BUILT_IN, CostKernels, custom
from mbbp.parameters import Array
from mbbp.validation import as_number, refuse_unknown

__all__ = ["huber", "quantile"]  # what a user finds here; the class is `mbbp.Cost`


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
    second_derivative : callable, optional
        d^2 c/da^2, like `gradient`. Only second-order products need it, such as a Hessian times a vector.

    Attributes
    ----------
    function : callable
        C_x for each column, from (z, a, y) of shapes (n_L, m): an array (m,).
    gradient : callable
        grad_a C from (a, y) of shapes (n_L, m): an array (n_L, m).
    second_derivative : callable or None
        d^2 C_x / da_j^2 from (a, y) of shapes (n_L, m): an array (n_L, m). None if it is not known, and for
        cross_entropy, log_likelihood and poisson; see `error_tangent`.
    parameter : float or None
        The delta of `huber`, the q of `quantile`; None for other costs.

    Raises
    ------
    TypeError
        If `function`, `gradient` or `second_derivative` cannot be called.

    Examples
    --------
    >>> import mbbp
    >>> def fourth_power(a, y): return (a - y) ** 4
    >>> def fourth_power_gradient(a, y): return 4 * (a - y) ** 3
    >>> cost = mbbp.Cost("fourth_power", fourth_power, fourth_power_gradient)
    >>> net = mbbp.Network([2, 3, 1], activation="tanh", cost=cost)
    """

    name: str
    function: Callable[..., Any]
    gradient: Callable[[Any, Any], Any]
    kernels: CostKernels | None = field(default=None, repr=False, compare=False)
    fused_error: Callable[[Any, Any], Any] | None = field(default=None, repr=False)  # delta^L from (a, y)
    parameter: float | None = field(default=None, repr=False)
    fused_tangent: Callable[[Any, Any], Any] | None = field(default=None, repr=False)  # R{delta^L} from (Ra, y)
    second_derivative: Callable[[Any, Any], Any] | None = field(default=None, repr=False)
    scalars: Scalars | None = field(default=None, init=False, repr=False)
    second_scalar: Callable[..., float] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kernels is not None:
            return
        scalars = plain_functions(function=self.function, gradient=self.gradient)
        second = plain_or_none(second_derivative=self.second_derivative)
        terms = elementwise(scalars[0])
        object.__setattr__(self, "scalars", scalars)
        object.__setattr__(self, "function", lambda z, a, y: terms(a, y).sum(axis=0))
        object.__setattr__(self, "gradient", elementwise(scalars[1]))
        object.__setattr__(self, "second_scalar", second)
        object.__setattr__(self, "second_derivative", None if second is None else elementwise(second))
        object.__setattr__(self, "kernels", custom(*scalars))

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle cannot store kernels and twins, but it can store the functions they are made from
        if self.scalars is not None:
            return partial(Cost, second_derivative=self.second_scalar), (self.name, *self.scalars)
        return (get_cost, (self.name,)) if self.parameter is None else (with_parameter, (self.name, self.parameter))

    def __deepcopy__(self, memo: Any) -> Cost:
        return self  # it never changes, and a copy would be compiled again

    def __str__(self) -> str:
        assert self.kernels is not None
        setting = self.kernels.parameter
        return self.name if setting is None else f"{self.name}({setting.name}={self.parameter!r})"

    @property
    def is_custom(self) -> bool:
        """Whether it is a custom one, made of a user's functions."""
        return self.scalars is not None

    @property
    def is_of_classes(self) -> bool:
        """Whether its targets name classes, whatever the outputs are."""
        assert self.kernels is not None
        return self.kernels.targets == "classes"

    @property
    def threshold(self) -> float:
        """A single output above it means the label 1."""
        assert self.kernels is not None
        return self.kernels.threshold

    @property
    def kinks(self) -> tuple[float, ...]:
        """The differences a_j - y_j at which the gradient jumps; a custom cost tells none."""
        assert self.kernels is not None
        return self.kernels.kinks

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

    def error_tangent(self, z: Array, a: Array, y: Array, tangent_a: Array) -> Array:
        """Return how the error at the outputs changes along a direction, for second-order products.

        Parameters
        ----------
        z, a, y : ndarray of shape (n_L, m)
            Weighted inputs, activations and targets.
        tangent_a : ndarray of shape (n_L, m)
            The direction Ra in which the outputs change.

        Returns
        -------
        ndarray of shape (n_L, m)
            R{grad_a C} = C''(a, y) * Ra; but where sigma' cancels, for cross_entropy, log_likelihood and poisson, the
            tangent R{delta^L} of the whole output error.

        Raises
        ------
        TypeError
            If it is a custom cost without a second derivative.
        """
        if self.fused_tangent is not None:
            whole: Array = self.fused_tangent(tangent_a, y)
            return whole
        if self.second_derivative is None:
            raise TypeError(f"cost {self.name!r}: expected a second_derivative for second-order products, got none")
        tangent: Array = self.second_derivative(a, y) * tangent_a
        return tangent

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
            article = "an" if expected[0] in "aeiou" else "a"
            raise ValueError(
                f"cost: expected {article} {expected} output layer for {self.name}, got {given}; "
                f"{self.name} needs {expected} outputs, because {self.kernels.reason}"
            )

    def check_targets(self, argument: str, Y: Array) -> None:
        """Check that the cost is defined for these targets.

        Raises
        ------
        ValueError
            If it is not: the targets of cross_entropy and log_likelihood must be from 0 to 1, those of poisson at least
            0, and those of squared_hinge 0 or 1.
        """
        assert self.kernels is not None
        kind = self.kernels.targets
        if kind == "numbers":
            return
        least, most = Y.min(), Y.max()
        got = f"numbers from {least:g} to {most:g}"
        if kind == "counts":
            expected, fits = "numbers of at least 0", least >= 0
        elif kind == "probabilities":
            expected, fits = "probabilities from 0 to 1", least >= 0 and most <= 1
        else:
            is_wrong = (Y != 0) & (Y != 1)
            expected, fits = "0 or 1 for every class", not is_wrong.any()
            got = "" if fits else f"{Y[is_wrong][0]:g}"
        if not fits:
            raise ValueError(f"{argument}: expected {expected} for the {self.name} cost, got {got}")

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

    @property
    def usual_activation(self) -> str | None:
        """The activation that the output layer gets if it is not named; None if the cost is meant for any."""
        assert self.kernels is not None
        return self.kernels.required_activation or self.kernels.usual_activation

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


@dataclass(frozen=True)
class _WithParameter:
    """A NumPy twin with its parameter. Two are equal if these are, so costs can be compared."""

    function: Callable[..., Any]
    name: str
    value: float

    def __call__(self, *arrays: Array) -> Array:
        """Return the twin's values."""
        values: Array = self.function(*arrays, **{self.name: self.value})
        return values


def _built_in(name: str, compiled: CostKernels) -> Cost:
    if compiled.parameter is not None:
        return with_parameter(name, compiled.parameter.default)
    function, gradient = getattr(reference, name), getattr(reference, f"{name}_gradient")
    error, tangent, second = (
        getattr(reference, f"{name}_{end}", None) for end in ("error", "error_tangent", "second_derivative")
    )
    return Cost(name, function, gradient, compiled, error, fused_tangent=tangent, second_derivative=second)


def with_parameter(name: str, value: float, argument: str | None = None) -> Cost:
    """Return the built-in cost of this name with another parameter.

    Parameters
    ----------
    name : str
        A cost that has one.
    value : float
        The parameter.
    argument : str, optional
        Its name in an error message; by default the parameter's own.

    Raises
    ------
    ValueError
        If the parameter is out of range, or the cost has none.
    TypeError
        If the parameter is not a number.
    """
    compiled = BUILT_IN[name]
    setting = compiled.parameter
    if setting is None:
        raise ValueError(f"{argument or 'value'}: expected none for the {name} cost, got {value!r}")
    number = as_number(argument or setting.name, value, below=setting.below, positive=True)
    function, gradient, second = (
        _WithParameter(getattr(reference, twin), setting.name, number)
        for twin in (name, f"{name}_gradient", f"{name}_second_derivative")
    )
    return Cost(name, function, gradient, compiled, parameter=number, second_derivative=second)


def huber(delta: float = 1.0) -> Cost:
    """Return the Huber cost: quadratic for small differences, linear for large ones, so outliers pull less.

    Parameters
    ----------
    delta : float
        The difference at which the one becomes the other; above 0.

    Raises
    ------
    ValueError
        If `delta` is not above 0, or is NaN or inf.
    TypeError
        If it is not a number.

    Notes
    -----
    C_x = sum_j of 1/2 d_j^2 where abs(d_j) <= delta, else delta (abs(d_j) - delta/2), with d = a - y. P. Huber,
    *Robust estimation of a location parameter*, Annals of Mathematical Statistics 35 (1964).

    Examples
    --------
    >>> import mbbp
    >>> mbbp.Network([2, 3, 1], "relu", mbbp.costs.huber(delta=0.5)).cost_function.parameter
    0.5
    """
    return with_parameter("huber", delta)


def quantile(q: float = 0.5) -> Cost:
    """Return the pinball cost: the outputs learn the q-quantile of the targets, and for q = 0.5 the median.

    Parameters
    ----------
    q : float
        The share of the targets that is to lie below the output; above 0 and below 1.

    Raises
    ------
    ValueError
        If `q` is not above 0 and below 1.
    TypeError
        If it is not a number.

    Notes
    -----
    C_x = sum_j max(q (y_j - a_j), (q - 1) (y_j - a_j)). R. Koenker and G. Bassett, *Regression quantiles*,
    Econometrica 46 (1978).

    Examples
    --------
    >>> import mbbp
    >>> mbbp.Network([2, 3, 1], "relu", mbbp.costs.quantile(q=0.9)).cost_function.parameter
    0.9
    """
    return with_parameter("quantile", q)


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
