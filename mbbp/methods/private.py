"""Differentially private SGD: Poisson sampling, clipped gradients and Gaussian noise, and the privacy that is spent."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from mbbp.engine import CHUNK, Engine
from mbbp.extras import load_extra
from mbbp.kernels import epoch, noise, norms, private
from mbbp.kernels.lowlevel.records import array_of
from mbbp.kernels.team import make_team
from mbbp.methods.keystream import Keystream
from mbbp.methods.method import Figures, Method, Trained
from mbbp.parameters import Array
from mbbp.planning import Plan
from mbbp.solvers import DPSGD
from mbbp.validation import as_number

BITS_AT_ONCE = 1 << 19  # bytes: so many stay in a near cache until the steps use them
EXAMPLES_AT_ONCE = 1 << 14  # examples of all steps that are drawn together, about


class Accountant:
    """The privacy that steps of DP-SGD spend: Renyi differential privacy, from the package dp-accounting.

    Parameters
    ----------
    spec : DPSGD
        The noise, and delta.
    sampling_probability : float
        The probability that a step uses an example.

    Raises
    ------
    ImportError
        If the package is not installed.
    """

    def __init__(self, spec: DPSGD, sampling_probability: float) -> None:
        self._rdp: Any = load_extra("dp_sgd", "dp_accounting.rdp")
        self._spec = spec
        if spec.noise_multiplier > 0.0:
            self._orders, self._of_a_step = _divergences(spec.noise_multiplier, sampling_probability)

    def epsilon(self, steps: int) -> float:
        """Return the epsilon that so many steps have spent, for the delta of the settings."""
        if steps == 0:
            return 0.0
        if self._spec.noise_multiplier == 0.0:
            return math.inf
        with _quiet():
            return float(self._rdp.compute_epsilon(self._orders, steps * self._of_a_step, self._spec.delta)[0])


@functools.lru_cache(maxsize=32)
def _divergences(noise_multiplier: float, sampling_probability: float) -> tuple[Array, Array]:
    """Return the orders of the Renyi divergence, and that of one step for each; steps add up."""
    events: Any = load_extra("dp_sgd", "dp_accounting")
    accountant = load_extra("dp_sgd", "dp_accounting.rdp").RdpAccountant()
    with _quiet():
        accountant.compose(events.PoissonSampledDpEvent(sampling_probability, events.GaussianDpEvent(noise_multiplier)))
    found = accountant.rdp
    # where rounding leaves nothing of a small one, no step would spend any privacy: such an order is not used
    found[~(found > 0.0)] = math.inf
    return accountant.orders, found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep dp-accounting from telling on stderr, for every epoch, which orders it does not use."""
    import logging  # absl has imported it; `import mbbp` need not wait for it

    logger = logging.getLogger("absl")

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.module != "rdp_privacy_accountant"

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)


class PrivateDescent(Method):
    """Epochs of differentially private steps."""

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        super().__init__(engine, trained, plan)
        assert isinstance(plan.optimizer, DPSGD)
        self.spec: DPSGD = plan.optimizer
        n, self.dtype = plan.chosen.size, engine.dtype
        self.probability = plan.batch_size / n
        self.steps = math.ceil(n / plan.batch_size)
        self.stream = Keystream()
        self.accountant = Accountant(self.spec, self.probability)
        self._epsilon_before, self._delta_before, self._taken = self._spent_before()
        self._kernel = self._bind()
        self._takes_all = plan.chosen.size == plan.examples.n  # then they are in order
        self._steps_drawn = max(1, EXAMPLES_AT_ONCE // plan.batch_size)
        self._steps_at_once = max(1, min(BITS_AT_ONCE // self._bytes_of_step, self._steps_drawn))
        self._bits = np.empty(self._steps_at_once * self._words, np.dtype(f"u{self.dtype.itemsize}"))

    def _spent_before(self) -> tuple[float, float, int]:
        """Return epsilon and delta that are added to those of this training, and how many steps it goes on from.

        A training that goes on with the same sampling is one training. If the sampling has changed, the privacy of both
        is added.
        """
        rows = self.trained.history
        spent = [(row.epsilon, row.delta or 0.0) for row in rows if row.epsilon is not None]
        steps = int(self.state.steps[0])
        if not spent:
            return 0.0, 0.0, steps
        epochs, rest = divmod(steps, self.steps)
        if epochs and not rest:  # of another sampling, epsilon differs
            epsilon, delta = spent[-epochs - 1] if len(spent) > epochs else (0.0, 0.0)
            expected = epsilon + self.accountant.epsilon(steps), delta + self.spec.delta
            if np.allclose(expected, spent[-1], rtol=1e-9, atol=0.0):
                return epsilon, delta, steps
        return *spent[-1], 0

    @property
    def _bytes_of_step(self) -> int:
        return self._words * self.dtype.itemsize

    def _bind(self) -> Any:
        engine, plan, size = self.engine, self.plan, self.engine.theta.size
        expected = plan.batch_size
        chunk = min(CHUNK * 8, plan.chosen.size, math.ceil(expected + 4 * math.sqrt(expected)))
        self._words = 2 * ((size + 1) // 2)
        totals = epoch.Totals(cost=0.0, correct=0, gradient_norm=0.0, last_cost=0.0, penalty=0.0)
        self._totals = array_of([totals])
        model = engine.model(
            engine.layout(chunk, backward=True),
            with_cost=True,
            backward=True,
            is_weighted=plan.examples.weights.size > 0,
        )
        steps = private.PrivateSteps(
            model=model,
            source=engine.source(plan.examples),
            order=np.empty(0, np.int64),
            first=0,
            ends=np.empty(0, np.int64),
            n_steps=0,
            chunk=chunk,
            clip_norm=self.spec.clip_norm,
            deviation=self.spec.noise_multiplier * self.spec.clip_norm,
            rate=0.0,
            shrinkage=0.0,
            bits=np.empty(0, np.uint8),
            words=self._words,
            word_size=self.dtype.itemsize,
            make_noise=noise.gaussian_noise.address(self.dtype),
            measure=norms.gradient_norms.address(self.dtype),
            norms=np.empty(chunk),
            sums=np.empty(2 * chunk),
            gradient=np.zeros(size, self.dtype),
            noise=np.empty(size, self.dtype),
            totals=self._totals,
            team=make_team(1)[0],
        )
        return private.descend_privately.bind(steps, self.dtype)

    def advance(self, number: int) -> Figures:
        """Take the steps of an epoch."""
        plan = self.plan
        assert plan.schedule is not None
        learning_rate = as_number(f"learning_rate of epoch {number}", plan.schedule(number, self.trained.history))
        self._kernel.set(rate=learning_rate / plan.batch_size, shrinkage=learning_rate * plan.l2)
        self.state.steps[0] = self._taken
        totals = self._totals[0]
        totals.cost, totals.correct = 0.0, 0
        began, done, used, is_finite = time.perf_counter(), 0, 0, True
        while done < self.steps and is_finite:
            steps = min(self._steps_drawn, self.steps - done)
            order, ends = self._draw(steps)
            is_finite = self._run(order, ends)
            done += steps
            used += order.size
            self.state.steps[0] += steps
            self.bar.advance(order.size)
        seconds = time.perf_counter() - began
        self._taken = int(self.state.steps[0])
        n = max(used, 1)
        return Figures(
            cost=float(totals.cost / n),
            accuracy=float(totals.correct / n) if plan.is_classification else None,
            learning_rate=learning_rate,
            gradient_norm=float(totals.gradient_norm / plan.batch_size),
            seconds=seconds,
            is_finite=is_finite,
            more={
                "epsilon": self._epsilon_before + self.accountant.epsilon(self._taken),
                "delta": self._delta_before + self.spec.delta,
            },
        )

    def _draw(self, steps: int) -> tuple[Array, Array]:
        """Return the examples of some steps, side by side, and where those of each step end."""
        n = self.plan.chosen.size
        found = self.stream.chosen(steps * n, self.probability)
        ends = np.searchsorted(found, n * np.arange(1, steps + 1))
        found -= np.repeat(n * np.arange(steps), np.diff(ends, prepend=0))
        return found if self._takes_all else self.plan.chosen[found], ends

    def _run(self, order: Array, ends: Array) -> bool:
        self._kernel.set(order=order)
        first = 0
        for start in range(0, ends.size, self._steps_at_once):
            some = ends[start : start + self._steps_at_once]
            bits = self._bits[: some.size * self._words]
            self.stream.fill(bits)
            self._kernel.set(first=first, ends=some, n_steps=some.size, bits=bits.view(np.uint8))
            if not self._kernel():
                return False
            first = int(some[-1])
        return True
