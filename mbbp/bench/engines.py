"""The engines that are compared: the book's loop, plain NumPy matrices, and this library.

Each does the same work from the same parameters on the same data. What a step is: gather a mini-batch that a shuffled
order names, forward, backward, and an SGD update for the quadratic cost of sigmoid neurons.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mbbp.bench.cases import WHATS, Case, Examples
from mbbp.network import Network
from mbbp.optimizers import SGD
from mbbp.parameters import Array, Gradient, parameter_views
from mbbp.stepping import Stepper

LEARNING_RATE = 0.5


class Engine(ABC):
    """One way to train the network of a case.

    Parameters
    ----------
    case : Case
        The network and its mini-batches.
    examples : Examples
        The data and the initial parameters.

    Attributes
    ----------
    name : str
        What it is called in tables.
    dtype : str
        What it computes in.
    cost : str
        The cost it can train for: ``quadratic``, or what comes nearest to it.
    tracks_memory : bool
        Whether its memory is Python's and NumPy's, so that what a step allocates can be seen.
    whats : tuple of str
        The kinds of work it can do.
    is_peer : bool
        Whether it is somebody else's library: to compile it takes time that is not this run's to save.
    most_flops : float
        Of one unit of work; with more it would take minutes to time it.
    """

    name: ClassVar[str]
    cost: ClassVar[str] = "quadratic"
    tracks_memory: ClassVar[bool] = True
    whats: ClassVar[tuple[str, ...]] = WHATS
    is_peer: ClassVar[bool] = False
    most_flops: ClassVar[float] = math.inf

    def __init__(self, case: Case, examples: Examples) -> None:
        self.case = case
        self.dtype = case.dtype
        self.n = examples.n

    @classmethod
    def missing(cls) -> str | None:
        """Say why it cannot be used here, or None; this is where a peer is imported."""
        return None

    @property
    def pass_length(self) -> int:
        """How many steps are best taken in one call of `run`; 1 where it does not matter."""
        return self.case.steps_per_epoch(self.n) if self.case.what == "epoch" else 1

    @abstractmethod
    def reset(self, theta: Array) -> None:
        """Set all parameters, from a float64 vector in the order of ``net.theta``."""

    @abstractmethod
    def theta(self) -> Array:
        """Return all parameters as a float64 vector in the order of ``net.theta``."""

    @abstractmethod
    def steps(self, order: Array) -> None:
        """Take one step for each ``batch_size`` entries of `order`, whose length is a multiple of it."""

    @abstractmethod
    def gradient(self, columns: Array) -> Any:
        """Return the mean gradient of these examples, in the engine's own form."""

    @abstractmethod
    def flat(self, gradient: Any) -> Array:
        """Return what `gradient` returned as a float64 vector in the order of ``net.theta``."""

    @abstractmethod
    def predict(self, columns: Array) -> Array:
        """Return the outputs (n_L, m) of these examples."""

    def epoch(self, order: Array) -> None:
        """Train for an epoch by the engine's public interface, over as many examples as `order` has."""
        self.steps(order)

    def run(self, order: Array) -> None:
        """Do the work of the case once for each mini-batch of `order`."""
        what, m = self.case.what, self.case.batch_size
        if what in ("step", "epoch"):
            (self.steps if what == "step" else self.epoch)(order)
            return
        work = self.gradient if what == "gradient" else self.predict
        for start in range(0, order.size, m):
            work(order[start : start + m])


def _sigmoid(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-z))


class BookLoop(Engine):
    """The book's network.py: one example after the other, lists of arrays, in float64."""

    name = "per-example"
    precision: ClassVar[str] = "float64"
    most_flops = 1e9

    def __init__(self, case: Case, examples: Examples) -> None:
        super().__init__(case, examples)
        self.dtype = self.precision
        rows, targets = examples.rows(self.dtype)
        self.pairs = [(x.reshape(-1, 1), y.reshape(-1, 1)) for x, y in zip(rows, targets, strict=True)]
        self.eta = np.dtype(self.dtype).type(LEARNING_RATE)
        self.reset(examples.theta)

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        weights, biases = parameter_views(theta.astype(self.dtype), self.case.sizes)
        # row after row, as the book's arrays are
        self.weights = [np.ascontiguousarray(w) for w in weights]
        self.biases = [b.copy() for b in biases]

    def theta(self) -> Array:
        """Return all parameters."""
        return flatten(self.weights, self.biases)

    def output_error(self, z: Array, a: Array, y: Array) -> Array:
        """Return delta^L."""
        return (a - y) * (_sigmoid(z) * (1 - _sigmoid(z)))

    def backprop(self, x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        """Return the gradient of one example's cost, layer by layer."""
        activation, activations, zs = x, [x], []
        for b, w in zip(self.biases, self.weights, strict=True):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = _sigmoid(z)
            activations.append(activation)
        nabla_b = [np.zeros(b.shape, self.dtype) for b in self.biases]
        nabla_w = [np.zeros(w.shape, self.dtype) for w in self.weights]
        delta = self.output_error(zs[-1], activations[-1], y)
        nabla_b[-1], nabla_w[-1] = delta, np.dot(delta, activations[-2].T)
        for i in range(2, len(self.case.sizes)):
            z = zs[-i]
            delta = np.dot(self.weights[-i + 1].T, delta) * (_sigmoid(z) * (1 - _sigmoid(z)))
            nabla_b[-i], nabla_w[-i] = delta, np.dot(delta, activations[-i - 1].T)
        return nabla_b, nabla_w

    def _sums(self, columns: Array) -> tuple[list[Array], list[Array]]:
        nabla_b = [np.zeros(b.shape, self.dtype) for b in self.biases]
        nabla_w = [np.zeros(w.shape, self.dtype) for w in self.weights]
        for i in columns:
            delta_b, delta_w = self.backprop(*self.pairs[i])
            nabla_b = [nb + db for nb, db in zip(nabla_b, delta_b, strict=True)]
            nabla_w = [nw + dw for nw, dw in zip(nabla_w, delta_w, strict=True)]
        return nabla_b, nabla_w

    def steps(self, order: Array) -> None:
        """Take steps."""
        m = self.case.batch_size
        for start in range(0, order.size, m):
            nabla_b, nabla_w = self._sums(order[start : start + m])
            self.weights = [w - (self.eta / m) * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
            self.biases = [b - (self.eta / m) * nb for b, nb in zip(self.biases, nabla_b, strict=True)]

    def gradient(self, columns: Array) -> tuple[list[Array], list[Array]]:
        """Return the mean gradient, layer by layer."""
        nabla_b, nabla_w = self._sums(columns)
        return [nw / columns.size for nw in nabla_w], [nb / columns.size for nb in nabla_b]

    def flat(self, gradient: Any) -> Array:
        """Return a gradient as one vector."""
        return flatten(*gradient)

    def predict(self, columns: Array) -> Array:
        """Return the outputs, one example after the other."""
        outputs = []
        for i in columns:
            a = self.pairs[i][0]
            for b, w in zip(self.biases, self.weights, strict=True):
                a = _sigmoid(np.dot(w, a) + b)
            outputs.append(a)
        return np.hstack(outputs)


class BookLoopFloat32(BookLoop):
    """The same in float32, so that precision is not mistaken for vectorisation."""

    name = "per-example, float32"
    precision = "float32"


class NumpyMatrices(Engine):
    """The matrix form in plain NumPy: a whole mini-batch at once."""

    name = "numpy"

    def __init__(self, case: Case, examples: Examples) -> None:
        super().__init__(case, examples)
        # a row a sample: fancy indexing copies whole rows, and the transpose of that is the mini-batch
        self.rows, self.targets = examples.rows(self.dtype)
        self.rate = np.dtype(self.dtype).type(LEARNING_RATE / case.batch_size)
        self.reset(examples.theta)

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        self.weights, self.biases = parameter_views(theta.astype(self.dtype), self.case.sizes)

    def theta(self) -> Array:
        """Return all parameters."""
        return flatten(self.weights, self.biases)

    def _backward(self, columns: Array) -> tuple[list[Array], list[Array]]:
        """Return each layer's delta A^T and delta 1, the last layer first."""
        a = self.rows[columns].T
        activations = [a]
        for w, b in zip(self.weights, self.biases, strict=True):
            a = _sigmoid(w @ a + b)
            activations.append(a)
        delta = (a - self.targets[columns].T) * a * (1 - a)
        nabla_w, nabla_b = [], []
        for layer in range(len(self.weights) - 1, -1, -1):
            nabla_w.append(delta @ activations[layer].T)
            nabla_b.append(delta.sum(axis=1, keepdims=True))
            if layer:
                a = activations[layer]
                delta = (self.weights[layer].T @ delta) * a * (1 - a)
        return nabla_w[::-1], nabla_b[::-1]

    def steps(self, order: Array) -> None:
        """Take steps."""
        m = self.case.batch_size
        for start in range(0, order.size, m):
            nabla_w, nabla_b = self._backward(order[start : start + m])
            for w, b, nw, nb in zip(self.weights, self.biases, nabla_w, nabla_b, strict=True):
                w -= self.rate * nw
                b -= self.rate * nb

    def gradient(self, columns: Array) -> tuple[list[Array], list[Array]]:
        """Return the mean gradient, layer by layer."""
        nabla_w, nabla_b = self._backward(columns)
        return [nw / columns.size for nw in nabla_w], [nb / columns.size for nb in nabla_b]

    def flat(self, gradient: Any) -> Array:
        """Return a gradient as one vector."""
        return flatten(*gradient)

    def predict(self, columns: Array) -> Array:
        """Return the outputs."""
        a = self.rows[columns].T
        for w, b in zip(self.weights, self.biases, strict=True):
            a = _sigmoid(w @ a + b)
        return a


class Mbbp(Engine):
    """What this library does."""

    name = "mbbp"

    def __init__(self, case: Case, examples: Examples) -> None:
        super().__init__(case, examples)
        self.net = Network(case.sizes, dtype=case.dtype)
        rows, targets = examples.rows(self.dtype)
        self.X, self.Y = rows.T, targets.T
        self.examples = self.net.examples(self.X, self.Y)
        self.optimizer = SGD().compiled(LEARNING_RATE, 0.0, None, *SGD().start(self.net.theta.size, self.net.dtype))
        self.stepper = Stepper(self.net.model, self.examples, case.batch_size)
        self.totals = np.zeros(4)
        self.reset(examples.theta)

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        self.net.theta = theta

    def theta(self) -> Array:
        """Return all parameters."""
        return self.net.theta.astype(np.float64)

    def steps(self, order: Array) -> None:
        """Take steps, by the compiled loop that ``fit`` runs."""
        self.stepper.run(order, self.optimizer, self.totals)

    def gradient(self, columns: Array) -> Gradient:
        """Return the mean gradient, by the public method."""
        return self.net.gradient(self.X.T[columns].T, self.Y.T[columns].T)

    def flat(self, gradient: Any) -> Array:
        """Return a gradient as one vector."""
        return gradient.theta.astype(np.float64)

    def predict(self, columns: Array) -> Array:
        """Return the outputs, by the public method."""
        return self.net.feedforward(self.X.T[columns].T)

    def epoch(self, order: Array) -> None:
        """Train for an epoch by ``fit``: its checks, its shuffle, its history included."""
        X, Y = self.X[:, : order.size], self.Y[:, : order.size]
        self.net.fit(X, Y, epochs=1, batch_size=self.case.batch_size, learning_rate=LEARNING_RATE, progress=False)


def flatten(weights: Sequence[Array], biases: Sequence[Array]) -> Array:
    """Return weights (n_out, n_in) and biases as one float64 vector in the order of ``net.theta``."""
    parts = [part for w, b in zip(weights, biases, strict=True) for part in (w.T.ravel(), b.ravel())]
    return np.concatenate(parts).astype(np.float64)


ENGINES: tuple[type[Engine], ...] = (BookLoop, BookLoopFloat32, NumpyMatrices, Mbbp)
