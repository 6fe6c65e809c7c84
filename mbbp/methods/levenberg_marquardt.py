"""The Levenberg-Marquardt method: steps of least squares, damped by how well the last step was foreseen."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np

from mbbp.engine import Engine
from mbbp.interrupts import Interruptions
from mbbp.methods.method import Figures, Method, Trained
from mbbp.methods.systems import SYSTEMS, choose_system
from mbbp.parameters import Array, parameter_views
from mbbp.planning import Plan
from mbbp.progress import TrainingBar
from mbbp.residuals import Residuals
from mbbp.solvers import LevenbergMarquardt

MOST_ATTEMPTS, MOST_ATTEMPTS_OF_A_MINI_BATCH = 40, 10
LARGEST_RATIO = 0.75  # of the length of the acceleration to that of the step, Transtrum and Sethna's alpha
LEAST_DAMPING, MOST_DAMPING = 1e-20, 1e4  # as shares of the largest diagonal entry: beyond, steps change nothing
ROUNDING = 1e-14  # of a cost, relative
PROBE = 0.1  # the share of a step over which the curvature along it is measured
# of a parameter or an error, of the prior against the noise, and of the prior against the largest diagonal entry
LEAST_SQUARE, LEAST_PRIOR, MOST_DECAY = 1e-24, 1e-12, 100.0
MIB = 2.0**20


class Evidence(NamedTuple):
    """What Bayesian regularisation knows: the precisions of the prior and of the noise, and the parameters in use."""

    prior_precision: float
    noise_precision: float
    effective_parameters: float

    @property
    def decay(self) -> float:
        """The weight of 1/2 ||theta||^2 against half the sum of the squared residuals."""
        return self.prior_precision / self.noise_precision


class Trial(NamedTuple):
    """The solution of the equations, and the same with its acceleration."""

    plain: Array
    whole: Array


class LeastSquares(Method):
    """Steps of the Levenberg-Marquardt method, one for each mini-batch, or for all examples."""

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        super().__init__(engine, trained, plan)
        assert isinstance(plan.optimizer, LevenbergMarquardt)
        self.spec: LevenbergMarquardt = plan.optimizer
        m, n_out, size = plan.batch_size, engine.sizes[-1], engine.theta.size
        self.is_full = m == plan.chosen.size
        name, self.bytes = choose_system(self.spec, m * n_out, size, has_l2=plan.l2 > 0)
        residuals = Residuals(engine, plan.examples, m if name == "residuals" else None)
        self.system = SYSTEMS[name](residuals)
        self.system_name = name
        self._is_weight = np.zeros(size)
        for W in parameter_views(self._is_weight, engine.sizes)[0]:
            W[...] = 1.0
        self.damping: float | None = None
        self.evidence: Evidence | None = None
        if self.goes_on and len(trained.history):
            self._go_on(trained.history[-1])

    def _go_on(self, row: Any) -> None:
        """Take the damping, and what is known of the noise, from the last epoch of a training before."""
        if row.damping is not None and math.isfinite(row.damping):
            self.damping = row.damping
        found = (row.prior_precision, row.noise_precision, row.effective_parameters)
        if self.spec.bayesian and all(one is not None and math.isfinite(one) for one in found):
            self.evidence = Evidence(*found)

    def begin(self, bar: TrainingBar, interrupts: Interruptions) -> None:
        """Say how much memory the matrices need."""
        super().begin(bar, interrupts)
        bar.note(self.describe())

    def describe(self) -> str:
        """Return what is solved and how much memory that needs."""
        what = {
            "parameters": "J^T J of {} parameters",
            "residuals": "J J^T of {} residuals",
            "conjugate_gradient": "conjugate gradients for {} parameters",
        }[self.system_name]
        residuals = self.plan.batch_size * self.engine.sizes[-1]
        n = residuals if self.system_name == "residuals" else self.engine.theta.size
        return f"{what.format(f'{n:,}')}, {self.bytes / MIB:.3g} MiB"

    def advance(self, number: int) -> Figures:
        """Take a step for every mini-batch."""
        plan, m = self.plan, self.plan.batch_size
        order = plan.chosen
        if plan.shuffle and not self.is_full:
            order = self.trained.rng.permutation(order)
        began, total, norm = time.perf_counter(), 0.0, 0.0
        for start in range(0, order.size, m):
            batch = order if self.is_full else order[start : start + m]
            with np.errstate(all="ignore"):  # what is not finite is refused, and a smaller step tried
                cost, norm = self._step(batch)
            total += cost
            self.bar.advance(batch.size)
        seconds = time.perf_counter() - began
        more = {"damping": float(self.damping or 0.0)}
        if self.evidence is not None:
            more |= self.evidence._asdict()
        accuracy = self.engine.score(plan.examples, order).accuracy if plan.is_classification else None
        return Figures(
            cost=total / order.size,
            accuracy=accuracy,
            learning_rate=None,
            gradient_norm=norm,
            seconds=seconds,
            is_finite=math.isfinite(total),
            more=more,
        )

    def _step(self, order: Array) -> tuple[float, float]:
        """Take a step on some examples; return their cost, summed, and the norm of the gradient of its mean.

        The cost is that after the step if these are all examples, else that before it.
        """
        theta, m, system = self.engine.theta, order.size, self.system
        before = theta.astype(np.float64)
        system.prepare(order)
        cost = 0.5 * system.squares
        if not math.isfinite(cost):
            return cost, math.nan
        decay = self._decay(before, order)
        penalty = 0.5 * float(decay @ (before * before))
        gradient = system.gradient + decay * before
        scales = self._scales(system.diagonal / m)
        largest = 1.0 if self.spec.scaling else float((system.diagonal / m).max())
        if not math.isfinite(largest):
            return math.inf, math.nan
        least, most = LEAST_DAMPING * (largest or 1.0), MOST_DAMPING * (largest or 1.0)
        if self.damping is None:
            self.damping = self.spec.damping * (largest or 1.0)
        self.damping = min(max(self.damping, least), most)
        found = self._descend(before, cost + penalty, gradient, decay, m * scales, most)
        if self.is_full:
            self.is_over = found is None or cost + penalty - found[1] <= self.spec.tolerance * (cost + penalty)
            cost = cost if found is None else found[0]
        return cost, float(np.linalg.norm(system.gradient)) / m  # as for all methods, without the L2 term

    def _descend(
        self, before: Array, value: float, gradient: Array, decay: Array, scales: Array, most: float
    ) -> tuple[float, float] | None:
        """Try steps until one reduces the objective; return the cost and the objective after it, or None.

        If none does, the parameters are as before, and so is the damping: how far it had to rise says something of
        these examples, where nothing is left to gain, and nothing of the next ones.
        """
        theta, first, growth = self.engine.theta, self.damping, 2.0
        assert first is not None
        if not gradient.any():
            return None
        damping = first
        for _ in range(MOST_ATTEMPTS if self.is_full else MOST_ATTEMPTS_OF_A_MINI_BATCH):
            step = self._solve(before, gradient, damping * scales + decay)
            if step is not None:
                foreseen = 0.5 * float(step.plain @ (damping * scales * step.plain - gradient))
                theta[...] = before + step.whole
                cost = self._cost()
                after = cost + 0.5 * float(decay @ (theta.astype(np.float64) ** 2))
                # the last step to an optimum changes the cost by less than its rounding
                noise = ROUNDING * value
                if math.isfinite(after) and (after < value or (foreseen < noise and after < value + noise)):
                    gain = min((value - after) / foreseen, 1.0) if foreseen > 0 else 0.0
                    self.damping = damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
                    self.state.steps[0] += 1
                    return cost, after
                theta[...] = before
            damping *= growth
            growth *= 2.0
            if damping > most:
                break
        if not self.is_full:
            self.damping = min(2.0 * first, most)
        return None

    def _cost(self) -> float:
        """Return half the sum of the squared residuals; inf if an output is not finite."""
        found = self.system.residuals()
        cost = 0.5 * float(found @ found)
        return cost if math.isfinite(cost) else math.inf

    def _solve(self, before: Array, gradient: Array, added: Array) -> Trial | None:
        """Return a step, with its acceleration; None if there is none, or it is too long for its curvature."""
        system, theta = self.system, self.engine.theta
        try:
            system.factor(added)
        except np.linalg.LinAlgError:
            return None
        plain = system.solve(-system.now, -gradient)
        if not np.isfinite(plain).all():
            return None
        if not self.spec.acceleration:
            return Trial(plain, plain)
        theta[...] = before + PROBE * plain
        ahead = system.residuals()
        theta[...] = before
        curvature = (2.0 / PROBE) * ((ahead - system.now) / PROBE - system.change(plain))
        if not np.isfinite(curvature).all():
            return None
        bend = 0.5 * system.solve(-curvature, -system.pull_back(curvature))
        if 2.0 * np.linalg.norm(bend) > LARGEST_RATIO * np.linalg.norm(plain):
            return None
        return Trial(plain, plain + bend)

    def _scales(self, diagonal: Array) -> Array:
        """Return what the damping multiplies; with `scaling`, the state keeps the largest diagonal so far."""
        if not self.spec.scaling:
            return np.ones(diagonal.size)
        largest = self.state.moments[0]
        np.maximum(largest, diagonal, out=largest, casting="same_kind")
        floor = max(float(largest.max()), np.finfo(self.engine.dtype).tiny) * np.finfo(self.engine.dtype).eps
        return np.maximum(largest.astype(np.float64), floor)

    def _decay(self, theta: Array, order: Array) -> Array:
        """Return the weights of the squares of the parameters, against half the sum of the squared residuals."""
        if not self.spec.bayesian:
            return self.plan.l2 * order.size * self._is_weight
        self.evidence = self._learn_evidence(theta, order)
        return np.full(theta.size, self.evidence.decay)

    def _learn_evidence(self, theta: Array, order: Array) -> Evidence:
        """Return what the errors and the parameters say about the noise and the prior.

        F. D. Foresee and M. T. Hagan, *Gauss-Newton approximation to Bayesian learning*, 1997, with J^T J at theta.
        """
        n_residuals, used = order.size * self.engine.sizes[-1], float(theta.size)
        if self.evidence is not None:
            decay = self.evidence.decay
            try:
                self.system.factor(np.full(theta.size, decay))
                used = min(max(theta.size - decay * self.system.trace_of_inverse(), 0.0), float(theta.size))
            except np.linalg.LinAlgError:
                used = self.evidence.effective_parameters
        # of parameters that are all 0, or of errors that are only rounding, the precision would be inf
        noise = max(n_residuals - used, 1.0) / max(self.system.squares, LEAST_SQUARE * n_residuals)
        most = MOST_DECAY * noise * float(self.system.diagonal.max())
        prior = min(used / max(float(theta @ theta), np.finfo(float).tiny), most) or LEAST_PRIOR * noise
        return Evidence(prior, noise, used)
