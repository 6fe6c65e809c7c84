"""The engine: where a network, examples, workspaces, threads and compiled kernels are put together.

`Network.fit`, the book's programs, the benchmark and the tests all use it, and `mbbp.loop` for training. It checks the
examples and nothing else: its callers have checked their other arguments.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation
from mbbp.arrays import as_example_weights
from mbbp.costs import Cost
from mbbp.dropout import Dropout
from mbbp.fixed import Fixed
from mbbp.inputs import as_inputs, is_plain
from mbbp.kernels import dropout as dropping
from mbbp.kernels import evaluation, propagation
from mbbp.kernels.examples import Examples, SparseRows, inputs_of, source_of
from mbbp.kernels.gemm.blocking import multiply_add
from mbbp.kernels.gemm.sums import sum_columns
from mbbp.kernels.gemm.tile import lanes
from mbbp.kernels.layout import Layout
from mbbp.kernels.lowlevel.records import Placed
from mbbp.parameters import Array
from mbbp.prepared import SMALL, GradientOf, Predictor, SummedGradient
from mbbp.scaling import Scaling
from mbbp.targets import as_targets
from mbbp.threads import OneWriter, run_together, worthwhile_threads

# The number of columns in one pass of a prediction or a score: enough to keep the kernels busy, and few enough for the
# workspace to stay in the cache. It does not depend on the number of threads, so the results do not either.
CHUNK = 128
FEW = 64  # columns up to so many go through the network together
BLOCK = 1 << 16  # about how many inputs are copied at once, if they must be: few enough to stay in the cache
LAYOUTS_KEPT, GRADIENTS_KEPT = 32, 8


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
    work : ndarray
        The workspace, which holds z, a and delta of every computing layer.
    layout : Layout
        Where they lie in it.
    inputs : ndarray of shape (m, n_in) or None
        Row i is the gradient dC_x/dx of example i with respect to its input, if requested.
    """

    cost: float
    theta: Array
    work: Array
    layout: Layout
    inputs: Array | None = None


class Engine(Fixed):
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
    scaling : Scaling or "standardize", optional
        How inputs are scaled. "standardize" stands for a scaling that is not learnt yet.
    dropout : Dropout, optional
        Which share of the neurons a step of training drops; a `Loop` does it, and nothing else.

    Attributes
    ----------
    writer : OneWriter
        Lets one thread at a time change the parameters.

    Raises
    ------
    TypeError
        If Numba cannot compile a custom function.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        theta: Array,
        activations: Sequence[Activation],
        cost: Cost,
        scaling: Scaling | str | None = None,
        dropout: Dropout | None = None,
    ) -> None:
        self.sizes, self._theta, self.dtype = tuple(sizes), theta, theta.dtype
        self.activations, self.cost = tuple(activations), cost
        self.writer = OneWriter()
        self._scaling, self._dropout = scaling, dropout
        for activation in self.activations:
            activation.compile(self.dtype)
        cost.compile(self.dtype)
        self._predictors: tuple[list[Predictor], list[Predictor]] = ([], [])  # for few columns, and for more
        self._gradients: dict[tuple[int, bool, bool], list[GradientOf]] = {}
        self._spare_models: dict[tuple[bool, bool], list[Placed]] = defaultdict(list)
        self._layouts: dict[tuple[int, int, bool, bool], Layout] = {}

    @property
    def theta(self) -> Array:
        """The parameters: a new view of them each time, so that no change of its shape reaches the kernels."""
        return self._theta.view()

    @property
    def is_regression(self) -> bool:
        """Whether targets (m,) of a single output are desired outputs, and not labels."""
        return not self.cost.is_of_classes and self.activations[-1].name not in ("sigmoid", "softmax")

    @property
    def scaling(self) -> Scaling | None:
        """How inputs are scaled.

        Raises
        ------
        ValueError
            If the scaling is not learnt yet.
        """
        if isinstance(self._scaling, str):
            raise ValueError(
                "scaling: expected a learnt scaling, got 'standardize' before the first training; call fit first, or "
                "build the network with scaling=mbbp.Scaling.learn(X)"
            )
        return self._scaling

    @property
    def is_unscaled(self) -> bool:
        """Whether inputs are used as they are."""
        return self._scaling is None

    @property
    def scaling_is_learnt(self) -> bool:
        """Whether the scaling needs no training data any more."""
        return not isinstance(self._scaling, str)

    def set_scaling(self, scaling: Scaling | str | None) -> None:
        """Set how inputs are scaled; "standardize" stands for a scaling that is not learnt yet."""
        self._scaling = scaling
        self._predictors = ([], [])  # new ones: another thread may still use the old ones

    @property
    def dropout(self) -> Dropout | None:
        """Which share of the neurons a step of training drops."""
        return self._dropout

    def set_dropout_seed(self, seed: int) -> None:
        """Set the seed of the masks, before the first training."""
        assert self._dropout is not None
        self._dropout, self._layouts = self._dropout._replace(seed=seed), {}

    def examples(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        X_name: str = "X",
        Y_name: str = "Y",
        example_weights: ArrayLike | None = None,
        *,
        is_scaled: bool = True,
    ) -> Examples:
        """Check examples, and return them in the form that the kernels read.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels. For a single output (m,) are desired outputs if `is_regression`.
        X_name, Y_name : str
            The names of X and Y in error messages.
        example_weights : array_like of shape (m,), optional
            A factor for the cost of each example.
        is_scaled : bool
            Whether the examples are scaled as the network does it. If not, they have no scaling yet.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range, or
            if the scaling is not learnt yet.
        TypeError
            If an argument does not hold real numbers.
        """
        self.writer.check_readable("examples")
        scaling = self.scaling if is_scaled else None
        inputs = as_inputs(X_name, X, self.sizes[0], self.dtype, scaling)
        m = len(inputs)
        rows, labels = as_targets(Y_name, Y, self.sizes[-1], m, self.dtype, X_name, is_regression=self.is_regression)
        if len(rows):
            self.cost.check_targets(Y_name, rows.T)
        weights = as_example_weights("example_weights", example_weights, m, self.dtype)
        return Examples(inputs, rows, labels, weights, scaling)

    def predict(self, inputs: Array | SparseRows) -> Array | None:
        """Return the outputs (m, n_L) for inputs (m, n_in), or None if a scaled input is NaN or inf."""
        m = inputs.shape[0]
        out = np.empty((m, self.sizes[-1]), self.dtype)
        found = inputs_of(inputs, self.scaling, self.dtype, in_place=True)
        order = np.arange(m if found.gather else 0)

        def run(model: Placed, start: int, stop: int) -> Any:
            call = evaluation.Prediction(
                model=model, inputs=found, order=order, start=start, stop=stop, chunk=CHUNK, out=out.reshape(-1)
            )
            return evaluation.predict.run(call, self.dtype)

        return out if all(self._in_chunks(m, run)) else None

    def predict_columns(self, X: Array) -> Array | None:
        """Return the outputs (n_L, m) for columns (n_in, m), or None if a scaled input is NaN or inf.

        The columns are of the network's dtype, or converted to it if inputs are not scaled.
        """
        m = X.shape[1]
        spare = self._predictors[m > FEW]
        if X.size <= SMALL and (m <= FEW or len(self.stretches(m)) == 1):
            predictor = self._predictor(spare, m)
            outputs = predictor.of_few(X)
            spare.append(predictor)
            return outputs
        out = np.empty((m, self.sizes[-1]), self.dtype)

        def write(start: int, stop: int) -> bool:
            predictor = self._predictor(spare, m)
            is_finite = predictor.write(X[:, start:stop], out[start:stop])
            spare.append(predictor)
            return is_finite

        parts = run_together([functools.partial(write, start, stop) for start, stop in self.stretches(m)])
        return out.T if all(parts) else None

    def _predictor(self, spare: list[Predictor], m: int) -> Predictor:
        """Return a predictor of m columns for one thread alone: a spare one if there is one."""
        try:  # not "if there is one": another thread could take it in between
            return spare.pop()
        except IndexError:
            n_in, n_out, chunk = self.sizes[0], self.sizes[-1], FEW if m <= FEW else CHUNK
            block = FEW if m <= FEW else CHUNK * max(1, BLOCK // (CHUNK * n_in))
            return Predictor(self.model(self.layout(chunk)), n_in, n_out, self.scaling, chunk, block)

    def activations_of(self, inputs: Array | SparseRows) -> list[Array]:
        """Return the activations (n_l, m) of every computing layer for finite inputs (m, n_in)."""
        m = inputs.shape[0]
        layout = self.layout(m)
        model = self.model(layout)
        call = evaluation.Prediction(
            model=model,
            inputs=inputs_of(inputs, self.scaling, self.dtype),
            order=np.arange(m),
            start=0,
            stop=m,
            chunk=m,
            out=np.empty(m * self.sizes[-1], self.dtype),
        )
        evaluation.predict.run(call, self.dtype)
        return [layout.block(model.record.work, index)[1] for index in range(len(self.activations))]

    def score(self, examples: Examples, chosen: Array | None = None) -> Score:
        """Return the mean cost and the accuracy on examples, on all of them or on those whose numbers are `chosen`."""
        order = np.arange(examples.n) if chosen is None else chosen
        m = order.size
        costs = np.zeros(math.ceil(m / CHUNK))
        correct = np.zeros(costs.size, np.int64)
        source = self.source(examples)

        def run(model: Placed, start: int, stop: int) -> Any:
            call = evaluation.Evaluation(model, source, order, start, stop, CHUNK, costs, correct)
            return evaluation.evaluate.run(call, self.dtype)

        self._in_chunks(m, run, with_cost=True, is_weighted=examples.weights.size > 0)
        return Score(float(costs.sum() / m), float(correct.sum() / m) if examples.labels.size else None)

    def gradient(self, examples: Examples, *, wants_inputs: bool = False) -> MiniBatchGradient:
        """Return the gradient of the mean cost of a mini-batch, by one forward and one backward pass."""
        source = self.source(examples)
        inputs = np.empty((examples.n, self.sizes[0]), self.dtype) if wants_inputs else None
        call = self._take_gradient(examples.n, are_labels=False, is_weighted=examples.weights.size > 0)
        cost, theta, work = call.of_source(source, inputs)
        self._keep_gradient(call)
        if inputs is not None and examples.scaling is not None:
            inputs *= examples.scaling.factor.astype(self.dtype)
        return MiniBatchGradient(cost, theta, work, call.layout, inputs)

    def summed_gradient(self, examples: Examples, chosen: Array | None = None) -> SummedGradient:
        """Return what computes the gradient of the summed cost of examples, such as for a solver of SciPy."""
        chunk = min(CHUNK, examples.n)
        model = self.model(
            self.layout(chunk, backward=True), with_cost=True, backward=True, is_weighted=examples.weights.size > 0
        )
        order = np.arange(examples.n) if chosen is None else chosen
        return SummedGradient(model, self.source(examples), order, chunk)

    def quick_gradient(self, X: Any, Y: Any) -> MiniBatchGradient | None:
        """Return the gradient for arrays (n_in, m), and (n_L, m) or (m,), that need no conversion and no scaling.

        Return None for others, and if anything is wrong with them: then `examples` says what.
        """
        return self._quickly(X, Y, lambda call: _as_result(call, call.of_arrays(X, Y)))

    def quick_norms(self, X: Any, Y: Any) -> Array | None:
        """Return the norm of the gradient of each example (m,), for arrays that `quick_gradient` takes."""
        return self._quickly(X, Y, lambda call: call.norms_of_arrays(X, Y))

    def _quickly(self, X: Any, Y: Any, run: Callable[[GradientOf], Any]) -> Any:
        if self._scaling is not None or type(Y) is not np.ndarray or not is_plain(X, self.sizes[0], self.dtype):
            return None
        m, are_labels = X.shape[1], Y.ndim == 1
        if are_labels:
            fits = Y.shape == (m,) and Y.dtype.kind in "iu" and not self.is_regression
        else:
            fits = Y.shape == (self.sizes[-1], m) and Y.dtype == self.dtype
        if not fits:
            return None
        call = self._take_gradient(m, are_labels=are_labels)
        found = run(call)
        self._keep_gradient(call)
        if found is not None and not are_labels:
            self.cost.check_targets("Y", Y)
        return found

    def _take_gradient(self, m: int, *, are_labels: bool, is_weighted: bool = False) -> GradientOf:
        """Return what computes gradients of m examples, for one thread alone."""
        key = (m, are_labels, is_weighted)
        try:
            return self._gradients[key].pop()
        except (KeyError, IndexError):  # none is there, or another thread has it
            layout, nowhere = self.layout(m, backward=True), np.empty(0, self.dtype)
            model = self.model(layout, with_cost=True, backward=True, is_weighted=is_weighted, work=nowhere)
            return GradientOf(key, model, layout, self.sizes[-1], are_labels=are_labels)

    def _keep_gradient(self, call: GradientOf) -> None:
        """Keep it for later; those of the last few sizes are kept."""
        kept = self._gradients
        if call.key not in kept and len(kept) >= GRADIENTS_KEPT:
            self._gradients = kept = {}  # a new one: another thread may be reading the old one
        kept.setdefault(call.key, []).append(call)

    def source(self, examples: Examples) -> Placed:
        """Return examples as the kernels take them.

        Raises
        ------
        ValueError
            If they are those of a network of other sizes.
        """
        n_in, n_out = self.sizes[0], self.sizes[-1]
        labels, n = examples.labels, examples.n
        if (examples.inputs.shape[1], examples.targets.shape[1]) != (n_in, n_out):
            raise ValueError(
                f"examples: expected {n_in} inputs and {n_out} outputs, got {examples.inputs.shape[1]} and "
                f"{examples.targets.shape[1]}"
            )
        lengths = (len(examples.targets) or len(labels), len(labels) or n, len(examples.weights) or n)
        if lengths != (n, n, n) or (labels.size and not 0 <= labels.min() <= labels.max() <= max(n_out - 1, 1)):
            raise ValueError(f"examples: expected {n} targets, and labels from 0 to {max(n_out - 1, 1)}, got others")
        return source_of(examples, self.dtype)

    def model(
        self,
        layout: Layout,
        *,
        with_cost: bool = False,
        backward: bool = False,
        is_weighted: bool = False,
        work: Array | None = None,
    ) -> Placed:
        """Return the network with a workspace, a new one by default. Only the kernels that are needed are compiled."""
        dtype = self.dtype
        model = propagation.Model(
            theta=self._theta,
            layers=layout.table,
            n_layers=len(layout.table),
            work=np.empty(layout.work_size, dtype) if work is None else work,
            targets=layout.targets,
            weights=layout.weights,
            tangent_inputs=layout.tangent_inputs,
            spare=layout.spare,
            scratch=layout.scratch,
            panels=layout.panels,
            panel_size=layout.panel_size,
            lanes=layout.lanes,
            is_weighted=int(is_weighted),
            multiply_add=multiply_add.address(dtype),
            sum_columns=sum_columns.address(dtype) if backward else 0,
            forward=propagation.forward.address(dtype),
            backward=propagation.backward.address(dtype) if backward else 0,
            cost=self.cost.address(dtype) if with_cost else 0,
            count_correct=evaluation.count_correct.address(dtype) if with_cost else 0,
            output_error=self.cost.error_address(dtype) if backward else 0,
            is_fused=int(self.cost.is_fused),
            cost_parameter=self.cost.parameter or 0.0,
            threshold=self.cost.threshold,
        )
        return Placed(model, dtype)

    def layout(self, m: int, threads: int = 1, *, backward: bool = False, dropout: bool = False) -> Layout:
        """Return a layout with the addresses of the kernels in its table; the last few are kept."""
        key = (m, threads, backward, dropout)
        layout = self._layouts.get(key)
        if layout is None:
            used = self._dropout if dropout else None
            layout = Layout(self.sizes, m, threads, lanes(self.dtype), used and used.rates)
            addresses = [activation.addresses(self.dtype, backward=backward) for activation in self.activations]
            layout.table.activate, layout.table.multiply_by_derivative = np.transpose(addresses)
            if used is not None:
                for index in np.flatnonzero(layout.table.dropout):
                    row, in_place = layout.table[index], dropping.drop_in_place.address(self.dtype)
                    row.seed, row.drop_errors = used.seed, in_place
                    row.drop_inputs = dropping.drop.address(self.dtype) if index else in_place
            if len(self._layouts) >= LAYOUTS_KEPT:
                self._layouts.clear()
            self._layouts[key] = layout
        return layout

    def _in_chunks(
        self, m: int, run: Callable[[Placed, int, int], Any], *, with_cost: bool = False, is_weighted: bool = False
    ) -> list[Any]:
        """Run over m examples, in stretches of whole chunks, one for each thread; return what each returns."""
        layout, spare = self.layout(CHUNK), self._spare_models[with_cost, is_weighted]

        def stretch(start: int, stop: int) -> Any:
            try:  # each thread needs a workspace of its own; it is kept, since new memory is slow at first
                model = spare.pop()
            except IndexError:
                model = self.model(layout, with_cost=with_cost, is_weighted=is_weighted)
            try:
                return run(model, start, stop)
            finally:
                spare.append(model)

        return run_together([functools.partial(stretch, start, stop) for start, stop in self.stretches(m)])

    def stretches(self, m: int) -> list[tuple[int, int]]:
        """Return the stretch of each thread among m examples, in whole chunks: its first one, and one after its last.

        The bounds of the chunks do not depend on the number of threads, so the results do not either.
        """
        threads = worthwhile_threads(2.0 * m * self._theta.size)
        if threads == 1:
            return [(0, m)]
        n_chunks = math.ceil(m / CHUNK)
        threads = min(threads, n_chunks)
        return list(pairwise(min(m, CHUNK * (n_chunks * i // threads)) for i in range(threads + 1)))


def _as_result(call: GradientOf, found: tuple[float, Array, Array] | None) -> MiniBatchGradient | None:
    return None if found is None else MiniBatchGradient(*found, call.layout)
