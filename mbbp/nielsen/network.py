"""The book's network.py: stochastic gradient descent for the quadratic cost (chapters 1 and 2)."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from mbbp.nielsen.book import BookNetwork, count_correct, draw_parameters, has_originals, take_step
from mbbp.nielsen.epochs import Epochs
from mbbp.nielsen.overrides import original
from mbbp.nielsen.pairs import Pair, Pairs, as_evaluation
from mbbp.parameters import Array
from mbbp.validation import as_count


class Network(BookNetwork):
    """A feedforward network whose weights and biases are drawn from N(0, 1).

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first: [784, 30, 10].
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
    >>> from mbbp.nielsen import network
    >>> net = network.Network([2, 3, 1])
    >>> net.SGD([(np.zeros((2, 1)), np.ones((1, 1)))], 2, 10, 3.0)
    Epoch 0 complete
    Epoch 1 complete
    """

    _functions = sys.modules[__name__]
    _monitors = ("feedforward", "evaluate")

    def __init__(self, sizes: Iterable[int], *, dtype: Any = "float64") -> None:
        super().__init__(sizes, dtype)
        draw_parameters(self, lambda n_in: 1.0)

    def SGD(  # noqa: N802 -- the book's name
        self,
        training_data: Iterable[Pair],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Iterable[Pair] | None = None,
    ) -> None:
        """Train by mini-batch stochastic gradient descent, and print a line after every epoch.

        Ctrl-C ends the training within a fraction of a second. What was learnt until then is kept.

        Parameters
        ----------
        training_data : list of pairs (x, y)
            Columns (n_in, 1) and (n_L, 1): inputs and desired outputs. A list is shuffled in place. Any other iterable
            is accepted too.
        epochs : int
            How many times to train on all pairs.
        mini_batch_size : int
            The number of pairs in a mini-batch. The last mini-batch of an epoch has the pairs that are left.
        eta : float
            The learning rate.
        test_data : list of pairs (x, y), optional
            Columns and their labels, for an evaluation after every epoch.

        Raises
        ------
        ValueError
            If a number is out of range, there is no pair, or an x, a y or a label has the wrong shape or is not finite.
        TypeError
            If the data are not iterable, or a number or an array has the wrong type.

        Notes
        -----
        All arguments are checked before anything changes.
        """
        count = as_count("epochs", epochs, least=0)
        test = as_evaluation("test_data", test_data, self)
        if test is not None and has_originals(self, *self._monitors):
            test.check("inputs", "labels")
        with Epochs(self, training_data, mini_batch_size, eta) as training:
            for number in range(count):
                training.run()
                if test is None:
                    print(f"Epoch {number} complete")
                    continue
                right = self.evaluate(test if has_originals(self, "evaluate") else test.as_list())
                print(f"Epoch {number}: {right} / {len(test)}")

    @original
    def update_mini_batch(self, mini_batch: Iterable[Pair], eta: float) -> None:
        """Take a step of gradient descent on one mini-batch.

        Parameters
        ----------
        mini_batch : list of pairs (x, y)
            Inputs and desired outputs.
        eta : float
            The learning rate.

        Raises
        ------
        ValueError
            If there is no pair, an x or a y is not a column of finite numbers, or `eta` is negative, NaN or inf.
        TypeError
            If the mini-batch is not iterable, or a number or an array has the wrong type.
        """
        take_step(self, mini_batch, eta)

    @original
    def evaluate(self, test_data: Iterable[Pair] | Pairs) -> int:
        """Return for how many pairs (x, label) the output neuron with the largest activation is that of the label.

        Raises
        ------
        ValueError
            If an x is not a column of finite numbers, or a label is not one finite number.
        TypeError
            If the data are not iterable, or an x or a label does not hold real numbers.
        """
        return count_correct(self, Pairs.of("test_data", test_data, self))

    @original
    def cost_derivative(self, output_activations: Array, y: Array) -> Array:
        """Return the partial derivatives of C_x with respect to the output activations, (n_L, 1)."""
        return output_activations - y

    def _output_error(self, z: Array, a: Array, y: Array) -> Array:
        return self.cost_derivative(a, y) * sigmoid_prime(z)

    def _compiled_cost(self) -> str | None:
        return "quadratic" if has_originals(self, "backprop", "cost_derivative") else None


@original
def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z))."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-z))


@original
def sigmoid_prime(z: Array) -> Array:
    """Return sigma(z) (1 - sigma(z))."""
    return sigmoid(z) * (1 - sigmoid(z))
