"""The residuals of a network, a^L - y, and their Jacobian by the parameters, for least squares."""

from __future__ import annotations

import functools
import math
from itertools import pairwise
from typing import Any

import numpy as np

from mbbp.differentiation import WITH_TANGENTS, Differentiation
from mbbp.engine import CHUNK, Engine
from mbbp.kernels import evaluation, least_squares, per_example, tangents
from mbbp.kernels.examples import Examples, inputs_of
from mbbp.kernels.gemm.blocking import panel_size
from mbbp.kernels.team import make_team
from mbbp.parameters import Array
from mbbp.prepared import SummedGradient
from mbbp.threads import run_together, worthwhile_threads

ROWS = 1024  # of the Jacobian at once, about: they stay in a near cache until they are multiplied
WIDE = 400  # parameters
MOST_STRETCHES, LEAST_CHUNKS = 8, 4  # of examples, whose sums are apart; and how often ROWS are in one, at least


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

    Attributes
    ----------
    theta : ndarray of shape (n_parameters,)
        The parameters of the network.
    """

    def __init__(self, engine: Engine, examples: Examples, at_once: int | None = None) -> None:
        self.theta = engine.theta
        self.n_parameters, self.n_out = engine.theta.size, engine.sizes[-1]
        self.at_once = max(1, ROWS // self.n_out) if at_once is None else at_once
        self._engine, self._dtype = engine, engine.dtype
        self._derivatives = Differentiation(engine)
        is_weighted = examples.weights.size > 0
        self._roots = np.sqrt(examples.weights) if is_weighted else None
        self._targets = _dense_targets(examples, self.n_out, self._dtype)
        of_roots = examples if self._roots is None else examples._replace(weights=self._roots)
        self._model = self._derivatives.model_of_outputs(is_weighted=is_weighted)
        self._tangents = self._derivatives.take(WITH_TANGENTS)
        self._source = engine.source(of_roots)
        self._vectors = np.zeros_like(self._targets)  # of `pull_back`; those of other examples are not read
        self._source_of_vectors = engine.source(of_roots._replace(targets=self._vectors, labels=np.empty(0, np.int64)))
        self._team = make_team(1)[0]
        self._rows = self._room()
        predict = evaluation.Prediction(
            model=self._model,
            inputs=inputs_of(examples.inputs, examples.scaling, self._dtype),
            order=np.empty(0, np.int64),
            start=0,
            stop=0,
            chunk=CHUNK,
            out=np.empty(0, self._dtype),
        )
        self._predict = evaluation.predict.bind(predict, self._dtype)
        self._panel_size = panel_size(self.n_parameters + 1, self.at_once * self.n_out, self._dtype.itemsize)
        self._sums: list[_Sum] = []
        for one in (least_squares.sum_normal_equations, tangents.propagate_tangents, tangents.forward_tangents):
            one.address(self._dtype)  # compiled now, and not when the time of a step is taken
        evaluation.summed_gradient.address(self._dtype)

    def _room(self) -> Array:
        return np.empty((self.n_out * self.at_once, self.n_parameters + 1), self._dtype)

    def rows(self, order: Array) -> Array:
        """Return the Jacobian of at most `at_once` examples with the residuals as its last column.

        Returns
        -------
        ndarray of shape (n_L m, n_parameters + 1)
            In the network's dtype: the first output of all examples, then the next. The memory is used again.
        """
        m = order.size
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
            targets=self._targets.reshape(-1),
            has_residuals=1,
            team=self._team,
        )
        per_example.write_rows.run(call, self._dtype)
        return self._rows[: self.n_out * m]

    def rows_in_memory(self, m: int) -> Array | None:
        """Return the rows of the last m examples, if those were all and the rows are still in memory."""
        return self._rows[: self.n_out * m] if m <= self.at_once else None

    def normal_equations(self, order: Array) -> Array:
        """Return the upper triangle of [J r]^T [J r], (n_parameters + 1, n_parameters + 1), in float64."""
        if self.n_parameters >= WIDE:
            return self._normal_equations_by_blas(order)
        # the number of stretches does not depend on that of the threads, so the result does not either
        stretches = min(MOST_STRETCHES, math.ceil(order.size / (LEAST_CHUNKS * self.at_once)))
        ends = [order.size * i // stretches for i in range(stretches + 1)]
        bounds = list(pairwise(ends))
        threads = min(stretches, worthwhile_threads(2.0 * order.size * self.n_out * self.n_parameters**2))
        while len(self._sums) < threads:
            self._sums.append(_Sum(self, self._room() if self._sums else self._rows))
        jobs = [functools.partial(self._sums[i].run, order, bounds[i::threads]) for i in range(threads)]
        found: dict[int, Array] = {}
        for part in run_together(jobs):
            found |= part
        total = found[0]
        for start, _ in bounds[1:]:
            total += found[start]
        return total

    def _normal_equations_by_blas(self, order: Array) -> Array:
        """Return the same for many parameters: then the product takes nearly all of the time, and BLAS has threads."""
        total = np.zeros((self.n_parameters + 1, self.n_parameters + 1))
        for begin in range(0, order.size, self.at_once):
            rows = self.rows(order[begin : begin + self.at_once]).astype(np.float64, copy=False)
            total += rows.T @ rows
        return total

    def residuals(self, order: Array) -> Array:
        """Return the residuals in float64, in the order of `rows`; NaN if an input or an output is not finite."""
        out = np.empty((order.size, self.n_out), self._dtype)
        self._predict.set(order=order, stop=order.size, out=out.reshape(-1))
        if not self._predict():
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
            propagate=tangents.propagate_tangents.address(self._dtype),
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
        self._vectors[order] = vector.reshape(self.n_out, order.size).T
        compute = SummedGradient(self._model, self._source_of_vectors, order, CHUNK)
        compute()
        return compute.gradient.astype(np.float64)


class _Sum:
    """The normal equations of a stretch of examples, for one thread alone."""

    def __init__(self, of: Residuals, rows: Array) -> None:
        size, dtype = of.n_parameters + 1, of._dtype
        is_first = rows is of._rows
        model = of._model if is_first else of._derivatives.model_of_outputs(is_weighted=of._roots is not None)
        self._totals = np.empty((size, size))
        call = least_squares.NormalEquations(
            model=model,
            source=of._source,
            targets=of._targets.reshape(-1),
            order=np.empty(0, np.int64),
            start=0,
            stop=0,
            chunk=CHUNK,
            at_once=of.at_once,
            write_rows=per_example.write_rows.address(dtype),
            rows=rows.reshape(-1),
            size=size,
            block=np.empty(size * size, dtype),
            panel=np.empty(of._panel_size, dtype),
            totals=self._totals.reshape(-1),
            team=of._team,
        )
        self._bound = least_squares.sum_normal_equations.bind(call, dtype)

    def run(self, order: Array, bounds: list[tuple[int, int]]) -> dict[int, Array]:
        """Return the sums in the upper triangle for some stretches, by their first examples."""
        found = {}
        for start, stop in bounds:
            self._bound.set(order=order, start=start, stop=stop)
            self._bound()
            found[start] = self._totals.copy()
        return found


def _dense_targets(examples: Examples, n_out: int, dtype: np.dtype[Any]) -> Array:
    """Return the targets (n, n_L), also where they are the unit vectors of labels."""
    if len(examples.targets):
        return examples.targets
    if n_out == 1:
        return examples.labels.astype(dtype).reshape(-1, 1)
    return np.eye(n_out, dtype=dtype)[examples.labels]
