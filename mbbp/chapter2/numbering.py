"""A network with layers numbered as in the book, and the checks that all functions of the chapter share.

Layer 1 is the input, layer L is the output. W[l] and b[l] are the weights and biases that lead into layer l. All arrays
are float64, for a network of any dtype. No file of this package imports a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import ACTIVATIONS, Activation
from mbbp.inputs import as_inputs, scaled
from mbbp.network import Network
from mbbp.parameters import Array, parameter_count, parameter_views
from mbbp.targets import unit_vectors
from mbbp.validation import as_count

ByLayer = dict[int, Array]
Functions = dict[int, Callable[[Array], Array]]


def as_network(net: Any) -> Network:
    """Check that `net` is a network, and return it.

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net: expected an mbbp.Network, got {net!r}")
    return net


def parameters(net: Network) -> tuple[ByLayer, ByLayer]:
    """Return the weights and biases of a network. The key of each is the number of the layer they lead into, 2 to L.

    Returns
    -------
    W, b : dict of int to ndarray
        Copies in float64, of shapes (n_l, n_{l-1}) and (n_l, 1).

    Raises
    ------
    TypeError
        If `net` is not a network.

    Examples
    --------
    >>> import mbbp
    >>> W, b = parameters(mbbp.Network([4, 3, 2]))
    >>> list(W), W[2].shape, b[3].shape
    ([2, 3], (3, 4), (2, 1))
    """
    weights, biases = parameter_views(np.array(as_network(net).theta, np.float64), net.sizes)
    return dict(enumerate(weights, 2)), dict(enumerate(biases, 2))


def flat(W: ByLayer, b: ByLayer) -> Array:
    """Return weights and biases, or other arrays of these shapes, as one vector in the order of ``net.theta``."""
    sizes = [W[2].shape[1]] + [W[l].shape[0] for l in sorted(W)]
    theta = np.empty(parameter_count(sizes))
    for l, (weights, biases) in enumerate(zip(*parameter_views(theta, sizes), strict=True), 2):
        weights[...], biases[...] = W[l], b[l]
    return theta


def activation_functions(net: Network) -> tuple[Functions, Functions]:
    """Return sigma and sigma' of each layer. The key is the number of the layer, 2 to L."""
    numbered = dict(enumerate((layer.activation for layer in net.layers), 2))
    sigma = {l: activation.function for l, activation in numbered.items()}
    return sigma, {l: activation.derivative for l, activation in numbered.items()}


def is_softmax(activation: Activation) -> bool:
    """Return whether the activation is the built-in softmax, in which each output depends on all weighted inputs."""
    return activation == ACTIVATIONS["softmax"]


def inputs(net: Network, X: ArrayLike) -> Array:
    """Return scaled inputs as a float64 matrix (n_1, m), after they were rounded to the network's dtype as in training.

    Raises
    ------
    TypeError
        If `net` is not a network, or if X does not hold real numbers.
    ValueError
        If X has the wrong shape or no column, or if it holds NaN or inf.
    """
    scaling = as_network(net).engine.scaling
    inputs = as_inputs("X", X, net.sizes[0], net.dtype, scaling)
    return scaled(inputs, scaling, net.dtype).T.astype(np.float64)


def examples(net: Network, X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
    """Return inputs (n_1, m) and desired outputs (n_L, m) in float64. Labels (m,) become unit vectors.

    Raises
    ------
    TypeError
        If `net` is not a network, or if X or Y does not hold real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    """
    checked = as_network(net).engine.examples(X, Y)
    double = np.dtype(np.float64)
    targets = checked.targets.T if len(checked.targets) else unit_vectors(checked.labels, net.sizes[-1], double)
    return scaled(checked.inputs, checked.scaling, net.dtype).T.astype(double), targets.astype(double)


def check_single(argument: str, columns: Array) -> None:
    """Check that there is only one example, for an equation of one example.

    Raises
    ------
    ValueError
        If there are more examples.
    """
    n, m = columns.shape
    if m != 1:
        raise ValueError(f"{argument}: expected shape ({n}, 1), got ({n}, {m}); give one example at a time")


def as_layer(argument: str, value: object, sizes: Sequence[int]) -> int:
    """Return the number of a computing layer, 2 to L.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is not from 2 to L.
    """
    l, L = as_count(argument, value, least=2), len(sizes)
    if l > L:
        raise ValueError(f"{argument}: expected a layer from 2 to {L}, got {l}")
    return l


def as_neuron(argument: str, value: object, l: int, sizes: Sequence[int]) -> int:
    """Return the index of a neuron of layer l, from 0.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If the layer has no such neuron.
    """
    neuron, n = as_count(argument, value, least=0), sizes[l - 1]
    if neuron >= n:
        raise ValueError(
            f"{argument}: expected a neuron from 0 to {n - 1} of layer {l}, got {neuron}; neurons are counted from 0"
        )
    return neuron
