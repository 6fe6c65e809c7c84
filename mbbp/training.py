"""Training: epochs of mini-batches, and all that is decided between them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.history import Epoch, History
from mbbp.interrupts import Interrupts
from mbbp.kernels.propagation import Examples
from mbbp.kernels.updates import Optimizer as CompiledOptimizer
from mbbp.optimizers import Optimizer, get_optimizer
from mbbp.parameters import Array
from mbbp.progress import Progress
from mbbp.schedules import ReduceWhenStuck, Schedule, get_schedule
from mbbp.stepping import Stepper
from mbbp.stopping import Best, EarlyStopping, as_early_stopping
from mbbp.validation import are_unit_vectors, as_count, as_example_weights, as_number

if TYPE_CHECKING:
    from mbbp.network import Network

Callback = Callable[["Network", Epoch], Any]
ClassWeights = Mapping[int, float] | Sequence[float] | str | None

SECONDS_BETWEEN_LOOKS = 0.1  # how long the compiled loop runs before the bar moves and Ctrl-C is heard


class DivergedError(ArithmeticError):
    """The cost or a parameter became NaN or inf. The network has the parameters of the last good epoch."""


class StopTraining(Exception):  # noqa: N818 -- a signal from a callback, no error
    """Raise this in a callback to end the training after the epoch."""


@dataclass
class OptimizerState:
    """An optimizer with what it remembers of its steps so far."""

    optimizer: Optimizer
    moments: Array
    steps: Array


@dataclass(frozen=True)
class _Plan:
    """All that `fit` was asked for, checked."""

    examples: Examples
    validation: Examples | None
    is_classification: bool
    epochs: int
    batch_size: int
    schedule: Schedule
    optimizer: Optimizer
    l2: float
    clip_norm: float | None
    shuffle: bool
    early_stopping: EarlyStopping | None
    callbacks: tuple[Callback, ...]


def fit(
    net: "Network",
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 30,
    batch_size: int = 10,
    learning_rate: float | Schedule | Callable[[int], float] | None = None,
    optimizer: str | Optimizer = "sgd",
    l2: float = 0.0,
    weight_decay: float | None = None,
    clip_norm: float | None = None,
    shuffle: bool = True,
    example_weights: ArrayLike | None = None,
    class_weights: ClassWeights = None,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    early_stopping: EarlyStopping | int | None = None,
    callbacks: Callback | Iterable[Callback] = (),
    progress: bool | None = None,
) -> History:
    """Train the network by mini-batch gradient descent; called again, it goes on where it stopped.

    Ctrl-C ends the training after the running epoch and keeps what was learnt.

    Parameters
    ----------
    X : array_like of shape (n_in, n)
        Training inputs, one example a column. A NumPy array of uint8 holds pixels: 0 to 255 stand for 0 to 1.
    y : array_like of shape (n,) or (n_L, n)
        Labels, or desired outputs.
    epochs : int
        How many times to go through the training set.
    batch_size : int
        The size of a mini-batch. The last one of an epoch is what is left, and divides by its own size.
    learning_rate : float, Schedule, or function of the epoch's number (from 1), optional
        The book's eta. By default the optimizer's own: 0.1 for sgd, 0.02 with momentum, 0.001 for Adam.
    optimizer : str or Optimizer
        sgd, momentum, nesterov, adam, adamw. Its state is kept from one call to the next, while it is the same.
    l2 : float
        The book's lambda: lambda / 2n times the sum of the squared weights is added to the cost.
    weight_decay : float, optional
        Decoupled decay: each step takes the share learning_rate x weight_decay off every weight.
    clip_norm : float, optional
        A longer gradient is shortened to this Euclidean norm.
    shuffle : bool
        Whether each epoch goes through the examples in an order of its own.
    example_weights : array_like of shape (n,), optional
        The factor of each example's cost.
    class_weights : mapping, sequence or "balanced", optional
        The factor of each class, on top of that; "balanced" gives every class the same say.
    validation_data : pair (X, y), optional
        Examples to score after every epoch.
    early_stopping : EarlyStopping or int, optional
        When to stop before the last epoch; a number is the patience on the validation (else training) cost.
    callbacks : function (net, epoch) or several
        Called after every epoch with the network and the new row of the history. `StopTraining` ends the training.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    History
        ``net.history``: a row for every epoch so far, of this call and those before.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be; nothing has changed then.
    DivergedError
        If the cost becomes NaN or inf; the network has the parameters of the last good epoch.
    """
    examples = net.examples(X, y, "X", "y", example_weights)
    is_classification = are_unit_vectors(examples.Y)
    if class_weights is not None:
        if not is_classification:
            raise ValueError("class_weights: only for classification, where y holds labels or unit vectors")
        examples = examples._replace(weights=_weigh_classes(class_weights, examples))
    validation = None
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise TypeError("validation_data: a pair (X, y) is wanted")
        validation = net.examples(*validation_data, "validation_data[0]", "validation_data[1]")
    found = get_optimizer(optimizer, weight_decay)
    schedule = get_schedule(found.default_learning_rate if learning_rate is None else learning_rate)
    stopping = as_early_stopping(early_stopping, has_validation=validation is not None)
    for argument, watcher in (("early_stopping", stopping), ("learning_rate", schedule)):
        if isinstance(watcher, EarlyStopping | ReduceWhenStuck):
            _check_recorded(argument, watcher.monitor, validation is not None, is_classification)
    called = tuple(callbacks) if isinstance(callbacks, Iterable) and not callable(callbacks) else (callbacks,)
    for callback in called:
        if not callable(callback):
            raise TypeError(f"callbacks: functions (net, epoch) are wanted, got {callback!r}")
    n = examples.labels.size
    chosen = _Plan(
        examples=examples,
        validation=validation,
        is_classification=is_classification,
        epochs=as_count("epochs", epochs),
        batch_size=min(as_count("batch_size", batch_size), n),
        schedule=schedule,
        optimizer=found,
        l2=as_number("l2", l2) / n,
        clip_norm=None if clip_norm is None else as_number("clip_norm", clip_norm, positive=True),
        shuffle=shuffle,
        early_stopping=stopping,
        callbacks=called,
    )
    return _train(net, chosen, progress)


def _check_recorded(argument: str, monitor: str, has_validation: bool, is_classification: bool) -> None:
    History.check_column(argument, monitor)
    if monitor.startswith("validation") and not has_validation:
        raise ValueError(f"{argument}: to monitor {monitor}, validation_data is wanted")
    if monitor.endswith("accuracy") and not is_classification:
        raise ValueError(f"{argument}: {monitor} is not recorded, since y holds neither labels nor unit vectors")


def _weigh_classes(class_weights: ClassWeights, examples: Examples) -> Array:
    """Return each example's factor times the weight of its class."""
    n_outputs = examples.Y.shape[0]
    labels = examples.Y[0].astype(np.int64) if n_outputs == 1 else examples.Y.argmax(axis=0)
    n_classes = max(n_outputs, 2)
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise ValueError(f"class_weights: 'balanced', or a weight for each class, is wanted, got {class_weights!r}")
        counts = np.bincount(labels, minlength=n_classes)
        factors = labels.size / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weights, Mapping):
        factors = np.ones(n_classes)
        for label, factor in class_weights.items():
            if label not in range(n_classes):
                raise ValueError(f"class_weights: labels from 0 to {n_classes - 1} are wanted, got {label!r}")
            factors[int(label)] = as_number(f"class_weights[{label}]", factor)
    else:
        factors = as_example_weights("class_weights", class_weights, n_classes, np.dtype(np.float64))
    weights = factors[labels] * (examples.weights if examples.weights.size else 1.0)
    return as_example_weights("class_weights", weights, labels.size, examples.inputs.dtype)


def _train(net: "Network", chosen: _Plan, progress: bool | None) -> History:
    loop = _Loop(net, chosen)
    best = Best(chosen.early_stopping) if chosen.early_stopping is not None else None
    n = chosen.examples.labels.size
    try:
        with Interrupts() as interrupts, Progress(progress, chosen.epochs, n) as bar:
            for _ in range(chosen.epochs):
                row = loop.run_epoch(bar)
                net.history.append(row)
                bar.end_epoch(row)
                stopped = best is not None and best.is_over(net)
                for callback in chosen.callbacks:
                    callback(net, row)
                if stopped or interrupts.asked:
                    break
    except StopTraining:
        pass
    if best is not None:
        best.restore(net)
    return net.history


class _Loop:
    """One epoch after the other, each whole or not at all."""

    def __init__(self, net: "Network", chosen: _Plan) -> None:
        self.net, self.plan = net, chosen
        if net.optimizer_state is None or net.optimizer_state.optimizer != chosen.optimizer:
            net.optimizer_state = OptimizerState(chosen.optimizer, *chosen.optimizer.start(net.theta.size, net.dtype))
        self.state = net.optimizer_state
        self.stepper = Stepper(net.model, chosen.examples, chosen.batch_size)
        self.steps_at_once = 16
        self._compile()

    def _compile(self) -> None:
        """Run the compiled loop over no example, so that compiling it counts in no epoch's seconds."""
        nothing = np.zeros(0, np.int64)
        optimizer = self.plan.optimizer.compiled(0.0, 0.0, None, self.state.moments, self.state.steps)
        self.stepper.run(nothing, optimizer, np.zeros(4))

    def run_epoch(self, bar: Progress) -> Epoch:
        """Train for one epoch and return its figures; if that fails, the network is as it was before."""
        net, chosen = self.net, self.plan
        number = len(net.history) + 1
        learning_rate = as_number(f"learning_rate of epoch {number}", chosen.schedule(number, net.history))
        n = chosen.examples.labels.size
        rng_before = net.rng.bit_generator.state
        order = net.rng.permutation(n) if chosen.shuffle else np.arange(n)
        optimizer = chosen.optimizer.compiled(
            learning_rate, chosen.l2, chosen.clip_norm, self.state.moments, self.state.steps
        )
        before = (net.theta.copy(), self.state.moments.copy(), self.state.steps.copy())
        totals = np.zeros(4)
        started = time.perf_counter()
        try:
            is_finite = self._run_mini_batches(order, optimizer, totals, bar)
            seconds = time.perf_counter() - started
            is_finite = is_finite and all(np.isfinite(array).all() for array in (net.theta, self.state.moments))
            validation: tuple[float, float] | None = None
            if chosen.validation is not None and is_finite:
                validation = net.score(chosen.validation)
                is_finite = bool(np.isfinite(validation[0]))
            if not is_finite:
                raise DivergedError(
                    f"epoch {number}: the cost became NaN or inf at learning rate {learning_rate:g}; the network has "
                    "the parameters it had before this epoch. Try a smaller learning_rate, a clip_norm, inputs scaled "
                    "to about 1, or dtype='float64'"
                )
        except BaseException:
            for array, saved in zip((net.theta, self.state.moments, self.state.steps), before, strict=True):
                array[...] = saved
            net.rng.bit_generator.state = rng_before
            raise
        return Epoch(
            epoch=number,
            training_cost=float(totals[0] / n),
            training_accuracy=float(totals[1] / n) if chosen.is_classification else None,
            validation_cost=None if validation is None else validation[0],
            validation_accuracy=validation[1] if validation is not None and chosen.is_classification else None,
            learning_rate=learning_rate,
            gradient_norm=float(totals[2]),
            seconds=seconds,
            examples_per_second=n / seconds,
        )

    def _run_mini_batches(self, order: Array, optimizer: CompiledOptimizer, totals: Array, bar: Progress) -> bool:
        """Run the compiled loop over all mini-batches, coming up for air now and then."""
        start = 0
        while start < order.size:
            stop = min(order.size, start + self.steps_at_once * self.plan.batch_size)
            began = time.perf_counter()
            if not self.stepper.run(order[start:stop], optimizer, totals, measure_norm=stop == order.size):
                return False
            rate = SECONDS_BETWEEN_LOOKS / max(time.perf_counter() - began, 1e-9)
            self.steps_at_once = max(1, min(order.size, int(self.steps_at_once * min(rate, 16.0))))
            bar.advance(stop - start)
            start = stop
        return True
