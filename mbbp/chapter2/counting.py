"""In what sense backpropagation is a fast algorithm: passes through the network counted and timed, against differences.

A numeric derivative for every parameter takes a forward pass or two for each; backpropagation takes one forward and one
backward pass for all of them. Here both are made by the same plain NumPy, so that their times can be compared.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.chapter2.algorithm import backward_pass, gather
from mbbp.chapter2.feedforward import Feedforward, forward_pass
from mbbp.chapter2.numbering import activation_functions, examples, parameters
from mbbp.costs import Cost
from mbbp.network import Network
from mbbp.parameters import Array, parameter_views
from mbbp.validation import as_count, as_number

SERIES = tuple([8, width, 4] for width in (4, 8, 16, 32, 64))
REPEATS, ENOUGH_SECONDS = 5, 0.05  # what is short is timed again, and the fastest run taken: the others were disturbed


class CountedGradient(NamedTuple):
    """A gradient, and what it took.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        dC/dtheta, in the order of ``net.theta``.
    forward_passes, backward_passes : int
        How often the mini-batch went through the network, in each direction.
    seconds : float
        How long it took.
    """

    theta: Array
    forward_passes: int
    backward_passes: int
    seconds: float


class PassCount(NamedTuple):
    """A row of the comparison: one way to a gradient, for one network.

    Attributes
    ----------
    sizes : tuple of int
        The network's.
    n_parameters : int
        Its weights and biases.
    method : str
        backpropagation, one-sided or central.
    forward_passes, backward_passes : int
        How often the mini-batch went through the network, in each direction.
    seconds : float
        How long it took.
    times_backpropagation : float
        How many times as long as backpropagation took.
    relative_difference : float
        The largest difference from backpropagation's gradient, relative to the largest derivative in it.
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
    """Return the gradient by backpropagation: one forward and one backward pass, for any number of parameters.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    X, Y : array_like of shapes (n_1, m), (n_L, m) or (m,)
        A mini-batch.

    Returns
    -------
    CountedGradient

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, numbers out of range, or NaN or inf in it.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> gradient_by_backpropagation(net, np.eye(2), [0, 1])[1:3]
    (1, 1)
    """
    passes = _Passes(net, X, Y)
    return passes.timed(passes.gradient)


def gradient_by_one_sided_differences(
    net: Network, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-8
) -> CountedGradient:
    """Return the gradient by dC/dw_j ≈ (C(w + epsilon e_j) - C(w)) / epsilon: n + 1 forward passes for n parameters.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    X, Y : array_like of shapes (n_1, m), (n_L, m) or (m,)
        A mini-batch.
    epsilon : float
        The step. The error is of the order of epsilon from the cut-off and of 1e-16 / epsilon from rounding.

    Returns
    -------
    CountedGradient

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (46); biases are taken alike. A million weights take a million
    and one forward passes.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)  # 9 weights and 4 biases
    >>> gradient_by_one_sided_differences(net, np.eye(2), [0, 1])[1:3]
    (14, 0)
    """
    step = as_number("epsilon", epsilon, positive=True)
    passes = _Passes(net, X, Y)

    def differences(theta: Array) -> Array:
        here = passes.cost(theta)
        return np.array([(passes.cost(theta, j, step) - here) / step for j in range(theta.size)])

    return passes.timed(lambda: differences(passes.theta))


def gradient_by_central_differences(net: Network, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-6) -> CountedGradient:
    """Return the gradient by dC/dw_j ≈ (C(w + epsilon e_j) - C(w - epsilon e_j)) / 2 epsilon: 2 n forward passes.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    X, Y : array_like of shapes (n_1, m), (n_L, m) or (m,)
        A mini-batch.
    epsilon : float
        The step. The error is of the order of epsilon^2 from the cut-off and of 1e-16 / epsilon from rounding.

    Returns
    -------
    CountedGradient

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> gradient_by_central_differences(net, np.eye(2), [0, 1])[1:3]
    (26, 0)
    """
    step = as_number("epsilon", epsilon, positive=True)
    passes = _Passes(net, X, Y)

    def differences(theta: Array) -> Array:
        rises = [passes.cost(theta, j, step) - passes.cost(theta, j, -step) for j in range(theta.size)]
        return np.array(rises) / (2 * step)

    return passes.timed(lambda: differences(passes.theta))


WAYS: dict[str, Callable[[Network, ArrayLike, ArrayLike], CountedGradient]] = {
    "backpropagation": gradient_by_backpropagation,
    "one-sided": gradient_by_one_sided_differences,
    "central": gradient_by_central_differences,
}


def _fastest(
    way: Callable[[Network, ArrayLike, ArrayLike], CountedGradient], net: Network, X: ArrayLike, Y: ArrayLike
) -> CountedGradient:
    runs = [way(net, X, Y)]
    while len(runs) < REPEATS and sum(run.seconds for run in runs) < ENOUGH_SECONDS:
        runs.append(way(net, X, Y))
    return min(runs, key=lambda run: run.seconds)


def count_passes(
    sizes: Iterable[Sequence[int]] = SERIES,
    *,
    m: int = 10,
    activation: str | Activation | Sequence[str | Activation] = "sigmoid",
    cost: str | Cost = "quadratic",
    rng: int = 0,
) -> list[PassCount]:
    """Compare backpropagation with differences, parameter by parameter, for a series of networks.

    Parameters
    ----------
    sizes : iterable of sequences of int
        The networks, by the number of neurons in each layer.
    m : int
        How many random examples the mini-batch has.
    activation, cost
        As `mbbp.Network` takes them.
    rng : int
        For the parameters and the examples.

    Returns
    -------
    list of PassCount
        Three rows for each network. A table of them is ``print(pass_table(rows))``, or ``pandas.DataFrame(rows)``.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

    Examples
    --------
    >>> rows = count_passes([[2, 3, 1], [2, 6, 1]])
    >>> [(row.n_parameters, row.method, row.forward_passes, row.backward_passes) for row in rows[:3]]
    [(13, 'backpropagation', 1, 1), (13, 'one-sided', 14, 0), (13, 'central', 26, 0)]
    """
    rows = []
    for one in sizes:
        net = Network(one, activation, cost, "float64", rng=rng)
        generator = np.random.default_rng(rng)
        X = generator.standard_normal((net.sizes[0], as_count("m", m)))
        y = generator.integers(0, max(net.sizes[-1], 2), m)
        runs = {method: _fastest(way, net, X, y) for method, way in WAYS.items()}
        exact = runs["backpropagation"]
        largest = float(np.abs(exact.theta).max()) or 1.0
        rows += [
            PassCount(
                tuple(net.sizes),
                net.theta.size,
                method,
                run.forward_passes,
                run.backward_passes,
                run.seconds,
                run.seconds / exact.seconds,
                float(np.abs(run.theta - exact.theta).max()) / largest,
            )
            for method, run in runs.items()
        ]
    return rows


def pass_table(rows: Sequence[PassCount]) -> str:
    """Return the rows of `count_passes` as a table to print."""
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
    """The cost and the gradient of a network on a mini-batch, with every pass through it counted."""

    def __init__(self, net: Network, X: ArrayLike, Y: ArrayLike) -> None:
        self.x, self.y = examples(net, X, Y)
        self.net = net
        self.sigma, self.sigma_prime = activation_functions(net)
        self.theta = np.array(net.theta, np.float64)
        self.forward_passes = self.backward_passes = 0

    def timed(self, run: Callable[[], Array]) -> CountedGradient:
        """Return what `run` returns, with the passes and the time it took."""
        started = time.perf_counter()
        theta = run()
        seconds = time.perf_counter() - started
        return CountedGradient(theta, self.forward_passes, self.backward_passes, seconds)

    def forward(self, W: dict[int, Array], b: dict[int, Array]) -> Feedforward:
        self.forward_passes += 1
        return forward_pass(W, b, self.sigma, self.x)

    def cost(self, theta: Array, j: int = 0, step: float = 0.0) -> float:
        """Return C(theta + step e_j)."""
        moved = theta.copy()
        moved[j] += step
        weights, biases = parameter_views(moved, self.net.sizes)
        z, a = self.forward(dict(enumerate(weights, 2)), dict(enumerate(biases, 2)))
        L = len(self.net.sizes)
        mean: Any = self.net.cost_function.function(z[L], a[L], self.y).mean()
        return float(mean)

    def gradient(self) -> Array:
        """Return the gradient by a forward and a backward pass."""
        W, b = parameters(self.net)
        z, a = self.forward(W, b)
        L = len(self.net.sizes)
        self.backward_passes += 1
        last = self.net.cost_function.delta(self.net.layers[-1].activation, z[L], a[L], self.y)
        return gather(self.net, Feedforward(z, a), backward_pass(W, self.sigma_prime, z, last), self.y).theta
