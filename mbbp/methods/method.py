"""What every method of training has: epochs that change nothing if they fail, and their rows of the history."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from mbbp.chunking.pools import Streamed
from mbbp.engine import Engine, Score
from mbbp.history import Epoch, History
from mbbp.interrupts import Interruptions
from mbbp.kernels.examples import Examples
from mbbp.optimizer_state import OptimizerState
from mbbp.parameters import Array
from mbbp.planning import Plan
from mbbp.progress import TrainingBar
from mbbp.scaling import STANDARDIZE


class DivergedError(ArithmeticError):
    """The cost or a parameter became NaN or inf.

    The network has the parameters from before the epoch in `Network.fit`, from before the step in `Trainer.step`.
    """


class Trained(Protocol):
    """What training changes besides the parameters. A further call of `fit` continues from it."""

    history: History
    rng: np.random.Generator

    @property
    def optimizer_state(self) -> OptimizerState | None:
        """The state after the last step."""

    def _keep_state(self, state: OptimizerState | None) -> None:
        """Set the state, without a copy."""


class StopTraining(Exception):  # noqa: N818 -- a signal from a callback, not an error
    """Raise this in a callback to end the training after the current epoch."""


class Figures(NamedTuple):
    """What was measured in an epoch.

    Attributes
    ----------
    cost : float
        The mean cost of the training examples.
    accuracy : float or None
        The fraction of them that was classified correctly.
    learning_rate : float or None
        The learning rate, of a method that has one.
    gradient_norm : float
        The norm of the last gradient.
    seconds : float
        How long the training took.
    is_finite : bool
        Whether the cost stayed finite.
    more : mapping
        Further columns of the history.
    """

    cost: float
    accuracy: float | None
    learning_rate: float | None
    gradient_norm: float
    seconds: float
    is_finite: bool = True
    more: Mapping[str, float] = {}


class Method(ABC):
    """A method of training.

    Parameters
    ----------
    engine : Engine
        The network.
    trained : Trained
        What changes besides its parameters.
    plan : Plan
        The checked arguments of `Network.fit`.

    Attributes
    ----------
    bar : TrainingBar
        The progress bar.
    interrupts : Interruptions
        Says when Ctrl-C may end an epoch.
    is_over : bool
        Whether nothing is left to gain, so that the training ends before its last epoch.
    """

    bar: TrainingBar
    interrupts: Interruptions

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        self.engine, self.trained, self.plan = engine, trained, plan
        self.is_over = False
        state = trained.optimizer_state
        self.goes_on = state is not None and state.optimizer == plan.optimizer
        if state is None or not self.goes_on:
            state = plan.optimizer.start(engine.theta.size, engine.dtype)
        state.check_fits(engine.theta)
        self.state = state
        self.first = len(trained.history) + 1  # the number of the first epoch of this training

    @abstractmethod
    def advance(self, number: int) -> Figures:
        """Train for the epoch of this number."""

    def begin(self, bar: TrainingBar, interrupts: Interruptions) -> None:
        """Take the progress bar, and what says when Ctrl-C may end an epoch."""
        self.bar, self.interrupts = bar, interrupts

    def run(self, end_epoch: Callable[[Epoch], bool]) -> None:
        """Train epoch after epoch, as long as `end_epoch` returns true."""
        try:
            while end_epoch(self.epoch()) and not self.is_over:
                pass
        finally:
            self.close()
            if isinstance(self.plan.validation, Streamed):
                self.plan.validation.survey.close()

    def close(self) -> None:  # noqa: B027 -- most methods hold nothing
        """Give back what the method holds beside memory."""

    def epoch(self) -> Epoch:
        """Train for one epoch and append its row to the history. After an error the network is as before.

        Raises
        ------
        DivergedError
            If a cost or a parameter becomes NaN or inf.
        """
        number = len(self.trained.history) + 1
        with self.restoring():
            figures = self.advance(number)
            validation = self.validate(number, figures)
        return self.append(number, figures, validation)

    @contextlib.contextmanager
    def restoring(self) -> Iterator[None]:
        """Let Ctrl-C interrupt what follows; if it fails, everything is as before."""
        trained, plan, engine, interrupts = self.trained, self.plan, self.engine, self.interrupts
        rng_before, state_before = trained.rng.bit_generator.state, trained.optimizer_state
        was_learnt = engine.scaling_is_learnt
        changed = (engine.theta, self.state.moments, self.state.steps)
        before = [array.copy() for array in changed]
        try:
            trained._keep_state(self.state)
            if not was_learnt:
                engine.set_scaling(plan.scaling)
            interrupts.may_raise = True
            yield
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

    def validate(self, number: int, figures: Figures) -> Score | None:
        """Score the validation data, if all numbers are finite.

        Raises
        ------
        DivergedError
            If they are not.
        """
        plan, engine = self.plan, self.engine
        numbers = (engine.theta, self.state.moments)
        is_finite = figures.is_finite and all(bool(np.isfinite(array).all()) for array in numbers)
        validation = None
        if is_finite and plan.validation is not None:
            validation = self.score(plan.validation, plan.chosen_for_validation)
            is_finite = math.isfinite(validation.cost)
        if not is_finite:
            best = plan.early_stopping is not None and plan.early_stopping.restore_best
            kept = "of its best epoch" if best and number > self.first else "it had before this epoch"
            rate = "" if figures.learning_rate is None else f" at learning rate {figures.learning_rate:g}"
            hint = "" if figures.learning_rate is None else "a smaller learning_rate, a clip_norm, "
            raise DivergedError(
                f"epoch {number}: the cost became NaN or inf{rate}; the network has "
                f"the parameters {kept}. Try {hint}inputs scaled "
                "to about 1 (scaling='standardize'), or dtype='float64'"
            )
        return validation

    def score(self, examples: Examples | Streamed, chosen: Array | None) -> Score:
        """Return the mean cost and the accuracy of validation data, of all or of the chosen ones."""
        if isinstance(examples, Streamed):
            return examples.score(self.engine)
        return self.engine.score(examples, chosen)

    def notify(self, row: Epoch) -> None:
        """Call the callbacks with the row of an epoch."""
        self.plan.notify(row)

    def append(self, number: int, figures: Figures, validation: Score | None) -> Epoch:
        """Append the row of an epoch to the history, and return it."""
        row = Epoch(
            epoch=number,
            training_cost=figures.cost,
            training_accuracy=figures.accuracy,
            validation_cost=None if validation is None else validation.cost,
            validation_accuracy=None if validation is None else validation.accuracy,
            learning_rate=figures.learning_rate,
            gradient_norm=figures.gradient_norm,
            seconds=figures.seconds,
            examples_per_second=self.plan.n / figures.seconds,
            **figures.more,
        )
        self.trained.history.append(row)
        return row
