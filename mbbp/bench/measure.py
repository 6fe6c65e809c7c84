"""Measuring: first that all engines compute the same, then how long each takes, in turns.

Every case gets its first few rounds; whatever time is left then goes, a few rounds at a time, to the case whose medians
are the least certain. In a round every engine has one turn, so that whatever else the machine does meets them all.
"""

import contextlib
import gc
import math
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from mbbp.bench.agreement import Agreement, complaint
from mbbp.bench.cases import Case, make_examples
from mbbp.bench.engines import Engine
from mbbp.bench.results import CaseResult, Result
from mbbp.parameters import Array

SECONDS_PER_SAMPLE = 0.02
LEAST_ROUNDS, MORE_ROUNDS, MOST_ROUNDS = 5, 5, 200
CERTAIN = 0.004  # of a median: closer is not worth the time

Tell = Callable[[str], None]
Clock = Callable[[], float]  # seconds


def _silent(message: str) -> None:
    """Tell nobody."""


class Deadline:
    """When a run should have ended.

    Parameters
    ----------
    seconds : float
        How long it may take.
    already : float
        How much of that has gone by.
    """

    def __init__(self, seconds: float, already: float = 0.0) -> None:
        self._until = time.perf_counter() + seconds - already

    @property
    def left(self) -> float:
        """Seconds that are left, negative after it."""
        return self._until - time.perf_counter()

    def extend(self, seconds: float) -> None:
        """Put it off."""
        self._until += seconds


class Roof:
    """The best rate of a matrix product by NumPy's BLAS in this run: what the processor is seen to do.

    Parameters
    ----------
    dtypes : iterable of str
        Of the matrices.
    sizes : sequence of int
        The rows of the square matrices that are tried.
    clock : callable
        What time is taken from, in seconds.

    Attributes
    ----------
    gflops : dict
        By dtype.
    """

    def __init__(
        self, dtypes: Iterable[str], sizes: Sequence[int] = (256, 512, 768), clock: Clock = time.perf_counter
    ) -> None:
        self._clock = clock
        rng = np.random.default_rng(0)
        self._squares = [rng.random((n, n)).astype(dtype) for dtype in dtypes for n in sizes]
        self.gflops = {square.dtype.name: 0.0 for square in self._squares}

    def measure(self) -> None:
        """Measure once more, and keep the best."""
        for square in self._squares:
            out = np.empty_like(square)
            for _ in range(3):
                began = self._clock()
                np.matmul(square, square, out=out)
                rate = 2 * square.shape[0] ** 3 / (self._clock() - began) / 1e9
                self.gflops[square.dtype.name] = max(self.gflops[square.dtype.name], rate)


class _Contest:
    """The engines of one case, checked, and ready to be timed again and again."""

    def __init__(
        self,
        case: Case,
        engines: Sequence[type[Engine]],
        seed: int,
        tell: Tell,
        clock: Clock,
        deadline: Deadline,
        settle: float,
    ) -> None:
        self.case, self._tell, self._clock, self._settle = case, tell, clock, settle
        self._examples = make_examples(case, seed)
        self._rng = np.random.default_rng(seed + 1)
        self._agreement = Agreement(case, self._examples)
        self.results = [Result(kind.name, case.dtype, kind.cost) for kind in engines]
        able = []
        for kind, result in zip(engines, self.results, strict=True):
            tell(f"{case.name}: checking {kind.name}")
            began = time.perf_counter()
            with _quiet([kind]):
                engine = self._checked(kind, result)
                if engine is not None:
                    able.append((engine, result, self._sample(engine)))
            if kind.is_peer:
                deadline.extend(time.perf_counter() - began)
        self._able = able

    def _checked(self, kind: type[Engine], result: Result) -> Engine | None:
        """Return an engine that does what it should, or None, and why in the result."""
        missing = kind.missing()
        if missing is None and self.case.what not in kind.whats:
            missing = f"has no {self.case.what} of its own"
        if missing is None and self.case.flops > kind.most_flops:
            missing = "would take minutes"
        if missing is not None:
            result.refused = missing
            return None
        try:
            began = time.perf_counter()
            engine = kind(self.case, self._examples)
            result.dtype = engine.dtype
            engine.run(self._order(engine, engine.pass_length))
            result.first_call_seconds = time.perf_counter() - began
            result.difference = self._agreement.difference(engine)
            engine.reset(self._examples.theta)
        except Exception as error:  # whatever one of them cannot do must not end the comparison of the others
            result.refused = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            return None
        result.refused = complaint(result.difference, engine.dtype)
        result.is_wrong = result.refused is not None
        return None if result.is_wrong else engine

    def _order(self, engine: Engine, steps: int) -> Array:
        """Return a shuffled order of the examples for so many steps, as often over as it takes.

        An engine that takes many steps in one call gets whole passes over as many examples as that needs.
        """
        m, length = self.case.batch_size, steps * self.case.batch_size
        n = self._examples.n if engine.pass_length == 1 else engine.pass_length * m
        return np.concatenate([self._rng.permutation(n) for _ in range(math.ceil(length / n))])[:length]

    def _sample(self, engine: Engine) -> Array:
        """Return an order that takes about as long as a sample should, so that the clock's own cost does not show."""
        steps = engine.pass_length
        while True:
            order = self._order(engine, steps)
            engine.run(order)  # for this very length there may be something to compile
            began = self._clock()
            engine.run(order)
            share = (self._clock() - began) / SECONDS_PER_SAMPLE
            if share >= 0.25 or steps >= 1 << 16 or self.case.what == "epoch":
                break
            steps *= 4
        if share < 0.8 and self.case.what != "epoch":
            order = self._order(engine, max(1, round(steps / engine.pass_length / share)) * engine.pass_length)
            engine.run(order)
        return order

    def rounds(self, count: int) -> None:
        """Time all engines in so many rounds, each in its turn."""
        gc.collect(1)  # what the engines just left behind; the old generation is large, and none of theirs
        gc.disable()
        try:
            with _quiet([type(engine) for engine, _, _ in self._able]):
                for number in range(count):
                    self._tell(f"{self.case.name}: round {number + 1} of {count}")
                    self._round(number, is_first=number == 0)
        finally:
            gc.enable()

    def _round(self, number: int, *, is_first: bool) -> None:
        for turn in range(len(self._able)):
            # nobody always comes after the same one
            engine, result, order = self._able[(turn + number) % len(self._able)]
            if is_first:
                # another case may have been here in between, and left nothing of this one in the caches
                engine.run(order[: engine.pass_length * self.case.batch_size])
            if self._settle:
                time.sleep(self._settle)
            began = self._clock()
            engine.run(order)
            passed = self._clock() - began
            result.us.append(passed / (order.size / self.case.batch_size) * 1e6)

    @property
    def uncertainty(self) -> float:
        """The largest of any engine's; 0 where there is nothing more to be learnt."""
        if not self._able or len(self._able[0][1].us) >= MOST_ROUNDS:
            return 0.0
        return max(result.uncertainty for _, result, _ in self._able)

    @property
    def seconds_per_round(self) -> float:
        """About how long one more round takes."""
        return sum(result.median * order.size / self.case.batch_size for _, result, order in self._able) / 1e6

    def weigh(self) -> None:
        """Measure the memory of a step."""
        for engine, result, order in self._able:
            if engine.tracks_memory:
                with _quiet([type(engine)]):
                    result.bytes_per_step = bytes_held(engine, order[: engine.pass_length * self.case.batch_size])


def measure(
    cases: Sequence[Case],
    engines: Sequence[type[Engine]],
    seconds: float | Deadline,
    seed: int,
    tell: Tell = _silent,
    roof: Roof | None = None,
    clock: Clock = time.perf_counter,
    settle: float = 0.0,
) -> list[CaseResult]:
    """Compare the engines on every case: refuse what computes something else, time the others in turns.

    Parameters
    ----------
    cases : sequence of Case
        What to do.
    engines : sequence of Engine classes
        Who does it.
    seconds : float or Deadline
        About how long it may take. A few rounds of every case are made in any case, and there is an end before it
        where there is little noise; what peers take to compile comes on top.
    seed : int
        For the data.
    tell : callable
        Is told what is going on.
    roof : Roof, optional
        Is measured again between the cases.
    clock : callable
        What time is taken from, in seconds.
    settle : float
        Seconds to wait before each turn. Threads of a BLAS spin on for some 20 ms after their work, for more to come,
        and would take a core from whoever is next.

    Returns
    -------
    list of CaseResult
    """
    deadline = seconds if isinstance(seconds, Deadline) else Deadline(seconds)
    contests = []
    for case in cases:
        if roof is not None:
            roof.measure()
        contest = _Contest(case, engines, seed, tell, clock, deadline, settle)
        contest.rounds(LEAST_ROUNDS)
        contest.weigh()
        contests.append(contest)
    while True:
        noisy = [one for one in contests if one.uncertainty > CERTAIN]
        affordable = [one for one in noisy if MORE_ROUNDS * one.seconds_per_round < deadline.left]
        if not affordable:
            break
        max(affordable, key=lambda one: one.uncertainty).rounds(MORE_ROUNDS)
    if roof is not None:
        roof.measure()
    return [CaseResult(one.case, one.results) for one in contests]


def measure_case(
    case: Case,
    engines: Sequence[type[Engine]],
    seconds: float,
    seed: int,
    tell: Tell = _silent,
    clock: Clock = time.perf_counter,
) -> CaseResult:
    """Compare the engines on one case; see `measure`."""
    return measure([case], engines, seconds, seed, tell, clock=clock)[0]


@contextlib.contextmanager
def _quiet(engines: Sequence[type[Engine]]) -> Iterator[None]:
    """Keep what the peers warn of, which is theirs to mend, out of the way, and NumPy's warning of an invalid value.

    It has come up, rarely and on a busy machine, in products of finite numbers that had been checked before: a stray
    flag of the BLAS's, it seems. A result that is not finite is seen by `Agreement`, before anything is timed.
    """
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        if any(engine.is_peer for engine in engines):
            warnings.simplefilter("ignore")
        yield


def bytes_held(engine: Engine, order: Array) -> int:
    """Return the most memory that the work holds at once beyond what it began with, by Python's own account.

    That is what NumPy and Python allocate. What a call with no example takes is no step's, and is taken off.
    """
    of_no_step = 0 if engine.case.what == "epoch" else _peak(engine, order[:0])
    return max(0, _peak(engine, order) - of_no_step)


def _peak(engine: Engine, order: Array) -> int:
    engine.run(order)
    peaks = []
    tracemalloc.start()
    try:
        for _ in range(3):  # Python frees and keeps small objects as it likes
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            engine.run(order)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return min(peaks)
