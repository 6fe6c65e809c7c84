"""The implementations that are compared: the book's loop, plain NumPy matrices, and this library.

All do the same work, with the same initial parameters and the same data. A step of training is: gather the mini-batch
whose indices are next in a shuffled order, forward pass, backward pass, and an SGD update. The network has sigmoid
neurons and the quadratic cost.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mbbp.bench.cases import WHATS, Case, CaseData
from mbbp.loop import Loop
from mbbp.network import Network
from mbbp.optimizer_state import Rates
from mbbp.optimizers import SGD
from mbbp.parameters import Array, Gradient, parameter_views

LEARNING_RATE = 0.5


class Implementation(ABC):
    """One way to train the network of a case.

    Parameters
    ----------
    case : Case
        The network and its mini-batches.
    data : CaseData
        The examples and the initial parameters.

    Attributes
    ----------
    name : str
        Its name in tables.
    dtype : str
        The dtype of its computations.
    cost : str
        The cost that it trains for: ``quadratic``, or the nearest one that it has.
    tracks_memory : bool
        Whether Python and NumPy allocate its memory, so that the allocations of a step can be measured.
    whats : tuple of str
        The kinds of work that it can do.
    is_peer : bool
        Whether it is another library. The time that a peer takes to compile is added to the deadline of the run.
    most_flops : float
        The most floating-point operations in one unit of work for which it is timed; more would take minutes.
    """

    name: ClassVar[str]
    cost: ClassVar[str] = "quadratic"
    tracks_memory: ClassVar[bool] = True
    whats: ClassVar[tuple[str, ...]] = WHATS
    is_peer: ClassVar[bool] = False
    most_flops: ClassVar[float] = math.inf

    def __init__(self, case: Case, data: CaseData) -> None:
        self.case = case
        self.dtype = case.dtype
        self.n = data.n

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot be used here, or None if it can. Peers are imported here."""
        return None

    @property
    def pass_length(self) -> int:
        """The number of steps that one call of `run` should take; 1 where it does not matter."""
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
        """Return the mean gradient of these examples, in the form that the implementation uses."""

    @abstractmethod
    def flat(self, gradient: Any) -> Array:
        """Return a result of `gradient` as a float64 vector in the order of ``net.theta``."""

    @abstractmethod
    def predict(self, columns: Array) -> Array:
        """Return the outputs (n_L, m) of these examples."""

    def epoch(self, order: Array) -> None:
        """Train for an epoch by the public interface, on as many examples as `order` has."""
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


class LayerArrays(Implementation):
    """An implementation that keeps the weights and biases of each layer as NumPy arrays, in two lists."""

    weights: list[Array]
    biases: list[Array]

    def theta(self) -> Array:
        """Return all parameters."""
        return flatten(self.weights, self.biases)

    @abstractmethod
    def _sums(self, columns: Array) -> tuple[list[Array], list[Array]]:
        """Return the sums of the gradients of these examples, for the weights and for the biases."""

    def gradient(self, columns: Array) -> tuple[list[Array], list[Array]]:
        """Return the mean gradient, for the weights and for the biases."""
        nabla_w, nabla_b = self._sums(columns)
        return [nw / columns.size for nw in nabla_w], [nb / columns.size for nb in nabla_b]

    def flat(self, gradient: Any) -> Array:
        """Return a gradient as one vector."""
        return flatten(*gradient)


class _Pairs(Sequence[tuple[Array, Array]]):
    """The pairs (x, y) of many examples, each made when it is asked for: a list of them would take a gigabyte."""

    def __init__(self, rows: Array, targets: Array) -> None:
        self._rows, self._targets = rows, targets

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: Any) -> Any:
        return self._rows[i].reshape(-1, 1), self._targets[i].reshape(-1, 1)


class BookLoop(LayerArrays):
    """The book's network.py: one example after the other, lists of arrays, in float64."""

    name = "per-example"
    precision: ClassVar[str] = "float64"
    most_flops = 1e9

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        self.dtype = self.precision
        rows, targets = data.rows(self.dtype)
        self.pairs: Sequence[tuple[Array, Array]]
        if case.n:
            self.pairs = _Pairs(rows, targets)
        else:
            self.pairs = [(x.reshape(-1, 1), y.reshape(-1, 1)) for x, y in zip(rows, targets, strict=True)]
        self.eta = np.dtype(self.dtype).type(LEARNING_RATE)
        self.reset(data.theta)

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        weights, biases = parameter_views(theta.astype(self.dtype), self.case.sizes)
        # in C order, as the book's arrays are
        self.weights = [np.ascontiguousarray(w) for w in weights]
        self.biases = [b.copy() for b in biases]

    def output_error(self, z: Array, a: Array, y: Array) -> Array:
        """Return the output error delta^L."""
        return (a - y) * (_sigmoid(z) * (1 - _sigmoid(z)))

    def backprop(self, x: Array, y: Array) -> tuple[list[Array], list[Array]]:
        """Return the gradient of one example's cost, for the biases and for the weights."""
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
        return nabla_w, nabla_b

    def steps(self, order: Array) -> None:
        """Take steps."""
        m = self.case.batch_size
        for start in range(0, order.size, m):
            nabla_w, nabla_b = self._sums(order[start : start + m])
            self.weights = [w - (self.eta / m) * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
            self.biases = [b - (self.eta / m) * nb for b, nb in zip(self.biases, nabla_b, strict=True)]

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
    """The same in float32, to separate the effect of the precision from that of the vectorisation."""

    name = "per-example, float32"
    precision = "float32"


class NumpyMatrices(LayerArrays):
    """The matrix form in plain NumPy: a whole mini-batch at once."""

    name = "numpy"

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        # One example per row: indexing then copies whole rows, and the transpose of the copy is the mini-batch.
        self.rows, self.targets = data.rows(self.dtype)
        self.rate = np.dtype(self.dtype).type(LEARNING_RATE / case.batch_size)
        self.reset(data.theta)

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        self.weights, self.biases = parameter_views(theta.astype(self.dtype), self.case.sizes)

    def _sums(self, columns: Array) -> tuple[list[Array], list[Array]]:
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
            nabla_w, nabla_b = self._sums(order[start : start + m])
            for w, b, nw, nb in zip(self.weights, self.biases, nabla_w, nabla_b, strict=True):
                w -= self.rate * nw
                b -= self.rate * nb

    def predict(self, columns: Array) -> Array:
        """Return the outputs."""
        a = self.rows[columns].T
        for w, b in zip(self.weights, self.biases, strict=True):
            a = _sigmoid(w @ a + b)
        return a


class Mbbp(Implementation):
    """The library that is measured here: mbbp."""

    name = "mbbp"

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        self.net = Network(case.sizes, dtype=case.dtype)
        rows, targets = data.rows(self.dtype)
        self.X, self.Y = rows.T, targets.T
        engine, sgd = self.net.engine, SGD()
        self.loop = Loop(engine, engine.examples(self.X, self.Y), case.batch_size)
        state = sgd.start(engine.theta.size, engine.dtype)
        self.step = sgd.step(engine.theta, self.loop.gradient, state, Rates(LEARNING_RATE))
        self.reset(data.theta)

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        self.net.theta = theta

    def theta(self) -> Array:
        """Return all parameters."""
        return self.net.theta.astype(np.float64)

    def steps(self, order: Array) -> None:
        """Take steps, by the compiled loop that ``fit`` runs."""
        self.loop.run(order, self.step)

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
        """Train for an epoch by ``fit``, including its checks, its shuffle and its history."""
        X, Y = self.X[:, : order.size], self.Y[:, : order.size]
        self.net.fit(X, Y, epochs=1, batch_size=self.case.batch_size, learning_rate=LEARNING_RATE, progress=False)


def flatten(weights: Sequence[Array], biases: Sequence[Array]) -> Array:
    """Return weights (n_out, n_in) and biases as one float64 vector in the order of ``net.theta``."""
    parts = [part for w, b in zip(weights, biases, strict=True) for part in (w.T.ravel(), b.ravel())]
    return np.concatenate(parts).astype(np.float64)


IMPLEMENTATIONS: tuple[type[Implementation], ...] = (BookLoop, BookLoopFloat32, NumpyMatrices, Mbbp)
