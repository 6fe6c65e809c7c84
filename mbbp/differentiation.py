"""Derivatives of a network beyond the gradient of its cost: where their kernels, examples and workspaces meet.

The arguments were checked by the callers. Examples go through the network chunk by chunk, so the memory that is needed
besides the result does not depend on their number.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import Any

import numpy as np

from mbbp.activations import Activation
from mbbp.arrays import are_finite
from mbbp.costs import Cost
from mbbp.engine import CHUNK, Engine
from mbbp.fixed import Fixed
from mbbp.kernels import evaluation, norms, per_example, second_derivatives, tangents
from mbbp.kernels.examples import Examples, source_of
from mbbp.kernels.gemm.tile import lanes
from mbbp.kernels.layout import Layout
from mbbp.kernels.lowlevel.kernel import Bound, Kernel
from mbbp.kernels.lowlevel.records import Placed
from mbbp.kernels.team import make_team
from mbbp.parameters import Array
from mbbp.prepared import SummedGradient, can_be_read
from mbbp.threads import run_together

OF_COST, OF_OUTPUTS, WITH_TANGENTS = "of the cost", "of the outputs", "with tangents"
OF_WEIGHTED_INPUTS = "of the weighted inputs of the output layer"


def _second_order_kernel(argument: str, one: Any, built_in: dict[str, Kernel | None], custom: Any) -> Kernel | None:
    if not one.is_custom:
        return built_in[one.name]
    if one.second_scalar is None:
        raise TypeError(f"{argument} {one.name!r}: expected a second_derivative for second-order products, got none")
    made: Kernel = custom(one.second_scalar)
    return made


def bend_of(activation: Activation) -> Kernel | None:
    """Return the kernel for sigma'' of an activation, or None where it is 0.

    Raises
    ------
    TypeError
        If a custom activation has no second derivative.
    """
    table, custom = second_derivatives.OF_ACTIVATIONS, second_derivatives.custom_activation
    return _second_order_kernel("activation", activation, table, custom)


def error_tangent_of(cost: Cost) -> Kernel | None:
    """Return the kernel for the change of the output error of a cost, or None where it is that of the outputs.

    Raises
    ------
    TypeError
        If a custom cost has no second derivative.
    """
    return _second_order_kernel("cost", cost, second_derivatives.OF_COSTS, second_derivatives.custom_cost)


class Differentiation(Fixed):
    """The derivatives of a network.

    Parameters
    ----------
    engine : Engine
        The network.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._spare: dict[str, list[Placed]] = defaultdict(list)
        self._quick: list[_QuickRows] = []
        self._writers: dict[tuple[str, bool], list[Bound]] = defaultdict(list)

    def no_source(self) -> Placed:
        """Return a single example of zeros, to be in the place of the examples of a caller."""
        n_in, n_out, dtype = self._engine.sizes[0], self._engine.sizes[-1], self._engine.dtype
        nothing = np.empty(0, dtype)
        examples = Examples(np.zeros((1, n_in), dtype), np.zeros((1, n_out), dtype), np.empty(0, np.int64), nothing)
        return source_of(examples, dtype)

    @functools.cached_property
    def _no_source(self) -> Placed:
        return self.no_source()  # made when it is needed: it asks for kernels, and a network may never differentiate

    def take(self, kind: str) -> Placed:
        """Return the network with a workspace for a chunk, for one thread alone."""
        try:
            return self._spare[kind].pop()
        except IndexError:
            return self._make(kind)

    def _keep(self, kind: str, model: Placed) -> None:
        self._spare[kind].append(model)

    def _make(self, kind: str) -> Placed:
        engine = self._engine
        dtype = engine.dtype
        if kind in (OF_OUTPUTS, OF_WEIGHTED_INPUTS):
            return self.model_of_outputs(of_weighted_inputs=kind == OF_WEIGHTED_INPUTS)
        if kind == WITH_TANGENTS:
            layout = Layout(engine.sizes, CHUNK, 1, lanes(dtype), tangents=True)
            addresses = [activation.addresses(dtype, backward=True) for activation in engine.activations]
            layout.table.activate, layout.table.multiply_by_derivative = np.transpose(addresses)
        else:
            layout = engine.layout(CHUNK, backward=True)
        return engine.model(layout, with_cost=True, backward=True)

    def model_of_outputs(self, *, is_weighted: bool = False, of_weighted_inputs: bool = False) -> Placed:
        """Return the network with a workspace; its targets are the gradient of an unknown cost by the outputs.

        With `of_weighted_inputs`, they are that by the weighted inputs z^L of the output layer.
        """
        engine, dtype = self._engine, self._engine.dtype
        model = engine.model(engine.layout(CHUNK, backward=True), backward=True, is_weighted=is_weighted)
        given, none = evaluation.given_error.address(dtype), evaluation.no_cost.address(dtype)
        # the gradient by z^L is delta^L itself: like a fused error, it is not multiplied by sigma'
        is_fused = int(of_weighted_inputs)
        return Placed(model.record._replace(output_error=given, cost=none, is_fused=is_fused), dtype)

    def set_bends(self, model: Placed) -> None:
        """Give the model the kernels of the second derivatives of its activations."""
        for index, activation in enumerate(self._engine.activations):
            found = bend_of(activation)
            model.record.layers[index].bend = 0 if found is None else found.address(self._engine.dtype)

    def backpropagate(self, examples: Examples) -> tuple[Array, Array]:
        """Return the gradient by parameters (P,) and by inputs (m, n_in), where the targets are dC/da^L."""
        engine, model = self._engine, self.take(OF_OUTPUTS)
        inputs = np.empty((examples.n, engine.sizes[0]), engine.dtype)
        compute = SummedGradient(model, engine.source(examples), np.arange(examples.n), CHUNK, inputs)
        compute()
        self._keep(OF_OUTPUTS, model)
        return compute.gradient, self._by_raw_inputs(inputs, examples)

    def _by_raw_inputs(self, gradient: Array, examples: Examples) -> Array:
        """Return the gradient by scaled inputs (..., n_in) as that by the inputs before they were scaled."""
        if examples.scaling is not None:
            gradient *= examples.scaling.factor.astype(gradient.dtype)
        return gradient

    def rows(
        self,
        examples: Examples,
        out: Array,
        *,
        of_outputs: bool,
        of_weighted_inputs: bool = False,
        by_inputs: bool = False,
    ) -> Array:
        """Write the gradient of each example to `out` (n_L or 1, m, P or n_in), and return it.

        It is that of the cost or, with `of_outputs`, of each output a^L; with `of_weighted_inputs` too, of each z^L.
        """
        engine, flat, nothing = self._engine, out.reshape(-1), np.empty(0, self._engine.dtype)
        key = (OF_WEIGHTED_INPUTS if of_weighted_inputs else OF_OUTPUTS if of_outputs else OF_COST, by_inputs)
        source, order = engine.source(examples), np.arange(examples.n)

        def stretch(start: int, stop: int) -> None:
            try:  # not "if there is one": another thread could take it in between
                bound = self._writers[key].pop()
            except IndexError:
                bound = self.bind_rows(*key, stride=out.shape[-1], source=self._no_source)
            bound.set(source=source, order=order, n=order.size, start=start, stop=stop, out=flat)
            bound()
            bound.set(source=self._no_source, out=nothing)  # what is kept must not keep the caller's memory alive
            self._writers[key].append(bound)

        run_together([functools.partial(stretch, *bounds) for bounds in engine.stretches(examples.n)])
        return out

    def quick_rows(self, X: Array, out: Array) -> bool:
        """Write the gradient of each output to `out` for a plain X (n_in, m) that is not scaled, by one thread.

        Return False, with nothing written, if a number is NaN or inf.
        """
        engine, m = self._engine, X.shape[1]
        columns = X.T.reshape(-1) if can_be_read(X, engine.dtype) else X.T.flatten()
        if not are_finite(columns):
            return False
        try:
            quick = self._quick.pop()
        except IndexError:
            quick = _QuickRows(self, engine)
        quick.write(columns, m, out.reshape(-1))
        self._quick.append(quick)
        return True

    def bind_rows(self, kind: str, by_inputs: bool, *, stride: int, source: Placed) -> Bound:
        """Return the kernel that writes rows, with a workspace of its own."""
        dtype, nothing = self._engine.dtype, np.empty(0, self._engine.dtype)
        call = per_example.Rows(
            model=self._make(kind),
            source=source,
            order=np.empty(0, np.int64),
            n=0,
            start=0,
            stop=0,
            chunk=CHUNK,
            of_outputs=int(kind != OF_COST),
            by_inputs=int(by_inputs),
            out=nothing,
            stride=stride,
            targets=nothing,
            has_residuals=0,
            team=make_team(1)[0],
        )
        return per_example.write_rows.bind(call, dtype)

    def input_rows(self, examples: Examples) -> Array:
        """Return the gradient of each output by the inputs, (n_L, m, n_in)."""
        sizes = self._engine.sizes
        out = np.empty((sizes[-1], examples.n, sizes[0]), self._engine.dtype)
        self.rows(examples, out, of_outputs=True, by_inputs=True)
        self._by_raw_inputs(out, examples)
        return out

    def clip(self, examples: Examples, clip_norm: float | None) -> tuple[float, Array, Array]:
        """Return the summed cost, the norms of the gradients and, with a `clip_norm`, the sum of the clipped ones."""
        engine, model = self._engine, self.take(OF_COST)
        n, dtype = examples.n, engine.dtype
        found, target = np.empty(n), np.empty(0 if clip_norm is None else engine.theta.size, dtype)
        call = per_example.Clipping(
            model=model,
            source=engine.source(examples),
            order=np.arange(n),
            n=n,
            chunk=CHUNK,
            measure=norms.gradient_norms.address(dtype),
            norms=found,
            sums=np.empty(2 * CHUNK),
            clip_norm=clip_norm or 0.0,
            target=target,
            has_target=int(clip_norm is not None),
            team=make_team(1)[0],
        )
        cost = per_example.clip.run(call, dtype)
        self._keep(OF_COST, model)
        return cost, found, target

    def push_forward(self, examples: Examples, direction: Array | None, inputs: Array | None) -> Array:
        """Return the change of the outputs (m, n_L) along a direction (P,), and changes of the inputs (m, n_in)."""
        engine, model = self._engine, self.take(WITH_TANGENTS)
        n, nothing = examples.n, np.empty(0, engine.dtype)
        out = np.empty((n, engine.sizes[-1]), engine.dtype)
        call = tangents.Tangents(
            model=model,
            source=engine.source(examples),
            order=np.arange(n),
            n=n,
            propagate=tangents.propagate_tangents.address(engine.dtype),
            chunk=CHUNK,
            direction=nothing if direction is None else direction,
            has_direction=int(direction is not None),
            inputs=nothing if inputs is None else inputs.reshape(-1),
            has_inputs=int(inputs is not None),
            out=out.reshape(-1),
        )
        tangents.forward_tangents.run(call, engine.dtype)
        self._keep(WITH_TANGENTS, model)
        return out

    def curvature_product(self, examples: Examples, direction: Array, *, is_hessian: bool) -> Array:
        """Return the product of the Hessian, or the Gauss-Newton matrix, of the summed cost with a direction (P,).

        Raises
        ------
        TypeError
            If a custom activation or cost has no second derivative that is needed.
        """
        engine = self._engine
        change = error_tangent_of(engine.cost)
        model = self.take(WITH_TANGENTS)
        if is_hessian:
            self.set_bends(model)
        n, target = examples.n, np.empty_like(direction)
        call = tangents.Curvature(
            model=model,
            source=engine.source(examples),
            order=np.arange(n),
            n=n,
            propagate=tangents.propagate_tangents.address(engine.dtype),
            chunk=CHUNK,
            direction=direction,
            error_tangent=0 if change is None else change.address(engine.dtype),
            is_hessian=int(is_hessian),
            target=target,
        )
        tangents.curvature_product.run(call, engine.dtype)
        self._keep(WITH_TANGENTS, model)
        return target

    def second_order(self, examples: Examples, directions: Array) -> tuple[Array, Array, Array]:
        """Return the outputs (m, n_L), and their first and second derivatives (k, m, n_L) along directions (k, n_in).

        Raises
        ------
        TypeError
            If a custom activation has no second derivative.
        """
        engine, n, k = self._engine, examples.n, len(directions)
        model = self.take(WITH_TANGENTS)
        self.set_bends(model)
        outputs = np.empty((n, engine.sizes[-1]), engine.dtype)
        first, second = (np.empty((k, *outputs.shape), engine.dtype) for _ in range(2))
        call = tangents.SecondOrder(
            model=model,
            source=engine.source(examples),
            order=np.arange(n),
            n=n,
            propagate=tangents.propagate_tangents.address(engine.dtype),
            chunk=CHUNK,
            directions=directions.reshape(-1),
            k=k,
            outputs=outputs.reshape(-1),
            first=first.reshape(-1),
            second=second.reshape(-1),
        )
        tangents.second_tangents.run(call, engine.dtype)
        self._keep(WITH_TANGENTS, model)
        return outputs, first, second


class _QuickRows:
    """The rows of the Jacobian by the parameters, with everything prepared but the inputs."""

    def __init__(self, of: Differentiation, engine: Engine) -> None:
        self._source = of.no_source()
        self._set_inputs = self._source.setter("inputs.values")
        self._bound = of.bind_rows(OF_OUTPUTS, False, stride=engine.theta.size, source=self._source)
        self._set_out = self._bound.setter("out")
        self._order = np.empty(0, np.int64)

    def write(self, columns: Array, m: int, out: Array) -> None:
        """Write the rows of m examples, whose inputs lie side by side."""
        if self._order.size != m:
            self._order = np.arange(m)
            self._bound.set(order=self._order, n=m, stop=m)
        self._set_inputs(columns)
        self._set_out(out)
        self._bound()
