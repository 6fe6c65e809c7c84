"""The costs by name, and a user's own.

Backpropagation assumes two things of a cost: that it is a mean C = 1/n sum_x C_x over examples, and that C_x is a
function of the output activations. A cost here is such a C_x with its gradient grad_a C and the output error delta^L.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbbp import reference
from mbbp.activations import Activation
from mbbp.kernels import codes
from mbbp.kernels.pointers import address_of
from mbbp.parameters import Array
from mbbp.validation import refuse_unknown

PairOfNumbers = Callable[[float, float], float]


def _pairwise(function: PairOfNumbers) -> Callable[[Array, Array], Array]:
    def apply(a: Array, y: Array) -> Array:
        values = [function(p, q) for p, q in zip(a.ravel(), y.ravel(), strict=True)]
        return np.array(values, dtype=a.dtype).reshape(a.shape)

    return apply


@dataclass(frozen=True)
class Cost:
    """A cost C_x = sum_j c(a_j, y_j) of one example, for outputs a and targets y.

    Parameters
    ----------
    name : str
        What it is called in errors and tables.
    function, gradient : callable
        c(a, y) and its derivative dc/da, of two numbers: one output and its target. Plain Python functions with ``if``,
        ``math`` or NumPy in them, which Numba compiles.

    Attributes
    ----------
    function : callable
        C_x for each column, from (z, a, y) of shapes (n_L, m): an array (m,).
    gradient : callable
        grad_a C from (a, y) of shapes (n_L, m): an array (n_L, m).

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
    code: int = field(default=codes.OWN, repr=False)
    formula: str = field(default="", repr=False)
    partner: str | None = field(default=None, repr=False)  # the output activation whose sigma' it cancels, and needs
    reason: str = field(default="", repr=False)
    own: tuple[PairOfNumbers, PairOfNumbers] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.code != codes.OWN:
            return
        for argument in ("function", "gradient"):
            if not callable(getattr(self, argument)):
                raise TypeError(f"{argument}: a function of two numbers is wanted, got {getattr(self, argument)!r}")
        plain = tuple(getattr(f, "py_func", f) for f in (self.function, self.gradient))
        terms = _pairwise(plain[0])
        object.__setattr__(self, "own", plain)
        object.__setattr__(self, "function", lambda z, a, y: terms(a, y).sum(axis=0))
        object.__setattr__(self, "gradient", _pairwise(plain[1]))

    def __getstate__(self) -> dict[str, Any]:
        # pickle cannot take the NumPy twins of the user's own functions, but what they are made of
        own = {} if self.own is None else {"function": self.own[0], "gradient": self.own[1]}
        return self.__dict__ | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def delta(self, output: Activation, z: Array, a: Array, y: Array) -> Array:
        """Return the output error delta^L = grad_a C * sigma'(z) (BP1), with sigma' cancelled by hand where it can be.

        Parameters
        ----------
        output : Activation
            The output layer's.
        z, a, y : ndarray of shape (n_L, m)
            Weighted inputs, activations and targets.

        Returns
        -------
        ndarray of shape (n_L, m)
        """
        if self.code == codes.CROSS_ENTROPY:
            return a - y
        if self.code == codes.LOG_LIKELIHOOD:
            return a * y.sum(axis=0, keepdims=True) - y
        gradient: Array = self.gradient(a, y)
        if output.code == codes.SOFTMAX:  # the Jacobian a_j (1[j = k] - a_k) in sigma'(z)'s place
            return a * (gradient - (gradient * a).sum(axis=0, keepdims=True))
        product: Array = gradient * output.derivative(z)
        return product

    def check_fits(self, output: Activation) -> None:
        """Check that the cost makes sense for an output activation.

        Raises
        ------
        ValueError
            If it does not, with the reason.
        """
        if self.partner is not None and (output.name != self.partner or output.own is not None):
            given = output.name if output.own is None else f"{output.name!r} of your own"
            raise ValueError(f"cost: {self.name} needs a {self.partner} output layer, not {given}: {self.reason}")

    def check_targets(self, argument: str, Y: Array) -> None:
        """Check that the cost is defined for these targets.

        Raises
        ------
        ValueError
            If it is not: cross-entropy and log-likelihood take probabilities.
        """
        if self.partner is not None and not (Y.min() >= 0 and Y.max() <= 1):
            raise ValueError(
                f"{argument}: the {self.name} cost takes probabilities from 0 to 1 as targets, "
                f"got numbers from {Y.min():g} to {Y.max():g}"
            )

    def rule(self, dtype: np.dtype[Any]) -> tuple[int, int, int]:
        """Return what the kernels know it by: its code and, if it is a user's own, the addresses of its functions.

        Raises
        ------
        TypeError
            If Numba cannot compile it.
        """
        if self.own is None:
            return self.code, 0, 0
        function, gradient = self.own
        return (
            self.code,
            address_of(function, 2, dtype, f"cost {self.name!r}, function"),
            address_of(gradient, 2, dtype, f"cost {self.name!r}, gradient"),
        )


COSTS = {
    cost.name: cost
    for cost in (
        Cost(
            "quadratic",
            reference.quadratic,
            reference.quadratic_gradient,
            codes.QUADRATIC,
            "1/2 sum_j (a_j - y_j)^2",
        ),
        Cost(
            "cross_entropy",
            reference.cross_entropy,
            reference.cross_entropy_gradient,
            codes.CROSS_ENTROPY,
            "-sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)]",
            "sigmoid",
            "its logarithms want outputs between 0 and 1, and its delta a - y holds where sigma' = a (1 - a)",
        ),
        Cost(
            "log_likelihood",
            reference.log_likelihood,
            reference.log_likelihood_gradient,
            codes.LOG_LIKELIHOOD,
            "-sum_j y_j ln a_j",
            "softmax",
            "it reads the outputs as the probabilities of classes, which must add up to 1",
        ),
    )
}


def get_cost(cost: str | Cost) -> Cost:
    """Return the cost of this name (``-`` and ``_`` are alike), or the one given.

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
        raise TypeError(f"cost: a name or an mbbp.Cost is wanted, got {cost!r}")
    name = cost.replace("-", "_")
    if name not in COSTS:
        refuse_unknown("cost", cost, COSTS)
    return COSTS[name]
