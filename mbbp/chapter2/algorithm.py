"""The backpropagation algorithm in matrix form, with all its intermediate results, and a step of gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chapter2.equations import backpropagated_error, bias_gradient, weight_gradient
from mbbp.chapter2.feedforward import Feedforward, forward_pass
from mbbp.chapter2.numbering import ByLayer, Functions, activation_functions, examples, flat, parameters
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.validation import as_number


@dataclass(frozen=True, eq=False)
class Backpropagation:
    """All that backpropagation computes for a mini-batch. ``print`` shows each step of the algorithm with its numbers.

    Attributes
    ----------
    cost : float
        C = 1/m sum_x C_x.
    z : dict of int to ndarray
        The weighted inputs of layers 2 to L, of shapes (n_l, m).
    a : dict of int to ndarray
        The activations of layers 1 to L, of shapes (n_l, m).
    delta : dict of int to ndarray
        The errors dC_x/dz of layers 2 to L, of shapes (n_l, m).
    nabla_w, nabla_b : dict of int to ndarray
        dC/dW^l and dC/db^l of layers 2 to L, of shapes (n_l, n_{l-1}) and (n_l, 1).
    activations : dict of int to str
        The name of the activation function of layers 2 to L.
    """

    cost: float
    z: ByLayer
    a: ByLayer
    delta: ByLayer
    nabla_w: ByLayer
    nabla_b: ByLayer
    activations: dict[int, str]

    @property
    def theta(self) -> Array:
        """The gradient as one vector, in the order of ``net.theta``."""
        return flat(self.nabla_w, self.nabla_b)

    def __repr__(self) -> str:
        sizes = [a.shape[0] for a in self.a.values()]
        return f"Backpropagation({sizes}, m = {self.a[1].shape[1]}, C = {self.cost:.6g})"

    def __str__(self) -> str:
        L = max(self.a)
        inner = range(L - 1, 1, -1)
        hidden = [_block(f"delta^{l} = ((W^{l + 1})^T delta^{l + 1}) ⊙ sigma'(z^{l})", self.delta[l]) for l in inner]
        lines = [
            repr(self),
            "1. Input: the columns of a^1 are the examples",
            _block("a^1 = X", self.a[1]),
            "2. Feedforward: for each l = 2, ..., L",
            *(
                text
                for l in range(2, L + 1)
                for text in (
                    _block(f"z^{l} = W^{l} a^{l - 1} + b^{l}", self.z[l]),
                    _block(f"a^{l} = sigma(z^{l}), {self.activations[l]}", self.a[l]),
                )
            ),
            "3. Output error (BP1)",
            _block(f"delta^{L} = grad_a C ⊙ sigma'(z^{L})", self.delta[L]),
            *(["4. Backpropagate the error (BP2): for each l = L - 1, ..., 2", *hidden] if hidden else []),
            f"{5 if hidden else 4}. Output: the gradient (BP3, BP4), which is a mean over the mini-batch",
            *(
                text
                for l in range(L, 1, -1)
                for text in (
                    _block(f"dC/db^{l} = 1/m sum_x delta^{l}", self.nabla_b[l]),
                    _block(f"dC/dW^{l} = 1/m delta^{l} (a^{l - 1})^T", self.nabla_w[l]),
                )
            ),
        ]
        return "\n".join(lines)


def _block(equation: str, array: Array) -> str:
    numbers = np.array2string(array, 110, 4, threshold=60, edgeitems=3, prefix="      ")
    return f"   {equation}   {array.shape}\n      {numbers}"


def backpropagation(net: Network, X: ArrayLike, Y: ArrayLike) -> Backpropagation:
    """Run the backpropagation algorithm for a mini-batch in matrix form, and return all intermediate results.

    Parameters
    ----------
    net : Network
        The network. It is not changed.
    X : array_like of shape (n_1, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.

    Returns
    -------
    Backpropagation
        In float64, for a network of any dtype.

    Raises
    ------
    TypeError
        If `net` is not a network, or if X or Y does not hold real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, or if a label or target is out of range.

    Notes
    -----
    These are the five steps of "The backpropagation algorithm" in M. Nielsen, *Neural Networks and Deep Learning*,
    ch. 2. The vectors of one example become matrices, as in the problem "Fully matrix-based approach to backpropagation
    over a mini-batch". With a cost that cancels sigma'(z^L), such as the cross-entropy, (BP1) is used in its simplified
    form: then delta^L has no factor sigma'(z^L).

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> X, y = np.eye(2), [0, 1]
    >>> passed = backpropagation(net, X, y)
    >>> passed.delta[2].shape, passed.nabla_w[3].shape
    ((3, 2), (1, 3))
    >>> bool(np.allclose(passed.theta, net.gradient(X, y).theta, rtol=0, atol=1e-15))
    True
    """
    x, y = examples(net, X, Y)
    W, b = parameters(net)
    sigma, sigma_prime = activation_functions(net)
    passed = forward_pass(W, b, sigma, x)
    delta = backward_pass(W, sigma_prime, passed.z, network_output_error(net, passed, y))
    return gather(net, passed, delta, y)


def network_output_error(net: Network, passed: Feedforward, y: Array) -> Array:
    """Return delta^L for the cost of a network, with sigma'(z^L) cancelled in the formula where the cost allows it."""
    L = len(net.sizes)
    return net.cost_function.delta(net.layers[-1].activation, passed.z[L], passed.a[L], y)


def backward_pass(W: ByLayer, sigma_prime: Functions, z: ByLayer, output_error: Array) -> ByLayer:
    """Return the error of every layer from the error of the output layer, by (BP2) for l = L - 1, ..., 2."""
    L = max(W)
    delta = {L: output_error}
    for l in range(L - 1, 1, -1):
        delta[l] = backpropagated_error(W[l + 1], delta[l + 1], sigma_prime[l](z[l]))
    return delta


def gather(
    net: Network, passed: Feedforward, delta: ByLayer, y: Array, activations: dict[int, str] | None = None
) -> Backpropagation:
    """Compute the gradients from a forward pass and its errors, by (BP3) and (BP4), and return all of them together."""
    z, a = passed
    layers = range(2, len(net.sizes) + 1)
    return Backpropagation(
        cost=float(net.cost_function.function(z[layers[-1]], passed.output, y).mean()),
        z=z,
        a=a,
        delta={l: delta[l] for l in layers},
        nabla_w={l: weight_gradient(delta[l], a[l - 1]) for l in layers},
        nabla_b={l: bias_gradient(delta[l]) for l in layers},
        activations=activations or {l: net.layers[l - 2].activation.name for l in layers},
    )


class Step(NamedTuple):
    """A step of gradient descent.

    Attributes
    ----------
    W, b : dict of int to ndarray
        The weights (n_l, n_{l-1}) and biases (n_l, 1) of layers 2 to L after the step.
    theta : ndarray of shape (n_parameters,)
        The same as one vector. ``net.theta = step.theta`` changes the network.
    passed : Backpropagation
        The results of backpropagation before the step.
    """

    W: ByLayer
    b: ByLayer
    theta: Array
    passed: Backpropagation


def gradient_descent_step(net: Network, X: ArrayLike, Y: ArrayLike, learning_rate: float) -> Step:
    """Return the parameters after one step of gradient descent on a mini-batch.

    Parameters
    ----------
    net : Network
        The network. It is not changed.
    X : array_like of shape (n_1, m)
        Inputs, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs, or labels.
    learning_rate : float
        The learning rate, eta in the book.

    Returns
    -------
    Step

    Raises
    ------
    TypeError
        If `net` is not a network, or if X, Y or the learning rate is not made of real numbers.
    ValueError
        If X or Y has the wrong shape or no column, if it holds NaN or inf, if a label or target is out of range, or if
        the learning rate is not positive.

    Notes
    -----
    W^l -> W^l - eta/m sum_x delta^{x,l} (a^{x,l-1})^T and b^l -> b^l - eta/m sum_x delta^{x,l}: this is step 3 of the
    algorithm for a mini-batch in M. Nielsen, *Neural Networks and Deep Learning*, ch. 2.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], dtype="float64", rng=0)
    >>> X, y = np.eye(2), [0, 1]
    >>> before = net.cost(X, y)
    >>> net.theta = gradient_descent_step(net, X, y, learning_rate=0.5).theta
    >>> net.cost(X, y) < before
    True
    """
    eta = as_number("learning_rate", learning_rate, positive=True)
    passed = backpropagation(net, X, Y)
    W, b = parameters(net)
    for l in W:
        W[l] = W[l] - eta * passed.nabla_w[l]
        b[l] = b[l] - eta * passed.nabla_b[l]
    return Step(W, b, flat(W, b), passed)
