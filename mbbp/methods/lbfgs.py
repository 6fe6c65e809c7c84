"""L-BFGS on all examples, by SciPy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mbbp.engine import Engine
from mbbp.extras import load_extra
from mbbp.history import Epoch
from mbbp.methods.method import Figures, Method, Trained
from mbbp.parameters import Array, parameter_views
from mbbp.planning import Plan
from mbbp.solvers import LBFGS

NO_LIMIT = 2**31 - 1


class MinimizeLBFGS(Method):
    """Iterations of SciPy's L-BFGS-B, each an epoch."""

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        super().__init__(engine, trained, plan)
        assert isinstance(plan.optimizer, LBFGS)
        self.spec: LBFGS = plan.optimizer
        self._optimize = load_extra("lbfgs", "scipy.optimize")
        self._compute = engine.summed_gradient(plan.examples, plan.chosen)
        self._decay = np.zeros(engine.theta.size)
        for W in parameter_views(self._decay, engine.sizes)[0]:
            W[...] = plan.l2
        self._found: dict[str, Any] = {}

    def run(self, end_epoch: Callable[[Epoch], bool]) -> None:
        """Iterate as long as `end_epoch` returns true, or until nothing is left to gain."""
        theta, was_ended = self.engine.theta, []
        best = theta.copy()

        def after_iteration(intermediate_result: Any) -> None:
            self._found = {"x": intermediate_result.x, "fun": float(intermediate_result.fun)}
            try:
                row = self.epoch()
            except BaseException:
                theta[...] = best
                raise
            best[...] = theta
            if not end_epoch(row):
                was_ended.append(True)
                raise StopIteration
            self._began = time.perf_counter()
            self.interrupts.may_raise = True

        self._began = time.perf_counter()
        try:
            self.interrupts.may_raise = True
            self._optimize.minimize(
                self._objective,
                theta.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options={
                    "maxiter": NO_LIMIT,
                    "maxfun": NO_LIMIT,
                    "maxcor": self.spec.memory,
                    "gtol": self.spec.tolerance,
                    "ftol": np.finfo(float).eps,
                },
            )
        finally:
            self.interrupts.may_raise = False
            theta[...] = best  # a line search that was interrupted has left other parameters
        if not self._found:  # there was nothing to gain from the start
            self._found = {"x": best}
            was_ended.append(not end_epoch(self.epoch()))
        self.is_over = not any(was_ended)

    def _objective(self, theta: Array) -> tuple[float, Array]:
        """Return the mean cost with its L2 term, and the gradient, at some parameters."""
        n = self.plan.chosen.size
        with np.errstate(over="ignore", invalid="ignore"):  # far out on a line
            self.engine.theta[...] = theta
            decay = self._decay * theta
            value = self._compute() / n + 0.5 * float(decay @ theta)
            self._gradient = self._compute.gradient.astype(np.float64) / n
            return (value if np.isfinite(value) else np.inf), self._gradient + decay

    def advance(self, number: int) -> Figures:
        """Take over what an iteration has found."""
        plan, theta = self.plan, self._found["x"]
        seconds = time.perf_counter() - self._began
        self.engine.theta[...] = theta
        score = self.engine.score(plan.examples, plan.chosen)
        self.bar.advance(plan.chosen.size)
        return Figures(
            cost=score.cost,
            accuracy=score.accuracy,
            learning_rate=None,
            gradient_norm=float(np.linalg.norm(self._gradient)),
            seconds=seconds,
            is_finite=bool(np.isfinite(score.cost)),
        )
