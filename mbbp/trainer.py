"""Single steps of training, for examples that arrive one at a time, as in online learning or control."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mbbp.engine import Engine
from mbbp.fixed import Fixed
from mbbp.inputs import as_inputs, scaled
from mbbp.kernels.examples import Examples
from mbbp.kernels.finite import ALL_FINE, NOT_FINITE, Checked, check
from mbbp.loop import Loop
from mbbp.methods.method import DivergedError
from mbbp.optimizer_state import OptimizerState, Rates
from mbbp.optimizers import Optimizer
from mbbp.parameters import Array
from mbbp.solvers import get_optimizer
from mbbp.targets import as_targets
from mbbp.validation import as_number

SIZES_KEPT = 8  # the most sizes of mini-batches for which a trainer keeps the memory of a step


def _checked(state: OptimizerState, optimizer: Optimizer, theta: Array) -> OptimizerState:
    if not isinstance(state, OptimizerState):
        raise TypeError(f"optimizer_state: expected an OptimizerState or None, got {state!r:.100}")
    if state.optimizer != optimizer:
        raise ValueError(f"optimizer_state: expected a state of {optimizer}, got one of {state.optimizer}")
    state.check_fits(theta)
    return state


class Trainer(Fixed):
    """Takes single steps of training on a network; `Network.trainer` returns one.

    The memory of a step is kept for the next one. So a step on a small mini-batch takes only a few microseconds more
    than its arithmetic. The optimizer's state belongs to the trainer, not to the network.

    Attributes
    ----------
    learning_rate : float
        The book's eta. It may be changed between steps.
    optimizer : Optimizer
    steps : int
        The number of steps so far.
    """

    def __init__(
        self,
        engine: Engine,
        optimizer: str | Optimizer = "sgd",
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        optimizer_state: OptimizerState | None = None,
    ) -> None:
        self.optimizer = get_optimizer(optimizer, weight_decay)
        self.optimizer.compile(engine.dtype)
        rate = self.optimizer.default_learning_rate if learning_rate is None else learning_rate
        self._rates = Rates(as_number("learning_rate", rate, positive=True))
        if clip_norm is not None:
            self._rates = self._rates._replace(clip_norm=as_number("clip_norm", clip_norm, positive=True))
        self._engine = engine
        if optimizer_state is None:
            self._state = self.optimizer.start(engine.theta.size, engine.dtype)
        else:
            self._state = _checked(optimizer_state, self.optimizer, engine.theta).copy()
        self._writer = engine.writer
        self._lock = engine.writer.lock  # two threads must not write to the same mini-batch or the same network
        self._batches: dict[tuple[int, bool], _Batch] = {}
        self._batch: _Batch | None = None

    @property
    def learning_rate(self) -> float:
        """The book's eta."""
        return self._rates.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        rate = as_number("learning_rate", value, positive=True)
        self._writer.check_not_fitting("learning_rate")
        with self._lock:
            self._rates = self._rates._replace(learning_rate=rate)
            self._prepare_all()

    def _prepare_all(self) -> None:
        for batch in self._batches.values():
            batch.prepare(self.optimizer, self._state, self._rates)

    @property
    def steps(self) -> int:
        """The number of steps so far."""
        return int(self._state.steps[0])

    @property
    def optimizer_state(self) -> OptimizerState:
        """A copy of the state of the optimizer, to save it with the network: ``net.optimizer_state = ...``."""
        with self._lock:
            return self._state.copy()

    def step(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Take one step of training on a mini-batch, and return the mean cost before the step.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column. A NumPy array of the network's dtype is fastest.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels. A NumPy array of the network's dtype, or labels in int64, are fastest.

        Returns
        -------
        float
            The mean cost of the mini-batch, with the parameters from before the step.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label that is out of range.
        TypeError
            If an argument does not hold real numbers.
        RuntimeError
            If `fit` is training the network.
        DivergedError
            If the cost is NaN or inf. The step is not taken then. Unlike `fit`, `step` does not look for NaN and inf in
            the parameters after the step, because that would take longer than the step.

        Notes
        -----
        No row is added to the history. Unlike `fit`, `step` does not check that the targets are probabilities if the
        cost needs probabilities. If Ctrl-C interrupts a step that several threads share, only a part of the parameters
        may have changed.
        """
        if self._lock.locked():
            self._writer.check_not_fitting("step")
        with self._lock:
            batch = self._batch
            if batch is not None and batch.fits(X, Y):
                return batch.step(X, Y)
            if batch is not None and batch.can_convert(X, Y):
                with np.errstate(over="ignore"):
                    if batch.take(X, Y) == ALL_FINE:
                        return batch.train()
            self._batch = None  # it stays None if a check raises
            X, Y = self._checked(X, Y)
            batch = self._batch_for(X.shape[1], are_labels=Y.ndim == 1)
            cost = batch.step(X, Y, is_scaled=True)
            self._batch = batch
            return cost

    def __reduce__(self) -> NoReturn:
        raise TypeError("Trainer: it cannot be pickled or copied; copy the network, and call its trainer() again")

    def _checked(self, X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
        """Return scaled inputs (n_in, m), and targets (n_L, m) or labels (m,), of the right shape and dtype."""
        engine = self._engine
        inputs = as_inputs("X", X, engine.sizes[0], engine.dtype, engine.scaling)
        rows, labels = as_targets(
            "Y", Y, engine.sizes[-1], len(inputs), engine.dtype, "X", is_regression=engine.is_regression
        )
        if len(rows):
            engine.cost.check_targets("Y", rows.T)
        return scaled(inputs, engine.scaling, engine.dtype).T, rows.T if len(rows) else labels

    def _batch_for(self, m: int, *, are_labels: bool) -> _Batch:
        """Return the memory for mini-batches of this size and kind. At most SIZES_KEPT are kept."""
        key = (m, are_labels)
        if key not in self._batches:
            if len(self._batches) == SIZES_KEPT:
                del self._batches[next(iter(self._batches))]
            batch = _Batch(self._engine, m, are_labels=are_labels)
            batch.prepare(self.optimizer, self._state, self._rates)
            self._batches[key] = batch  # only now: Ctrl-C may come while its loop is compiled
        self._batches[key] = self._batches.pop(key)  # the last used one comes last
        return self._batches[key]


class _Batch:
    """The memory for a mini-batch of m examples, with its compiled check and its compiled step."""

    def __init__(self, engine: Engine, m: int, *, are_labels: bool) -> None:
        n_in, n_out, dtype = engine.sizes[0], engine.sizes[-1], engine.dtype
        self._m, self._n_classes = m, max(n_out, 2)
        # inputs and targets are in one array, so that one pass finds NaN and inf in both
        numbers = np.zeros(m * (n_in + (0 if are_labels else n_out)), dtype)
        rows = numbers[: m * n_in].reshape(m, n_in)
        targets = numbers[m * n_in :].reshape(-1, n_out)
        labels = np.zeros(m if are_labels else 0, np.int64)
        self._inputs, self._targets = rows.T, labels if are_labels else targets.T
        self._loop = Loop(engine, Examples(rows, targets, labels, np.empty(0, dtype)), m)
        scaling = engine.scaling
        self._factor = None if scaling is None else scaling.factor.astype(dtype).reshape(-1, 1)
        self._mean = None if scaling is None or scaling.mean is None else scaling.mean.astype(dtype).reshape(-1, 1)
        self._theta = engine.theta
        checked = Checked(x=numbers, size=numbers.size, labels=labels, n_labels=labels.size, n_classes=self._n_classes)
        self._check = check.bind(checked, dtype).run
        self._take_step, self._summed_cost = self._loop.run_again, self._loop.last_cost
        self._shapes, self._dtypes = (self._inputs.shape, self._targets.shape), (dtype, self._targets.dtype)

    def prepare(self, optimizer: Optimizer, state: OptimizerState, rates: Rates) -> None:
        """Set the step that is taken: that of an optimizer, its state and its rates."""
        step = optimizer.step(self._theta, self._loop.gradient, state, rates)
        self._loop.prepare(np.arange(self._m), step)

    def fits(self, X: Any, Y: Any) -> bool:
        """Return whether X and Y are arrays of this mini-batch's shapes and dtypes."""
        return (
            type(X) is np.ndarray
            and type(Y) is np.ndarray
            and (X.shape, Y.shape) == self._shapes
            and (X.dtype, Y.dtype) == self._dtypes
        )

    def can_convert(self, X: Any, Y: Any) -> bool:
        """Return whether X and Y are arrays of this mini-batch's shapes, and of dtypes that a copy converts."""
        return (
            self._factor is None
            and type(X) is np.ndarray
            and type(Y) is np.ndarray
            and (X.shape, Y.shape) == self._shapes
            and X.dtype.kind in "fiu"
            and Y.dtype.kind in ("iu" if Y.ndim == 1 else "fiu")
        )

    def step(self, X: Any, Y: Any, *, is_scaled: bool = False) -> float:
        """Copy, scale and check a mini-batch, take a step, and return the mean cost before it."""
        found = self.take(X, Y, is_scaled=is_scaled)
        if found != ALL_FINE:
            raise self._fault(found)
        return self.train()

    def take(self, X: Any, Y: Any, *, is_scaled: bool = False) -> int:
        """Copy, scale and check a mini-batch, and return what the check has found."""
        self._inputs[...] = X  # this takes a third of the time of np.copyto
        if self._factor is not None and not is_scaled:
            if self._mean is not None:
                self._inputs -= self._mean
            self._inputs *= self._factor
        self._targets[...] = Y
        return int(self._check())

    def train(self) -> float:
        """Take a step on the mini-batch, and return the mean cost before it."""
        if not self._take_step():
            where = "" if np.isfinite(self._theta).all() else ", because the step before made parameters NaN or inf"
            raise DivergedError(
                f"step: the cost became NaN or inf{where}, and this step was not taken. Try a smaller learning_rate, a "
                "clip_norm, inputs scaled to about 1, or dtype='float64'"
            )
        return self._summed_cost.value / self._m

    def _fault(self, found: int) -> ValueError:
        if found == NOT_FINITE:
            name = "X" if not np.isfinite(self._inputs).all() else "Y"
            return ValueError(f"{name}: expected finite numbers, got NaN or inf")
        where = int(np.argmax((self._targets < 0) | (self._targets >= self._n_classes)))
        got = f"{self._targets[where]} at position {where}"
        return ValueError(f"Y: expected labels from 0 to {self._n_classes - 1}, got {got}")
