"""Epochs of mini-batches that several processes share.

Each rank holds a part of the examples. With n examples in all, an epoch has ceil(n / batch_size) steps. A rank with n_r
examples gives those from number floor(k n_r / steps) to floor((k + 1) n_r / steps) of its own order to step k. Every
rank computes the gradient of its part of the mini-batch, the gradients are added, and every rank takes the same step.
Or each rank takes some steps by itself, and then the parameters are averaged.

The ranks draw different masks of dropout: each has a seed of its own, made of the network's and of its number.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
import time
import zlib
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import numpy as np

from mbbp.chunking.pools import Streamed
from mbbp.engine import Engine, Score
from mbbp.history import Epoch
from mbbp.interrupts import Interrupts
from mbbp.kernels import given_gradient
from mbbp.kernels.examples import Examples
from mbbp.kernels.updates import Step, norm
from mbbp.methods.method import Figures, StopTraining, Trained
from mbbp.methods.mini_batches import MiniBatches
from mbbp.optimizer_state import OptimizerState, Rates
from mbbp.parameters import Array
from mbbp.planning import Plan
from mbbp.ranks import RankError, Ranks
from mbbp.scaling import STANDARDIZE

LOCAL = ("checkpoint", "subset", "example_weights", "validation_data", "notify")
"""The arguments of `Network.fit` that differ from rank to rank. All have weights and validation data, or none."""


def agree(ranks: Ranks, engine: Engine, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Check that the networks and the arguments of all ranks fit together, and return the arguments of this one.

    The scaling of the inputs becomes that of rank 0. Only rank 0 writes checkpoints.

    Raises
    ------
    ValueError
        If a setting differs.
    """
    settings = {
        "sizes": str(engine.sizes),
        "dtype": engine.dtype.name,
        "activation": str([one.name for one in engine.activations]),
        "cost": str(engine.cost),
        "dropout": str(engine.dropout and engine.dropout.rates),
        "average_every": str(ranks.average_every),
    }
    settings |= {name: _described(value) for name, value in arguments.items() if name not in LOCAL}
    for name in ("example_weights", "validation_data"):
        settings[name] = "None" if arguments[name] is None else "some"
    ranks.check_equal(settings)
    engine.set_scaling(ranks.first(engine.scaling if engine.scaling_is_learnt else STANDARDIZE))
    found = dict(arguments) | {"ranks": ranks}
    return found if ranks.rank == 0 else found | {"checkpoint": None}


def _described(value: Any) -> str:
    """Return a text that is the same for equal settings in all processes."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if callable(value) and not dataclasses.is_dataclass(value):
        return str(getattr(value, "__qualname__", type(value).__qualname__))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


class SharedInterrupts(Interrupts):
    """Ctrl-C on any rank ends the training on all: `asked` is set between two epochs alone, on all ranks together.

    So a second Ctrl-C, too, waits for the end of the running epoch. Then all ranks raise KeyboardInterrupt.

    Attributes
    ----------
    presses : int
        How often Ctrl-C was pressed on this rank.
    """

    def __init__(self) -> None:
        super().__init__()
        self.presses = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.presses += 1
        before = self.asked, self.asked_twice, self.may_raise
        self.may_raise = False  # in the middle of a step the other ranks would wait for this one
        super()._handle(number, frame)
        self.asked, self.asked_twice, self.may_raise = before


class DataParallel(MiniBatches):
    """Gradient descent by mini-batches of which every rank has a part."""

    interrupts: SharedInterrupts

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        assert plan.ranks is not None
        self.ranks: Ranks = plan.ranks
        self.ranks.begin()
        self.steps = math.ceil(plan.n / plan.batch_size)
        ends = np.arange(self.steps + 1)
        every_ones = [ends * count // self.steps for count in plan.counts]
        self._bounds = every_ones[self.ranks.rank]
        self._sizes = np.diff(self._bounds)
        self._sizes_in_all = np.diff(np.sum(every_ones, axis=0))
        self._take_over(engine, trained, plan)
        dropout = engine.dropout
        if dropout is not None and self.ranks.rank > 0:  # the loop keeps the seed that it was made with
            words = np.random.SeedSequence([dropout.seed, self.ranks.rank]).generate_state(1)
            engine.set_dropout_seed(int(words[0]))
        try:
            super().__init__(engine, trained, plan)
        finally:
            if dropout is not None:
                engine.set_dropout_seed(dropout.seed)
        self._prepare()

    @property
    def most_at_once(self) -> int:
        """How many examples this rank has in a mini-batch at most."""
        return max(1, int(self._sizes.max()))

    def _take_over(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        """Give this rank the parameters and the training of rank 0."""
        ranks, state = self.ranks, trained.optimizer_state
        goes_on = state is not None and state.optimizer == plan.optimizer
        seed = None if engine.dropout is None else engine.dropout.seed
        kept = (goes_on, trained.rng, list(trained.history), seed)
        goes_on, rng, rows, seed = ranks.first(kept)
        ranks.spread(engine.theta)
        if ranks.rank > 0:
            trained.rng = rng
            trained.history._replace(rows)
            if seed is not None:
                engine.set_dropout_seed(seed)
            fresh = plan.optimizer.start(engine.theta.size, engine.dtype)
            state = OptimizerState(plan.optimizer, fresh.moments, fresh.steps)
            trained._keep_state(state if goes_on else None)
        if goes_on:
            assert state is not None
            ranks.spread(state.moments)
            ranks.spread(state.steps)

    def _prepare(self) -> None:
        """Make the records of the compiled calls."""
        engine, dtype, size = self.engine, self.engine.dtype, self.engine.theta.size
        n_shared = size if self.ranks.average_every is None else size * (1 + len(self.state.moments))
        self._shared = self.ranks.vector(n_shared + 1, dtype)  # the last number is 0, or NaN if a rank has failed
        self._vector, self._flag = self._shared.values[:-1], self._shared.values[-1:]
        self._length, self._counter = np.zeros(1), np.zeros(1, np.int64)
        self._gradient_step = Step(
            target=self._vector[:size],
            is_gradient=0,
            beta=0.0,
            beta_of_biases=0.0,
            alpha=1.0,
            update=0,
            state=np.empty(0, dtype),
            settings=np.empty(0),
            steps=self._counter,
            learning_rate=0.0,
            l2=0.0,
            weight_decay=0.0,
            clip_norm=math.inf,
            measures_norm=0,
        )
        if self.ranks.average_every is None:
            rates = Rates(0.0, self.plan.l2, self.plan.clip_norm, measures_norm=True)
            call = given_gradient.GivenGradient(
                model=self.loop.model,
                # with `measures_norm`, every optimizer takes the gradient from memory
                step=self.plan.optimizer.step(engine.theta, self._vector[:size], self.state, rates),
                flag=self._flag,
                norm=norm.address(dtype),
                length=self._length,
                steps=self._counter,
            )
            self._update = given_gradient.update.bind(call, dtype)

    def learning_rate(self, number: int) -> float:
        """Return the learning rate of the epoch of this number: that of rank 0."""
        compute = super().learning_rate
        return self.ranks.all_of(lambda: compute(number))[0]

    def notify(self, row: Epoch) -> None:
        """Call the callbacks; what they raise on one rank, and Ctrl-C on one, is for all ranks.

        Raises
        ------
        StopTraining
            If a callback of any rank raises it.
        RankError
            If a callback of another rank raises another error.
        """

        def call() -> bool:
            try:
                self.plan.notify(row)
            except StopTraining:
                return True
            return False

        stops = self.ranks.all_of(call)
        presses = max(self.ranks.exchange(self.interrupts.presses))
        self.interrupts.asked, self.interrupts.asked_twice = presses > 0, presses > 1
        if presses > 1:
            self.ranks.all_raise()
        if any(stops):
            raise StopTraining

    def score(self, examples: Examples | Streamed, chosen: Array | None) -> Score:
        """Return the mean cost and the accuracy of the validation data of all ranks."""
        assert isinstance(examples, Examples)  # chunks are refused with several ranks
        found, n = super().score(examples, chosen), examples.n if chosen is None else chosen.size
        accuracy = 0.0 if found.accuracy is None else found.accuracy
        cost, correct, n_in_all = self.ranks.total(np.array([found.cost * n, round(accuracy * n), n], np.float64))
        return Score(float(cost / n_in_all), None if found.accuracy is None else float(correct / n_in_all))

    def advance(self, number: int) -> Figures:
        """Go through all mini-batches."""
        plan, ranks = self.plan, self.ranks
        learning_rate = self.learning_rate(number)
        if learning_rate == 0 and ranks.rank == 0:
            self._warn_of_no_rate(number)
        order = self._order()
        self.loop.reset()
        self._length[0] = 0.0
        run = self._sum_gradients if ranks.average_every is None else self._average_parameters
        seconds, is_finite = run(order, learning_rate)
        totals, changed = self.loop.totals, (self.engine.theta, self.state.moments, self.state.steps)
        digest = zlib.crc32(b"".join(array.tobytes() for array in changed))
        mine = (float(totals.cost), int(totals.correct), float(self._length[0]) ** 2, seconds, digest)
        costs, correct, squares, all_seconds, digests = zip(*ranks.exchange(mine), strict=True)
        if len(set(digests)) > 1 and is_finite:
            raise RankError(
                f"epoch {number}: expected the same parameters on all ranks, got others; the processors of all "
                "machines must be of one kind"
            )
        shares = zip(plan.counts, squares, strict=True)
        return Figures(
            cost=sum(costs) / plan.n,
            accuracy=sum(correct) / plan.n if plan.is_classification else None,
            learning_rate=learning_rate,
            gradient_norm=math.sqrt(sum(count * square for count, square in shares) / plan.n),
            seconds=all_seconds[0],
            is_finite=is_finite,
        )

    def _order(self) -> Array:
        """Return the order of this rank's examples, from a stream of its own; `rng` stays equal on all ranks."""
        if not self.plan.shuffle:
            return self.plan.chosen
        words = self.trained.rng.integers(1 << 32, size=4)
        return np.random.default_rng([*words.tolist(), self.ranks.rank]).permutation(self.plan.chosen)

    def _sum_gradients(self, order: Array, learning_rate: float) -> tuple[float, bool]:
        """Take a step for each mini-batch; return the seconds, and whether the cost stayed finite."""
        loop, theta, size = self.loop, self.engine.theta, self.engine.theta.size
        rates = Rates(learning_rate, self.plan.l2, self.plan.clip_norm, measures_norm=True)
        step = self.plan.optimizer.step(theta, self._vector[:size], self.state, rates)
        self._update.set(step=step._replace(measures_norm=0))
        self._counter[0] = self.state.steps[0]
        loop.prepare(order, self._gradient_step)
        set_order, set_n, set_alpha = (loop.setter(name) for name in ("order", "n", "step.alpha"))
        run, update, add_up, flag = loop.run_again, self._update.run, self._shared.add_up, self._flag
        bounds, sizes, advance = self._bounds.tolist(), self._sizes.tolist(), self.bar.advance
        in_all = self._sizes_in_all.tolist()
        alphas = (self._sizes / self._sizes_in_all).tolist()
        last, first = self.steps - 1, 0
        began = time.perf_counter()
        for k in range(self.steps):
            n = sizes[k]
            if n:
                set_order(order[first:])
                set_n(n)
                set_alpha(alphas[k])  # the loop divides by its own number of examples
                flag[0] = 0.0 if run() else math.nan
            else:
                self._shared.values.fill(0.0)
            add_up()
            if k == last:
                self._update.setter("step.measures_norm")(1)
            if not update():
                return time.perf_counter() - began, False
            first = bounds[k + 1]
            advance(in_all[k])
        return time.perf_counter() - began, True

    def _average_parameters(self, order: Array, learning_rate: float) -> tuple[float, bool]:
        """Take steps on this rank's examples, and average the parameters now and then."""
        plan, loop, every = self.plan, self.loop, self.ranks.average_every
        assert every is not None
        rates = Rates(learning_rate, plan.l2, plan.clip_norm)
        ordinary, measured = self._step(rates), self._step(rates._replace(measures_norm=True))
        loop.prepare(order, measured)
        loop.prepare(order, ordinary)
        changing = [loop.setter(name) for name in ("order", "n", "batch_size")]
        # the last step that this rank takes measures the gradient
        last = int(np.flatnonzero(self._sizes)[-1])
        began = time.perf_counter()
        for start in range(0, self.steps, every):
            stop, taken = min(start + every, self.steps), int(self.state.steps[0])
            is_fine = True
            for first, end in self._stretches(start, stop, last):
                if first == last:
                    loop.prepare(order, measured)
                is_fine = is_fine and self._run_stretch(order, first, end, changing)
            self._average(is_fine=is_fine)
            if self._flag[0] != 0:
                return time.perf_counter() - began, False
            self.state.steps[0] = taken + stop - start  # also on a rank that had no examples for some steps
            self.bar.advance(int(self._sizes_in_all[start:stop].sum()))
        self._length[0] = loop.totals.gradient_norm
        return time.perf_counter() - began, True

    def _stretches(self, start: int, stop: int, last: int) -> list[tuple[int, int]]:
        """Return steps, each with the one after its last, that have the same number of examples."""
        sizes = self._sizes[start:stop]
        cuts = {start, stop, *(start + 1 + np.flatnonzero(np.diff(sizes))).tolist()}
        cuts |= {one for one in (last, last + 1) if start < one < stop}
        ends = sorted(cuts)
        return list(itertools.pairwise(ends))

    def _run_stretch(self, order: Array, first: int, end: int, changing: list[Callable[[Any], None]]) -> bool:
        size = int(self._sizes[first])
        if not size:
            return True
        for change, value in zip(changing, (order[self._bounds[first] :], size * (end - first), size), strict=True):
            change(value)
        return self.loop.run_again()

    def _average(self, *, is_fine: bool) -> None:
        """Set the parameters and the state of the optimizer to the means over the ranks, weighted by their examples."""
        size, share = self.engine.theta.size, self.plan.counts[self.ranks.rank] / self.plan.n
        parts = [(self._vector[:size], self.engine.theta), (self._vector[size:], self.state.moments.reshape(-1))]
        for vector, changed in parts:
            np.multiply(changed, changed.dtype.type(share), out=vector)
        self._flag[0] = 0.0 if is_fine else math.nan
        self._shared.add_up()
        for vector, changed in parts:
            changed[...] = vector
