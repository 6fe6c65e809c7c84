"""The two assumptions about the cost.

The first: the cost is a mean over examples. Without it, the gradient of a mini-batch would not be the mean of the
gradients of its examples. The second: the cost of an example is a function of the outputs only. Without it, the errors
of the hidden layers would not follow from the error of the output layer.

For each assumption there is a function that checks it, and a cost that breaks it but satisfies the other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.feedforward import feedforward_by_matrix
from mbbp.chapter2.numbering import examples
from mbbp.costs import Cost, get_cost
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.reference import quadratic
from mbbp.validation import as_generator, as_number

CostOfNetwork = Callable[[Network, Array, Array], float]
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}


@dataclass(frozen=True)
class AssumptionCheck:
    """Whether a cost satisfies an assumption of backpropagation. As a bool, it is the same as `holds`.

    Attributes
    ----------
    assumption : str
        The assumption in words.
    difference : float
        The largest difference between two costs that the assumption says are equal, relative to the larger of the two.
    costs : tuple of float
        These two costs.
    where : str
        The examples and networks that have these costs.
    tolerance : float
        The largest difference for which the assumption still counts as satisfied.
    holds : bool
        Whether the difference is within the tolerance.
    """

    assumption: str
    difference: float
    costs: tuple[float, float]
    where: str
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "does NOT hold"
        expected, got = self.costs
        return (
            f"{self.assumption}: {verdict}\n"
            f"   {self.where}: {got:.9g} against {expected:.9g}, a relative difference of {self.difference:.1e} "
            f"({self.tolerance:.0e} allowed)"
        )


def is_mean_over_examples(
    cost: str | Cost | CostOfNetwork, net: Network, X: ArrayLike, Y: ArrayLike, tolerance: float | None = None
) -> AssumptionCheck:
    """Check the first assumption: the cost of n examples is the mean of their costs, C = 1/n sum_x C_x.

    Parameters
    ----------
    cost : str, Cost, or function (net, X, Y) -> float
        A cost that a network can have, or any function that returns a number for a network and examples. Such functions
        are `mbbp.reference.cost` and ``mbbp.Network.cost``.
    net : Network
        The network. It is not changed.
    X : array_like of shape (n_1, n)
        Two or more examples, one per column.
    Y : array_like of shape (n_L, n) or (n,)
        Desired outputs, or labels.
    tolerance : float, optional
        The largest relative difference that is allowed. The default is 1e-9, or 1e-4 for a float32 network.

    Returns
    -------
    AssumptionCheck
        The result for all examples, for each half of them, and for each pair of neighbouring columns.

    Raises
    ------
    TypeError
        If `net` is not a network, if X or Y does not hold real numbers, if the cost is neither a name, a Cost nor a
        function, or if the tolerance is not a number.
    ValueError
        If X or Y has the wrong shape, if it holds NaN or inf, if a label or target is out of range, or if there are
        fewer than two examples.
    ValueError
        If the name of the cost is unknown, if the cost does not fit the output layer, or if the tolerance is negative.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, "The two assumptions we need about the cost function".

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 2], dtype="float64", rng=0)
    >>> X, y = np.eye(2), [0, 1]
    >>> bool(is_mean_over_examples("quadratic", net, X, y))
    True
    >>> bool(is_mean_over_examples(worst_example_cost, net, X, y))
    False
    """
    x, y = examples(net, X, Y)
    function, allowed = _as_function(cost, net), _as_tolerance(tolerance, net)
    n = x.shape[1]
    if n < 2:
        raise ValueError(f"X: expected two or more examples, one per column, got shape {x.shape}")
    each = [function(net, x[:, i : i + 1], y[:, i : i + 1]) for i in range(n)]
    ranges = dict.fromkeys([(0, n), (0, n // 2), (n // 2, n), *((i, i + 2) for i in range(n - 1))])
    found = []
    for start, stop in ranges:
        mean = sum(each[start:stop]) / (stop - start)
        together = function(net, x[:, start:stop], y[:, start:stop])
        where = f"examples {start} to {stop - 1}, the cost of all against the mean of the costs of each"
        found.append((mean, together, where))
    return _worst("C = 1/n sum_x C_x", found, allowed)


def is_function_of_outputs(
    cost: str | Cost | CostOfNetwork,
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    tolerance: float | None = None,
    rng: int | np.random.Generator | None = 0,
) -> AssumptionCheck:
    """Check the second assumption: the cost C_x of an example depends on the outputs a^L only.

    For each example the function makes a second network and a second input. The weights, biases and hidden activations
    differ, but the outputs are the same. So the two costs must be equal. The desired output y is the same for both: it
    is given, and the network does not learn it.

    Parameters
    ----------
    cost : str, Cost, or function (net, X, Y) -> float
        As in `is_mean_over_examples`.
    net : Network
        The network. It is not changed.
    X : array_like of shape (n_1, n)
        Examples, one per column.
    Y : array_like of shape (n_L, n) or (n,)
        Desired outputs, or labels.
    tolerance : float, optional
        The largest relative difference that is allowed. The default is 1e-9, or 1e-4 for a float32 network.
    rng : int or Generator, optional
        The seed or the generator for the second networks and inputs.

    Returns
    -------
    AssumptionCheck

    Raises
    ------
    TypeError
        If `net` is not a network, if X or Y does not hold real numbers, if the cost is neither a name, a Cost nor a
        function, or if the tolerance is not a number.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    ValueError
        If the name of the cost is unknown, if the cost does not fit the output layer, or if the tolerance is negative.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, "The two assumptions we need about the cost function", and
    eq. (27).

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 2], dtype="float64", rng=0)
    >>> X, y = np.eye(2), [0, 1]
    >>> bool(is_function_of_outputs("quadratic", net, X, y))
    True
    >>> bool(is_function_of_outputs(sparse_activation_cost, net, X, y))
    False
    """
    x, y = examples(net, X, Y)
    function, allowed = _as_function(cost, net), _as_tolerance(tolerance, net)
    generator = as_generator("rng", rng)
    other = copy.deepcopy(net)
    found = []
    for i in range(x.shape[1]):
        other_x = _make_alike(net, other, x[:, i : i + 1], generator)
        first = function(net, x[:, i : i + 1], y[:, i : i + 1])
        second = function(other, other_x, y[:, i : i + 1])
        found.append((first, second, f"example {i}, another network with the same outputs against this one"))
    return _worst("C_x is a function of the outputs a^L alone", found, allowed)


def worst_example_cost(net: Network, X: ArrayLike, Y: ArrayLike) -> float:
    """Return the largest quadratic cost of any example. This cost breaks the first assumption, but not the second.

    Its gradient is the gradient of one example, not a mean over examples.

    Raises
    ------
    TypeError
        If `net` is not a network, or if X or Y does not hold real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    """
    return float(_quadratic_costs(net, X, Y).max())


def sparse_activation_cost(net: Network, X: ArrayLike, Y: ArrayLike) -> float:
    """Return the mean of 1/2 |y - a^L|^2 + 1/2 sum_l |a^l|^2, with the second sum over the hidden layers l.

    This cost breaks the second assumption, but not the first. It is small if the hidden activations are near 0. Here a
    hidden activation changes the cost in two ways: through the layers after it, and directly. (BP2) includes only the
    first way.

    Raises
    ------
    TypeError
        If `net` is not a network, or if X or Y does not hold real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    """
    a = feedforward_by_matrix(net, X).a
    hidden = sum((0.5 * (a[l] ** 2).sum(axis=0) for l in range(2, len(net.sizes))), np.zeros(a[1].shape[1]))
    return float((_quadratic_costs(net, X, Y) + hidden).mean())


def _quadratic_costs(net: Network, X: ArrayLike, Y: ArrayLike) -> Array:
    x, y = examples(net, X, Y)
    z, a = feedforward_by_matrix(net, x)
    return quadratic(z[len(net.sizes)], a[len(net.sizes)], y)


def _as_function(cost: str | Cost | CostOfNetwork, net: Network) -> CostOfNetwork:
    if callable(cost):
        return cost
    chosen = get_cost(cost)
    chosen.check_fits(net.layers[-1].activation)

    def of_network(net: Network, X: Array, Y: Array) -> float:
        chosen.check_targets("Y", Y)
        z, a = feedforward_by_matrix(net, X)
        return float(chosen.function(z[len(net.sizes)], a[len(net.sizes)], Y).mean())

    return of_network


def _as_tolerance(tolerance: float | None, net: Network) -> float:
    return TOLERANCES[net.dtype.name] if tolerance is None else as_number("tolerance", tolerance)


def _make_alike(net: Network, other: Network, x: Array, rng: np.random.Generator) -> Array:
    """Change the parameters of `other`, and return an input for which its outputs are those of `net` for x."""
    other.theta = rng.standard_normal(net.theta.size)
    other_x = rng.standard_normal(x.shape)
    L = len(net.sizes)
    expected, got = (feedforward_by_matrix(one, given).z[L] for one, given in ((net, x), (other, other_x)))
    last = other.layers[-1]
    last.b = last.b + (expected - got)
    return other_x


def _worst(assumption: str, found: list[tuple[float, float, str]], tolerance: float) -> AssumptionCheck:
    """Return the check for the pair of costs that differ most. NaN or inf is never equal to another cost."""

    def difference(first: float, second: float) -> float:
        largest = max(abs(first), abs(second))
        share = abs(first - second) / (largest or 1.0)
        return np.inf if np.isnan(share) else share

    expected, got, where = max(found, key=lambda pair: difference(pair[0], pair[1]))
    return AssumptionCheck(assumption, difference(expected, got), (expected, got), where, tolerance)
