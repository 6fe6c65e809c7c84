"""Epochs of mini-batches in the compiled training loop."""

from __future__ import annotations

import time
import warnings

from mbbp.engine import Engine
from mbbp.kernels.updates import Step
from mbbp.loop import Loop
from mbbp.methods.method import Figures, Method, Trained
from mbbp.optimizer_state import Rates
from mbbp.parameters import Array
from mbbp.planning import Plan
from mbbp.validation import as_number

SECONDS_BETWEEN_LOOKS = 0.1  # the time in compiled code before the progress bar moves and Ctrl-C is handled


class MiniBatches(Method):
    """Gradient descent by mini-batches: the order of the examples is drawn, and then the compiled loop runs."""

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        super().__init__(engine, trained, plan)
        self.loop = Loop(self.engine, self.plan.examples, self.most_at_once)
        self.steps_at_once, self.warned = 16, False

    @property
    def most_at_once(self) -> int:
        """How many examples a mini-batch has at most."""
        return self.plan.batch_size

    def learning_rate(self, number: int) -> float:
        """Return the learning rate of the epoch of this number."""
        assert self.plan.schedule is not None
        found = self.plan.schedule(number, self.trained.history)
        return as_number(f"learning_rate of epoch {number}", found)

    def advance(self, number: int) -> Figures:
        """Go through all mini-batches."""
        plan, loop = self.plan, self.loop
        learning_rate = self.learning_rate(number)
        if learning_rate == 0:
            self._warn_of_no_rate(number)
        rates = Rates(learning_rate, plan.l2, plan.clip_norm)
        ordinary, measured = self._step(rates), self._step(rates._replace(measures_norm=True))
        seconds, is_finite = self.go_through(number, ordinary, measured)
        totals, n = loop.totals, plan.n
        return Figures(
            cost=float(totals.cost / n),
            accuracy=float(totals.correct / n) if plan.is_classification else None,
            learning_rate=learning_rate,
            gradient_norm=float(totals.gradient_norm),
            seconds=seconds,
            is_finite=is_finite,
        )

    def go_through(self, number: int, ordinary: Step, measured: Step) -> tuple[float, bool]:
        """Take a step for each mini-batch; return the seconds, and whether the cost stayed finite."""
        plan = self.plan
        order = self.trained.rng.permutation(plan.chosen) if plan.shuffle else plan.chosen
        self.loop.prepare(order, ordinary)  # this compiles, so it comes before the clock starts
        self.loop.reset()
        began = time.perf_counter()
        is_finite = self.run_mini_batches(order, ordinary, measured)
        return time.perf_counter() - began, is_finite

    def _warn_of_no_rate(self, number: int) -> None:
        if not self.warned:
            self.warned = True
            warnings.warn(
                f"learning_rate: it is 0 in epoch {number}, which changes nothing; a schedule counts all epochs of the "
                "network, those of earlier calls of fit included",
                stacklevel=7,
            )

    def _step(self, rates: Rates) -> Step:
        return self.plan.optimizer.step(self.engine.theta, self.loop.gradient, self.state, rates)

    def run_mini_batches(self, order: Array, ordinary: Step, measured: Step) -> bool:
        """Run the compiled loop over all mini-batches; the norm of the last gradient is measured.

        Returns
        -------
        bool
            Whether the cost stayed finite.
        """
        last = (order.size - 1) // self.plan.batch_size * self.plan.batch_size
        if not self.run_all(order[:last], ordinary):
            return False
        self.bar.advance(order.size - last)
        return self.loop.run(order[last:], measured)

    def run_all(self, order: Array, step: Step) -> bool:
        """Run the compiled loop over mini-batches, so many at a time that a call takes about SECONDS_BETWEEN_LOOKS.

        Returns
        -------
        bool
            Whether the cost stayed finite.
        """
        batch_size, start = self.plan.batch_size, 0
        while start < order.size:
            stop = min(order.size, start + self.steps_at_once * batch_size)
            began = time.perf_counter()
            if not self.loop.run(order[start:stop], step):
                return False
            pace = SECONDS_BETWEEN_LOOKS / max(time.perf_counter() - began, 1e-9)
            self.steps_at_once = max(1, min(order.size, int(self.steps_at_once * min(pace, 16.0))))
            self.bar.advance(stop - start)
            start = stop
        return True
