"""Training: epoch after epoch, and the decisions between two epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from mbbp.engine import Engine
from mbbp.history import Epoch, History
from mbbp.interrupts import Interruptions
from mbbp.methods import method
from mbbp.methods.chunked import ChunkedMiniBatches
from mbbp.methods.data_parallel import DataParallel
from mbbp.methods.lbfgs import MinimizeLBFGS
from mbbp.methods.levenberg_marquardt import LeastSquares
from mbbp.methods.method import StopTraining
from mbbp.methods.mini_batches import MiniBatches
from mbbp.methods.private import PrivateDescent
from mbbp.planning import Plan
from mbbp.progress import TrainingBar
from mbbp.solvers import DPSGD, LBFGS, LevenbergMarquardt
from mbbp.stopping import Best

METHODS: dict[type[Any], type[method.Method]] = {
    LevenbergMarquardt: LeastSquares,
    LBFGS: MinimizeLBFGS,
    DPSGD: PrivateDescent,
}


class Trained(method.Trained, Protocol):
    """What a training needs of a network besides its engine."""

    def _take_unfinished(self) -> Best | None:
        """Return how far early stopping was when the checkpoint was written that the network was loaded from, once."""

    def _write(self, path: Path, best: Best | None) -> None:
        """Write a checkpoint."""


def train(engine: Engine, trained: Trained, plan: Plan, bar: TrainingBar, interrupts: Interruptions) -> History:
    """Train the engine's parameters as planned, and return the history of `trained`.

    The progress bar is moved, and what `interrupts` says is done.

    Raises
    ------
    DivergedError
        If the cost or a parameter becomes NaN or inf.
    """
    usual: type[method.Method] = MiniBatches if plan.ranks is None else DataParallel
    if plan.streamed is not None:
        usual = ChunkedMiniBatches
    chosen = METHODS.get(type(plan.optimizer), usual)(engine, trained, plan)
    run = _Run(trained, plan, bar, interrupts, _best(trained, plan), chosen.notify)
    trained.history.has_ended = False
    try:
        with interrupts, bar:
            chosen.begin(bar, interrupts)
            chosen.run(lambda row: run.end_epoch(row, engine))
            if chosen.is_over:
                run.left = 0
    except StopTraining:
        run.left = 0
    finally:
        trained.history.was_interrupted = interrupts.asked or interrupts.asked_twice
        if run.best is not None:
            run.best.restore(engine.theta)
    trained.history.has_ended = run.left == 0
    if plan.checkpoint is not None and trained.history.has_ended:
        trained._write(plan.checkpoint.path, None)
    return trained.history


class _Run:
    """What is decided after every epoch."""

    def __init__(
        self,
        trained: Trained,
        plan: Plan,
        bar: TrainingBar,
        interrupts: Interruptions,
        best: Best | None,
        notify: Callable[[Epoch], None],
    ) -> None:
        self.trained, self.plan, self.bar, self.interrupts, self.best = trained, plan, bar, interrupts, best
        self.notify = notify
        self.left = plan.epochs

    def end_epoch(self, row: Epoch, engine: Engine) -> bool:
        """Tell everybody about an epoch, and return whether the training goes on."""
        history, checkpoint, interrupts = self.trained.history, self.plan.checkpoint, self.interrupts
        self.bar.end_epoch(row)
        stopped = self.best is not None and self.best.is_over(history, engine.theta)
        self.left = 0 if stopped else self.left - 1
        interrupts.may_raise = True  # a callback may take long
        self.notify(row)
        interrupts.may_raise = False
        if interrupts.asked_twice:
            raise KeyboardInterrupt
        history.was_interrupted = interrupts.asked
        is_due = checkpoint is not None and (interrupts.asked or len(history) % checkpoint.every == 0)
        if checkpoint is not None and is_due and self.left > 0:  # the last one is written when the training has ended
            self.trained._write(checkpoint.path, self.best)
        return self.left > 0 and not interrupts.asked


def _best(trained: Trained, plan: Plan) -> Best | None:
    """Return how far early stopping is: at its beginning, or where the loaded checkpoint was written."""
    unfinished = trained._take_unfinished()
    if plan.ranks is not None:
        unfinished = plan.ranks.first(unfinished)
    if plan.early_stopping is None:
        return None
    goes_on = unfinished is not None and unfinished.spec == plan.early_stopping
    return unfinished if goes_on else Best(plan.early_stopping)
