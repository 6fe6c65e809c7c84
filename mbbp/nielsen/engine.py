"""A network's lists of weights and biases in the hands of the compiled engine."""

from typing import TYPE_CHECKING

import numpy as np

from mbbp.kernels.propagation import Examples
from mbbp.network import Network
from mbbp.nielsen.pairs import Pairs
from mbbp.optimizers import SGD
from mbbp.parameters import Array
from mbbp.stepping import Stepper
from mbbp.validation import as_example_weights, as_numeric_array, labels_of

if TYPE_CHECKING:
    from mbbp.nielsen.book import Book

# Multiplications, about, between two looks for Ctrl-C: a tenth of a second. A step costs what STEP of them do on top.
PIECE, STEP = 2_000_000_000, 20_000

BLOCK = 4096  # examples that are widened together, where they are kept in float32 for a float64 network


class Engine:
    """The engine for one network; it has parameters of its own, and reads the network's whenever it is asked for work.

    Parameters
    ----------
    net : Book
        Its weights say what the sizes are.
    cost : {"quadratic", "cross_entropy"}
        What it trains for.

    Raises
    ------
    ValueError, TypeError
        If the network's weights and biases are not those of a feedforward network.
    """

    def __init__(self, net: "Book", cost: str) -> None:
        weights = [as_numeric_array(f"weights[{i}]", w) for i, w in enumerate(net.weights)]
        if not weights or any(w.ndim != 2 for w in weights):
            shapes = ", ".join(str(w.shape) for w in weights)
            raise ValueError(f"weights: a list of matrices, one for each layer, is wanted, got shapes [{shapes}]")
        sizes = [weights[0].shape[1], *(w.shape[0] for w in weights)]
        self.net, self.cost = net, cost
        self.network = Network(sizes, "sigmoid", cost, net.dtype, lambda rng, n_in, n_out: _zeros(n_in, n_out))
        self.read()

    def read(self) -> None:
        """Take over the network's weights and biases."""
        for name in ("weights", "biases"):
            given = getattr(self.net, name)
            views = [layer.W if name == "weights" else layer.b for layer in self.network.layers]
            if len(given) != len(views):
                raise ValueError(f"{name}: {len(views)} arrays are wanted, got {len(given)}")
            for i, (value, view) in enumerate(zip(given, views, strict=True)):
                array = as_numeric_array(f"{name}[{i}]", value)
                if array.shape != view.shape:
                    raise ValueError(f"{name}[{i}]: shape {view.shape} is wanted, got {array.shape}")
                with np.errstate(over="ignore"):
                    view[...] = array

    def write(self) -> None:
        """Give the network new lists of new arrays, as every step of the book's does: old ones stay what they were."""
        weights = [np.array(layer.W, order="C") for layer in self.network.layers]
        biases = [layer.b.copy() for layer in self.network.layers]
        self.net.weights, self.net.biases = weights, biases

    def outputs(self, pairs: Pairs) -> Array:
        """Return the outputs a^L for the x of each pair, (n_L, n)."""
        inputs, n = pairs.inputs, len(pairs)
        if inputs.dtype == self.network.dtype:
            return self.network.feedforward(inputs.T)
        blocks = (inputs[start : start + BLOCK].astype(self.network.dtype) for start in range(0, n, BLOCK))
        return np.hstack([self.network.feedforward(block.T) for block in blocks])

    def mean_cost(self, pairs: Pairs, targets: Array) -> float:
        """Return the mean cost for the x of each pair and the rows of targets (n, n_L)."""
        return self.network.score(self._examples(pairs.inputs, targets, labels_of(targets.T)))[0]

    def train(self, pairs: Pairs, order: Array, mini_batch_size: int, eta: float, decay: float) -> bool:
        """Train on the pairs in this order, one mini-batch after the other, and write what comes of it.

        Ctrl-C ends it within a fraction of a second; what was learnt until then is written too.

        Parameters
        ----------
        pairs : Pairs
            The training set.
        order : int64 (n,)
            The numbers of the pairs.
        mini_batch_size : int
            At least 1.
        eta, decay : float
            The learning rate, and the book's lambda / n: each step multiplies the weights by 1 - eta decay.

        Returns
        -------
        bool
            Whether all stayed finite. If not, the network has been left as it was.

        Raises
        ------
        ValueError, TypeError
            If the pairs or the network are not what they should be.
        """
        self.read()
        network, m = self.network, min(mini_batch_size, order.size)
        examples = self._examples(pairs.inputs, pairs.targets, pairs.answers)
        optimizer = SGD().compiled(eta, decay, None, *SGD().start(network.theta.size, network.dtype))
        stepper, totals = Stepper(network.model, examples, m), np.zeros(4)
        piece = m * max(1, PIECE // (5 * network.theta.size * m + STEP))
        is_finite = True
        if stepper.threads > 1:
            stepper.run(order[:0], optimizer, totals)  # what is to be compiled is compiled before they need each other
        try:
            for start in range(0, order.size, piece):
                if not stepper.run(order[start : start + piece], optimizer, totals):
                    is_finite = False
                    break
        finally:
            is_finite = is_finite and bool(np.isfinite(network.theta).all())
            if is_finite:
                self.write()
        return is_finite

    def _examples(self, inputs: Array, targets: Array, labels: Array) -> Examples:
        pixels = np.empty((0, inputs.shape[1]), np.uint8)
        pixels.flags.writeable = False
        return Examples(inputs, pixels, targets, as_example_weights("", None, 0, self.network.dtype), labels)


def _zeros(n_in: int, n_out: int) -> tuple[Array, Array]:
    return np.zeros((n_out, n_in)), np.zeros((n_out, 1))
