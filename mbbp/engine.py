"""The engine: where a network, examples, workspaces, threads and compiled kernels are put together.

`Network.fit`, the book's programs, the benchmark and the tests all use it. It checks the examples and nothing else: its
callers have checked their other arguments.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.costs import Cost
from mbbp.kernels import epoch, evaluation, propagation, updates
from mbbp.kernels.examples import Examples, gather_address, source_of
from mbbp.kernels.gemm.blocking import multiply_add
from mbbp.kernels.layout import Layout
from mbbp.kernels.lowlevel.records import Bound, Placed, array_of
from mbbp.kernels.team import give_up, make_team
from mbbp.parameters import Array, backprop_flops
from mbbp.threads import run_together, worthwhile_threads
from mbbp.validation import as_example_weights, as_inputs, as_targets

# The number of columns in one pass of a prediction or a score: enough to keep the kernels busy, and few enough for the
# workspace to stay in the cache. It does not depend on the number of threads, so the results do not either.
CHUNK = 128
LAYOUTS_KEPT = 32
FEW = 8  # the most columns for `predict_few`: checks and preparations take longer than the network itself
LEAST_EXAMPLES = 32  # the least examples of a mini-batch for each thread: fewer would not fill the tiles


class Score(NamedTuple):
    """The mean cost of some examples, and the fraction of them that is classified correctly (None for regression)."""

    cost: float
    accuracy: float | None


class MiniBatchGradient(NamedTuple):
    """The results of one forward and one backward pass of a mini-batch.

    Attributes
    ----------
    cost : float
        The mean cost.
    theta : ndarray of shape (n_parameters,)
        The gradient of the mean cost with respect to the parameters.
    inputs : ndarray of shape (m, n_in) or (0, n_in)
        Row i is the gradient dC_x/dx of example i with respect to its input, if requested.
    blocks : list of (z, a, delta)
        For every computing layer, each array of shape (n_l, m).
    """

    cost: float
    theta: Array
    inputs: Array
    blocks: list[tuple[Array, Array, Array]]


def threads_for_step(sizes: Sequence[int], batch_size: int) -> int:
    """Return the number of threads with which a step of training is fastest, at most `get_threads()`."""
    return max(1, min(worthwhile_threads(backprop_flops(sizes, batch_size)), batch_size // LEAST_EXAMPLES))


class Engine:
    """A network with its compiled kernels.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.
    theta : ndarray of shape (n_parameters,)
        The parameters, float32 or float64; training changes them in place.
    activations : sequence of Activation
        One for each computing layer.
    cost : Cost
        The cost that training reduces.

    Raises
    ------
    TypeError
        If Numba cannot compile a custom function.
    """

    def __init__(self, sizes: Sequence[int], theta: Array, activations: Sequence[Activation], cost: Cost) -> None:
        self.sizes, self.theta, self.dtype = tuple(sizes), theta, theta.dtype
        self.activations, self.cost = tuple(activations), cost
        for activation in self.activations:
            activation.compile(self.dtype)
        cost.compile(self.dtype)
        self._few: list[_FewColumns] = []
        self._spare_models: dict[tuple[bool, bool], list[Placed]] = defaultdict(list)
        self._layouts: dict[tuple[int, int, bool], Layout] = {}

    def examples(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        X_name: str = "X",
        Y_name: str = "Y",
        example_weights: ArrayLike | None = None,
    ) -> Examples:
        """Check examples, and return them in the form that the kernels read.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        X_name, Y_name : str
            The names of X and Y in error messages.
        example_weights : array_like of shape (m,), optional
            A factor for the cost of each example.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range.
        TypeError
            If an argument does not hold real numbers.
        """
        inputs = as_inputs(X_name, X, self.sizes[0], self.dtype)
        m = len(inputs)
        rows, labels = as_targets(Y_name, Y, self.sizes[-1], m, self.dtype, X_name)
        if len(rows):
            self.cost.check_targets(Y_name, rows.T)
        return Examples(inputs, rows, labels, as_example_weights("example_weights", example_weights, m, self.dtype))

    def predict(self, inputs: Array) -> Array | None:
        """Return the outputs (m, n_L) for inputs (m, n_in), or None if an input is NaN or inf."""
        out = np.empty((len(inputs), self.sizes[-1]), self.dtype)
        must_gather = inputs.dtype != self.dtype
        shared: dict[str, Any] = {
            "inputs": inputs.reshape(-1),
            "gather": gather_address(inputs.dtype, self.dtype) if must_gather else 0,
            "order": np.arange(len(inputs) if must_gather else 0),
            "out": out.reshape(-1),
        }

        def run(model: Placed, start: int, stop: int) -> Any:
            call = evaluation.Prediction(model=model, start=start, stop=stop, chunk=CHUNK, **shared)
            return evaluation.predict.run(call, self.dtype)

        return out if all(self._in_chunks(len(inputs), run)) else None

    def predict_few(self, X: Array) -> Array | None:
        """Return the outputs (n_L, m) for at most FEW columns (n_in, m) of the network's dtype.

        Return None if an input is NaN or inf. The preparations of `predict` are done once and kept: for a small network
        they take ten times as long as the network itself.
        """
        try:
            few = self._few.pop()
        except IndexError:  # threads that call this at the same time must not share one
            few = _FewColumns(self)
        outputs = few(X)
        self._few.append(few)
        return outputs

    def activations_of(self, inputs: Array) -> list[Array]:
        """Return the activations (n_l, m) of every computing layer for finite inputs (m, n_in)."""
        m = len(inputs)
        layout = self._layout(m)
        model = self._model(layout)
        call = evaluation.Prediction(
            model=model,
            inputs=inputs.reshape(-1),
            gather=gather_address(inputs.dtype, self.dtype),
            order=np.arange(m),
            start=0,
            stop=m,
            chunk=m,
            out=np.empty(m * self.sizes[-1], self.dtype),
        )
        evaluation.predict.run(call, self.dtype)
        return [layout.block(model.record.work, index)[1] for index in range(len(self.activations))]

    def score(self, examples: Examples) -> Score:
        """Return the mean cost and the accuracy on examples."""
        m = examples.n
        costs = np.zeros(math.ceil(m / CHUNK))
        correct = np.zeros(costs.size, np.int64)
        source, order = source_of(examples, self.dtype), np.arange(m)

        def run(model: Placed, start: int, stop: int) -> Any:
            call = evaluation.Evaluation(
                model=model,
                source=source,
                order=order,
                start=start,
                stop=stop,
                chunk=CHUNK,
                costs=costs,
                correct=correct,
            )
            return evaluation.evaluate.run(call, self.dtype)

        self._in_chunks(m, run, with_cost=True, is_weighted=examples.weights.size > 0)
        return Score(float(costs.sum() / m), float(correct.sum() / m) if examples.labels.size else None)

    def gradient(self, examples: Examples, *, wants_inputs: bool = False) -> MiniBatchGradient:
        """Return the gradient of the mean cost of a mini-batch, by one forward and one backward pass."""
        m = examples.n
        layout = self._layout(m, backward=True)
        model = self._model(layout, with_cost=True, backward=True, is_weighted=examples.weights.size > 0)
        theta = np.empty_like(self.theta)
        inputs = np.empty((m if wants_inputs else 0, self.sizes[0]), self.dtype)
        call = evaluation.GradientCall(
            model=model,
            source=source_of(examples, self.dtype),
            order=np.arange(m),
            m=m,
            target=theta,
            inputs=inputs.reshape(-1),
            wants_inputs=int(wants_inputs),
            team=make_team(1)[0],
        )
        cost = evaluation.gradient.run(call, self.dtype)
        blocks = [layout.block(model.record.work, index) for index in range(len(self.activations))]
        return MiniBatchGradient(float(cost), theta, inputs, blocks)

    def loop(self, examples: Examples, batch_size: int) -> Loop:
        """Return the compiled training loop over some examples."""
        return Loop(self, examples, batch_size)

    def _model(
        self,
        layout: Layout,
        *,
        with_cost: bool = False,
        backward: bool = False,
        is_weighted: bool = False,
    ) -> Placed:
        """Return the network with a new workspace. Only the kernels that are needed are compiled."""
        dtype = self.dtype
        model = propagation.Model(
            theta=self.theta,
            layers=layout.table,
            n_layers=len(layout.table),
            work=np.empty(layout.work_size, dtype),
            targets=layout.targets,
            weights=layout.weights,
            panels=layout.panels,
            one=layout.one,
            is_weighted=int(is_weighted),
            multiply_add=multiply_add.address(dtype),
            forward=propagation.forward.address(dtype),
            backward=propagation.backward.address(dtype) if backward else 0,
            cost=self.cost.address(dtype) if with_cost else 0,
            output_error=self.cost.error_address(dtype) if backward else 0,
            is_fused=int(self.cost.is_fused),
        )
        return Placed(model, dtype)

    def _layout(self, m: int, threads: int = 1, *, backward: bool = False) -> Layout:
        """Return a layout with the addresses of the activations in its table; the last few are kept."""
        key = (m, threads, backward)
        layout = self._layouts.get(key)
        if layout is None:
            layout = Layout(self.sizes, m, threads)
            addresses = [activation.addresses(self.dtype, backward=backward) for activation in self.activations]
            layout.table.activate, layout.table.multiply_by_derivative = np.transpose(addresses)
            if len(self._layouts) >= LAYOUTS_KEPT:
                self._layouts.clear()
            self._layouts[key] = layout
        return layout

    def _in_chunks(
        self, m: int, run: Callable[[Placed, int, int], Any], *, with_cost: bool = False, is_weighted: bool = False
    ) -> list[Any]:
        """Run over m examples, in stretches of whole chunks, one for each thread; return what each returns."""
        n_chunks = math.ceil(m / CHUNK)
        threads = min(worthwhile_threads(2.0 * m * self.theta.size), n_chunks)
        bounds = [min(m, CHUNK * (n_chunks * i // threads)) for i in range(threads + 1)]
        layout, spare = self._layout(CHUNK), self._spare_models[with_cost, is_weighted]

        def stretch(start: int, stop: int) -> Any:
            try:
                model = spare.pop()
            except (
                IndexError
            ):  # each thread needs a workspace of its own; it is kept, since new memory is slow at first
                model = self._model(layout, with_cost=with_cost, is_weighted=is_weighted)
            try:
                return run(model, start, stop)
            finally:
                spare.append(model)

        return run_together([functools.partial(stretch, start, stop) for start, stop in pairwise(bounds)])


class _FewColumns:
    """A prediction for at most FEW columns. It keeps its memory from call to call."""

    def __init__(self, engine: Engine) -> None:
        n_in, n_out, dtype = engine.sizes[0], engine.sizes[-1], engine.dtype
        rows, out = np.empty((FEW, n_in), dtype), np.empty((FEW, n_out), dtype)
        call = evaluation.Prediction(
            model=engine._model(engine._layout(FEW)),
            inputs=rows.reshape(-1),
            gather=0,
            order=np.arange(0),
            start=0,
            stop=0,
            chunk=FEW,
            out=out.reshape(-1),
        )
        self._rows, self._out, self._m = rows, out, 0
        self._predict = evaluation.predict.bind(call, dtype)

    def __call__(self, X: Array) -> Array | None:
        m = X.shape[1]
        if m != self._m:
            self._m = m
            self._columns, self._outputs = self._rows[:m].T, self._out[:m].T
            self._predict.set(stop=m)
        self._columns[...] = X  # this takes a third of the time of np.copyto
        return self._outputs.copy("F") if self._predict.run() else None


class Loop:
    """The compiled training loop, with its memory and its threads.

    Parameters
    ----------
    engine : Engine
        The network; its `theta` is changed.
    examples : Examples
        The training set.
    batch_size : int
        The size of a mini-batch.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        Memory for a gradient, for the optimizers that need one.
    totals : record
        cost, correct, gradient_norm and last_cost since the last `reset`; see `mbbp.kernels.epoch.Totals`.
    """

    def __init__(self, engine: Engine, examples: Examples, batch_size: int) -> None:
        self.theta, self.gradient = engine.theta, np.empty_like(engine.theta)
        self.threads = threads_for_step(engine.sizes, batch_size)
        self._totals = array_of([epoch.Totals(cost=0.0, correct=0, gradient_norm=0.0, last_cost=0.0)])
        self._team = make_team(self.threads)
        model = engine._model(
            engine._layout(batch_size, self.threads, backward=True),
            with_cost=True,
            backward=True,
            is_weighted=examples.weights.size > 0,
        )
        self._fixed: dict[str, Any] = {
            "model": model,
            "source": source_of(examples, engine.dtype),
            "batch_size": batch_size,
            "norm": updates.norm.address(engine.dtype),
            "totals": self._totals,
        }
        self._calls: list[Bound] = []

    @property
    def totals(self) -> Any:
        """The totals since the last `reset`."""
        return self._totals[0]

    @property
    def last_cost(self) -> ctypes.c_double:
        """The sum of the costs in the last mini-batch. Its `value` changes with every step."""
        return ctypes.c_double.from_buffer(self._totals, self._totals.dtype.fields["last_cost"][1])

    def reset(self) -> None:
        """Set the totals to zero."""
        self._totals[...] = 0

    def prepare(self, order: Array, step: updates.Step) -> None:
        """Set the work of `run_again`: a step for every mini-batch of the examples in `order`."""
        if self._calls:
            for call in self._calls:
                call.set(order=order, n=order.size, step=step)
            return
        for place in self._team:  # the records of the threads differ only in the place in the team
            training = epoch.Training(order=order, n=order.size, step=step, team=place, **self._fixed)
            self._calls.append(epoch.train.bind(training, self.theta.dtype))

    def run(self, order: Array, step: updates.Step) -> bool:
        """Take a step for every mini-batch of the examples in `order`.

        Returns
        -------
        bool
            Whether the cost stayed finite. If a cost is not finite, the loop ends without the step of its mini-batch.
        """
        self.prepare(order, step)
        return self.run_again()

    def run_again(self) -> bool:
        """Do the work that `prepare` or `run` has set last."""
        if self.threads == 1:
            return bool(self._calls[0].run())
        self._team[0].arrivals[:] = 0  # an interrupt may have left them unequal
        return all(run_together(self._calls, lambda: give_up(self._team[0])))
