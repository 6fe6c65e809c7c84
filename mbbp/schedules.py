"""Learning-rate schedules: the learning rate of an epoch, as a function of its number and of the history so far.

No schedule keeps a state of its own: what it needs to know it reads from the history. So one schedule can serve many
networks, and training that goes on later goes on as if it had never stopped.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from mbbp.validation import as_count, as_number


class Gains(Protocol):
    """What a schedule asks of a history."""

    def gains(self, monitor: str) -> list[float]:
        """Return a figure of every epoch so far, as numbers that are the greater the better; -inf for none."""


@dataclass(frozen=True)
class Schedule:
    """What all schedules share.

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
        How many epochs a step lasts.
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
    """Half a cosine wave from `initial` down to `final` over `epochs` epochs, then `final`.

    Parameters
    ----------
    initial : float
        The learning rate of the first epoch.
    epochs : int
        The epoch that first has the final rate, at least 2.
    final : float
        The last learning rate, from 0.
    """

    epochs: int = 30
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        as_count("epochs", self.epochs, least=2)
        as_number("final", self.final)

    def __call__(self, epoch: int, history: Gains) -> float:
        """Return the learning rate of an epoch; the first one is epoch 1."""
        share = min(1.0, (epoch - 1) / (self.epochs - 1))
        return self.final + 0.5 * (self.initial - self.final) * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True)
class ReduceWhenStuck(Schedule):
    """Multiply the learning rate by `factor` whenever a figure of the history has not improved for `patience` epochs.

    Parameters
    ----------
    initial : float
        The learning rate of the first epochs.
    monitor : str
        A column of the history. An accuracy improves upwards, everything else downwards.
    patience : int
        How many epochs in a row may bring no improvement.
    factor : float
        The factor, above 0 and below 1.
    min_delta : float
        An improvement is a change by more than this.
    least : float
        The learning rate never falls below this.
    """

    monitor: str = "training_cost"
    patience: int = 5
    factor: float = 0.5
    min_delta: float = 0.0
    least: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
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
        """Return what the function says for this epoch."""
        return as_number(f"learning_rate of epoch {epoch}", self.function(epoch))


def get_schedule(learning_rate: float | Schedule | Callable[[int], float]) -> Schedule:
    """Return a schedule from a number, a schedule, or a function of the epoch's number.

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
