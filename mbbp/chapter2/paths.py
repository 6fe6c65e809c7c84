"""The big picture: the gradient of a weight as a sum over all paths from this weight to the cost.

Each connection on a path has a rate: da/dw, da/da or dC/da. It says how fast the value at the end of the connection
changes with the value at its beginning. The rate of a path is the product of the rates of its connections.
Backpropagation computes the sum over all paths without following each path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.alternative import activation_jacobian
from mbbp.chapter2.feedforward import network_forward_pass
from mbbp.chapter2.numbering import as_layer, as_neuron, check_single, examples, flat, is_softmax, parameters
from mbbp.network import Network
from mbbp.parameters import Array, Gradient, parameter_views
from mbbp.validation import as_count, as_sizes

MAX_PATHS = 1_000_000


@dataclass(frozen=True, eq=False)
class WeightPaths:
    """The paths from one weight to the cost of one example. ``print`` shows them in a table, the largest first.

    Attributes
    ----------
    l, j, k : int
        The weight w^l_jk, which leads from neuron k of layer l - 1 to neuron j of layer l. Here l is from 2 to L, and
        neurons are counted from 0.
    neurons : ndarray of int, shape (n_paths, L - l + 1)
        The neuron in each of the layers l, l + 1, ..., L through which a path goes.
    rates : ndarray of shape (n_paths, L - l + 2)
        The rates of the connections of each path: da^l_j/dw^l_jk, da^{l+1}_q/da^l_j, ..., da^L_m/da^{L-1}_n, dC/da^L_m.
    products : ndarray of shape (n_paths,)
        The rate of each path.
    total : float
        The sum of the rates of all paths, dC/dw^l_jk.
    """

    l: int
    j: int
    k: int
    neurons: Array
    rates: Array

    @property
    def products(self) -> Array:
        """The rate of each path, of shape (n_paths,)."""
        return self.rates.prod(axis=1)

    @property
    def total(self) -> float:
        """The sum of the rates of all paths, dC/dw^l_jk."""
        return float(self.products.sum())

    def __len__(self) -> int:
        return len(self.neurons)

    def __str__(self) -> str:
        shown = 20
        L = self.l + self.neurons.shape[1] - 1
        products = self.products
        lines = [f"{len(self):,} paths from w^{self.l}[{self.j}, {self.k}] to C"]
        for path in np.argsort(-np.abs(products), kind="stable")[:shown]:
            numbered = zip(range(self.l, L + 1), self.neurons[path], strict=True)
            stations = [f"a^{number}[{neuron}]" for number, neuron in numbered]
            factors = " x ".join(f"{rate:.4g}" for rate in self.rates[path])
            lines.append(f"   w -> {' -> '.join(stations)} -> C   {factors} = {products[path]:.6g}")
        if len(self) > shown:
            lines.append(f"   ... and {len(self) - shown:,} with smaller products")
        return "\n".join([*lines, f"their sum, dC/dw^{self.l}[{self.j}, {self.k}] = {self.total:.9g}"])


def count_paths(sizes: Sequence[int], l: int) -> int:
    """Return the number of paths from a weight into layer l to the cost: n_{l+1} n_{l+2} ... n_L.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.
    l : int
        The number of the layer, 2 to L.

    Returns
    -------
    int
        For a weight of the output layer this is 1.

    Raises
    ------
    TypeError
        If a size or l is not a whole number.
    ValueError
        If there are fewer than two layers or a layer without neurons, or if l is not from 2 to L.

    Examples
    --------
    >>> count_paths([784, 30, 30, 10], 2), count_paths([784, 30, 30, 10], 4)
    (300, 1)
    """
    numbers = as_sizes(sizes)
    return math.prod(numbers[as_layer("l", l, numbers) :])


def count_all_paths(sizes: Sequence[int]) -> int:
    """Return the number of paths from all weights and biases to the cost: sum_l (n_{l-1} + 1) n_l n_{l+1} ... n_L.

    Raises
    ------
    TypeError
        If a size is not a whole number.
    ValueError
        If there are fewer than two layers or a layer without neurons.

    Examples
    --------
    >>> count_all_paths([2, 3, 1])  # one path from each of 9 parameters of the hidden layer and 4 of the output layer
    13
    >>> count_all_paths([784, 30, 30, 10])
    7074610
    """
    numbers = as_sizes(sizes)
    return sum((numbers[l - 2] + 1) * numbers[l - 1] * count_paths(numbers, l) for l in range(2, len(numbers) + 1))


def weight_paths(
    net: Network, X: ArrayLike, Y: ArrayLike, l: int, j: int, k: int, max_paths: int = MAX_PATHS
) -> WeightPaths:
    """Return every path from a weight w^l_jk to the cost of an example, with the rates of its connections.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_1, 1)
        The input of one example.
    Y : array_like of shape (n_L, 1) or (1,)
        Its desired output, or its label.
    l, j, k : int
        The weight, which leads from neuron k of layer l - 1 to neuron j of layer l. Here l is from 2 to L, and neurons
        are counted from 0.
    max_paths : int
        The largest number of paths that is allowed.

    Returns
    -------
    WeightPaths

    Raises
    ------
    TypeError
        If `net` is not a network, if X or Y does not hold real numbers, or if l, j, k or max_paths is not a whole
        number.
    ValueError
        If X or Y has the wrong shape, if it holds NaN or inf, if a label or target is out of range, or if there is no
        such weight.
    ValueError
        If there are more than max_paths paths, or if dC/da^L is infinite. With the cross-entropy it is infinite for an
        output of 0 or 1.

    Notes
    -----
    dC/dw^l_jk = sum_{mnp...q} dC/da^L_m da^L_m/da^{L-1}_n da^{L-1}_n/da^{L-2}_p ... da^{l+1}_q/da^l_j da^l_j/dw^l_jk;
    M. Nielsen, *Neural Networks and Deep Learning*, eq. (53). With softmax, a weight of the last layer changes all
    outputs, not only a^L_j. So it has n_L paths there, and not one as in the formula.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 2], dtype="float64", rng=0)
    >>> x, y = [[1.0], [0.5]], [[0.0], [1.0]]
    >>> paths = weight_paths(net, x, y, l=2, j=0, k=1)
    >>> len(paths), paths.rates.shape
    (2, (2, 3))
    >>> bool(np.isclose(paths.total, net.gradient(x, y).weights[0][0, 1], rtol=1e-12))
    True
    """
    x, y = examples(net, X, Y)
    check_single("X", x)
    layer = as_layer("l", l, net.sizes)
    neuron, source = as_neuron("j", j, layer, net.sizes), as_neuron("k", k, layer - 1, net.sizes)
    n_paths = _starts(net, layer, neuron).size * count_paths(net.sizes, layer)
    _refuse_too_many(n_paths, max_paths, f"w^{layer}[{neuron}, {source}] of a network {net.sizes}")
    rates = _Rates(net, x, y)
    neurons, onward = rates.onward(layer, neuron)
    first = rates.of_weighted_input[layer][neurons[:, 0], neuron] * rates.a[layer - 1][source, 0]
    return WeightPaths(layer, neuron, source, neurons, np.column_stack([first, onward]))


def gradient_by_paths(net: Network, X: ArrayLike, Y: ArrayLike, max_paths: int = MAX_PATHS) -> Gradient:
    """Return the gradient of the mean cost by following every path from every weight and bias to the cost.

    Parameters
    ----------
    net : Network
        The network. It should be small.
    X : array_like of shape (n_1, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    max_paths : int
        The largest number of paths that is allowed, over all parameters and examples.

    Returns
    -------
    Gradient
        In float64, in the same order as the result of ``net.gradient``.

    Raises
    ------
    TypeError
        If `net` is not a network, if X or Y does not hold real numbers, or if max_paths is not a whole number.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    ValueError
        If there are more than max_paths paths, or if dC/da^L is infinite.

    Notes
    -----
    This is M. Nielsen, *Neural Networks and Deep Learning*, eq. (53), for every weight. A path from a bias begins with
    da^l_j/db^l_j instead.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 2], dtype="float64", rng=0)
    >>> X, y = np.eye(2), [0, 1]
    >>> bool(np.allclose(gradient_by_paths(net, X, y).theta, net.gradient(X, y).theta, rtol=0, atol=1e-15))
    True
    """
    x, y = examples(net, X, Y)
    m = x.shape[1]
    numbers = range(2, len(net.sizes) + 1)
    per_neuron = {l: _starts(net, l, 0).size * count_paths(net.sizes, l) for l in numbers}
    n_paths = m * sum((net.sizes[l - 2] + 1) * net.sizes[l - 1] * per_neuron[l] for l in numbers)
    _refuse_too_many(n_paths, max_paths, f"all parameters of a network {net.sizes} and {m} examples")
    W, b = parameters(net)
    nabla_w, nabla_b = ({l: np.zeros_like(array) for l, array in given.items()} for given in (W, b))
    cost = 0.0
    for i in range(m):
        rates = _Rates(net, x[:, i : i + 1], y[:, i : i + 1])
        cost += rates.cost / m
        for l in numbers:
            for j in range(net.sizes[l - 1]):
                neurons, onward = rates.onward(l, j)
                bias_first = rates.of_weighted_input[l][neurons[:, 0], j, np.newaxis]
                weight_first = bias_first * rates.a[l - 1].T
                rest = onward.prod(axis=1, keepdims=True)
                nabla_b[l][j] += (bias_first * rest).sum(axis=0) / m
                nabla_w[l][j] += (weight_first * rest).sum(axis=0) / m
    theta = flat(nabla_w, nabla_b)
    return Gradient(cost, *parameter_views(theta, net.sizes), theta)


class _Rates:
    """The rates of one example: da^l_i/dz^l_j and da^l/da^{l-1} of each layer, and dC/da^L."""

    def __init__(self, net: Network, x: Array, y: Array) -> None:
        W, _ = parameters(net)
        z, self.a = network_forward_pass(net, x)
        self.net = net
        L = len(net.sizes)
        self.of_weighted_input = {l: activation_jacobian(net.layers[l - 2].activation, z[l]) for l in z}
        self.of_activation = {l: self.of_weighted_input[l] @ W[l] for l in z}
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.of_cost = net.cost_function.gradient(self.a[L], y)[:, 0]
        if not np.isfinite(self.of_cost).all():
            raise ValueError(
                f"X: expected outputs at which the {net.cost_function.name} cost has a finite dC/da^L, got "
                f"{self.a[L][~np.isfinite(self.of_cost), 0][0]:g}; this output is so saturated that it is rounded"
            )
        self.cost = float(net.cost_function.function(z[L], self.a[L], y)[0])

    def onward(self, l: int, j: int) -> tuple[Array, Array]:
        """Return the neurons of every path from z^l_j to the cost, and all rates after the first."""
        L = len(self.net.sizes)
        choices = [_starts(self.net, l, j)] + [np.arange(n) for n in self.net.sizes[l:]]
        neurons = np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, len(choices))
        rates = [
            self.of_activation[number][neurons[:, i + 1], neurons[:, i]] for i, number in enumerate(range(l + 1, L + 1))
        ]
        return neurons, np.column_stack([*rates, self.of_cost[neurons[:, -1]]])


def _starts(net: Network, l: int, j: int) -> Array:
    """Return the neurons of layer l whose activation depends on z^l_j: neuron j, or all neurons of a softmax."""
    return np.arange(net.sizes[-1]) if is_softmax(net.layers[l - 2].activation) else np.array([j])


def _refuse_too_many(n_paths: int, max_paths: int, what: str) -> None:
    if n_paths > as_count("max_paths", max_paths):
        raise ValueError(
            f"max_paths: expected {what} to have at most {max_paths:,} paths to the cost, got {n_paths:,}; "
            "backpropagation does not follow single paths"
        )
