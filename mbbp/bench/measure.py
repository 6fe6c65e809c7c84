"""Measuring: first whether all implementations compute the same, then how long each takes, in turns.

Every case first gets a few rounds. Then, as long as time is left, the case whose medians are the least certain gets
more rounds. In a round each implementation is timed once, so that other work of the machine disturbs all of them alike.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from mbbp.bench.agreement import Agreement, reason_to_refuse
from mbbp.bench.cases import Case, make_case_data
from mbbp.bench.implementations import Implementation
from mbbp.bench.results import CaseResult, Result
from mbbp.parameters import Array

SECONDS_PER_SAMPLE = 0.02
SECONDS_BEYOND_CACHE = 0.25  # of data larger than the caches: a short sample would be in the caches when it comes again
LEAST_ROUNDS, MORE_ROUNDS, MOST_ROUNDS = 5, 5, 200
CERTAIN = 0.004  # as a share of the median: with a smaller uncertainty, more rounds are not worth the time

Tell = Callable[[str], None]
Clock = Callable[[], float]  # seconds


def silent(message: str) -> None:
    """Ignore the message."""


class Deadline:
    """The time at which a run should end.

    Parameters
    ----------
    seconds : float
        How long the run may take.
    already : float
        How many of these seconds have passed.
    """

    def __init__(self, seconds: float, already: float = 0.0) -> None:
        self._until = time.perf_counter() + seconds - already

    @property
    def left(self) -> float:
        """The seconds until the deadline; negative after it."""
        return self._until - time.perf_counter()

    def extend(self, seconds: float) -> None:
        """Move the deadline by so many seconds."""
        self._until += seconds


class Roof:
    """The best rate of a matrix product by NumPy's BLAS in this run, as a measure of what the processor can reach.

    Parameters
    ----------
    dtypes : iterable of str
        The dtypes of the matrices.
    sizes : sequence of int
        The numbers of rows of the square matrices.
    clock : callable
        Returns the time in seconds.

    Attributes
    ----------
    gflops : dict
        The best rate for each dtype.
    """

    def __init__(
        self, dtypes: Iterable[str], sizes: Sequence[int] = (256, 512, 768), clock: Clock = time.perf_counter
    ) -> None:
        self._clock = clock
        rng = np.random.default_rng(0)
        self._squares = [rng.random((n, n)).astype(dtype) for dtype in dtypes for n in sizes]
        self.gflops = {square.dtype.name: 0.0 for square in self._squares}

    def measure(self) -> None:
        """Measure again, and keep the best rate."""
        for square in self._squares:
            out = np.empty_like(square)
            for _ in range(3):
                began = self._clock()
                np.matmul(square, square, out=out)
                rate = 2 * square.shape[0] ** 3 / (self._clock() - began) / 1e9
                self.gflops[square.dtype.name] = max(self.gflops[square.dtype.name], rate)


class _CaseTimer:
    """Checks the implementations of one case, and times them in rounds."""

    def __init__(
        self,
        case: Case,
        kinds: Sequence[type[Implementation]],
        seed: int,
        tell: Tell,
        clock: Clock,
        deadline: Deadline,
        settle: float,
    ) -> None:
        self.case, self._tell, self._clock, self._settle = case, tell, clock, settle
        self._data = make_case_data(case, seed)
        self._rng = np.random.default_rng(seed + 1)
        self._agreement = Agreement(case, self._data)
        self.results = [Result(kind.name, case.dtype, kind.cost) for kind in kinds]
        self._accepted = []
        for kind, result in zip(kinds, self.results, strict=True):
            tell(f"{case.name}: checking {kind.name}")
            began = time.perf_counter()
            with _quiet([kind]):
                one = self._checked(kind, result)
                if one is not None:
                    self._accepted.append((one, result, self._sample(one)))
            if kind.is_peer:
                deadline.extend(time.perf_counter() - began)

    def _checked(self, kind: type[Implementation], result: Result) -> Implementation | None:
        """Return an implementation with right results; or return None, and put the reason into `result`."""
        missing = kind.missing()
        if missing is None and self.case.what not in kind.whats:
            missing = f"does not support {self.case.what}"
        if missing is None and self.case.flops > kind.most_flops:
            missing = "would take minutes"
        if missing is not None:
            result.refused = missing
            return None
        try:
            began = time.perf_counter()
            one = kind(self.case, self._data)
            result.dtype = one.dtype
            one.run(self._order(one, one.pass_length))
            result.first_call_seconds = time.perf_counter() - began
            result.difference = self._agreement.difference(one)
            one.reset(self._data.theta)
        except Exception as error:  # an error of one implementation must not end the comparison of the others
            result.refused = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            return None
        result.refused = reason_to_refuse(result.difference, one.dtype)
        result.is_wrong = result.refused is not None
        return None if result.is_wrong else one

    def _order(self, one: Implementation, steps: int) -> Array:
        """Return indices of examples for so many steps: shuffled passes over the examples, one after the other.

        For an implementation that takes many steps in one call, a pass has exactly the examples of one call.
        """
        m, length = self.case.batch_size, steps * self.case.batch_size
        n = self._data.n if one.pass_length == 1 else one.pass_length * m
        return np.concatenate([self._rng.permutation(n) for _ in range(math.ceil(length / n))])[:length]

    def _sample(self, one: Implementation) -> Array:
        """Return indices whose steps take SECONDS_PER_SAMPLE, so that the time of reading the clock does not matter."""
        steps, seconds = one.pass_length, SECONDS_BEYOND_CACHE if self.case.n else SECONDS_PER_SAMPLE
        while True:
            order = self._order(one, steps)
            one.run(order)  # some implementations compile code for each length
            began = self._clock()
            one.run(order)
            share = (self._clock() - began) / seconds
            if share >= 0.25 or steps >= 1 << 16 or self.case.what == "epoch":
                break
            steps *= 4
        if share < 0.8 and self.case.what != "epoch":
            order = self._order(one, max(1, round(steps / one.pass_length / share)) * one.pass_length)
            one.run(order)
        return order

    def rounds(self, count: int) -> None:
        """Time all implementations, in turns, in so many rounds."""
        gc.collect(1)  # only the young generations: the old one is large, and holds no garbage of the implementations
        gc.disable()
        try:
            with _quiet([type(one) for one, _, _ in self._accepted]):
                for number in range(count):
                    self._tell(f"{self.case.name}: round {number + 1} of {count}")
                    self._round(number, is_first=number == 0)
        finally:
            gc.enable()

    def _round(self, number: int, *, is_first: bool) -> None:
        for turn in range(len(self._accepted)):
            # each round begins with the next implementation, so that none is always timed first
            one, result, order = self._accepted[(turn + number) % len(self._accepted)]
            if is_first:
                # another case may have been timed before, and filled the caches with its data
                one.run(order[: one.pass_length * self.case.batch_size])
            if self._settle:
                time.sleep(self._settle)
            began = self._clock()
            one.run(order)
            passed = self._clock() - began
            result.us.append(passed / (order.size / self.case.batch_size) * 1e6)

    @property
    def uncertainty(self) -> float:
        """The largest uncertainty of any implementation; 0 if the case needs no more rounds."""
        if not self._accepted or len(self._accepted[0][1].us) >= MOST_ROUNDS:
            return 0.0
        return max(result.uncertainty for _, result, _ in self._accepted)

    @property
    def seconds_per_round(self) -> float:
        """About how long one more round takes."""
        return sum(result.median * order.size / self.case.batch_size for _, result, order in self._accepted) / 1e6

    def measure_memory(self) -> None:
        """Measure the memory of a step."""
        for one, result, order in self._accepted:
            if one.tracks_memory:
                with _quiet([type(one)]):
                    result.bytes_per_step = bytes_held(one, order[: one.pass_length * self.case.batch_size])


def measure(
    cases: Sequence[Case],
    kinds: Sequence[type[Implementation]],
    seconds: float | Deadline,
    seed: int,
    tell: Tell = silent,
    roof: Roof | None = None,
    clock: Clock = time.perf_counter,
    settle: float = 0.0,
) -> list[CaseResult]:
    """Compare implementations on every case: refuse those with wrong results, and time the others in turns.

    Parameters
    ----------
    cases : sequence of Case
        The networks, mini-batches and kinds of work.
    kinds : sequence of Implementation classes
        The implementations.
    seconds : float or Deadline
        About how long it may take. Every case gets a few rounds even if that takes longer, and the run ends earlier if
        there is little noise. The time that peers take to compile is not counted.
    seed : int
        The seed of the data.
    tell : callable
        Called with a message about each thing that is being done.
    roof : Roof, optional
        Measured again between the cases.
    clock : callable
        Returns the time in seconds.
    settle : float
        Seconds to wait before each measurement. The threads of a BLAS keep a core busy for some 20 ms after their work,
        while they wait for more, and the next implementation could not use that core.

    Returns
    -------
    list of CaseResult
    """
    deadline = seconds if isinstance(seconds, Deadline) else Deadline(seconds)
    timers = []
    for case in cases:
        if roof is not None:
            roof.measure()
        timer = _CaseTimer(case, kinds, seed, tell, clock, deadline, settle)
        timer.rounds(LEAST_ROUNDS)
        timer.measure_memory()
        timers.append(timer)
    while True:
        noisy = [one for one in timers if one.uncertainty > CERTAIN]
        affordable = [one for one in noisy if MORE_ROUNDS * one.seconds_per_round < deadline.left]
        if not affordable:
            break
        max(affordable, key=lambda one: one.uncertainty).rounds(MORE_ROUNDS)
    if roof is not None:
        roof.measure()
    return [CaseResult(one.case, one.results) for one in timers]


def measure_case(
    case: Case,
    kinds: Sequence[type[Implementation]],
    seconds: float,
    seed: int,
    tell: Tell = silent,
    clock: Clock = time.perf_counter,
) -> CaseResult:
    """Compare implementations on one case; see `measure`."""
    return measure([case], kinds, seconds, seed, tell, clock=clock)[0]


@contextlib.contextmanager
def _quiet(kinds: Sequence[type[Implementation]]) -> Iterator[None]:
    """Suppress the warnings of peers, which cannot be corrected here, and NumPy's warning of an invalid value.

    On a busy machine NumPy has given that warning, rarely, for products of finite numbers; the cause seems to be a flag
    that its BLAS leaves set. `Agreement` finds results that are not finite before anything is timed.
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        if any(kind.is_peer for kind in kinds):
            warnings.simplefilter("ignore")
        yield


def bytes_held(implementation: Implementation, order: Array) -> int:
    """Return the peak memory of the work beyond the memory at its start, as `tracemalloc` measures it.

    This counts what NumPy and Python allocate. The memory of a call without examples is not that of a step, and is
    subtracted.
    """
    without_steps = 0 if implementation.case.what == "epoch" else _peak(implementation, order[:0])
    return max(0, _peak(implementation, order) - without_steps)


def _peak(implementation: Implementation, order: Array) -> int:
    implementation.run(order)
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(3):  # three times, because Python may keep or free small objects in any of the runs
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            implementation.run(order)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks)
