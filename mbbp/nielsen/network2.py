"""The book's network2.py: the cross-entropy cost, better initial weights, L2, and monitoring (chapter 3)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mbbp.files import write_text
from mbbp.nielsen.book import (
    BookNetwork,
    compiled_for_outputs,
    count_correct,
    draw_parameters,
    has_originals,
    take_step,
)
from mbbp.nielsen.epochs import Epochs
from mbbp.nielsen.mnist_loader import vectorized_result
from mbbp.nielsen.overrides import original
from mbbp.nielsen.pairs import Pair, Pairs, as_evaluation
from mbbp.nielsen.saved import read_saved
from mbbp.parameters import Array
from mbbp.validation import as_count, as_dtype, as_flag, as_number

Monitored = tuple[list[float], list[int], list[float], list[int]]


class QuadraticCost:
    """The cost 1/2 |a - y|^2."""

    @staticmethod
    def fn(a: Array, y: Array) -> float:
        """Return the cost of an output for a desired output, both (n_L, 1); for both (n_L, m), the sum of m costs."""
        return 0.5 * float(np.linalg.norm(a - y)) ** 2

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Array:
        """Return the output error delta^L."""
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    """The cost -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)]."""

    @staticmethod
    def fn(a: Array, y: Array) -> float:
        """Return the cost of an output for a desired output, both (n_L, 1); for both (n_L, m), the sum of m costs.

        Where an output is exactly the desired 0 or 1, its term 0 ln 0 counts as 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)))

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Array:
        """Return the output error delta^L, from which sigma'(z) has cancelled out."""
        return a - y


# The functions for which compiled code can stand in: those of the network's cost must be exactly these.
_FN = (("quadratic", QuadraticCost.fn), ("cross_entropy", CrossEntropyCost.fn))
_DELTA = (("quadratic", QuadraticCost.delta), ("cross_entropy", CrossEntropyCost.delta))


def _named(function: Any, table: tuple[tuple[str, Any], ...]) -> str | None:
    return next((name for name, one in table if one is function), None)


class Network(BookNetwork):
    """A feedforward network.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first: [784, 30, 10].
    cost : class
        CrossEntropyCost, QuadraticCost, or a custom class with static methods `fn(a, y)` and `delta(z, a, y)`.
    dtype : {"float64", "float32"}
        The dtype of the parameters and of all computations. The book's is float64.

    Raises
    ------
    ValueError
        If there are fewer than two layers, a layer has no neuron, or the dtype is another one.
    TypeError
        If the sizes are not whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from mbbp.nielsen import network2
    >>> net = network2.Network([2, 3, 1], cost=network2.QuadraticCost)
    >>> pairs = [(np.zeros((2, 1)), np.ones((1, 1)))]
    >>> evaluation_cost, _, _, training_accuracy = net.SGD(pairs, 1, 10, 0.5, monitor_training_accuracy=True)
    Epoch 0 training complete
    Accuracy on training data: 1 / 1
    <BLANKLINE>
    >>> evaluation_cost, training_accuracy
    ([], [1])
    """

    _functions = sys.modules[__name__]
    _monitors = ("feedforward", "accuracy", "total_cost")

    def __init__(self, sizes: Iterable[int], cost: Any = CrossEntropyCost, *, dtype: Any = "float64") -> None:
        super().__init__(sizes, dtype)
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self) -> None:
        """Draw biases from N(0, 1), and weights from N(0, 1/n_in)."""
        draw_parameters(self, np.sqrt)

    def large_weight_initializer(self) -> None:
        """Draw biases and weights from N(0, 1), as in chapter 1."""
        draw_parameters(self, lambda n_in: 1.0)

    def SGD(  # noqa: N802 -- the book's name
        self,
        training_data: Iterable[Pair],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        lmbda: float = 0.0,
        evaluation_data: Iterable[Pair] | None = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
        early_stopping_n: int = 0,
    ) -> Monitored:
        """Train by mini-batch stochastic gradient descent, and print the monitored figures after every epoch.

        Ctrl-C ends the training within a fraction of a second. What was learnt until then is kept.

        Parameters
        ----------
        training_data : list of pairs (x, y)
            Columns (n_in, 1) and (n_L, 1): inputs and desired outputs. A list is shuffled in place. Any other iterable
            is accepted too.
        epochs : int
            How many times to train on all pairs, at most.
        mini_batch_size : int
            The number of pairs in a mini-batch. The last mini-batch of an epoch has the pairs that are left.
        eta : float
            The learning rate.
        lmbda : float
            The regularization parameter: each step multiplies the weights by 1 - eta lmbda / n, for n pairs.
        evaluation_data : list of pairs (x, y)
            Columns and their labels.
        monitor_evaluation_cost, monitor_evaluation_accuracy, monitor_training_cost, monitor_training_accuracy : bool
            Which figures to compute, print and return.
        early_stopping_n : int
            Stop after this many epochs without a better accuracy: on the evaluation data if that accuracy is monitored,
            otherwise on the training data. 0 means never.

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : list
            A number for each epoch; empty where it is not monitored. An accuracy is the number of right answers.

        Raises
        ------
        ValueError
            If a number is out of range, there is no pair, an x, a y or a label has the wrong shape or is not finite, or
            what a monitored figure or early stopping needs is missing.
        TypeError
            If the data are not iterable, or a number, a flag or an array has the wrong type.

        Notes
        -----
        All arguments are checked before anything changes.
        """
        count = as_count("epochs", epochs, least=0)
        monitor_evaluation_cost = as_flag("monitor_evaluation_cost", monitor_evaluation_cost)
        monitor_evaluation_accuracy = as_flag("monitor_evaluation_accuracy", monitor_evaluation_accuracy)
        monitor_training_cost = as_flag("monitor_training_cost", monitor_training_cost)
        monitor_training_accuracy = as_flag("monitor_training_accuracy", monitor_training_accuracy)
        stopping = _Stopping(as_count("early_stopping_n", early_stopping_n, least=0))
        if stopping.patience and not (monitor_evaluation_accuracy or monitor_training_accuracy):
            raise ValueError(
                f"early_stopping_n: expected 0 where no accuracy is monitored, got {stopping.patience}; "
                "pass monitor_evaluation_accuracy=True or monitor_training_accuracy=True"
            )
        evaluation = as_evaluation("evaluation_data", evaluation_data, self)
        if evaluation is None:
            if monitor_evaluation_cost or monitor_evaluation_accuracy:
                raise ValueError(
                    "evaluation_data: expected pairs (x, label), got none; "
                    "monitor_evaluation_cost and monitor_evaluation_accuracy need them"
                )
            evaluation = Pairs("evaluation_data", [], self)
        elif has_originals(self, *self._monitors):
            if monitor_evaluation_accuracy:
                evaluation.check("inputs", "labels")
            if monitor_evaluation_cost and _named(self.cost.fn, _FN):
                evaluation.check("inputs")
                evaluation.unit_vectors(vectorized_result)

        evaluation_cost: list[float] = []
        evaluation_accuracy: list[int] = []
        training_cost: list[float] = []
        training_accuracy: list[int] = []
        with Epochs(self, training_data, mini_batch_size, eta, lmbda) as training:
            for number in range(count):
                training.run()
                print(f"Epoch {number} training complete")
                if monitor_training_cost:
                    cost = self.total_cost(self._given("total_cost", training.pairs), lmbda)
                    training_cost.append(cost)
                    print(f"Cost on training data: {cost}")
                if monitor_training_accuracy:
                    accuracy = self.accuracy(self._given("accuracy", training.pairs), convert=True)
                    training_accuracy.append(accuracy)
                    print(f"Accuracy on training data: {accuracy} / {training.n}")
                if monitor_evaluation_cost:
                    cost = self.total_cost(self._given("total_cost", evaluation), lmbda, convert=True)
                    evaluation_cost.append(cost)
                    print(f"Cost on evaluation data: {cost}")
                if monitor_evaluation_accuracy:
                    accuracy = self.accuracy(self._given("accuracy", evaluation))
                    evaluation_accuracy.append(accuracy)
                    if not has_originals(self, "accuracy"):
                        accuracy = self.accuracy(evaluation.as_list())  # the book calls it again for the line
                    print(f"Accuracy on evaluation data: {accuracy} / {len(evaluation)}")
                print()
                if stopping.patience and stopping.is_over((evaluation_accuracy or training_accuracy)[-1]):
                    break
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def _given(self, method: str, pairs: Pairs) -> Any:
        return pairs if has_originals(self, method) else pairs.as_list()

    @original
    def update_mini_batch(self, mini_batch: Iterable[Pair], eta: float, lmbda: float, n: int) -> None:
        """Take a step of gradient descent on one mini-batch.

        Parameters
        ----------
        mini_batch : list of pairs (x, y)
            Inputs and desired outputs.
        eta : float
            The learning rate.
        lmbda : float
            The regularization parameter.
        n : int
            The number of pairs in the whole training set.

        Raises
        ------
        ValueError
            If there is no pair, an x or a y is not a column of finite numbers, or a number is out of range.
        TypeError
            If the mini-batch is not iterable, or a number or an array has the wrong type.
        """
        take_step(self, mini_batch, eta, lmbda, n)

    @original
    def accuracy(self, data: Iterable[Pair] | Pairs, convert: bool = False) -> int:
        """Return for how many pairs (x, y) the output neuron with the largest activation is the right one.

        Parameters
        ----------
        data : list of pairs (x, y)
            Columns and their labels.
        convert : bool
            Whether each y is a column (n_L, 1), as in training data. The label is then the row of its largest entry.

        Raises
        ------
        ValueError
            If an x or a column y has the wrong shape or is not finite, or a label is not one finite number.
        TypeError
            If the data are not iterable, or an x or a y does not hold real numbers.
        """
        return count_correct(self, Pairs.of("data", data, self), convert=as_flag("convert", convert))

    @original
    def total_cost(self, data: Iterable[Pair] | Pairs, lmbda: float, convert: bool = False) -> float:
        """Return the mean cost of the n pairs, plus lmbda / 2n times the sum of the squared weights.

        Parameters
        ----------
        data : list of pairs (x, y)
            Columns (n_in, 1) and (n_L, 1).
        lmbda : float
            The regularization parameter.
        convert : bool
            Whether each y is a label, which `vectorized_result` turns into a column.

        Raises
        ------
        ValueError
            If there is no pair, an x or a y has the wrong shape or is not finite, or `vectorized_result` fails.
        TypeError
            If the data are not iterable, or an x or a y does not hold real numbers.
        """
        pairs = Pairs.of("data", data, self)
        pairs.check_not_empty()
        factor = as_number("lmbda", lmbda, least=-math.inf)
        convert = as_flag("convert", convert)
        squares = sum(np.linalg.norm(w) ** 2 for w in self.weights)
        return self._mean_cost(pairs, convert) + 0.5 * (factor / len(pairs)) * float(squares)

    def _mean_cost(self, pairs: Pairs, convert: bool) -> float:
        name = _named(self.cost.fn, _FN)
        compiled = compiled_for_outputs(self, name) if name else None
        if compiled is not None:
            targets = pairs.unit_vectors(vectorized_result) if convert else pairs.targets
            if self.dtype == np.float32:  # from z = 17 on its outputs are exactly 1, and the book's logarithms infinite
                return compiled.mean_cost(pairs, targets)
            with np.errstate(over="ignore"):
                total = float(self.cost.fn(compiled.outputs(pairs), targets.T))
            if np.isfinite(total):
                return total / len(pairs)
        mean = 0.0
        for x, y in pairs.list:
            mean += self.cost.fn(self.feedforward(x), vectorized_result(y) if convert else y) / len(pairs)
        return mean

    def save(self, filename: str | Path) -> None:
        """Write the network as JSON, for `load`: sizes, weights, biases, and the name of the cost.

        An old file of this name is replaced only after the new one has been written completely.

        Raises
        ------
        ValueError
            If a parameter is NaN or inf: `load` would refuse the file.
        OSError
            If the file cannot be written.
        """
        if not all(np.isfinite(one).all() for one in [*self.weights, *self.biases]):
            raise ValueError("net: expected finite parameters, got NaN or inf")
        text = json.dumps(
            {
                "sizes": list(self.sizes),
                "weights": [w.tolist() for w in self.weights],
                "biases": [b.tolist() for b in self.biases],
                "cost": getattr(self.cost, "__name__", type(self.cost).__name__),
            }
        )
        write_text(filename, text)

    def _output_error(self, z: Array, a: Array, y: Array) -> Array:
        error: Array = self.cost.delta(z, a, y)
        return error

    def _compiled_cost(self) -> str | None:
        return _named(self.cost.delta, _DELTA) if has_originals(self, "backprop") else None


class _Stopping:
    """Counts the epochs since the best accuracy."""

    def __init__(self, patience: int) -> None:
        self.patience, self._best, self._since = patience, 0, 0

    def is_over(self, accuracy: int) -> bool:
        self._since = 0 if accuracy > self._best else self._since + 1
        self._best = max(self._best, accuracy)
        return self._since == self.patience


def load(filename: str | Path, *, dtype: Any = "float64") -> Network:
    """Read a network that `save` wrote, or the book's program.

    Parameters
    ----------
    filename : path
        The file.
    dtype : {"float64", "float32"}
        The dtype of the network.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file does not hold a network, a parameter is no finite number of this dtype, or the cost is not a class
        of this module.
    """
    saved = read_saved(filename, as_dtype(dtype))
    cost = getattr(sys.modules[__name__], saved.cost, None)
    if not (hasattr(cost, "fn") and hasattr(cost, "delta")):
        raise ValueError(
            f"filename: expected the cost to be a class of {__name__}, got {saved.cost!r:.100} in {str(filename)!r}; "
            f"for a custom cost, assign its class to {__name__}.{saved.cost:.100} first"
        )
    net = Network(saved.sizes, cost=cost, dtype=dtype)
    net.weights, net.biases = saved.weights, saved.biases
    return net


@original
def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z))."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-z))


@original
def sigmoid_prime(z: Array) -> Array:
    """Return sigma(z) (1 - sigma(z))."""
    return sigmoid(z) * (1 - sigmoid(z))
