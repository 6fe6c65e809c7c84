"""One step of training at a time, for examples that come one by one: online learning, control."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.engine import Engine, Loop
from mbbp.kernels.examples import Examples
from mbbp.kernels.finite import ALL_FINE, NOT_FINITE, Checked, check
from mbbp.kernels.lowlevel.records import Bound
from mbbp.optimizers import Optimizer, OptimizerState, Rates, get_optimizer
from mbbp.parameters import Array
from mbbp.training import DivergedError
from mbbp.validation import as_inputs, as_number, as_targets, input_values


class Trainer:
    """Takes single steps of training on a network; `Network.trainer` makes one.

    All memory of a step is kept from one to the next, so a step on a small mini-batch costs a few microseconds more
    than its arithmetic. The optimizer's state belongs to the trainer, not to the network.

    Attributes
    ----------
    learning_rate : float
        The book's eta; it may be changed between steps.
    optimizer : Optimizer
    steps : int
        How many steps were taken.
    """

    def __init__(
        self,
        engine: Engine,
        optimizer: str | Optimizer = "sgd",
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        self.optimizer = get_optimizer(optimizer, weight_decay)
        rate = self.optimizer.default_learning_rate if learning_rate is None else learning_rate
        self._rates = Rates(as_number("learning_rate", rate, positive=True))
        if clip_norm is not None:
            self._rates = self._rates._replace(clip_norm=as_number("clip_norm", clip_norm, positive=True))
        self._engine = engine
        self._state = self.optimizer.start(engine.theta.size, engine.dtype)
        self._batches: dict[bool, _Batch] = {}

    @property
    def learning_rate(self) -> float:
        """The book's eta."""
        return self._rates.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._rates = self._rates._replace(learning_rate=as_number("learning_rate", value, positive=True))
        for batch in self._batches.values():
            batch.prepare(self.optimizer, self._state, self._rates)

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return int(self._state.steps[0])

    def step(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Take one step of training on a mini-batch, and return its mean cost before the step.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example a column. It is fastest with a NumPy array of the network's dtype.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels; labels are fastest as int64.

        Returns
        -------
        float
            The mean cost of the mini-batch, with the parameters as they were before the step.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape or dtype, an input or a target is NaN or inf, or a label is out of range.
        DivergedError
            If the cost is NaN or inf; the step is not taken then. Unlike `fit`, it does not look through the parameters
            after the step, which would take longer than the step.

        Notes
        -----
        Nothing is added to the history. Whether targets are probabilities, where the cost takes only these, is checked
        by `fit` and not here.
        """
        engine, dtype = self._engine, self._engine.dtype
        n_in, n_out = engine.sizes[0], engine.sizes[-1]
        if type(X) is not np.ndarray or X.dtype != dtype or X.ndim != 2 or X.shape[0] != n_in:
            X = input_values(as_inputs("X", X, n_in, dtype), dtype).T
        m = X.shape[1]
        if m == 0:
            raise ValueError(f"X: expected at least one column, got shape {X.shape}")
        are_labels = type(Y) is np.ndarray and Y.dtype == np.int64 and Y.shape == (m,)
        if not are_labels and (type(Y) is not np.ndarray or Y.dtype != dtype or Y.shape != (n_out, m)):
            rows, labels = as_targets("Y", Y, n_out, m, dtype, "X")
            are_labels = len(rows) == 0
            Y = labels if are_labels else rows.T
        batch = self._batches.get(are_labels)
        if batch is None or batch.capacity < m:
            batch = self._batches[are_labels] = _Batch(engine, m, are_labels=are_labels)
            batch.prepare(self.optimizer, self._state, self._rates)
        return batch.step(X, Y, m)  # type: ignore[arg-type]


class _Batch:
    """Room for a mini-batch, with the checks and the step that are bound to it."""

    def __init__(self, engine: Engine, capacity: int, *, are_labels: bool) -> None:
        n_in, n_out, dtype = engine.sizes[0], engine.sizes[-1], engine.dtype
        self.capacity, self._engine = capacity, engine
        # inputs and targets are one piece of memory, and looked through in one go
        self._numbers = np.zeros(capacity * (n_in + n_out), dtype)
        self._n_each = n_in + (0 if are_labels else n_out)
        self._labels = np.zeros(capacity if are_labels else 0, np.int64)
        self._are_labels = are_labels
        self._m = 0
        self._views: tuple[Array, Array] = (self._numbers, self._numbers)

    def prepare(self, optimizer: Optimizer, state: OptimizerState, rates: Rates) -> None:
        """Take over the optimizer's settings."""
        self._optimizer, self._state, self._rates = optimizer, state, rates
        self._m = 0

    def _bind(self, m: int) -> None:
        """Lay the inputs and the targets of m examples side by side, and bind what works on them."""
        engine = self._engine
        n_in, n_out = engine.sizes[0], engine.sizes[-1]
        rows = self._numbers[: m * n_in].reshape(m, n_in)
        targets = self._numbers[m * n_in : m * (n_in + n_out)].reshape(m, n_out)
        no_rows, no_labels = targets[:0], self._labels[:0]
        labels = self._labels[:m]
        examples = Examples(
            rows, no_rows if self._are_labels else targets, labels if self._are_labels else no_labels, no_rows.ravel()
        )
        self._loop: Loop = engine.loop(examples, m)
        step = self._optimizer.step(engine.theta, self._loop.gradient, self._state, self._rates)
        self._loop.set(order=np.arange(m), n=m, step=step)
        checked = Checked(self._numbers, m * self._n_each, self._labels, labels.size, max(n_out, 2))
        self._check: Bound = check.bind(checked, engine.dtype)
        self._views = (rows.T, labels if self._are_labels else targets.T)
        self._figures: Any = self._loop.last_cost
        self._m = m

    def step(self, X: Array, Y: Array, m: int) -> float:
        """Check and take a step."""
        if m != self._m:
            self._bind(m)
        inputs, targets = self._views
        np.copyto(inputs, X)
        np.copyto(targets, Y)
        found = self._check()
        if found != ALL_FINE:
            raise self._fault(found)
        if not self._loop.run_again():
            raise DivergedError(
                "step: the cost became NaN or inf, and the step was not taken. Try a smaller learning_rate, a "
                "clip_norm, inputs scaled to about 1, or dtype='float64'"
            )
        return float(self._figures[0]) / m

    def _fault(self, found: int) -> ValueError:
        if found == NOT_FINITE:
            name = "X" if not np.isfinite(self._views[0]).all() else "Y"
            return ValueError(f"{name}: expected finite numbers, got NaN or inf")
        largest = max(self._engine.sizes[-1], 2) - 1
        return ValueError(f"Y: expected labels from 0 to {largest}, got others")
