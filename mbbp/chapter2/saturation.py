"""Why neurons learn slowly, in numbers: a weight does where its input is of low activation, or its neuron saturated.

By (BP4) dC/dw = a_in delta_out: the rate is small where a_in is; and by (BP1) and (BP2) delta_out has the factor
sigma'(z), which is small where the neuron is saturated.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.chapter2.algorithm import Backpropagation
from mbbp.chapter2.numbering import is_softmax
from mbbp.chapter2.shapes import as_matrix
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.validation import as_number

SATURATED_BELOW = 0.01
LOW_BELOW = 0.1


def saturated(sigma_prime_z: ArrayLike, below: float = SATURATED_BELOW) -> Array:
    """Say which neurons are saturated: |sigma'(z)| < `below`.

    Parameters
    ----------
    sigma_prime_z : array_like of shape (n, m)
        sigma'(z) of a layer.
    below : float
        The threshold. 0.01 is where a sigmoid is within 0.0101 of 0 or 1, and a tanh within 0.005 of -1 or 1.

    Returns
    -------
    ndarray of bool, shape (n, m)

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, on (BP1) and (BP2).

    Examples
    --------
    >>> saturated([[0.25, 0.001]])
    array([[False,  True]])
    """
    return np.abs(as_matrix("sigma_prime_z", sigma_prime_z)) < as_number("below", below, positive=True)


def low_activation(a_in: ArrayLike, below: float = LOW_BELOW) -> Array:
    """Say which activations are low, so that the weights that lead on from them learn slowly: |a| < `below`.

    Parameters
    ----------
    a_in : array_like of shape (n, m)
        The activations that come into a layer.
    below : float
        The threshold.

    Returns
    -------
    ndarray of bool, shape (n, m)

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, on eq. (32).

    Examples
    --------
    >>> low_activation([[0.5, 0.0]])
    array([[False,  True]])
    """
    return np.abs(as_matrix("a_in", a_in)) < as_number("below", below, positive=True)


def slow_share(is_saturated: ArrayLike, is_low: ArrayLike) -> float:
    """Return the share of weights, over the examples, that lead from a low activation or to a saturated neuron.

    Parameters
    ----------
    is_saturated : array_like of bool, shape (n_l, m)
        From `saturated`, of the layer.
    is_low : array_like of bool, shape (n_{l-1}, m)
        From `low_activation`, of what comes into it.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If an argument is no matrix, or they have not one column for each example.

    Examples
    --------
    Of two by two weights, the two to a saturated neuron and one more from a low activation:

    >>> slow_share([[True], [False]], [[True], [False]])
    0.75
    """
    neurons = as_matrix("is_saturated", is_saturated)
    sources = as_matrix("is_low", is_low, None, neurons.shape[1], "a column for each of is_saturated")
    return float(1.0 - ((1.0 - neurons.mean(axis=0)) * (1.0 - sources.mean(axis=0))).mean())


class LayerDiagnosis(NamedTuple):
    """What slows a layer down, and how fast it learns.

    Attributes
    ----------
    l : int
        The layer's number, 2 to L: ``net.layers[l - 2]``.
    activation : str
        The name of its sigma.
    n_in, n_out : int
        Its inputs and neurons.
    saturated : float
        The share of its neurons, over the examples, that are saturated.
    stuck : int
        How many of its neurons are saturated for every example.
    low_inputs : float
        The share of the activations that come in, over the examples, that are low.
    slow_weights : float
        The share of its weights, over the examples, that have a low input or a saturated neuron.
    input_size : float
        The root mean square of the activations that come in.
    weight_gradient, bias_gradient : float
        The norms |dC/dW| and |dC/db|.
    error : float
        The mean |delta| over neurons and examples.
    weights, biases : float
        The norms |W| and |b|.
    """

    l: int
    activation: str
    n_in: int
    n_out: int
    saturated: float
    stuck: int
    low_inputs: float
    slow_weights: float
    input_size: float
    weight_gradient: float
    bias_gradient: float
    error: float
    weights: float
    biases: float


def diagnose_layer(
    net: Network, passed: Backpropagation, l: int, saturated_below: float, low_below: float
) -> LayerDiagnosis:
    """Return the figures of one layer from a backward pass."""
    layer = net.layers[l - 2]
    is_saturated = saturated(slope(layer.activation, passed.z[l], passed.a[l]), saturated_below)
    is_low = low_activation(passed.a[l - 1], low_below)
    return LayerDiagnosis(
        l=l,
        activation=layer.activation.name,
        n_in=layer.n_in,
        n_out=layer.n_out,
        saturated=float(is_saturated.mean()),
        stuck=int(is_saturated.all(axis=1).sum()),
        low_inputs=float(is_low.mean()),
        slow_weights=slow_share(is_saturated, is_low),
        input_size=float(np.sqrt((passed.a[l - 1] ** 2).mean())),
        weight_gradient=float(np.linalg.norm(passed.nabla_w[l])),
        bias_gradient=float(np.linalg.norm(passed.nabla_b[l])),
        error=float(np.abs(passed.delta[l]).mean()),
        weights=float(np.linalg.norm(layer.W.astype(np.float64))),
        biases=float(np.linalg.norm(layer.b.astype(np.float64))),
    )


def slope(activation: Activation, z: Array, a: Array) -> Array:
    """Return sigma'(z); for softmax, which has a matrix in its place, its diagonal a (1 - a)."""
    return a * (1.0 - a) if is_softmax(activation) else activation.derivative(z)
