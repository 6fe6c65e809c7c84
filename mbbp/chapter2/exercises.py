"""The two exercises: backpropagation with a single modified neuron, and with linear neurons throughout."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation, get_activation
from mbbp.chapter2.algorithm import Backpropagation, backward_pass, gather
from mbbp.chapter2.equations import output_error
from mbbp.chapter2.feedforward import Feedforward, forward_pass
from mbbp.chapter2.numbering import activation_functions, as_layer, as_neuron, examples, is_softmax, parameters
from mbbp.network import Network
from mbbp.parameters import Array


def backpropagation_with_modified_neuron(
    net: Network, X: ArrayLike, Y: ArrayLike, l: int, j: int, f: str | Activation
) -> Backpropagation:
    """Run backpropagation where neuron j of layer l puts out f(sum_k w_jk a_k + b_j), and all others what they did.

    The algorithm changes in two places only: feedforward has f(z^l_j) in sigma(z^l_j)'s place, and the error of that
    neuron f'(z^l_j) in sigma'(z^l_j)'s, in (BP1) if it is an output neuron, in (BP2) if it is a hidden one.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    X : array_like of shape (n_1, m)
        Inputs, one example a column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    l, j : int
        The neuron: its layer's number from 2 to L, and its own from 0.
    f : str or Activation
        What it has instead of sigma.

    Returns
    -------
    Backpropagation

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be, f is softmax, which is no function of one neuron, or the neuron is an
        output of a softmax or of a cost that needs all outputs to be of one kind.

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
    layer = as_layer("l", l, net)
    neuron = as_neuron("j", j, layer, net)
    own = get_activation("f", f)
    if is_softmax(own):
        raise ValueError("f: softmax is no function of one neuron's weighted input")
    L = len(net.sizes)
    if layer == L and (is_softmax(net.layers[-1].activation) or net.cost_function.partner is not None):
        raise ValueError(
            f"l: with {net.layers[-1].activation.name} outputs and the {net.cost_function.name} cost, a hidden layer "
            f"(2 to {L - 1}) is wanted, got the output layer {layer}: its neurons must be all of one kind"
        )
    W, b = parameters(net)
    sigma, sigma_prime = activation_functions(net)
    sigma[layer] = _but_for(sigma[layer], neuron, own.function)
    sigma_prime[layer] = _but_for(sigma_prime[layer], neuron, own.derivative)
    z, a = forward_pass(W, b, sigma, x)
    if layer == L:
        last = output_error(net.cost_function.gradient(a[L], y), sigma_prime[L](z[L]))
    else:
        last = net.cost_function.delta(net.layers[-1].activation, z[L], a[L], y)
    names = {number: net.layers[number - 2].activation.name for number in range(2, L + 1)}
    names[layer] += f", but for neuron {neuron}, {own.name}"
    return gather(net, Feedforward(z, a), backward_pass(W, sigma_prime, z, last), y, names)


def _but_for(
    function: Callable[[Array], Array], neuron: int, other: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """Return a function of a layer that is another one in a single row."""

    def apply(z: Array) -> Array:
        out = np.array(function(z))
        out[neuron] = other(z[neuron])
        return out

    return apply


def backpropagation_with_linear_neurons(net: Network, X: ArrayLike, Y: ArrayLike) -> Backpropagation:
    """Run backpropagation with sigma(z) = z throughout, whatever activations the network has.

    Then sigma' = 1, and the algorithm is: a^l = z^l = W^l a^{l-1} + b^l; delta^L = grad_a C;
    delta^l = (W^{l+1})^T delta^{l+1}. The error is carried back by the weights alone, and nothing saturates.

    Parameters
    ----------
    net : Network
        Its sizes, parameters and cost are used; it is not changed.
    X : array_like of shape (n_1, m)
        Inputs, one example a column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.

    Returns
    -------
    Backpropagation

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be, or the cost does not take linear outputs, as cross-entropy does not.

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
    if cost.partner is not None:
        raise ValueError(f"net: a cost that takes linear outputs, as quadratic does, is wanted, got {cost.name}")
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
