"""The two assumptions about the cost: it is a mean over examples, and each term a function of the outputs alone.

Without the first, the gradient of a mini-batch would not be the mean of its examples' gradients; without the second,
the error could not be brought back from the outputs. For each there is a check, and a cost that breaks it and keeps the
other.
"""

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
from mbbp.validation import as_number

CostOfNetwork = Callable[[Network, Array, Array], float]
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}


@dataclass(frozen=True)
class AssumptionCheck:
    """Whether a cost satisfies an assumption of backpropagation; it is true or false as it holds or not.

    Attributes
    ----------
    assumption : str
        In words.
    difference : float
        The largest difference found between two costs that ought to be equal, relative to the larger of them.
    costs : tuple of float
        The two costs.
    where : str
        Where they were found.
    tolerance : float
        The difference allowed.
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
        wanted, got = self.costs
        return (
            f"{self.assumption}: {verdict}\n"
            f"   {self.where}: {got:.9g} against {wanted:.9g}, a relative difference of {self.difference:.1e} "
            f"({self.tolerance:.0e} allowed)"
        )


def is_mean_over_examples(
    cost: str | Cost | CostOfNetwork, net: Network, X: ArrayLike, Y: ArrayLike, tolerance: float | None = None
) -> AssumptionCheck:
    """Check the first assumption: the cost of examples is the mean C = 1/n sum_x C_x of the costs of each.

    Parameters
    ----------
    cost : str, Cost, or function (net, X, Y) -> float
        A cost that a network can have, or any number that depends on a network and examples; `mbbp.reference.cost` and
        ``mbbp.Network.cost`` are such functions.
    net : Network
        The network; it is not changed.
    X : array_like of shape (n_1, n)
        Two examples or more, one a column.
    Y : array_like of shape (n_L, n) or (n,)
        Desired outputs, or labels.
    tolerance : float, optional
        The relative difference allowed; by default 1e-9, and 1e-4 for a float32 network.

    Returns
    -------
    AssumptionCheck
        Of all examples, of each half of them, and of each two neighbours.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

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
        raise ValueError(f"X: two examples or more, one a column, are wanted, got shape {x.shape}")
    each = [function(net, x[:, i : i + 1], y[:, i : i + 1]) for i in range(n)]
    stretches = dict.fromkeys([(0, n), (0, n // 2), (n // 2, n), *((i, i + 2) for i in range(n - 1))])
    found = []
    for start, stop in stretches:
        mean = sum(each[start:stop]) / (stop - start)
        together = function(net, x[:, start:stop], y[:, start:stop])
        found.append((mean, together, f"examples {start} to {stop - 1}, their cost against the mean of their costs"))
    return _worst("C = 1/n sum_x C_x", found, allowed)


def is_function_of_outputs(
    cost: str | Cost | CostOfNetwork,
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    tolerance: float | None = None,
    rng: int | np.random.Generator | None = 0,
) -> AssumptionCheck:
    """Check the second assumption: the cost C_x of an example depends on the outputs a^L alone.

    For each example there is a second network that has the same outputs from another input by other weights and biases
    through other hidden activations. The desired output y is the same: it is fixed, and nothing that a network learns.

    Parameters
    ----------
    cost : str, Cost, or function (net, X, Y) -> float
        As in `is_mean_over_examples`.
    net : Network
        The network; it is not changed.
    X : array_like of shape (n_1, n)
        Examples, one a column.
    Y : array_like of shape (n_L, n) or (n,)
        Desired outputs, or labels.
    tolerance : float, optional
        The relative difference allowed; by default 1e-9, and 1e-4 for a float32 network.
    rng : int or Generator, optional
        For the second networks.

    Returns
    -------
    AssumptionCheck

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

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
    generator = np.random.default_rng(rng)
    other = copy.deepcopy(net)
    found = []
    for i in range(x.shape[1]):
        other_x = _make_alike(net, other, x[:, i : i + 1], generator)
        first = function(net, x[:, i : i + 1], y[:, i : i + 1])
        second = function(other, other_x, y[:, i : i + 1])
        found.append((first, second, f"example {i}, another network with the same outputs against this one"))
    return _worst("C_x is a function of the outputs a^L alone", found, allowed)


def worst_example_cost(net: Network, X: ArrayLike, Y: ArrayLike) -> float:
    """Return the largest quadratic cost of any example: it breaks the first assumption and keeps the second.

    Its gradient is the gradient of one example, and no mean.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
    """
    return float(_quadratic_costs(net, X, Y).max())


def sparse_activation_cost(net: Network, X: ArrayLike, Y: ArrayLike) -> float:
    """Return the mean of 1/2 |y - a^L|^2 + 1/2 sum_l |a^l|^2 over the hidden layers l: it breaks the second assumption.

    It asks for hidden activations near 0. The first assumption it keeps. For this cost dC/da^l of a hidden layer has a
    part that comes from no layer after it, which (BP2) leaves out.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
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
    """Give `other` parameters, and return an input, with which its outputs are those of `net` for x."""
    other.theta = rng.standard_normal(net.theta.size)
    other_x = rng.standard_normal(x.shape)
    L = len(net.sizes)
    wanted, got = (feedforward_by_matrix(one, given).z[L] for one, given in ((net, x), (other, other_x)))
    last = other.layers[-1]
    last.b = last.b + (wanted - got)
    return other_x


def _worst(assumption: str, found: list[tuple[float, float, str]], tolerance: float) -> AssumptionCheck:
    """Return the check with the pair of costs that differ most; where NaN or inf comes in, nothing agrees with it."""

    def difference(first: float, second: float) -> float:
        largest = max(abs(first), abs(second))
        share = abs(first - second) / (largest or 1.0)
        return np.inf if np.isnan(share) else share

    wanted, got, where = max(found, key=lambda pair: difference(pair[0], pair[1]))
    return AssumptionCheck(assumption, difference(wanted, got), (wanted, got), where, tolerance)
