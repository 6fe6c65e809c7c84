"""One step of training at a time, for examples that come one by one: online learning, control."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.engine import Engine
from mbbp.kernels.examples import Examples
from mbbp.kernels.finite import ALL_FINE, NOT_FINITE, Checked, check
from mbbp.optimizers import Optimizer, OptimizerState, Rates, get_optimizer
from mbbp.parameters import Array
from mbbp.training import DivergedError
from mbbp.validation import as_inputs, as_number, as_targets, input_values

SIZES_KEPT = 8  # of mini-batches, each with all memory of a step


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
        self._batches: dict[tuple[int, bool], _Batch] = {}
        self._batch: _Batch | None = None

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
        batch = self._batch
        if batch is not None and batch.fits(X, Y):
            return batch.step(X, Y)
        self._batch = None  # nothing of a refused mini-batch is kept
        X, Y = self._checked(X, Y)
        self._batch = self._batch_for(X.shape[1], are_labels=Y.ndim == 1)
        return self._batch.step(X, Y)

    def _checked(self, X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
        """Return inputs (n_in, m), and targets (n_L, m) or labels (m,), of the right shape and dtype."""
        engine = self._engine
        inputs = as_inputs("X", X, engine.sizes[0], engine.dtype)
        rows, labels = as_targets("Y", Y, engine.sizes[-1], len(inputs), engine.dtype, "X")
        return input_values(inputs, engine.dtype).T, rows.T if len(rows) else labels

    def _batch_for(self, m: int, *, are_labels: bool) -> "_Batch":
        """Return a mini-batch of this size and kind; the last few are kept."""
        key = (m, are_labels)
        if key not in self._batches:
            if len(self._batches) == SIZES_KEPT:
                del self._batches[next(iter(self._batches))]
            self._batches[key] = _Batch(self._engine, m, are_labels=are_labels)
            self._batches[key].prepare(self.optimizer, self._state, self._rates)
        return self._batches[key]


class _Batch:
    """Room for a mini-batch of m examples, with the checks and the step that are bound to it."""

    def __init__(self, engine: Engine, m: int, *, are_labels: bool) -> None:
        n_in, n_out, dtype = engine.sizes[0], engine.sizes[-1], engine.dtype
        self._m, self._n_classes = m, max(n_out, 2)
        # inputs and targets are one piece of memory, so that one look finds what is not finite
        numbers = np.zeros(m * (n_in + (0 if are_labels else n_out)), dtype)
        rows = numbers[: m * n_in].reshape(m, n_in)
        targets = numbers[m * n_in :].reshape(-1, n_out)
        labels = np.zeros(m if are_labels else 0, np.int64)
        self._inputs, self._targets = rows.T, labels if are_labels else targets.T
        self._loop = engine.loop(Examples(rows, targets, labels, np.empty(0, dtype)), m)
        self._theta = engine.theta
        checked = Checked(x=numbers, size=numbers.size, labels=labels, n_labels=labels.size, n_classes=self._n_classes)
        self._check = check.bind(checked, dtype).run
        self._take_step, self._summed_cost = self._loop.run_again, self._loop.last_cost
        self._shapes, self._dtypes = (self._inputs.shape, self._targets.shape), (dtype, self._targets.dtype)

    def prepare(self, optimizer: Optimizer, state: OptimizerState, rates: Rates) -> None:
        """Take over the optimizer's settings."""
        step = optimizer.step(self._theta, self._loop.gradient, state, rates)
        self._loop.set(order=np.arange(self._m), n=self._m, step=step)

    def fits(self, X: Any, Y: Any) -> bool:
        """Say whether these are arrays of this mini-batch's shapes and dtypes."""
        return (
            type(X) is np.ndarray
            and type(Y) is np.ndarray
            and (X.shape, Y.shape) == self._shapes
            and (X.dtype, Y.dtype) == self._dtypes
        )

    def step(self, X: Any, Y: Any) -> float:
        """Check and take a step."""
        self._inputs[...] = X  # a third of the time that copyto takes
        self._targets[...] = Y
        found = self._check()
        if found != ALL_FINE:
            raise self._fault(found)
        if not self._take_step():
            raise DivergedError(
                "step: the cost became NaN or inf, and the step was not taken. Try a smaller learning_rate, a "
                "clip_norm, inputs scaled to about 1, or dtype='float64'"
            )
        return self._summed_cost.value / self._m

    def _fault(self, found: int) -> ValueError:
        if found == NOT_FINITE:
            name = "X" if not np.isfinite(self._inputs).all() else "Y"
            return ValueError(f"{name}: expected finite numbers, got NaN or inf")
        return ValueError(f"Y: expected labels from 0 to {self._n_classes - 1}, got others")
