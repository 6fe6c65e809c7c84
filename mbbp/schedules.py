"""Learning-rate schedules: the learning rate of an epoch, as a function of its number and of the history so far.

A schedule has no state: it reads what it needs from the history. So several networks can share a schedule, and a
further call of `fit` continues the schedule as if the training had not stopped.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from mbbp.validation import as_count, as_name, as_number


class Gains(Protocol):
    """The part of a history that a schedule reads."""

    def gains(self, monitor: str) -> list[float]:
        """Return a column of the history, as numbers of which the largest is the best; -inf if not measured."""


@dataclass(frozen=True)
class Schedule:
    """The base class of all schedules, also of custom ones: a subclass overrides `__call__`.

    Parameters
    ----------
    initial : float
        The learning rate of the first epoch, above 0.
    """

    initial: float

    def __post_init__(self) -> None:
        as_number("initial", self.initial, positive=True)

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the learning rate of an epoch; the first one is epoch 1."""
        return self.initial


@dataclass(frozen=True)
class Constant(Schedule):
    """The same learning rate in every epoch.

    Parameters
    ----------
    initial : float
        The learning rate.
    """


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the learning rate by `factor` after every `every` epochs.

    Parameters
    ----------
    initial : float
        The learning rate of the first epochs.
    every : int
        The number of epochs between two changes.
    factor : float
        The factor, above 0.
    """

    every: int = 10
    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        as_count("every", self.every)
        as_number("factor", self.factor, positive=True)

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the learning rate of an epoch; the first one is epoch 1."""
        return self.initial * self.factor ** ((epoch - 1) // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the learning rate by `factor` after every epoch.

    Parameters
    ----------
    initial : float
        The learning rate of the first epoch.
    factor : float
        The factor, above 0.
    """

    factor: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("factor", self.factor, positive=True)

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the learning rate of an epoch; the first one is epoch 1."""
        return self.initial * self.factor ** (epoch - 1)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave from `initial` to `final` over `epochs` epochs, then `final` (Loshchilov and Hutter 2017).

    Parameters
    ----------
    initial : float
        The learning rate of the first epoch.
    epochs : int
        The number of epochs until the learning rate is `final`: the first one with it is epoch `epochs` + 1. So with
        the number of epochs of a training, its last epoch still learns.
    final : float
        The last learning rate, at least 0.
    """

    epochs: int = 30
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_count("epochs", self.epochs)
        as_number("final", self.final)

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the learning rate of an epoch; the first one is epoch 1."""
        share = min(1.0, (epoch - 1) / self.epochs)
        return self.final + 0.5 * (self.initial - self.final) * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True)
class ReduceWhenStuck(Schedule):
    """Multiply the learning rate by `factor` after `patience` epochs without an improvement.

    Parameters
    ----------
    initial : float
        The learning rate of the first epochs.
    monitor : str
        The column of the history that must improve. An accuracy and `examples_per_second` improve when they rise, every
        other column when it falls.
    patience : int
        The number of epochs in a row without an improvement after which the learning rate is reduced.
    factor : float
        The factor, above 0 and below 1.
    min_delta : float
        Only a change by more than this counts as an improvement.
    least : float
        The learning rate is never below this.
    """

    monitor: str = "training_cost"
    patience: int = 5
    factor: float = 0.5
    min_delta: float = 0.0
    least: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_name("monitor", self.monitor)
        as_count("patience", self.patience)
        as_number("factor", self.factor, below=1.0, positive=True)
        as_number("min_delta", self.min_delta)
        as_number("least", self.least)

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the learning rate of an epoch; the first one is epoch 1."""
        reductions, waited = 0, 0
        best = -math.inf
        for value in history.gains(self.monitor):
            if value == -math.inf:  # not measured in this epoch
                continue
            if value > best + self.min_delta:
                best, waited = value, 0
            else:
                waited += 1
            if waited == self.patience:
                reductions, waited = reductions + 1, 0
        return max(self.least, self.initial * self.factor**reductions)


@dataclass(frozen=True)
class _FunctionOfEpoch(Schedule):
    function: Callable[[int], Any] = float

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the value of the function for this epoch, checked."""
        return as_number(f"learning_rate of epoch {epoch}", self.function(epoch))


def get_schedule(learning_rate: float | Schedule | Callable[[int], float]) -> Schedule:
    """Return a schedule, given a number, a schedule, or a function of the number of the epoch.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If the number is not finite or not above 0.
    """
    if isinstance(learning_rate, Schedule):
        return learning_rate
    if callable(learning_rate):
        return _FunctionOfEpoch(1.0, learning_rate)
    return Constant(as_number("learning_rate", learning_rate, positive=True))
