"""The plan of a training: the arguments of `Network.fit`, checked before anything changes."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chunking.chunks import Chunks
from mbbp.chunking.pools import Streamed
from mbbp.chunking.survey import Survey, look_through
from mbbp.class_weights import ClassWeights, as_factors, balanced, is_balanced, weigh
from mbbp.engine import Engine
from mbbp.fileformat.archive import ENDINGS
from mbbp.files import check_can_be_written
from mbbp.history import Epoch, History
from mbbp.inputs import check_scaled
from mbbp.kernels.examples import Examples
from mbbp.optimizers import Optimizer
from mbbp.parameters import Array
from mbbp.preparing import Preparation
from mbbp.ranks import Ranks
from mbbp.scaling import Scaling, check_representable
from mbbp.schedules import ReduceWhenStuck, Schedule, get_schedule
from mbbp.solvers import DPSGD, LBFGS, LevenbergMarquardt, Solver, get_optimizer
from mbbp.stopping import EarlyStopping, as_early_stopping
from mbbp.validation import as_count, as_flag, as_number, shown

BATCH_SIZE = 10  # by default, as in the book


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
    validation: Examples | Streamed | None
    chosen_for_validation: Array | None  # None for all of them
    scaling: Scaling | None
    epochs: int
    batch_size: int
    schedule: Schedule | None  # of a method that has learning rates
    optimizer: Optimizer
    l2: float
    clip_norm: float
    shuffle: bool
    early_stopping: EarlyStopping | None
    checkpoint: Checkpoint | None
    notify: Callable[[Epoch], None]
    ranks: Ranks | None = None  # the processes that train together
    counts: tuple[int, ...] = ()  # of examples to train on, of each of them
    streamed: Streamed | None = None  # what the examples are read from; then `examples` are two pools of them

    @property
    def n(self) -> int:
        """The number of examples to train on, those of all ranks together."""
        return sum(self.counts) or self.chosen.size

    @property
    def is_classification(self) -> bool:
        """Whether the targets are labels or unit vectors."""
        return self.examples.labels.size > 0


def make_plan(
    engine: Engine,
    X: ArrayLike | Chunks,
    y: ArrayLike | None,
    *,
    epochs: int,
    batch_size: int | None,
    learning_rate: float | Schedule | Callable[[int], float] | None,
    optimizer: str | Optimizer,
    l2: float,
    weight_decay: float | None,
    clip_norm: float | None,
    shuffle: bool,
    example_weights: ArrayLike | None,
    class_weights: ClassWeights,
    validation_data: tuple[ArrayLike, ArrayLike] | Chunks | None,
    validation_split: float | ArrayLike | None,
    early_stopping: EarlyStopping | int | None,
    checkpoint: str | Path | None,
    every: int,
    notify: Callable[[Epoch], None],
    subset: ArrayLike | None = None,
    preparation: Preparation | None = None,
    ranks: Ranks | None = None,
) -> Plan:
    """Return the arguments of `Network.fit`, checked. Networks with the same `preparation` share their examples.

    The examples and the validation data are looked at in one pass over each array: whether all inputs are finite, also
    when they are scaled (integers are, unless a factor makes them too large); whether labels are whole numbers in
    range, or desired outputs finite, and for some costs from 0 to 1; whether all desired outputs are unit vectors;
    whether example weights are finite and not negative.

    Chunks are read once for that. They become arrays if they fit into half of their memory.

    With `ranks`, X and y are the part of this rank. What depends on all examples is found together.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, holds NaN or inf, or is out of range, if a name is unknown, or if two
        arguments do not fit together.
    TypeError
        If an argument is of the wrong type.
    """
    # first what is checked in no time: to look through the data may take long
    epochs, found = as_count("epochs", epochs), get_optimizer(optimizer, weight_decay, solvers=True)
    size, decay = None if batch_size is None else as_count("batch_size", batch_size), as_number("l2", l2)
    longest = math.inf if clip_norm is None else as_number("clip_norm", clip_norm, positive=True)
    shuffle, where = as_flag("shuffle", shuffle), as_checkpoint(checkpoint, every)
    schedule = get_schedule(found.default_learning_rate if learning_rate is None else learning_rate)
    has_validation = validation_data is not None or validation_split is not None
    stopping = as_early_stopping(early_stopping, has_validation=has_validation)
    watchers = [
        (name, one.monitor)
        for name, one in (("early_stopping", stopping), ("learning_rate", schedule))
        if isinstance(one, EarlyStopping | ReduceWhenStuck)
    ]
    for argument, monitor in watchers:
        check_recorded(argument, monitor, has_validation, is_classification=True)  # this is known after the first pass
        check_measured(argument, monitor, found)
    with contextlib.ExitStack() as on_error:  # an error may be kept for long, and with it what holds a cache
        prepared = Preparation() if preparation is None else preparation
        alone = {"subset": subset, "validation_split": validation_split, "comm": ranks}
        if isinstance(X, Chunks):
            check_alone(y, found, is_one=preparation is None, example_weights=example_weights, **alone)
        if isinstance(validation_data, Chunks):
            if ranks is not None:
                raise ValueError("validation_data: expected arrays with comm, got mbbp.Chunks")
            if preparation is not None:  # each network would read them again, and in several threads at once
                raise TypeError("validation_data: expected arrays to train several networks, got mbbp.Chunks")
        if isinstance(X, Chunks):
            learns = not engine.scaling_is_learnt
            survey = look_through(engine, X, None if learns else engine.scaling, learns=learns)
            on_error.callback(survey.close)
            if survey.loaded is None:
                given = _streamed(survey, class_weights)
            else:
                X, y, example_weights = survey.arrays()
        if not isinstance(X, Chunks):
            if y is None:
                raise TypeError("y: expected labels or desired outputs, got None")
            examples = prepared.examples(engine, X, y, example_weights=example_weights)
            given = _in_memory(
                engine, prepared, examples, prepared.parts(examples.n, subset, validation_split), class_weights, ranks
            )
        n, scaling, is_classification = sum(given.counts), given.scaling, given.is_classification
        held_out = given.chosen_for_validation
        validation: Examples | Streamed | None = given.held_out
        if validation_data is not None:
            if held_out is not None:
                raise ValueError("validation_split: expected None with validation_data, got both")
            validation = _validation(engine, prepared, validation_data, scaling)
            if isinstance(validation, Streamed):
                on_error.callback(validation.survey.close)
        if isinstance(found, Solver):
            if ranks is not None:
                raise ValueError(f"comm: expected None with {found.name}, got a communicator of {ranks.size} processes")
            check_solver(found, engine, learning_rate, clip_norm, decay, size, n)
            if isinstance(found, DPSGD) and np.unique(given.chosen).size < n:
                raise ValueError(f"subset: expected different numbers with {found.name}, got one more than once")
        found.compile(engine.dtype)
        has_rate = not isinstance(found, Solver) or found.has_learning_rate
        for argument, monitor in watchers:
            check_recorded(argument, monitor, has_validation, is_classification)
        batch_size = _size_of_batches(found, size, n)
        if given.streamed is not None:
            given.streamed.check_fits(batch_size)
            examples = given.streamed.buffers(given.streamed.size(batch_size))
        else:
            examples = prepared.narrowed(given.examples, engine.dtype)
        if isinstance(validation, Examples):
            validation = prepared.narrowed(validation, engine.dtype)
        on_error.pop_all()
        return Plan(
            examples=examples,
            chosen=given.chosen,
            validation=validation,
            chosen_for_validation=held_out,
            scaling=scaling,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule if has_rate else None,
            optimizer=found,
            l2=decay / n,
            clip_norm=longest,
            shuffle=shuffle,
            early_stopping=stopping,
            checkpoint=where,
            notify=notify,
            ranks=ranks,
            counts=given.counts,
            streamed=given.streamed,
        )


class _TrainingSet(NamedTuple):
    """The examples to train on, and what follows from them."""

    examples: Examples
    chosen: Array
    held_out: Examples | None  # where the examples for validation are among
    chosen_for_validation: Array | None
    counts: tuple[int, ...]
    scaling: Scaling | None
    is_classification: bool
    streamed: Streamed | None = None


def _in_memory(
    engine: Engine,
    prepared: Preparation,
    examples: Examples,
    parts: tuple[Array, Array | None],
    class_weights: ClassWeights,
    ranks: Ranks | None,
) -> _TrainingSet:
    """Return a training set of arrays; `parts` are the examples to train on, and those that are held out."""
    chosen, held_out = parts
    counts = _counts(examples, chosen, ranks)
    if engine.scaling_is_learnt:
        scaling = engine.scaling
    else:
        scaling = _representable(prepared.learn(examples.inputs, chosen, ranks), engine.dtype)
    examples = examples._replace(scaling=scaling)
    if examples.weights.size:
        _check_some_weight("example_weights", examples.weights[chosen], ranks)
    labels, weighted, n_classes = examples.labels, examples, max(engine.sizes[-1], 2)
    if class_weights is not None:
        _check_classes(is_classification=labels.size > 0)
        if is_balanced(class_weights):
            class_weights = balanced(_in_all(np.bincount(labels[chosen], minlength=n_classes), ranks))
        factors = as_factors(class_weights, n_classes)
        weighted = examples._replace(weights=prepared.weigh(factors, labels, examples.weights, engine.dtype))
        _check_some_weight("class_weights", weighted.weights[chosen], ranks)
    # held-out examples count as validation_data do: without the weights of their classes
    return _TrainingSet(
        weighted, chosen, None if held_out is None else examples, held_out, counts, scaling, labels.size > 0
    )


def _streamed(survey: Survey, class_weights: ClassWeights) -> _TrainingSet:
    """Return a training set that is read again in every epoch."""
    engine, classes = survey.engine, survey.counts_of_classes
    scaling = engine.scaling if engine.scaling_is_learnt else _representable(survey.scaling, engine.dtype)
    factors = None
    if class_weights is not None:
        _check_classes(is_classification=classes is not None)
        assert classes is not None
        factors = as_factors(balanced(classes) if is_balanced(class_weights) else class_weights, classes.size)
        weigh(factors, np.flatnonzero(classes), np.empty(0), engine.dtype)  # for its check
        assert survey.weights_of_classes is not None
        _check_some_weight("class_weights", factors.astype(engine.dtype) * survey.weights_of_classes)
    streamed = Streamed(survey, scaling, factors)
    nobody = np.empty(0, np.int64)
    return _TrainingSet(streamed.buffers(0), nobody, None, None, (survey.n,), scaling, classes is not None, streamed)


def _check_some_weight(argument: str, weights: Array, ranks: Ranks | None = None) -> None:
    """Check that an example to train on counts, of any rank: without one, nothing would be learnt."""
    if not _in_all(weights.any(), ranks):
        raise ValueError(f"{argument}: expected numbers for the examples to train on, not all of them 0, got zeros")


def _check_classes(*, is_classification: bool) -> None:
    if not is_classification:
        raise ValueError("class_weights: expected labels or unit vectors as y, got other targets")


def _validation(engine: Engine, prepared: Preparation, data: Any, scaling: Scaling | None) -> Examples | Streamed:
    if isinstance(data, Chunks):
        survey = look_through(engine, data, scaling, learns=False)
        return Streamed(survey, scaling) if survey.loaded is None else survey.loaded._replace(scaling=scaling)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(f"validation_data: expected a pair (X, y) or mbbp.Chunks, got {type(data).__name__}")
    names = "validation_data[0]", "validation_data[1]"
    X, y = data
    validation = prepared.examples(engine, X, y, names)._replace(scaling=scaling)
    if not engine.scaling_is_learnt:
        check_scaled(names[0], validation.inputs, scaling, engine.dtype)
    return validation


def check_alone(y: Any, optimizer: Optimizer, *, is_one: bool, **others: Any) -> None:
    """Check that what is given with chunks can be used with them.

    Raises
    ------
    ValueError
        If not.
    TypeError
        If several networks are to be trained.
    """
    if not is_one:
        raise TypeError("X: expected arrays to train several networks, got mbbp.Chunks")
    hints = {"y": "they have their targets", "example_weights": "pass weights to mbbp.chunks"}
    for argument, value in {"y": y, **others}.items():
        if value is not None:
            hint = f"; {hints[argument]}" if argument in hints else ""
            raise ValueError(f"{argument}: expected None with mbbp.Chunks{hint}, got {shown(value)}")
    if isinstance(optimizer, Solver):
        raise ValueError(f"optimizer: expected one that takes mini-batches with mbbp.Chunks, got {optimizer.name}")


def _counts(examples: Examples, chosen: Array, ranks: Ranks | None) -> tuple[int, ...]:
    """Return how many examples each rank trains on."""
    if ranks is None:
        return (chosen.size,)
    ranks.check_equal({"y": "labels or unit vectors" if examples.labels.size else "desired outputs"})
    return tuple(ranks.exchange(chosen.size))


def _in_all(value: Any, ranks: Ranks | None) -> Any:
    return value if ranks is None else ranks.total(value)


def _size_of_batches(optimizer: Optimizer, batch_size: int | None, n: int) -> int:
    if batch_size is None:
        return n if isinstance(optimizer, Solver) and optimizer.takes_all_examples else min(BATCH_SIZE, n)
    return min(batch_size, n)


def check_solver(
    solver: Solver, engine: Engine, learning_rate: Any, clip_norm: float | None, l2: float, batch_size: Any, n: int
) -> None:
    """Check that a solver can do what it is asked for."""
    name = solver.name
    if learning_rate is not None and not solver.has_learning_rate:
        raise ValueError(f"learning_rate: expected None with {name}, which has none, got {learning_rate!r}")
    if clip_norm is not None:
        hint = "; it is a setting of mbbp.DPSGD" if isinstance(solver, DPSGD) else ""
        raise ValueError(f"clip_norm: expected None with {name}, got {clip_norm!r}{hint}")
    if engine.dropout is not None:
        raise ValueError(f"dropout: expected a network without it for {name}, got one with dropout")
    if isinstance(solver, LBFGS) and batch_size is not None and batch_size < n:
        raise ValueError(f"batch_size: expected None with {name}, which takes all examples, got {batch_size!r}")
    if isinstance(solver, LevenbergMarquardt):
        if engine.cost.name != "quadratic":
            raise ValueError(f"cost: expected quadratic with {name}, got {engine.cost.name!r}")
        if solver.bayesian and l2 != 0:
            raise ValueError(f"l2: expected 0 with bayesian=True, which learns such a factor, got {l2!r}")
        if solver.bayesian and batch_size is not None and batch_size < n:
            raise ValueError(f"batch_size: expected None with bayesian=True, for all examples, got {batch_size!r}")


def _representable(scaling: Scaling | None, dtype: np.dtype[Any]) -> Scaling:
    if scaling is None:
        raise ValueError("X: expected numbers whose squares float64 can hold, to standardize them, got larger ones")
    check_representable("X", scaling, dtype)
    return scaling


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


def check_recorded(argument: str, monitor: str, has_validation: bool, is_classification: bool) -> None:
    """Check that a column of the history exists and will hold numbers.

    Raises
    ------
    ValueError
        If it is for validation data, or for classes, and there are none.
    """
    History.check_column(argument, monitor)
    if monitor.startswith("validation") and not has_validation:
        raise ValueError(
            f"{argument}: expected validation_data or validation_split for the monitor {monitor}, got none"
        )
    if monitor.endswith("accuracy") and not is_classification:
        raise ValueError(
            f"{argument}: expected labels or unit vectors as y for the monitor {monitor}, got other targets"
        )


def check_measured(argument: str, monitor: str, optimizer: Optimizer) -> None:
    """Check that an optimizer measures a column of the history.

    Raises
    ------
    ValueError
        If it does not.
    """
    measured = {"learning_rate"}
    if isinstance(optimizer, Solver):
        measured = {*optimizer.columns, *(measured if optimizer.has_learning_rate else ())}
    if monitor in {"learning_rate", *Epoch._field_defaults} - measured:
        raise ValueError(f"{argument}: expected a monitor that {optimizer.name} measures, got {monitor!r}")
