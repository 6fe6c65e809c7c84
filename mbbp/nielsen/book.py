"""What the book's two networks share: parameters, backpropagation of one example, steps, and counting right answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from itertools import pairwise
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from mbbp.arrays import as_numeric_array
from mbbp.nielsen.compiled_sgd import CompiledSGD
from mbbp.nielsen.overrides import is_original, original
from mbbp.nielsen.pairs import Pair, Pairs, TrainingPairs
from mbbp.parameters import Array
from mbbp.validation import as_dtype, as_number, as_sizes


def gaussian(n_rows: int, n_columns: int) -> Array:
    """Draw a matrix from N(0, 1), with the generator that `numpy.random.seed` seeds, as the book does."""
    return np.random.randn(n_rows, n_columns)  # noqa: NPY002


class BookNetwork(ABC):
    """A feedforward network of sigmoid neurons, with the book's names.

    Attributes
    ----------
    num_layers : int
        The number of layers, including the input layer.
    sizes : list of int
        The number of neurons in each layer.
    weights, biases : list of ndarray
        Of shapes (n_l, n_{l-1}) and (n_l, 1), for the layers from the second on. Both may be assigned.
    dtype : dtype
        The dtype of the parameters and of all computations.
    """

    # Names that are not the book's begin with an underscore, so that a reader's subclass does not redefine them.
    _functions: ClassVar[ModuleType]  # the module in which sigmoid and sigmoid_prime are looked up at each use
    _monitors: ClassVar[tuple[str, ...]]  # the methods that are called after each epoch
    dtype: np.dtype[Any] = np.dtype(np.float64)
    update_mini_batch: Callable[..., None]

    def __init__(self, sizes: Iterable[int], dtype: Any) -> None:
        self.dtype = as_dtype(dtype)
        self.sizes = list(as_sizes(sizes))
        self.num_layers = len(self.sizes)
        self.weights: list[Array] = []
        self.biases: list[Array] = []

    @abstractmethod
    def _output_error(self, z: Array, a: Array, y: Array) -> Array:
        """Return the output error delta^L (BP1)."""

    @abstractmethod
    def _compiled_cost(self) -> str | None:
        """Return the cost for which compiled code may train, or None if custom code takes part in the gradient."""

    @original
    def feedforward(self, a: Array) -> Array:
        """Return the output of the network for the input `a`.

        Parameters
        ----------
        a : ndarray of shape (n_in, 1)
            One input, or m inputs (n_in, m).

        Returns
        -------
        ndarray of shape (n_L, 1)
            The output, or the outputs (n_L, m).

        Raises
        ------
        TypeError
            If `a` does not hold real numbers.
        ValueError
            If `a` has the wrong shape.
        """
        a = as_book_columns("a", a, np.shape(self.weights[0])[1])
        for w, b in zip(self.weights, self.biases, strict=True):
            a = self._functions.sigmoid(np.dot(w, a) + b)
        return a

    @original
    def backprop(self, x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        """Return the gradient of the cost C_x of one example.

        Parameters
        ----------
        x, y : ndarray of shapes (n_in, 1), (n_L, 1)
            The input and the desired output.

        Returns
        -------
        nabla_b, nabla_w : list of ndarray
            Of the same shapes as `biases` and `weights`.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers, or `y` does not where the cost is one of the book's.
        ValueError
            If `x` or `y` has the wrong shape.
        """
        x = as_book_columns("x", x, np.shape(self.weights[0])[1], 1)
        if self._compiled_cost() is not None:
            y = as_book_columns("y", y, np.shape(self.weights[-1])[0], 1)
        zs: list[Array] = []
        activations = [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(self._functions.sigmoid(zs[-1]))
        delta = self._output_error(zs[-1], activations[-1], y)  # BP1
        nabla_b, nabla_w = [delta], [np.dot(delta, activations[-2].T)]  # BP3, BP4
        for i in range(2, len(activations)):
            delta = np.dot(self.weights[-i + 1].T, delta) * self._functions.sigmoid_prime(zs[-i])  # BP2
            nabla_b.insert(0, delta)
            nabla_w.insert(0, np.dot(delta, activations[-i - 1].T))
        return nabla_b, nabla_w


def as_book_columns(argument: str, value: Any, n: int, m: int | None = None) -> Array:
    """Return columns (n, m) as they are. Another shape is refused, because NumPy would broadcast it to a matrix.

    Raises
    ------
    TypeError
        If they do not hold real numbers.
    ValueError
        If they have another shape.
    """
    columns = as_numeric_array(argument, value)
    if columns.ndim != 2 or columns.shape[0] != n or m not in (None, columns.shape[1]):
        hint = f"; pass {argument}.reshape(-1, 1)" if columns.shape == (n,) else ""
        raise ValueError(f"{argument}: expected shape ({n}, {'m' if m is None else m}), got {columns.shape}{hint}")
    return columns


def has_originals(net: BookNetwork, *methods: str) -> bool:
    """Say whether a network's sigmoid, sigmoid_prime and these methods are the originals, not custom ones."""
    functions = [net._functions.sigmoid, net._functions.sigmoid_prime]
    return all(map(is_original, functions + [getattr(net, name) for name in methods]))


def draw_parameters(net: BookNetwork, scale: Callable[[int], float]) -> None:
    """Draw biases from N(0, 1) and weights from N(0, 1) / scale(n_in), in the book's order."""
    biases = [gaussian(n, 1) for n in net.sizes[1:]]
    weights = [gaussian(n, n_in) / scale(n_in) for n_in, n in pairwise(net.sizes)]
    net.biases = [b.astype(net.dtype) for b in biases]
    net.weights = [w.astype(net.dtype) for w in weights]


def take_step(net: BookNetwork, mini_batch: Iterable[Pair], eta: float, lmbda: float = 0.0, n: int = 1) -> None:
    """Take a step of gradient descent on a mini-batch: the work of `update_mini_batch` of both networks."""
    pairs = TrainingPairs("mini_batch", mini_batch, net)
    pairs.check_not_empty()
    cost = net._compiled_cost()
    if cost is not None:
        rates = as_number("eta", eta), as_number("lmbda", lmbda) / as_number("n", n, positive=True)
        if CompiledSGD(net, cost).train(pairs, pairs.order, len(pairs), *rates):
            return
    take_step_by_example(net, pairs.list, eta, lmbda / n)


def take_step_by_example(net: BookNetwork, mini_batch: list[Pair], eta: float, decay: float) -> None:
    """Take a step of gradient descent as the book does, one example after the other."""
    nabla_b = [np.zeros_like(b) for b in net.biases]
    nabla_w = [np.zeros_like(w) for w in net.weights]
    for x, y in mini_batch:
        delta_nabla_b, delta_nabla_w = net.backprop(x, y)
        nabla_b = [total + part for total, part in zip(nabla_b, delta_nabla_b, strict=True)]
        nabla_w = [total + part for total, part in zip(nabla_w, delta_nabla_w, strict=True)]
    rate = eta / len(mini_batch)
    weights = [(1 - eta * decay) * w - rate * nw for w, nw in zip(net.weights, nabla_w, strict=True)]
    biases = [b - rate * nb for b, nb in zip(net.biases, nabla_b, strict=True)]
    # if the desired outputs are float64, so are the new parameters
    net.weights = [w.astype(net.dtype, copy=False) for w in weights]
    net.biases = [b.astype(net.dtype, copy=False) for b in biases]


def count_correct(net: BookNetwork, pairs: Pairs, *, convert: bool = False) -> int:
    """Return for how many pairs the number of the largest output is y, or with `convert` that of y's largest entry."""
    compiled = compiled_for_outputs(net)
    if compiled is not None and len(pairs):
        labels = pairs.targets.argmax(axis=1) if convert else pairs.labels
        return int(np.count_nonzero(compiled.outputs(pairs).argmax(axis=0) == labels))
    answers = [(np.argmax(net.feedforward(x)), np.argmax(y) if convert else y) for x, y in pairs.list]
    return sum(int(answer == y) for answer, y in answers)


def compiled_for_outputs(net: BookNetwork, cost: str = "quadratic") -> CompiledSGD | None:
    """Return the compiled code with the network's parameters, or None if `feedforward` is custom."""
    return CompiledSGD(net, cost) if has_originals(net, "feedforward") else None
