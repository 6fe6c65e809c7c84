"""A network as a linear function of its parameters near where they are: its derivatives for a few examples at a time.

What is differentiated is f: the outputs a^L, or the weighted inputs z^L of the output layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mbbp.bayesian.likelihoods import Likelihood
from mbbp.differentiation import Differentiation
from mbbp.inputs import scaled
from mbbp.kernels.examples import Examples
from mbbp.network import Network
from mbbp.parameters import Array

ROWS = 1024  # of the Jacobian at once, about
MOST_NUMBERS = 1 << 22  # of the derivatives a^L by z^L at once


class Chunk(NamedTuple):
    """Some examples, in float64 but for the inputs.

    Attributes
    ----------
    columns : slice
        Which of all examples they are.
    inputs : ndarray of shape (m, n_in)
        Not scaled yet.
    features : ndarray of shape (n_{L-1} + 1, m)
        The activations before the output layer, and a row of ones.
    z, f : ndarray of shape (n_L, m)
        The weighted inputs of the output layer, and what is differentiated: these or the outputs.
    """

    columns: slice
    inputs: Array
    features: Array
    z: Array
    f: Array


class LinearisedNetwork(ABC):
    """A network, and the derivatives of f by some of its parameters.

    Parameters
    ----------
    net : Network
        The network; its parameters must not change.
    of_outputs : bool
        Whether f is a^L, and not z^L.

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        The parameters, in float64.
    """

    theta: Array

    def __init__(self, net: Network, of_outputs: bool) -> None:
        self.net, self.of_outputs = net, of_outputs
        n = net.sizes[-1] * (net.sizes[-2] + 1)
        self._last = net.theta[-n:].astype(np.float64)
        self.at_once = max(1, ROWS // net.sizes[-1])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.of_outputs)  # the compiled side is not pickled

    def chunks(self, inputs: Array, at_once: int | None = None) -> Iterator[Chunk]:
        """Yield checked inputs (m, n_in) with what the network makes of them, about ROWS rows of the Jacobian each."""
        net, step = self.net, at_once or self.at_once
        by_features = self._last.reshape(-1, net.sizes[-1])  # W^T, and b below it
        for start in range(0, len(inputs), step):
            columns = slice(start, min(start + step, len(inputs)))
            some = inputs[columns]
            layers = net.engine.activations_of(some)
            before = layers[-2] if len(layers) > 1 else scaled(some, net.engine.scaling, net.dtype).T
            features = np.ones((len(by_features), len(some)))
            features[:-1] = before
            z = by_features.T @ features
            yield Chunk(columns, some, features, z, layers[-1].astype(np.float64) if self.of_outputs else z)

    @abstractmethod
    def jacobian_product(self, chunk: Chunk, directions: Array) -> Array:
        """Return the derivative of each f along directions (n_parameters, k), of shape (n_L, m, k), in float64."""

    def curvature(self, inputs: Array, targets: Array, likelihood: Likelihood) -> tuple[Array, float]:
        """Return the Gauss-Newton matrix (P, P), the sum of J^T B J over the examples, and the misfit.

        Parameters
        ----------
        inputs, targets : ndarray of shape (m, n_in) and (m, n_L)
            The examples, one per row.
        likelihood : Likelihood
            What tells B and the misfit.
        """
        total, misfit = np.zeros((self.theta.size, self.theta.size)), 0.0
        for chunk in self.chunks(inputs, self._at_once_for_sums()):
            y = targets[chunk.columns].T.astype(np.float64)
            misfit += likelihood.misfit(chunk.f, y)
            self._add(total, chunk, y, likelihood)
        return total, misfit

    def _at_once_for_sums(self) -> int:
        return self.at_once

    @abstractmethod
    def _add(self, total: Array, chunk: Chunk, y: Array, likelihood: Likelihood) -> None:
        """Add J^T B J of a chunk."""


class ByAllParameters(LinearisedNetwork):
    """The derivatives by all weights and biases, in the order of ``net.theta``: by backward passes."""

    def __init__(self, net: Network, of_outputs: bool) -> None:
        super().__init__(net, of_outputs)
        self.theta = net.theta.astype(np.float64)
        self._derivatives = Differentiation(net.engine)

    def jacobian_product(self, chunk: Chunk, directions: Array) -> Array:
        """Return the derivative of each f along directions (n_parameters, k), of shape (n_L, m, k), in float64."""
        rows = self._jacobian(chunk)
        product = rows.reshape(-1, self.theta.size) @ directions
        return product.reshape(*rows.shape[:2], -1)

    def _jacobian(self, chunk: Chunk) -> Array:
        """Return the derivative of each f by the parameters, (n_L, m, n_parameters), in float64."""
        net, m, none = self.net, len(chunk.inputs), np.empty(0, np.int64)
        targets, no_weights = np.zeros((m, net.sizes[-1]), net.dtype), np.empty(0, net.dtype)
        examples = Examples(chunk.inputs, targets, none, no_weights, net.engine.scaling)
        out = np.empty((net.sizes[-1], m, net.theta.size), net.dtype)
        self._derivatives.rows(examples, out, of_outputs=True, of_weighted_inputs=not self.of_outputs)
        return out.astype(np.float64, copy=False)

    def _add(self, total: Array, chunk: Chunk, y: Array, likelihood: Likelihood) -> None:
        rows = self._jacobian(chunk)
        likelihood.weigh(rows, chunk.f, y)
        flat = rows.reshape(-1, self.theta.size)
        total += flat.T @ flat


class ByLastLayer(LinearisedNetwork):
    """The derivatives by the weights and biases of the output layer, in their order in ``net.theta``.

    No backward pass is needed: dz_j / dW_jc is the activation a_c of the layer before, and dz_j / db_j is 1. So the row
    of f_k for W_jc is a_c df_k / dz_j.
    """

    def __init__(self, net: Network, of_outputs: bool) -> None:
        super().__init__(net, of_outputs)
        self.theta = self._last

    def jacobian_product(self, chunk: Chunk, directions: Array) -> Array:
        """Return the derivative of each f along directions (n_parameters, k), of shape (n_L, m, k), in float64."""
        (n, m), k = chunk.z.shape, directions.shape[1]
        of_z = (chunk.features.T @ directions.reshape(len(chunk.features), n * k)).reshape(m, n, k)
        if not self.of_outputs:
            return of_z.swapaxes(0, 1)
        found: Array = np.einsum("kij,ijp->kip", self._slopes(chunk), of_z)
        return found

    def _slopes(self, chunk: Chunk) -> Array:
        """Return df/dz, (n_L, m, n_L): ``[k, i, j]`` is the derivative of f_k by z_j of example i."""
        n, m = chunk.z.shape
        found = np.zeros((n, m, n))
        output = self.net.layers[-1].activation
        for k in range(n):
            found[k, :, k] = 1.0
            if self.of_outputs:
                found[k] = output.multiply_by_derivative(chunk.z, chunk.f, found[k].T).T
        return found

    def _at_once_for_sums(self) -> int:
        return max(1, min(ROWS, MOST_NUMBERS // self.net.sizes[-1] ** 2))

    def _add(self, total: Array, chunk: Chunk, y: Array, likelihood: Likelihood) -> None:
        rows, features = self._slopes(chunk), chunk.features
        likelihood.weigh(rows, chunk.f, y)
        n, size = len(rows), len(features)
        blocks = total.reshape(size, n, size, n)
        for j in range(n):
            for k in range(j, n):
                factors = (rows[:, :, j] * rows[:, :, k]).sum(axis=0)
                if not factors.any():
                    continue  # most activations work on each neuron alone: then there are blocks on the diagonal alone
                block = (features * factors) @ features.T
                blocks[:, j, :, k] += block
                if j != k:
                    blocks[:, k, :, j] += block
