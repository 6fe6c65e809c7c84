"""In what sense backpropagation is a fast algorithm: count the passes through the network, and measure the time.

A gradient by differences takes one or two forward passes for each parameter. Backpropagation takes one forward pass and
one backward pass for all parameters together. Here both use the same plain NumPy, so their times can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.chapter2.algorithm import backward_pass, gather, network_output_error
from mbbp.chapter2.feedforward import Feedforward, forward_pass
from mbbp.chapter2.numbering import activation_functions, examples, parameters
from mbbp.costs import Cost
from mbbp.network import Network
from mbbp.parameters import Array, parameter_views
from mbbp.validation import as_count, as_number, shown

SERIES = tuple([8, width, 4] for width in (4, 8, 16, 32, 64))
MOST_EXAMPLES = 2**31 - 1
REPEATS, ENOUGH_SECONDS = 5, 0.05  # short runs are repeated, and the shortest time counts: it is the least disturbed


class CountedGradient(NamedTuple):
    """A gradient, with the passes and the time that it took.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        dC/dtheta, in the order of ``net.theta``.
    forward_passes, backward_passes : int
        How many times the mini-batch passed through the network in each direction.
    seconds : float
        The time that it took.
    """

    theta: Array
    forward_passes: int
    backward_passes: int
    seconds: float


class PassCount(NamedTuple):
    """A row of the comparison: one method to compute a gradient, for one network.

    Attributes
    ----------
    sizes : tuple of int
        The number of neurons in each layer of the network.
    n_parameters : int
        The number of its weights and biases.
    method : str
        backpropagation, one-sided or central.
    forward_passes, backward_passes : int
        How many times the mini-batch passed through the network in each direction.
    seconds : float
        The time that it took.
    times_backpropagation : float
        The time divided by the time of backpropagation.
    relative_difference : float
        The largest difference from the gradient of backpropagation, relative to the largest derivative in it.
    """

    sizes: tuple[int, ...]
    n_parameters: int
    method: str
    forward_passes: int
    backward_passes: int
    seconds: float
    times_backpropagation: float
    relative_difference: float


def gradient_by_backpropagation(net: Network, X: ArrayLike, Y: ArrayLike) -> CountedGradient:
    """Return the gradient by backpropagation. It takes one forward and one backward pass for any number of parameters.

    Parameters
    ----------
    net : Network
        The network. It is not changed.
    X, Y : array_like of shapes (n_1, m), (n_L, m) or (m,)
        A mini-batch.

    Returns
    -------
    CountedGradient

    Raises
    ------
    TypeError
        If `net` is not a network, or if X or Y does not hold real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> gradient_by_backpropagation(net, np.eye(2), [0, 1])[1:3]
    (1, 1)
    """
    return _timed(_Passes(net, X, Y), _Passes.gradient)


def gradient_by_one_sided_differences(
    net: Network, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-8
) -> CountedGradient:
    """Return the gradient by dC/dw_j ≈ (C(w + epsilon e_j) - C(w)) / epsilon.

    For n parameters this takes n + 1 forward passes.

    Parameters
    ----------
    net : Network
        The network. It is not changed.
    X, Y : array_like of shapes (n_1, m), (n_L, m) or (m,)
        A mini-batch.
    epsilon : float
        The step. The truncation error is of the order of epsilon, the rounding error of the order of 1e-16 / epsilon.

    Returns
    -------
    CountedGradient

    Raises
    ------
    TypeError
        If `net` is not a network, or if X, Y or epsilon is not made of real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, if a label or target is out of range, or if
        epsilon is not positive.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (46). Biases are changed in the same way as weights. So a
    million parameters take a million and one forward passes.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)  # 9 weights and 4 biases
    >>> gradient_by_one_sided_differences(net, np.eye(2), [0, 1])[1:3]
    (14, 0)
    """
    step = as_number("epsilon", epsilon, positive=True)
    return _timed(_Passes(net, X, Y), lambda passes: passes.one_sided_differences(step))


def gradient_by_central_differences(net: Network, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-6) -> CountedGradient:
    """Return the gradient by dC/dw_j ≈ (C(w + epsilon e_j) - C(w - epsilon e_j)) / 2 epsilon.

    For n parameters this takes 2 n forward passes.

    Parameters
    ----------
    net : Network
        The network. It is not changed.
    X, Y : array_like of shapes (n_1, m), (n_L, m) or (m,)
        A mini-batch.
    epsilon : float
        The step. The truncation error is of the order of epsilon^2, the rounding error of the order of 1e-16 / epsilon.

    Returns
    -------
    CountedGradient

    Raises
    ------
    TypeError
        If `net` is not a network, or if X, Y or epsilon is not made of real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, if a label or target is out of range, or if
        epsilon is not positive.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> gradient_by_central_differences(net, np.eye(2), [0, 1])[1:3]
    (26, 0)
    """
    step = as_number("epsilon", epsilon, positive=True)
    return _timed(_Passes(net, X, Y), lambda passes: passes.central_differences(step))


METHODS: dict[str, Callable[[Network, ArrayLike, ArrayLike], CountedGradient]] = {
    "backpropagation": gradient_by_backpropagation,
    "one-sided": gradient_by_one_sided_differences,
    "central": gradient_by_central_differences,
}


def _fastest(
    method: Callable[[Network, ArrayLike, ArrayLike], CountedGradient], net: Network, X: ArrayLike, Y: ArrayLike
) -> CountedGradient:
    runs = [method(net, X, Y)]
    while len(runs) < REPEATS and sum(run.seconds for run in runs) < ENOUGH_SECONDS:
        runs.append(method(net, X, Y))
    return min(runs, key=lambda run: run.seconds)


def count_passes(
    sizes: Iterable[Sequence[int]] = SERIES,
    *,
    m: int = 10,
    activation: str | Activation | Sequence[str | Activation] = "sigmoid",
    cost: str | Cost = "quadratic",
    rng: int = 0,
) -> list[PassCount]:
    """Compare backpropagation with the gradient by differences, for a series of networks.

    Parameters
    ----------
    sizes : iterable of sequences of int
        The number of neurons in each layer, for each network.
    m : int
        The number of random examples in the mini-batch.
    activation, cost
        The same as for `mbbp.Network`.
    rng : int
        The seed of the parameters and the examples.

    Returns
    -------
    list of PassCount
        Three rows for each network. ``print(pass_table(rows))`` prints them as a table, and ``pandas.DataFrame(rows)``
        is a data frame of them.

    Raises
    ------
    TypeError
        If a size, m or rng is not a whole number, or if an activation or the cost has the wrong type.
    ValueError
        If a network has fewer than two layers or a layer without neurons, if m is less than 1, if rng is negative, if a
        name is unknown, or if the cost does not fit the output layer.

    Examples
    --------
    >>> rows = count_passes([[2, 3, 1], [2, 6, 1]])
    >>> [(row.n_parameters, row.method, row.forward_passes, row.backward_passes) for row in rows[:3]]
    [(13, 'backpropagation', 1, 1), (13, 'one-sided', 14, 0), (13, 'central', 26, 0)]
    """
    n_examples, seed = as_count("m", m, most=MOST_EXAMPLES), as_count("rng", rng, least=0)
    try:
        each = list(sizes)
    except TypeError:
        raise TypeError(f"sizes: expected the sizes of one or more networks, got {shown(sizes)}") from None
    rows = []
    for one in each:
        net = Network(one, activation, cost, "float64", rng=seed)
        generator = np.random.default_rng(seed)
        X = generator.standard_normal((net.sizes[0], n_examples))
        y = generator.integers(0, max(net.sizes[-1], 2), n_examples)
        runs = {name: _fastest(method, net, X, y) for name, method in METHODS.items()}
        exact = runs["backpropagation"]
        largest = float(np.abs(exact.theta).max()) or 1.0
        rows += [
            PassCount(
                tuple(net.sizes),
                net.theta.size,
                name,
                run.forward_passes,
                run.backward_passes,
                run.seconds,
                run.seconds / exact.seconds,
                float(np.abs(run.theta - exact.theta).max()) / largest,
            )
            for name, run in runs.items()
        ]
    return rows


def pass_table(rows: Sequence[PassCount]) -> str:
    """Return the rows of `count_passes` as a table to print.

    Raises
    ------
    TypeError
        If they are not rows of `count_passes`.
    """
    if not isinstance(rows, Sequence) or not all(isinstance(row, PassCount) for row in rows):
        raise TypeError(f"rows: expected the rows that count_passes returns, got {shown(rows)}")
    lines = [
        f"{'network':<18} {'parameters':>10}  {'method':<15} {'forward':>8} {'backward':>8} {'seconds':>10} "
        f"{'times as long':>13}  difference"
    ]
    for row in rows:
        lines.append(
            f"{list(row.sizes)!s:<18} {row.n_parameters:>10,}  {row.method:<15} {row.forward_passes:>8,} "
            f"{row.backward_passes:>8,} {row.seconds:>10.6f} {row.times_backpropagation:>13,.1f}  "
            f"{row.relative_difference:.1e}"
        )
    return "\n".join(lines)


class _Passes:
    """The cost and the gradient of a network for a mini-batch. It counts every pass through the network."""

    def __init__(self, net: Network, X: ArrayLike, Y: ArrayLike) -> None:
        self.x, self.y = examples(net, X, Y)
        self.net = net
        self.sigma, self.sigma_prime = activation_functions(net)
        self.theta = np.array(net.theta, np.float64)
        self.forward_passes = self.backward_passes = 0

    def forward(self, W: dict[int, Array], b: dict[int, Array]) -> Feedforward:
        self.forward_passes += 1
        return forward_pass(W, b, self.sigma, self.x)

    def cost(self, theta: Array, j: int = 0, step: float = 0.0) -> float:
        """Return C(theta + step e_j)."""
        moved = theta.copy()
        moved[j] += step
        weights, biases = parameter_views(moved, self.net.sizes)
        passed = self.forward(dict(enumerate(weights, 2)), dict(enumerate(biases, 2)))
        mean: Any = self.net.cost_function.function(passed.z[len(self.net.sizes)], passed.output, self.y).mean()
        return float(mean)

    def gradient(self) -> Array:
        """Return the gradient by one forward and one backward pass."""
        W, b = parameters(self.net)
        passed = self.forward(W, b)
        self.backward_passes += 1
        delta = backward_pass(W, self.sigma_prime, passed.z, network_output_error(self.net, passed, self.y))
        return gather(self.net, passed, delta, self.y).theta

    def one_sided_differences(self, step: float) -> Array:
        here = self.cost(self.theta)
        return np.array([(self.cost(self.theta, j, step) - here) / step for j in range(self.theta.size)])

    def central_differences(self, step: float) -> Array:
        changes = [self.cost(self.theta, j, step) - self.cost(self.theta, j, -step) for j in range(self.theta.size)]
        return np.array(changes) / (2 * step)


def _timed(passes: _Passes, run: Callable[[_Passes], Array]) -> CountedGradient:
    """Return the gradient from `run`, with the passes and the time that it took."""
    started = time.perf_counter()
    theta = run(passes)
    seconds = time.perf_counter() - started
    return CountedGradient(theta, passes.forward_passes, passes.backward_passes, seconds)
