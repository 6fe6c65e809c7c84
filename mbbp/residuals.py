"""The residuals of a network, a^L - y, and their Jacobian by the parameters, for least squares."""

from __future__ import annotations

from typing import Any

import numpy as np

from mbbp.differentiation import WITH_TANGENTS, Differentiation
from mbbp.engine import CHUNK, Engine
from mbbp.kernels import evaluation, per_example, tangents
from mbbp.kernels.examples import Examples, inputs_of
from mbbp.kernels.team import make_team
from mbbp.parameters import Array
from mbbp.prepared import SummedGradient

ROWS = 1024  # of the Jacobian at once, about: they stay in a near cache until they are multiplied


class Residuals:
    """The residuals of some examples, each times the square root of its weight, and products with their Jacobian.

    All sums over examples are in float64.

    Parameters
    ----------
    engine : Engine
        The network.
    examples : Examples
        The examples.
    at_once : int, optional
        How many examples have their rows of the Jacobian in memory together. By default as many as a near cache holds.
    """

    def __init__(self, engine: Engine, examples: Examples, at_once: int | None = None) -> None:
        self.n_parameters, self.n_out = engine.theta.size, engine.sizes[-1]
        self.at_once = max(1, ROWS // self.n_out) if at_once is None else at_once
        self._engine, self._dtype = engine, engine.dtype
        self._derivatives = Differentiation(engine)
        is_weighted = examples.weights.size > 0
        self._roots = np.sqrt(examples.weights) if is_weighted else None
        self._targets = _dense_targets(examples, self.n_out, self._dtype)
        self._examples = examples
        of_roots = examples if self._roots is None else examples._replace(weights=self._roots)
        self._model = self._derivatives.model_of_outputs(is_weighted=is_weighted)
        self._tangents = self._derivatives.take(WITH_TANGENTS)
        self._source = engine.source(of_roots)
        self._inputs = inputs_of(examples.inputs, examples.scaling, self._dtype)
        self._team = make_team(1)[0]
        self._rows = np.empty((self.n_out * self.at_once, self.n_parameters + 1), self._dtype)
        self._outputs = np.empty((self.at_once, self.n_out), self._dtype)

    def rows(self, order: Array) -> Array:
        """Return the Jacobian of at most `at_once` examples with the residuals as its last column.

        Returns
        -------
        ndarray of shape (n_L m, n_parameters + 1)
            In the network's dtype: the first output of all examples, then the next. The memory is used again.
        """
        m, n_out = order.size, self.n_out
        call = per_example.Rows(
            model=self._model,
            source=self._source,
            order=order,
            n=m,
            start=0,
            stop=m,
            chunk=CHUNK,
            of_outputs=1,
            by_inputs=0,
            out=self._rows.reshape(-1),
            stride=self.n_parameters + 1,
            outputs=self._outputs.reshape(-1),
            wants_outputs=1,
            team=self._team,
        )
        per_example.write_rows.run(call, self._dtype)
        found = self._rows[: n_out * m]
        found[:, -1] = self._residuals(self._outputs[:m], order).T.reshape(-1)
        return found

    def rows_in_memory(self, m: int) -> Array:
        """Return what `rows` has computed last, for m examples."""
        return self._rows[: self.n_out * m]

    def normal_equations(self, order: Array) -> Array:
        """Return [J r]^T [J r], of shape (n_parameters + 1, n_parameters + 1), in float64."""
        total: Array | None = None
        for begin in range(0, order.size, self.at_once):
            rows = self.rows(order[begin : begin + self.at_once])
            rows = rows.astype(np.float64, copy=False)
            product = rows.T @ rows
            if total is None:
                total = product
            else:
                total += product
        assert total is not None
        return total

    def cost(self, order: Array) -> float:
        """Return half the sum of the squared residuals."""
        return self._engine.score(self._examples, order).cost * order.size

    def residuals(self, order: Array) -> Array:
        """Return the residuals in float64, in the order of `rows`."""
        out = np.empty((order.size, self.n_out), self._dtype)
        call = evaluation.Prediction(
            model=self._model,
            inputs=self._inputs,
            order=order,
            start=0,
            stop=order.size,
            chunk=CHUNK,
            out=out.reshape(-1),
        )
        if not evaluation.predict.run(call, self._dtype):
            return np.full(out.size, np.nan)
        return self._residuals(out, order).T.reshape(-1).astype(np.float64)

    def _residuals(self, outputs: Array, order: Array) -> Array:
        found: Array = outputs - self._targets[order]
        return found if self._roots is None else found * self._roots[order, None]

    def change(self, order: Array, direction: Array) -> Array:
        """Return J v in float64, in the order of `rows`."""
        out = np.empty((order.size, self.n_out), self._dtype)
        nothing = np.empty(0, self._dtype)
        call = tangents.Tangents(
            model=self._tangents,
            source=self._source,
            order=order,
            n=order.size,
            chunk=CHUNK,
            direction=direction.astype(self._dtype),
            has_direction=1,
            inputs=nothing,
            has_inputs=0,
            out=out.reshape(-1),
        )
        tangents.forward_tangents.run(call, self._dtype)
        if self._roots is not None:
            out *= self._roots[order, None]
        return out.T.reshape(-1).astype(np.float64)

    def pull_back(self, order: Array, vector: Array) -> Array:
        """Return J^T u in float64, for u in the order of `rows`."""
        n = self._targets.shape[0]
        targets = np.zeros((n, self.n_out), self._dtype)
        targets[order] = vector.reshape(self.n_out, order.size).T
        given = self._examples._replace(targets=targets, labels=np.empty(0, np.int64))
        given = given if self._roots is None else given._replace(weights=self._roots)
        compute = SummedGradient(self._model, self._engine.source(given), order, CHUNK)
        compute()
        return compute.gradient.astype(np.float64)


def _dense_targets(examples: Examples, n_out: int, dtype: np.dtype[Any]) -> Array:
    """Return the targets (n, n_L), also where they are the unit vectors of labels."""
    if len(examples.targets):
        return examples.targets
    if n_out == 1:
        return examples.labels.astype(dtype).reshape(-1, 1)
    return np.eye(n_out, dtype=dtype)[examples.labels]


