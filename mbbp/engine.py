"""The engine: where a network, examples, workspaces, threads and compiled kernels are put together.

`Network.fit`, the book's programs, the benchmark and the tests all use it. It checks examples, and nothing else: its
callers know what they give it.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.costs import Cost
from mbbp.kernels import epoch, evaluation, propagation, updates
from mbbp.kernels.examples import Examples, source_of
from mbbp.kernels.gemm.blocking import multiply_add
from mbbp.kernels.layout import Layout
from mbbp.kernels.lowlevel.records import Bound, Placed, array_of
from mbbp.kernels.team import give_up, make_team
from mbbp.parameters import Array, backprop_flops
from mbbp.threads import run_together, worthwhile_threads
from mbbp.validation import as_example_weights, as_inputs, as_targets

# Columns that go through the network together where there are many: enough to keep the kernels busy, few enough for the
# workspace to stay in the cache. It is the same for any number of threads, so that results are too.
CHUNK = 128
FEW = 8  # columns for which checks and preparations would take longer than the network does
LEAST_EXAMPLES = 32  # of a mini-batch for each thread: it has whole tiles then


class Score(NamedTuple):
    """The mean cost of some examples, and the fraction that is classified rightly; None if they name no classes."""

    cost: float
    accuracy: float | None


class MiniBatchGradient(NamedTuple):
    """What one forward and one backward pass of a mini-batch give.

    Attributes
    ----------
    cost : float
        The mean cost.
    theta : ndarray of shape (n_parameters,)
        The mean gradient by the parameters.
    inputs : ndarray of shape (m, n_in) or (0, n_in)
        The gradient of each example's own cost by its input, if asked for.
    blocks : list of (z, a, delta)
        Of every computing layer, each (n_l, m).
    """

    cost: float
    theta: Array
    inputs: Array
    blocks: list[tuple[Array, Array, Array]]


def threads_for_step(sizes: Sequence[int], batch_size: int) -> int:
    """Return how many of the threads that may be used make a step of training faster."""
    return max(1, min(worthwhile_threads(backprop_flops(sizes, batch_size)), batch_size // LEAST_EXAMPLES))


class Engine:
    """A network in the hands of the kernels.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first.
    theta : ndarray of shape (n_parameters,)
        The parameters, float32 or float64; training changes them in place.
    activations : sequence of Activation
        One for each computing layer.
    cost : Cost
        What it is trained for.

    Raises
    ------
    TypeError
        If a user's own function cannot be compiled.
    """

    def __init__(self, sizes: Sequence[int], theta: Array, activations: Sequence[Activation], cost: Cost) -> None:
        self.sizes, self.theta, self.dtype = tuple(sizes), theta, theta.dtype
        self.activations, self.cost = tuple(activations), cost
        for activation in self.activations:
            activation.compile(self.dtype)
        cost.compile(self.dtype)
        self._few: list[_FewColumns] = []

    def examples(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        X_name: str = "X",
        Y_name: str = "Y",
        example_weights: ArrayLike | None = None,
    ) -> Examples:
        """Return checked examples as the kernels take them; the names are for errors.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
        """
        inputs = as_inputs(X_name, X, self.sizes[0], self.dtype)
        m = len(inputs)
        rows, labels = as_targets(Y_name, Y, self.sizes[-1], m, self.dtype, X_name)
        if len(rows):
            self.cost.check_targets(Y_name, rows.T)
        return Examples(inputs, rows, labels, as_example_weights("example_weights", example_weights, m, self.dtype))

    def predict(self, inputs: Array) -> Array | None:
        """Return the outputs (m, n_L) for rows of inputs, or None if one of them is not finite."""
        out = np.empty((len(inputs), self.sizes[-1]), self.dtype)
        examples = Examples(
            inputs, np.empty((0, self.sizes[-1]), self.dtype), np.empty(0, np.int64), np.empty(0, self.dtype)
        )
        must_gather = inputs.dtype != self.dtype
        shared: dict[str, Any] = {
            "source": source_of(examples, self.dtype),
            "order": np.arange(len(inputs) if must_gather else 0),
            "must_gather": int(must_gather),
            "out": out.reshape(-1),
        }

        def stretch(start: int, stop: int) -> Bound:
            model = self._model(Layout(self.sizes, min(CHUNK, len(inputs))))
            call = evaluation.Prediction(model=model, start=start, stop=stop, chunk=CHUNK, **shared)
            return evaluation.predict.bind(call, self.dtype)

        return out if all(self._in_chunks(len(inputs), stretch)) else None

    def predict_few(self, X: Array) -> Array | None:
        """Return the outputs (n_L, m) for at most FEW columns (n_in, m) of the network's dtype; None as `predict` does.

        All that `predict` prepares is kept from call to call. It would take ten times as long as a small network does.
        """
        try:
            few = self._few.pop()
        except IndexError:  # each thread that asks at the same time has one
            few = _FewColumns(self)
        outputs = few(X)
        self._few.append(few)
        return outputs

    def activations_of(self, inputs: Array) -> list[Array]:
        """Return the activations of every computing layer, (n_l, m), for rows of inputs, all of them finite."""
        m = len(inputs)
        layout = Layout(self.sizes, m)
        model = self._model(layout)
        examples = Examples(
            inputs, np.empty((0, self.sizes[-1]), self.dtype), np.empty(0, np.int64), np.empty(0, self.dtype)
        )
        call = evaluation.Prediction(
            model=model,
            source=source_of(examples, self.dtype),
            order=np.arange(m),
            must_gather=1,
            start=0,
            stop=m,
            chunk=m,
            out=np.empty(m * self.sizes[-1], self.dtype),
        )
        evaluation.predict.bind(call, self.dtype)()
        return [layout.block(model.record.work, index)[1] for index in range(len(self.activations))]

    def score(self, examples: Examples) -> Score:
        """Return the mean cost and the accuracy on examples."""
        m = examples.n
        costs = np.zeros(math.ceil(m / CHUNK))
        correct = np.zeros(costs.size, np.int64)
        source, order = source_of(examples, self.dtype), np.arange(m)

        def stretch(start: int, stop: int) -> Bound:
            model = self._model(Layout(self.sizes, min(CHUNK, m)), examples, with_cost=True)
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
            return evaluation.evaluate.bind(call, self.dtype)

        self._in_chunks(m, stretch)
        return Score(float(costs.sum() / m), float(correct.sum() / m) if examples.labels.size else None)

    def gradient(self, examples: Examples, *, wants_inputs: bool = False) -> MiniBatchGradient:
        """Return the gradient of the mean cost of a mini-batch, by one forward and one backward pass."""
        m = examples.n
        layout = Layout(self.sizes, m)
        model = self._model(layout, examples, with_cost=True, backward=True)
        theta = np.empty_like(self.theta)
        inputs = np.empty((m if wants_inputs else 0, self.sizes[0]), self.dtype)
        call = evaluation.Gradient(
            model=model,
            source=source_of(examples, self.dtype),
            order=np.arange(m),
            m=m,
            target=theta,
            inputs=inputs.reshape(-1),
            wants_inputs=int(wants_inputs),
            team=make_team(1)[0],
        )
        cost = evaluation.gradient.bind(call, self.dtype)()
        blocks = [layout.block(model.record.work, index) for index in range(len(self.activations))]
        return MiniBatchGradient(float(cost), theta, inputs, blocks)

    def loop(self, examples: Examples, batch_size: int) -> "Loop":
        """Return the compiled training loop over some examples."""
        return Loop(self, examples, batch_size)

    def _model(
        self,
        layout: Layout,
        examples: Examples | None = None,
        *,
        with_cost: bool = False,
        backward: bool = False,
    ) -> Placed:
        """Return the network with a workspace of its own; only the kernels that are needed are compiled."""
        dtype = self.dtype
        for row, activation in zip(layout.table, self.activations, strict=True):
            row.activate, row.multiply_by_derivative = activation.addresses(dtype, backward=backward)
        model = propagation.Model(
            theta=self.theta,
            layers=layout.table,
            n_layers=len(layout.table),
            work=np.empty(layout.work_size, dtype),
            targets=layout.targets,
            weights=layout.weights,
            panels=layout.panels,
            one=layout.one,
            is_weighted=int(examples is not None and examples.weights.size > 0),
            multiply_add=multiply_add.address(dtype),
            forward=propagation.forward.address(dtype),
            backward=propagation.backward.address(dtype) if backward else 0,
            cost=self.cost.address(dtype) if with_cost else 0,
            output_error=self.cost.error_address(dtype) if backward else 0,
            is_fused=int(self.cost.is_fused),
        )
        return Placed(model, dtype)

    def _in_chunks(self, m: int, prepare: Callable[[int, int], Bound]) -> list[Any]:
        """Run over m examples, in stretches of whole chunks, one for each thread; return what each returns."""
        n_chunks = math.ceil(m / CHUNK)
        threads = min(worthwhile_threads(2.0 * m * self.theta.size), n_chunks)
        bounds = [min(m, CHUNK * (n_chunks * i // threads)) for i in range(threads + 1)]
        return run_together([prepare(start, stop) for start, stop in pairwise(bounds)])


class _FewColumns:
    """A prediction for at most FEW columns, with all its memory."""

    def __init__(self, engine: Engine) -> None:
        n_in, n_out, dtype = engine.sizes[0], engine.sizes[-1], engine.dtype
        rows, out = np.empty((FEW, n_in), dtype), np.empty((FEW, n_out), dtype)
        examples = Examples(rows, np.empty((0, n_out), dtype), np.empty(0, np.int64), np.empty(0, dtype))
        call = evaluation.Prediction(
            model=engine._model(Layout(engine.sizes, FEW)),
            source=source_of(examples, dtype),
            order=np.empty(0, np.int64),
            must_gather=0,
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
        self._columns[...] = X  # a third of the time that copyto takes
        return self._outputs.copy("F") if self._predict.run() else None


class Loop:
    """The compiled training loop, with all the memory that it works on and the threads that share its steps.

    Parameters
    ----------
    engine : Engine
        The network; its `theta` is changed.
    examples : Examples
        What to train on.
    batch_size : int
        The size of a mini-batch.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        Room for a gradient, for the optimizers that need one.
    totals : record
        What was counted since `reset`: cost, correct, gradient_norm and last_cost, see `mbbp.kernels.epoch.Totals`.
    """

    def __init__(self, engine: Engine, examples: Examples, batch_size: int) -> None:
        self.theta, self.gradient = engine.theta, np.empty_like(engine.theta)
        self.threads = threads_for_step(engine.sizes, batch_size)
        self._totals = array_of(epoch.Totals, 1)
        self._team = make_team(self.threads)
        model = engine._model(Layout(engine.sizes, batch_size, self.threads), examples, with_cost=True, backward=True)
        no_step = updates.Step(
            target=self.gradient,
            beta=0.0,
            beta_of_biases=0.0,
            alpha=0.0,
            update=0,
            state=np.empty(0, engine.dtype),
            settings=np.empty(0),
            steps=np.zeros(1, np.int64),
            learning_rate=0.0,
            l2=0.0,
            weight_decay=0.0,
            clip_norm=math.inf,
            measures_norm=0,
        )
        shared: dict[str, Any] = {
            "model": model,
            "source": source_of(examples, engine.dtype),
            "order": np.empty(0, np.int64),
            "n": 0,
            "batch_size": batch_size,
            "step": no_step,
            "norm": updates.norm.address(engine.dtype),
            "totals": self._totals,
        }
        # each thread has the same record, but for its place in the team
        self._calls = [epoch.train.bind(epoch.Training(team=place, **shared), engine.dtype) for place in self._team]

    @property
    def totals(self) -> Any:
        """What was counted since `reset`."""
        return self._totals[0]

    @property
    def last_cost(self) -> ctypes.c_double:
        """The summed cost of the last mini-batch: its `value` changes with every step."""
        return ctypes.c_double.from_buffer(self._totals, self._totals.dtype.fields["last_cost"][1])

    def reset(self) -> None:
        """Count from zero again."""
        self._totals[...] = 0

    def set(self, **fields: Any) -> None:
        """Change fields of `mbbp.kernels.epoch.Training`."""
        for call in self._calls:
            call.set(**fields)

    def run(self, order: Array, step: updates.Step) -> bool:
        """Take a step for every mini-batch of the examples in `order`.

        Returns
        -------
        bool
            Whether the cost stayed finite. If not, the step that would have used it was not taken.
        """
        self.set(order=order, n=order.size, step=step)
        return self.run_again()

    def run_again(self) -> bool:
        """Do once more what was done last."""
        if self.threads == 1:
            return bool(self._calls[0].run())
        return all(run_together(self._calls, lambda: give_up(self._team[0])))
