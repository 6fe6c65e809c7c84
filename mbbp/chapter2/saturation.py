"""Measure why weights learn slowly: their input has a low activation, or their neuron is saturated.

By (BP4) dC/dw = a_in delta_out. This is small if a_in is small, which is a low activation. By (BP1) and (BP2) delta_out
has the factor sigma'(z), which is small if the neuron is saturated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.chapter2.algorithm import Backpropagation
from mbbp.chapter2.numbering import is_softmax
from mbbp.chapter2.shapes import as_matrix, as_shares
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.validation import as_number

SATURATED_BELOW = 0.01
LOW_BELOW = 0.1


def saturated(sigma_prime_z: ArrayLike, below: float = SATURATED_BELOW) -> Array:
    """Return which neurons are saturated: those with |sigma'(z)| < `below`.

    Parameters
    ----------
    sigma_prime_z : array_like of shape (n, m)
        sigma'(z) of a layer.
    below : float
        The threshold. At 0.01 a sigmoid is within 0.0101 of 0 or 1, and a tanh is within 0.005 of -1 or 1.

    Returns
    -------
    ndarray of bool, shape (n, m)

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If the first argument is not a matrix, or if `below` is not positive.

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
    """Return which activations are low: those with |a| < `below`. The weights that begin there learn slowly.

    Parameters
    ----------
    a_in : array_like of shape (n, m)
        The activations that are the inputs of a layer.
    below : float
        The threshold.

    Returns
    -------
    ndarray of bool, shape (n, m)

    Raises
    ------
    TypeError
        If an argument does not hold numbers.
    ValueError
        If the first argument is not a matrix, or if `below` is not positive.

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
    """Return the share of weights, over all examples, that have a low input or a saturated neuron.

    Parameters
    ----------
    is_saturated : array_like of bool, shape (n_l, m)
        The result of `saturated` for the neurons of the layer.
    is_low : array_like of bool, shape (n_{l-1}, m)
        The result of `low_activation` for the inputs of the layer.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If an argument does not hold numbers or bools.
    ValueError
        If an argument is not a matrix, or if the numbers of columns differ.

    Examples
    --------
    There are four weights. Two lead to a saturated neuron, and one more has a low input:

    >>> slow_share([[True], [False]], [[True], [False]])
    0.75
    """
    neurons = as_shares("is_saturated", is_saturated)
    sources = as_shares("is_low", is_low, neurons.shape[1], "it must have one column for each column of is_saturated")
    return float(1.0 - ((1.0 - neurons.mean(axis=0)) * (1.0 - sources.mean(axis=0))).mean())


class LayerDiagnosis(NamedTuple):
    """What makes a layer learn slowly, and how large its gradient is.

    Attributes
    ----------
    l : int
        The number of the layer, 2 to L. The layer is ``net.layers[l - 2]``.
    activation : str
        The name of its activation function.
    n_in, n_out : int
        The number of its inputs and of its neurons.
    saturated : float
        The share of its neurons, over all examples, that are saturated.
    stuck : int
        How many of its neurons are saturated for every example.
    low_inputs : float
        The share of its inputs, over all examples, that are low.
    slow_weights : float
        The share of its weights, over all examples, that have a low input or a saturated neuron.
    input_size : float
        The root mean square of its inputs.
    weight_gradient, bias_gradient : float
        The norms |dC/dW| and |dC/db|.
    error : float
        The mean |delta| over all neurons and examples.
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
    """Return the measures of layer l, computed from the results of backpropagation."""
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
    """Return sigma'(z). For softmax, whose derivative is a matrix, return the diagonal of this matrix, a (1 - a)."""
    return a * (1.0 - a) if is_softmax(activation) else activation.derivative(z)
