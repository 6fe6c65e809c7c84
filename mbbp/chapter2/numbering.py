"""A network in the book's numbers: layer 1 is the input, layer L the output, and W[l] and b[l] lead into layer l.

Everything of this chapter is float64 in plain NumPy, whatever the network's dtype: nothing here imports a kernel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import ACTIVATIONS, Activation
from mbbp.network import Network
from mbbp.parameters import Array, parameter_count, parameter_views
from mbbp.validation import as_count, as_inputs, pixel_values

ByLayer = dict[int, Array]
Functions = dict[int, Callable[[Array], Array]]


def as_network(net: Any) -> Network:
    """Return a network, checked to be one.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net: an mbbp.Network is wanted, got {net!r}")
    return net


def parameters(net: Network) -> tuple[ByLayer, ByLayer]:
    """Return the weights and biases by the number of the layer that they lead into, 2 to L.

    Returns
    -------
    W, b : dict of int to ndarray
        Shapes (n_l, n_{l-1}) and (n_l, 1). They are copies.

    Examples
    --------
    >>> import mbbp
    >>> W, b = parameters(mbbp.Network([4, 3, 2]))
    >>> list(W), W[2].shape, b[3].shape
    ([2, 3], (3, 4), (2, 1))
    """
    weights, biases = parameter_views(np.array(net.theta, np.float64), net.sizes)
    return dict(enumerate(weights, 2)), dict(enumerate(biases, 2))


def flat(W: ByLayer, b: ByLayer) -> Array:
    """Return weights and biases, or what has their shapes, as one vector in the order of ``net.theta``."""
    sizes = [W[2].shape[1]] + [W[l].shape[0] for l in sorted(W)]
    theta = np.empty(parameter_count(sizes))
    for l, (weights, biases) in enumerate(zip(*parameter_views(theta, sizes), strict=True), 2):
        weights[...], biases[...] = W[l], b[l]
    return theta


def activation_functions(net: Network) -> tuple[Functions, Functions]:
    """Return sigma and sigma' by the number of the layer, 2 to L."""
    numbered = dict(enumerate((layer.activation for layer in net.layers), 2))
    sigma = {l: activation.function for l, activation in numbered.items()}
    return sigma, {l: activation.derivative for l, activation in numbered.items()}


def is_softmax(activation: Activation) -> bool:
    """Say whether the activation is the built-in softmax, whose outputs hang together."""
    return activation == ACTIVATIONS["softmax"]


def inputs(net: Network, X: ArrayLike) -> Array:
    """Return inputs as a float64 matrix (n_1, m), rounded to the network's dtype as the engine rounds them.

    Raises
    ------
    ValueError, TypeError
        If X has the wrong shape, no column, or NaN or inf in it.
    """
    numbers, pixels = as_inputs("X", X, as_network(net).sizes[0], net.dtype)
    return (pixel_values(pixels, net.dtype) if len(pixels) else numbers).T.astype(np.float64)


def examples(net: Network, X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
    """Return inputs (n_1, m) and desired outputs (n_L, m) as float64; labels (m,) become unit vectors.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
    """
    checked = as_network(net).examples(X, Y)
    return checked.X.astype(np.float64), checked.Y.astype(np.float64)


def check_single(argument: str, columns: Array) -> None:
    """Check that there is one example and no more, where an equation is about one.

    Raises
    ------
    ValueError
        If there are more.
    """
    if columns.shape[1] != 1:
        raise ValueError(
            f"{argument}: a single example, of shape ({columns.shape[0]}, 1), is wanted, got {columns.shape[1]} columns"
        )


def as_layer(argument: str, value: object, net: Network) -> int:
    """Return the number of a computing layer, 2 to L.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number, or no computing layer has it.
    """
    l, L = as_count(argument, value, least=2), len(net.sizes)
    if l > L:
        raise ValueError(f"{argument}: a layer from 2 to {L} is wanted, got {l}")
    return l


def as_neuron(argument: str, value: object, l: int, net: Network) -> int:
    """Return the index of a neuron of layer l, from 0.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number, or the layer has no such neuron.
    """
    neuron = as_count(argument, value, least=0)
    if neuron >= net.sizes[l - 1]:
        raise ValueError(
            f"{argument}: layer {l} has neurons 0 to {net.sizes[l - 1] - 1}, got {neuron} (they are counted from 0)"
        )
    return neuron
