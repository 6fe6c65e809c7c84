"""The two exercises of chapter 2: backpropagation with a single modified neuron, and with linear neurons only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation, get_activation
from mbbp.chapter2.algorithm import Backpropagation, backward_pass, gather, network_output_error
from mbbp.chapter2.equations import output_error
from mbbp.chapter2.feedforward import Feedforward, forward_pass
from mbbp.chapter2.numbering import activation_functions, as_layer, as_neuron, examples, is_softmax, parameters
from mbbp.network import Network
from mbbp.parameters import Array


def backpropagation_with_modified_neuron(
    net: Network, X: ArrayLike, Y: ArrayLike, l: int, j: int, f: str | Activation
) -> Backpropagation:
    """Run backpropagation for a network in which the output of neuron j of layer l is f(sum_k w_jk a_k + b_j).

    All other neurons stay the same. The algorithm changes in two places only. In the forward pass f(z^l_j) replaces
    sigma(z^l_j). In the error of this neuron f'(z^l_j) replaces sigma'(z^l_j): in (BP1) for an output neuron, in (BP2)
    for a hidden neuron.

    Parameters
    ----------
    net : Network
        The network. It is not changed.
    X : array_like of shape (n_1, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    l, j : int
        The neuron: l is the number of its layer, from 2 to L, and j is its index in the layer, from 0.
    f : str or Activation
        The activation function of this neuron.

    Returns
    -------
    Backpropagation

    Raises
    ------
    TypeError
        If `net` is not a network, if X or Y does not hold real numbers, if l or j is not a whole number, or if f is
        neither a name nor an Activation.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    ValueError
        If there is no such neuron, if no activation has the name f, or if f is softmax, which is not a function of one
        weighted input.
    ValueError
        If the neuron is an output neuron and the network has softmax outputs or a cost that requires one activation
        function for all outputs.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, exercise "Backpropagation with a single modified neuron".

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> passed = backpropagation_with_modified_neuron(net, np.eye(2), [0, 1], l=2, j=0, f="identity")
    >>> bool((passed.a[2][0] == passed.z[2][0]).all())
    True
    """
    x, y = examples(net, X, Y)
    layer = as_layer("l", l, net.sizes)
    neuron = as_neuron("j", j, layer, net.sizes)
    modified = get_activation("f", f)
    if is_softmax(modified):
        raise ValueError("f: expected a function of one weighted input, got softmax; it needs those of all neurons")
    L = len(net.sizes)
    if layer == L and (is_softmax(net.layers[-1].activation) or net.cost_function.required_activation is not None):
        raise ValueError(
            f"l: expected a hidden layer (2 to {L - 1}), got the output layer {layer}; with "
            f"{net.layers[-1].activation.name} outputs and the {net.cost_function.name} cost, all output neurons must "
            "have the same activation"
        )
    W, b = parameters(net)
    sigma, sigma_prime = activation_functions(net)
    sigma[layer] = _with_one_modified(sigma[layer], neuron, modified.function)
    sigma_prime[layer] = _with_one_modified(sigma_prime[layer], neuron, modified.derivative)
    passed = forward_pass(W, b, sigma, x)
    if layer == L:
        last = output_error(net.cost_function.gradient(passed.output, y), sigma_prime[L](passed.z[L]))
    else:
        last = network_output_error(net, passed, y)
    names = {number: net.layers[number - 2].activation.name for number in range(2, L + 1)}
    names[layer] += f", but {modified.name} for neuron {neuron}"
    return gather(net, passed, backward_pass(W, sigma_prime, passed.z, last), y, names)


def _with_one_modified(
    function: Callable[[Array], Array], neuron: int, other: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """Return a function of a layer's weighted inputs: `other` in the row of one neuron, `function` in all others."""

    def apply(z: Array) -> Array:
        out = np.array(function(z))
        out[neuron] = other(z[neuron])
        return out

    return apply


def backpropagation_with_linear_neurons(net: Network, X: ArrayLike, Y: ArrayLike) -> Backpropagation:
    """Run backpropagation with sigma(z) = z in every layer. The activation functions of the network are not used.

    Then sigma'(z) = 1, and the algorithm is: a^l = z^l = W^l a^{l-1} + b^l, delta^L = grad_a C, and
    delta^l = (W^{l+1})^T delta^{l+1}. The error goes back through the weights only, and no neuron can saturate.

    Parameters
    ----------
    net : Network
        The network, of which only the sizes, the parameters and the cost are used. It is not changed.
    X : array_like of shape (n_1, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.

    Returns
    -------
    Backpropagation

    Raises
    ------
    TypeError
        If `net` is not a network, or if X or Y does not hold real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.
    ValueError
        If the cost does not accept linear outputs. The cross-entropy, for example, does not.

    Notes
    -----
    M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, exercise "Backpropagation with linear neurons".

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], "identity", dtype="float64", rng=0)
    >>> passed = backpropagation_with_linear_neurons(net, np.eye(2), [0, 1])
    >>> bool(np.allclose(passed.theta, net.gradient(np.eye(2), [0, 1]).theta, rtol=0, atol=1e-14))
    True
    """
    x, y = examples(net, X, Y)
    cost = net.cost_function
    if cost.required_activation is not None:
        raise ValueError(f"net: expected a cost that accepts linear outputs, such as quadratic, got {cost.name}")
    W, b = parameters(net)
    L = len(net.sizes)
    a = {1: x}
    for l in range(2, L + 1):
        a[l] = W[l] @ a[l - 1] + b[l]
    delta = {L: cost.gradient(a[L], y)}
    for l in range(L - 1, 1, -1):
        delta[l] = W[l + 1].T @ delta[l + 1]
    z = {l: a[l] for l in range(2, L + 1)}
    return gather(net, Feedforward(z, a), delta, y, dict.fromkeys(z, "identity"))
