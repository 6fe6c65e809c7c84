"""The book's algorithm: one example at a time, in NumPy float64."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array, Gradient, parameter_views
from mbbp.reference_arguments import (
    COMPLEX,
    NetworkLike,
    as_inputs,
    as_labels,
    as_mini_batches,
    as_network,
    as_number,
    as_vector,
    check_targets,
)


def targets_of(net: NetworkLike, Y: ArrayLike, m: int, argument: str = "Y") -> Array:
    """Return checked targets (n_L, m) in float64."""
    check_targets(argument, net, Y, m)
    return unit_vectors(Y, net.sizes[-1])


def scaled_inputs(net: NetworkLike, X: ArrayLike, argument: str = "X") -> Array:
    """Return inputs in float64, scaled as the network does it: (x - mean) * factor.

    Raises
    ------
    TypeError, ValueError
        If `net` is not a network with a learnt scaling, or X does not hold real numbers or has another shape.
    """
    scaling, inputs = as_network(net).scaling, as_inputs(argument, net, X)
    if scaling is None:
        return inputs
    if isinstance(scaling, str):
        raise ValueError("net: expected a network with a learnt scaling, got one before its first training")
    mean = 0.0 if scaling.mean is None else scaling.mean.reshape(-1, 1)
    scaled: Array = (inputs - mean) * scaling.factor.reshape(-1, 1)
    return scaled


def scaling_factors(net: NetworkLike) -> Array:
    """Return what each input is multiplied by when it is scaled, (n_in, 1): d(scaled x_j) / d(raw x_j)."""
    factor = 1.0 if net.scaling is None else net.scaling.factor.reshape(-1, 1)
    return np.full((net.sizes[0], 1), factor, np.float64)


def unit_vectors(Y: ArrayLike, n_outputs: int) -> Array:
    """Return targets as columns (n_outputs, m) in float64: labels (m,) become unit vectors, a matrix stays the same.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    targets = as_labels("Y", Y, n_outputs)
    if targets.ndim == 2:
        return targets.astype(np.float64)
    if n_outputs == 1:
        return targets.reshape(1, -1).astype(np.float64)
    columns = np.zeros((n_outputs, targets.size))
    for i, label in enumerate(targets):
        columns[int(label), i] = 1.0
    return columns


def feedforward(net: NetworkLike, X: ArrayLike, theta: Array | None = None) -> tuple[list[Array], list[Array]]:
    """Return every weighted input z^l = W^l a^{l-1} + b^l and every activation a^l = sigma(z^l).

    Parameters
    ----------
    net : Network
        Its sizes and its activations are used, and its parameters if `theta` is not given.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    theta : ndarray, optional
        Real or complex parameters to use instead of the network's.

    Returns
    -------
    zs : list of ndarray
        z of layers 2 to L, of shapes (n_l, m).
    activations : list of ndarray
        a of layers 1 to L, of shapes (n_l, m): one more than `zs`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    return forward_pass(net, scaled_inputs(net, X), theta)


def forward_pass(net: NetworkLike, inputs: Array, theta: Array | None = None) -> tuple[list[Array], list[Array]]:
    """Return what `feedforward` returns, for inputs that are scaled already."""
    if theta is not None:
        theta = as_vector("theta", theta, net.theta.size, "parameter of the network", COMPLEX)
    weights, biases = network_parameters(net) if theta is None else parameter_views(theta, net.sizes)
    zs: list[Array] = []
    activations = [inputs]
    for layer, w, b in zip(net.layers, weights, biases, strict=True):
        zs.append(w @ activations[-1] + b)
        activations.append(layer.activation.function(zs[-1]))
    return zs, activations


def cost(net: NetworkLike, X: ArrayLike, Y: ArrayLike, theta: Array | None = None) -> float | complex:
    """Return the mean cost C = 1/m sum_x C_x. It is complex if `theta` is complex.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    targets = targets_of(net, Y, inputs.shape[1])
    zs, activations = forward_pass(net, inputs, theta)
    costs = net.cost_function.function(zs[-1], activations[-1], targets)
    mean: float | complex = costs.mean().item()
    return mean


def backprop(net: NetworkLike, x: ArrayLike, y: ArrayLike) -> tuple[float, list[Array], list[Array]]:
    """Return the cost and its gradient for a single example, as in the book.

    Parameters
    ----------
    net : Network
        The network.
    x, y : ndarray of shapes (n_in, 1), (n_L, 1)
        The input and the desired output.

    Returns
    -------
    cost : float
        C_x.
    nabla_b, nabla_w : list of ndarray
        dC_x/db (n_l, 1) and dC_x/dW (n_l, n_{l-1}) for each computing layer.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    column = scaled_inputs(net, x, "x")
    if column.shape[1] != 1:
        raise ValueError(f"x: expected shape ({column.shape[0]}, 1), got {column.shape}; give one example at a time")
    return backprop_scaled(net, column, targets_of(net, y, 1, "y"))


def backprop_scaled(net: NetworkLike, x: Array, y: Array) -> tuple[float, list[Array], list[Array]]:
    """Return what `backprop` returns, for an input that is scaled already."""
    zs, activations = forward_pass(net, x)
    output = net.layers[-1].activation
    delta = net.cost_function.delta(output, zs[-1], activations[-1], y)  # BP1
    nabla_b, nabla_w = backward_pass(net, zs, activations, delta)
    c_x = net.cost_function.function(zs[-1], activations[-1], y).item()
    return c_x, nabla_b, nabla_w


def backward_pass(
    net: NetworkLike, zs: list[Array], activations: list[Array], delta: Array
) -> tuple[list[Array], list[Array]]:
    """Return nabla_b and nabla_w of one example, as `backprop` does, from its output error delta^L (n_L, 1).

    nabla_b holds the errors delta^l themselves (BP3).
    """
    weights, _ = network_parameters(net)
    nabla_b, nabla_w = [delta], [delta @ activations[-2].T]  # BP3, BP4
    for i in range(2, len(net.sizes)):
        sp = net.layers[-i].activation.derivative(zs[-i])
        delta = (weights[-i + 1].T @ delta) * sp  # BP2
        nabla_b.insert(0, delta)
        nabla_w.insert(0, delta @ activations[-i - 1].T)
    return nabla_b, nabla_w


def network_parameters(net: NetworkLike) -> tuple[list[Array], list[Array]]:
    """Return the weights and biases of each layer in float64."""
    return parameter_views(np.asarray(net.theta, np.float64), net.sizes)


def one_vector(net: NetworkLike, nabla_b: list[Array], nabla_w: list[Array]) -> Array:
    """Return the parts of a gradient as one vector in the order of theta."""
    theta = np.empty(net.theta.size)
    weights, biases = parameter_views(theta, net.sizes)
    for place, part in zip(weights + biases, nabla_w + nabla_b, strict=True):
        place[...] = part
    return theta


def gradient(net: NetworkLike, X: ArrayLike, Y: ArrayLike, example_weights: Sequence[float] | None = None) -> Gradient:
    """Return the gradient of the mean cost by the book's loop over the examples of a mini-batch.

    Parameters
    ----------
    net : Network
        The network.
    X : array_like of shape (n_in, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    example_weights : sequence of m floats, optional
        A factor for the cost of each example, 1 by default. The mean still divides by m.

    Returns
    -------
    Gradient
        In float64 for any dtype of the network.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    m = inputs.shape[1]
    factors = None if example_weights is None else as_vector("example_weights", example_weights, m, "column of X")
    return _gradient(net, inputs, targets_of(net, Y, m), factors)


def _gradient(net: NetworkLike, inputs: Array, targets: Array, example_weights: Array | None = None) -> Gradient:
    m = inputs.shape[1]
    factors = np.ones(m) if example_weights is None else example_weights
    theta = np.zeros(net.theta.size)
    weights, biases = parameter_views(theta, net.sizes)
    total = 0.0
    for i in range(m):
        c_x, delta_nabla_b, delta_nabla_w = backprop_scaled(net, inputs[:, i : i + 1], targets[:, i : i + 1])
        total += factors[i] * c_x
        for nb, dnb in zip(biases, delta_nabla_b, strict=True):
            nb += factors[i] * dnb
        for nw, dnw in zip(weights, delta_nabla_w, strict=True):
            nw += factors[i] * dnw
    theta /= m
    return Gradient(total / m, weights, biases, theta)


def sgd(
    net: NetworkLike,
    X: ArrayLike,
    Y: ArrayLike,
    mini_batches: Iterable[Sequence[int]],
    learning_rate: float,
    l2: float = 0.0,
) -> Array:
    """Return the parameters after gradient descent over these mini-batches. The network keeps its parameters.

    Parameters
    ----------
    net : Network
        A float64 network. Its parameters are the initial ones.
    X, Y : array_like of shapes (n_in, n), (n_L, n) or (n,)
        The training set.
    mini_batches : iterable of sequences of int
        The column numbers of each mini-batch, in the order of the steps.
    learning_rate : float
        The book's eta.
    l2 : float, optional
        The book's lambda: each step multiplies the weights by 1 - eta lambda / n.

    Returns
    -------
    ndarray
        `theta` after the last step, in float64.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is expected above.
    """
    inputs = scaled_inputs(net, X)
    n = inputs.shape[1]
    targets = targets_of(net, Y, n)
    batches = as_mini_batches(mini_batches, n)
    eta, decay = as_number("learning_rate", learning_rate), as_number("l2", l2)
    start = net.theta.copy()
    try:
        for batch in batches:
            step = _gradient(net, inputs[:, batch], targets[:, batch]).theta
            weights, _ = parameter_views(net.theta, net.sizes)
            for w in weights:
                w *= 1.0 - eta * decay / n
            net.theta[:] = net.theta - eta * step
        return np.array(net.theta, np.float64)
    finally:
        net.theta[:] = start
