"""Training: epochs of mini-batches, and the decisions between two epochs."""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_example_weights
from mbbp.engine import Engine, Score
from mbbp.fileformat.archive import ENDINGS
from mbbp.files import check_can_be_written
from mbbp.history import Epoch, History
from mbbp.inputs import check_scaled, narrowed
from mbbp.interrupts import Interrupts
from mbbp.kernels.examples import Examples
from mbbp.kernels.updates import Step
from mbbp.loop import Loop
from mbbp.optimizer_state import OptimizerState, Rates
from mbbp.optimizers import Optimizer, get_optimizer
from mbbp.parameters import Array
from mbbp.progress import Progress
from mbbp.scaling import STANDARDIZE, Scaling, check_representable, learn
from mbbp.schedules import ReduceWhenStuck, Schedule, get_schedule
from mbbp.stopping import Best, EarlyStopping, as_early_stopping
from mbbp.validation import as_count, as_flag, as_number

ClassWeights = Mapping[int, float] | Sequence[float] | str | None

SECONDS_BETWEEN_LOOKS = 0.1  # the time in compiled code before the progress bar moves and Ctrl-C is handled


class DivergedError(ArithmeticError):
    """The cost or a parameter became NaN or inf.

    The network has the parameters from before the epoch in `Network.fit`, from before the step in `Trainer.step`.
    """


class StopTraining(Exception):  # noqa: N818 -- a signal from a callback, not an error
    """Raise this in a callback to end the training after the current epoch."""


class Trained(Protocol):
    """What training changes besides the parameters. A further call of `fit` continues from it."""

    history: History
    rng: np.random.Generator

    @property
    def optimizer_state(self) -> OptimizerState | None:
        """The state after the last step."""

    def _keep_state(self, state: OptimizerState | None) -> None:
        """Set the state, without a copy."""

    def _take_unfinished(self) -> Best | None:
        """Return how far early stopping was when the checkpoint was written that the network was loaded from, once."""

    def _write(self, path: Path, best: Best | None) -> None:
        """Write a checkpoint."""


class Checkpoint(NamedTuple):
    """Where checkpoints are written, and after how many epochs each."""

    path: Path
    every: int


def as_checkpoint(checkpoint: str | Path | None, every: int) -> Checkpoint | None:
    """Return where checkpoints are written; None for nowhere.

    Raises
    ------
    ValueError
        If the path has another ending than .npz and .mbbp, its folder cannot be written to, or `every` is below 1.
    TypeError
        If it is no path, or `every` is no whole number.
    """
    count = as_count("every", every)
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"checkpoint: expected a path, got {checkpoint!r:.100}")
    path = Path(checkpoint).absolute()  # a callback may change the folder
    check_can_be_written("checkpoint", path, ENDINGS)
    return Checkpoint(path, count)


@dataclass(frozen=True)
class Plan:
    """The checked arguments of `Network.fit`."""

    examples: Examples
    chosen: Array  # the numbers of the examples to train on
    validation: Examples | None
    chosen_for_validation: Array | None  # None for all of them
    scaling: Scaling | None
    epochs: int
    batch_size: int
    schedule: Schedule
    optimizer: Optimizer
    l2: float
    clip_norm: float
    shuffle: bool
    early_stopping: EarlyStopping | None
    checkpoint: Checkpoint | None
    notify: Callable[[Epoch], None]

    @property
    def is_classification(self) -> bool:
        """Whether the targets are labels or unit vectors."""
        return self.examples.labels.size > 0


def make_plan(
    engine: Engine,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float | Schedule | Callable[[int], float] | None,
    optimizer: str | Optimizer,
    l2: float,
    weight_decay: float | None,
    clip_norm: float | None,
    shuffle: bool,
    example_weights: ArrayLike | None,
    class_weights: ClassWeights,
    validation_data: tuple[ArrayLike, ArrayLike] | None,
    validation_split: float | None,
    early_stopping: EarlyStopping | int | None,
    checkpoint: str | Path | None,
    every: int,
    notify: Callable[[Epoch], None],
) -> Plan:
    """Return the arguments of `Network.fit`, checked.

    The examples and the validation data are looked at in one pass over each array: whether all inputs are finite, also
    when they are scaled (integers are, unless a factor makes them too large); whether labels are whole numbers in
    range, or desired outputs finite, and for some costs from 0 to 1; whether all desired outputs are unit vectors;
    whether example weights are finite and not negative.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, holds NaN or inf, or is out of range, if a name is unknown, or if two
        arguments do not fit together.
    TypeError
        If an argument is of the wrong type.
    """
    examples = engine.examples(X, y, "X", "y", example_weights, is_scaled=engine.scaling_is_learnt)
    chosen, held_out = _split(examples.n, validation_split)
    scaling = engine.scaling if engine.scaling_is_learnt else _learnt(examples, chosen, engine.dtype)
    examples = examples._replace(scaling=scaling)
    if examples.weights.size and not examples.weights[chosen].any():
        raise ValueError("example_weights: expected numbers above 0 for examples that are not held out, got zeros")
    is_classification = examples.labels.size > 0
    unweighted = examples
    if class_weights is not None:
        if not is_classification:
            raise ValueError("class_weights: expected labels or unit vectors as y, got other targets")
        weights = _weigh_classes(class_weights, examples, chosen, max(engine.sizes[-1], 2), engine.dtype)
        examples = examples._replace(weights=weights)
    # held-out examples count as validation_data do: without the weights of their classes
    validation = None if held_out is None else unweighted
    if validation_data is not None:
        if held_out is not None:
            raise ValueError("validation_split: expected None with validation_data, got both")
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            raise TypeError(f"validation_data: expected a pair (X, y), got {type(validation_data).__name__}")
        names = "validation_data[0]", "validation_data[1]"
        validation = engine.examples(*validation_data, *names, is_scaled=engine.scaling_is_learnt)
        validation = validation._replace(scaling=scaling)
        if not engine.scaling_is_learnt:
            check_scaled(names[0], validation.inputs, scaling, engine.dtype)
    found = get_optimizer(optimizer, weight_decay)
    found.compile(engine.dtype)
    schedule = get_schedule(found.default_learning_rate if learning_rate is None else learning_rate)
    stopping = as_early_stopping(early_stopping, has_validation=validation is not None)
    for argument, watcher in (("early_stopping", stopping), ("learning_rate", schedule)):
        if isinstance(watcher, EarlyStopping | ReduceWhenStuck):
            _check_recorded(argument, watcher.monitor, validation is not None, is_classification)
    given, examples = examples, narrowed(examples, engine.dtype)
    if validation is not None:
        same = validation.inputs is given.inputs
        validation = examples._replace(weights=validation.weights) if same else narrowed(validation, engine.dtype)
    return Plan(
        examples=examples,
        chosen=chosen,
        validation=validation,
        chosen_for_validation=held_out,
        scaling=scaling,
        epochs=as_count("epochs", epochs),
        batch_size=min(as_count("batch_size", batch_size), chosen.size),
        schedule=schedule,
        optimizer=found,
        l2=as_number("l2", l2) / chosen.size,
        clip_norm=math.inf if clip_norm is None else as_number("clip_norm", clip_norm, positive=True),
        shuffle=as_flag("shuffle", shuffle),
        early_stopping=stopping,
        checkpoint=as_checkpoint(checkpoint, every),
        notify=notify,
    )


def _learnt(examples: Examples, chosen: Array, dtype: np.dtype[Any]) -> Scaling:
    scaling = learn(examples.inputs, chosen)
    if scaling is None:
        raise ValueError("X: expected numbers whose squares float64 can hold, to standardize them, got larger ones")
    check_representable("X", scaling, dtype)
    return scaling


def _split(n: int, validation_split: float | None) -> tuple[Array, Array | None]:
    """Return the numbers of the examples to train on, and of those that are held out for validation.

    The choice is random, but the same in every call, so that a training that goes on does not learn from examples that
    were held out before.
    """
    if validation_split is None:
        return np.arange(n), None
    fraction = as_number("validation_split", validation_split, below=1.0, positive=True)
    if n < 2:
        raise ValueError(f"validation_split: expected at least two examples to split, got {n}")
    held_out = min(max(1, round(fraction * n)), n - 1)
    is_held_out = np.zeros(n, bool)
    is_held_out[np.random.default_rng(n).permutation(n)[:held_out]] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def as_callbacks(callbacks: Callable[..., Any] | Iterable[Callable[..., Any]]) -> tuple[Callable[..., Any], ...]:
    """Return one function or several as a tuple.

    Raises
    ------
    TypeError
        If one of them cannot be called.
    """
    called: tuple[Any, ...] = (callbacks,)
    if isinstance(callbacks, Iterable) and not callable(callbacks):
        with contextlib.suppress(TypeError):  # an array of no dimension says that it is iterable
            called = tuple(callbacks)
    for callback in called:
        if not callable(callback):
            raise TypeError(f"callbacks: expected functions (net, epoch), got {callback!r}")
    return called


def _check_recorded(argument: str, monitor: str, has_validation: bool, is_classification: bool) -> None:
    History.check_column(argument, monitor)
    if monitor.startswith("validation") and not has_validation:
        raise ValueError(
            f"{argument}: expected validation_data or validation_split for the monitor {monitor}, got none"
        )
    if monitor.endswith("accuracy") and not is_classification:
        raise ValueError(
            f"{argument}: expected labels or unit vectors as y for the monitor {monitor}, got other targets"
        )


def _weigh_classes(
    class_weights: ClassWeights, examples: Examples, chosen: Array, n_classes: int, dtype: np.dtype[Any]
) -> Array:
    """Return the factor of each example: its weight times the weight of its class."""
    labels = examples.labels
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise ValueError(f"class_weights: expected 'balanced' or a weight for each class, got {class_weights!r}")
        counts = np.bincount(labels[chosen], minlength=n_classes)
        factors = chosen.size / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weights, Mapping):
        factors = np.ones(n_classes)
        for label, factor in class_weights.items():
            if label not in range(n_classes):
                raise ValueError(f"class_weights: expected labels from 0 to {n_classes - 1}, got {label!r}")
            factors[int(label)] = as_number(f"class_weights[{label}]", factor)
    else:
        factors = as_example_weights("class_weights", class_weights, n_classes, np.dtype(np.float64))
    weights = factors[labels] * (examples.weights if examples.weights.size else 1.0)
    return as_example_weights("class_weights", weights, labels.size, dtype)


def train(engine: Engine, trained: Trained, plan: Plan, progress: bool | None) -> History:
    """Train the engine's parameters as planned, and return the history of `trained`.

    Raises
    ------
    DivergedError
        If the cost or a parameter becomes NaN or inf.
    """
    epochs = _Epochs(engine, trained, plan)
    best, history, checkpoint = _best(trained, plan), trained.history, plan.checkpoint
    interrupts = Interrupts()
    left, history.has_ended = plan.epochs, False
    try:
        with interrupts, Progress(progress, plan.epochs, plan.chosen.size) as bar:
            while left > 0 and not interrupts.asked:
                row = epochs.run(bar, interrupts)
                bar.end_epoch(row)
                stopped = best is not None and best.is_over(history, engine.theta)
                left = 0 if stopped else left - 1
                interrupts.may_raise = True  # a callback may take long
                plan.notify(row)
                interrupts.may_raise = False
                if interrupts.asked_twice:
                    raise KeyboardInterrupt
                history.was_interrupted = interrupts.asked
                is_due = checkpoint is not None and (interrupts.asked or len(history) % checkpoint.every == 0)
                if checkpoint is not None and is_due and left > 0:  # the last one is written below
                    trained._write(checkpoint.path, best)
    except StopTraining:
        left = 0
    finally:
        history.was_interrupted = interrupts.asked or interrupts.asked_twice
        if best is not None:
            best.restore(engine.theta)
    history.has_ended = left == 0
    if checkpoint is not None and history.has_ended:
        trained._write(checkpoint.path, None)
    return history


def _best(trained: Trained, plan: Plan) -> Best | None:
    """Return how far early stopping is: at its beginning, or where the loaded checkpoint was written."""
    unfinished = trained._take_unfinished()
    if plan.early_stopping is None:
        return None
    goes_on = unfinished is not None and unfinished.spec == plan.early_stopping
    return unfinished if goes_on else Best(plan.early_stopping)


class _Epochs:
    """The epochs of a training. An epoch that fails changes nothing."""

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        self.engine, self.trained, self.plan = engine, trained, plan
        state = trained.optimizer_state
        if state is None or state.optimizer != plan.optimizer:
            state = plan.optimizer.start(engine.theta.size, engine.dtype)
        state.check_fits(engine.theta)
        self.state = state
        self.loop = Loop(engine, plan.examples, plan.batch_size)
        self.steps_at_once, self.warned = 16, False
        self.first = len(trained.history) + 1  # the number of the first epoch of this training

    def run(self, bar: Progress, interrupts: Interrupts) -> Epoch:
        """Train for one epoch and append its row to the history. After an error the network is as before."""
        trained, plan, engine = self.trained, self.plan, self.engine
        number = len(trained.history) + 1
        learning_rate = as_number(f"learning_rate of epoch {number}", plan.schedule(number, trained.history))
        if learning_rate == 0:
            self._warn_of_no_rate(number)
        rng_before, state_before = trained.rng.bit_generator.state, trained.optimizer_state
        was_learnt = engine.scaling_is_learnt
        changed = (engine.theta, self.state.moments, self.state.steps)
        before = [array.copy() for array in changed]
        try:
            trained._keep_state(self.state)
            if not was_learnt:
                engine.set_scaling(plan.scaling)
            interrupts.may_raise = True
            order = trained.rng.permutation(plan.chosen) if plan.shuffle else plan.chosen
            seconds, validation = self._train_and_validate(number, learning_rate, order, bar)
            interrupts.may_raise = False
        except BaseException:
            interrupts.may_raise = False
            for array, saved in zip(changed, before, strict=True):
                array[...] = saved
            trained.rng.bit_generator.state = rng_before
            trained._keep_state(state_before)
            if not was_learnt:
                engine.set_scaling(STANDARDIZE)
            raise
        totals, n = self.loop.totals, plan.chosen.size
        row = Epoch(
            epoch=number,
            training_cost=float(totals.cost / n),
            training_accuracy=float(totals.correct / n) if plan.is_classification else None,
            validation_cost=None if validation is None else validation.cost,
            validation_accuracy=None if validation is None else validation.accuracy,
            learning_rate=learning_rate,
            gradient_norm=float(totals.gradient_norm),
            seconds=seconds,
            examples_per_second=n / seconds,
        )
        trained.history.append(row)
        return row

    def _train_and_validate(
        self, number: int, learning_rate: float, order: Array, bar: Progress
    ) -> tuple[float, Score | None]:
        """Go through all mini-batches, then score the validation data.

        Raises
        ------
        DivergedError
            If a cost or a parameter becomes NaN or inf.
        """
        rates = Rates(learning_rate, self.plan.l2, self.plan.clip_norm)
        # this compiles, so it comes before the clock starts
        ordinary, measured = self._step(rates), self._step(rates._replace(measures_norm=True))
        self.loop.prepare(order, ordinary)
        self.loop.reset()
        began = time.perf_counter()
        is_finite = self._run_mini_batches(order, ordinary, measured, bar)
        seconds = time.perf_counter() - began
        is_finite = is_finite and bool(np.isfinite(self.engine.theta).all() and np.isfinite(self.state.moments).all())
        validation = None
        if is_finite and self.plan.validation is not None:
            validation = self.engine.score(self.plan.validation, self.plan.chosen_for_validation)
            is_finite = math.isfinite(validation.cost)
        if not is_finite:
            best = self.plan.early_stopping is not None and self.plan.early_stopping.restore_best
            kept = "of its best epoch" if best and number > self.first else "it had before this epoch"
            raise DivergedError(
                f"epoch {number}: the cost became NaN or inf at learning rate {learning_rate:g}; the network has "
                f"the parameters {kept}. Try a smaller learning_rate, a clip_norm, inputs scaled "
                "to about 1 (scaling='standardize'), or dtype='float64'"
            )
        return seconds, validation

    def _warn_of_no_rate(self, number: int) -> None:
        if not self.warned:
            self.warned = True
            warnings.warn(
                f"learning_rate: it is 0 in epoch {number}, which changes nothing; a schedule counts all epochs of the "
                "network, those of earlier calls of fit included",
                stacklevel=5,
            )

    def _step(self, rates: Rates) -> Step:
        return self.plan.optimizer.step(self.engine.theta, self.loop.gradient, self.state, rates)

    def _run_mini_batches(self, order: Array, ordinary: Step, measured: Step, bar: Progress) -> bool:
        """Run the compiled loop over all mini-batches; the norm of the last gradient is measured.

        The loop runs over so many mini-batches at a time that a call takes about SECONDS_BETWEEN_LOOKS.

        Returns
        -------
        bool
            Whether the cost stayed finite.
        """
        batch_size = self.plan.batch_size
        last = (order.size - 1) // batch_size * batch_size
        start = 0
        while start < last:
            stop = min(last, start + self.steps_at_once * batch_size)
            began = time.perf_counter()
            if not self.loop.run(order[start:stop], ordinary):
                return False
            pace = SECONDS_BETWEEN_LOOKS / max(time.perf_counter() - began, 1e-9)
            self.steps_at_once = max(1, min(order.size, int(self.steps_at_once * min(pace, 16.0))))
            bar.advance(stop - start)
            start = stop
        bar.advance(order.size - last)
        return self.loop.run(order[last:], measured)
