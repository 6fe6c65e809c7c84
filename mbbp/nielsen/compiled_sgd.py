"""Compiled training, outputs and costs for a network whose parameters are lists of weights and biases."""

from __future__ import annotations

import numpy as np

from mbbp.activations import ACTIVATIONS
from mbbp.arrays import as_numeric_array
from mbbp.costs import COSTS
from mbbp.engine import Engine
from mbbp.kernels.examples import Examples
from mbbp.loop import Loop
from mbbp.nielsen.pairs import Pairs
from mbbp.nielsen.protocol import HasParameters
from mbbp.optimizer_state import Rates
from mbbp.optimizers import SGD
from mbbp.parameters import Array, parameter_count, parameter_views

# Ctrl-C is handled between two calls of the compiled loop. A call is given about PIECE multiplications, which take
# a tenth of a second. Each step takes as long as STEP multiplications in addition to its own.
PIECE, STEP = 2_000_000_000, 20_000


class CompiledSGD:
    """The compiled code for one network. It works on a copy of the parameters, which `train` reads and writes back.

    Parameters
    ----------
    net : HasParameters
        The network; the sizes follow from its weights.
    cost : {"quadratic", "cross_entropy"}
        The cost that `train` makes smaller and that `mean_cost` returns.

    Raises
    ------
    ValueError
        If the shapes of the weights and biases are not those of a feedforward network.
    TypeError
        If one of them does not hold real numbers.
    """

    def __init__(self, net: HasParameters, cost: str) -> None:
        weights = [as_numeric_array(f"weights[{i}]", w) for i, w in enumerate(net.weights)]
        if not weights or any(w.ndim != 2 for w in weights):
            shapes = ", ".join(str(w.shape) for w in weights)
            raise ValueError(f"weights: expected a list of matrices, one for each layer, got shapes [{shapes}]")
        sizes = [weights[0].shape[1], *(w.shape[0] for w in weights)]
        self.net, self.cost = net, cost
        theta = np.zeros(parameter_count(sizes), net.dtype)
        self._weights, self._biases = parameter_views(theta, sizes)
        self._engine = Engine(sizes, theta, [ACTIVATIONS["sigmoid"]] * (len(sizes) - 1), COSTS[cost])
        self.read()

    def read(self) -> None:
        """Copy the network's weights and biases to here."""
        for name in ("weights", "biases"):
            given = getattr(self.net, name)
            views = self._weights if name == "weights" else self._biases
            if len(given) != len(views):
                raise ValueError(f"{name}: expected {len(views)} arrays, got {len(given)}")
            for i, (value, view) in enumerate(zip(given, views, strict=True)):
                array = as_numeric_array(f"{name}[{i}]", value)
                if array.shape != view.shape:
                    raise ValueError(f"{name}[{i}]: expected shape {view.shape}, got {array.shape}")
                with np.errstate(over="ignore"):
                    view[...] = array

    def write(self) -> None:
        """Give the network new lists of new arrays, as every step of the book does: the old arrays do not change."""
        weights = [np.array(W, order="C") for W in self._weights]
        biases = [b.copy() for b in self._biases]
        self.net.weights, self.net.biases = weights, biases

    def outputs(self, pairs: Pairs) -> Array:
        """Return the outputs a^L for the x of each pair, (n_L, n)."""
        outputs = self._engine.predict(pairs.inputs)
        assert outputs is not None, "pairs are checked for NaN and inf when their matrices are made"
        return outputs.T

    def mean_cost(self, pairs: Pairs, targets: Array) -> float:
        """Return the mean cost for the x of each pair and the rows of targets (n, n_L)."""
        return self._engine.score(self._examples(pairs.inputs, targets)).cost

    def train(self, pairs: Pairs, order: Array, mini_batch_size: int, eta: float, decay: float) -> bool:
        """Train on the pairs in this order, one mini-batch after the other, and write the new parameters.

        Ctrl-C ends the training within a fraction of a second. What was learnt until then is written too.

        Parameters
        ----------
        pairs : Pairs
            The training set.
        order : int64 (n,)
            The indices of the pairs.
        mini_batch_size : int
            At least 1.
        eta, decay : float
            The learning rate, and the book's lambda / n: each step multiplies the weights by 1 - eta decay.

        Returns
        -------
        bool
            Whether all numbers stayed finite. If not, the network is unchanged.

        Raises
        ------
        ValueError
            If the weights and biases have other shapes than before, or an x or a y is not a column of finite numbers.
        TypeError
            If the weights, the biases, an x or a y do not hold real numbers.
        """
        self.read()
        theta, m, sgd = self._engine.theta, min(mini_batch_size, order.size), SGD()
        loop = Loop(self._engine, self._examples(pairs.inputs, pairs.targets), m)
        step = sgd.step(theta, loop.gradient, sgd.start(theta.size, theta.dtype), Rates(eta, decay))
        piece = m * max(1, PIECE // (5 * theta.size * m + STEP))
        is_finite = True
        try:
            for start in range(0, order.size, piece):
                if not loop.run(order[start : start + piece], step):
                    is_finite = False
                    break
        finally:
            is_finite = is_finite and bool(np.isfinite(theta).all())
            if is_finite:
                self.write()
        return is_finite

    def _examples(self, inputs: Array, targets: Array) -> Examples:
        """Return examples whose hits are not counted: that is done by the book's own rule."""
        return Examples(inputs, targets, np.empty(0, np.int64), np.empty(0, self._engine.dtype))
