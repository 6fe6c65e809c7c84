"""The timing: in turns, until the medians are certain or the time is over."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

import mbbp
from mbbp.bench import cases
from mbbp.bench import measure as measuring
from mbbp.bench.agreement import Agreement
from mbbp.bench.cases import WHATS, Case, make_case_data
from mbbp.bench.implementations import IMPLEMENTATIONS, BookLoop, Implementation, Mbbp, NumpyMatrices
from mbbp.bench.measure import Deadline, Roof, bytes_held, measure, measure_case
from tests.conftest import JIT

pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("what", WHATS)
def test_timing_fills_in_everything(what):
    told = []
    found = measure_case(Case((2, 3, 1), 8, what=what), IMPLEMENTATIONS, 0.05, 0, told.append)
    for one in found.results:
        assert len(one.us) >= measuring.LEAST_ROUNDS
        assert all(us > 0 for us in one.us)
        assert 0 < one.minimum <= one.median
        assert one.first_call_seconds > 0
        assert one.bytes_per_step >= 0
        assert math.isfinite(one.spread)
    assert len({len(one.us) for one in found.results}) == 1
    assert {"[2, 3, 1], m = 8: checking mbbp", "[2, 3, 1], m = 8: round 1 of 5"} <= set(told)


class Clocked(Implementation):
    """An implementation with a made-up time: only its steps move the clock."""

    now = 0.0
    log: list = []  # noqa: RUF012 -- shared by all implementations on purpose

    def reset(self, theta):
        self._theta = theta

    def theta(self):
        return self._theta

    def steps(self, order):
        Clocked.now += next(self.costs) * order.size / self.case.batch_size
        Clocked.log.append((self.case.batch_size, self.name))

    def gradient(self, columns):
        return None

    def flat(self, gradient):
        return gradient

    def predict(self, columns):
        return None


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: Clocked.now)
    monkeypatch.setattr(Agreement, "difference", lambda self, implementation: 0.0)
    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.02)
    monkeypatch.setattr(Clocked, "now", 0.0)
    monkeypatch.setattr(Clocked, "log", [])
    return lambda: Clocked.now


def clocked(label, costs_of):
    class Made(Clocked):
        name = label
        tracks_memory = False

        def __init__(self, case, data):
            super().__init__(case, data)
            self.costs = itertools.cycle(costs_of(case.batch_size))

    return Made


def test_times_are_those_of_the_clock_and_turns_are_taken(clock):
    kinds = [clocked("a", lambda m: [1e-3]), clocked("b", lambda m: [2e-3]), clocked("c", lambda m: [3e-3])]
    found = measure([Case((2, 3, 1), 4)], kinds, 1.0, 0, clock=clock)[0]
    assert [one.median for one in found.results] == pytest.approx([1000, 2000, 3000])
    assert [one.spread for one in found.results] == pytest.approx([0, 0, 0], abs=1e-9)
    # each round begins with another one
    turns = "".join(name for _, name in Clocked.log)
    assert turns.endswith("bcacababcbca")


def test_the_time_that_is_left_is_spent_on_the_noisiest_case(clock):
    quiet_then_noisy = clocked("a", lambda m: [1e-3] if m == 1 else [1e-3, 2e-3, 4e-3])
    seconds = 4.0
    quiet, noisy = measure([Case((2, 3, 1), 1), Case((2, 3, 1), 2)], [quiet_then_noisy], seconds, 0, clock=clock)
    assert len(quiet.results[0].us) == measuring.LEAST_ROUNDS
    assert len(noisy.results[0].us) > 4 * measuring.LEAST_ROUNDS
    assert Clocked.now < 1.1 * seconds


def test_the_rounds_are_limited_even_with_noise_and_time_left(clock):
    found = measure([Case((2, 3, 1), 2)], [clocked("a", lambda m: [1e-5, 2e-5])], 1e9, 0, clock=clock)
    assert len(found[0].results[0].us) <= measuring.MOST_ROUNDS


def test_the_time_that_a_peer_compiles_is_added_to_the_deadline(clock):
    peer = clocked("peer", lambda m: [1e-3])
    peer.is_peer = True
    deadline = Deadline(1.0, already=0.25)
    assert deadline.left == 0.75
    measure([Case((2, 3, 1), 2)], [peer], deadline, 0, clock=clock)
    own = Deadline(1.0, already=0.25)
    assert deadline.left > own.left - Clocked.now


def test_the_roof_is_the_best_rate_seen():
    roof = Roof(["float32", "float64"], sizes=(32,))
    assert roof.gflops == {"float32": 0.0, "float64": 0.0}
    roof.measure()
    first = dict(roof.gflops)
    assert all(rate > 0 for rate in first.values())
    roof.measure()
    assert all(roof.gflops[dtype] >= first[dtype] for dtype in first)


def test_bytes_are_what_numpy_allocates_and_a_call_that_does_nothing_is_free():
    class Hungry(NumpyMatrices):
        def steps(self, order):
            np.empty(1_000_000 + 100_000 * order.size, np.uint8).fill(1)

    case = Case((2, 3, 1), 4)
    # a tool that traces the test, such as coverage, allocates a little more
    assert 400_000 <= bytes_held(Hungry(case, make_case_data(case, 0)), np.arange(4)) < 410_000
    assert not tracemalloc.is_tracing()


@pytest.mark.skipif(not JIT, reason="plain Python allocates")
def test_a_step_of_this_library_allocates_nothing_not_even_inside_compiled_code():
    from numba.core.runtime import _nrt_python as nrt
    from numba.core.runtime import rtsys

    case = Case((20, 10, 5), 10)
    data = make_case_data(case, 0)
    one = Mbbp(case, data)
    order = np.arange(250) % data.n
    one.run(order)
    assert bytes_held(one, order) < 300
    nrt.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        one.run(order[:10])
        of_one_step = rtsys.get_allocation_stats().alloc - before.alloc
        before = rtsys.get_allocation_stats()
        one.run(order)
        assert rtsys.get_allocation_stats().alloc - before.alloc == of_one_step
    finally:
        nrt.memsys_disable_stats()


def test_the_books_loop_is_not_timed_where_it_would_take_minutes(monkeypatch):
    monkeypatch.setattr(BookLoop, "most_flops", 100.0)
    monkeypatch.setattr("mbbp.bench.agreement.LARGE", 100.0)
    book, ours = measure_case(Case((4, 5, 3), 4), [BookLoop, Mbbp], 0.0, 0).results
    assert (book.us, book.refused, book.is_wrong) == ([], "would take minutes", False)
    assert ours.refused is None
    assert ours.us


def test_there_is_a_pause_before_each_turn_if_it_is_asked_for(clock, monkeypatch):
    pauses = []
    monkeypatch.setattr(measuring.time, "sleep", pauses.append)
    kinds = [clocked("a", lambda m: [1e-3]), clocked("b", lambda m: [2e-3])]
    found = measure([Case((2, 3, 1), 4)], kinds, 1.0, 0, clock=clock, settle=0.25)[0]
    assert pauses == [0.25] * sum(len(one.us) for one in found.results)
    pauses.clear()
    measure([Case((2, 3, 1), 4)], kinds, 1.0, 0, clock=clock)
    assert pauses == []


@pytest.mark.skipif(not JIT, reason="times compiled code")
def test_the_time_of_a_step_is_that_of_net_fit_timed_by_hand(monkeypatch):
    """Only within a factor of 4, because the machine may be busy: this finds a wrong unit or scale."""
    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.01)
    monkeypatch.setattr(cases, "EXAMPLES", 2048)
    case = Case((200, 30, 10), 10)
    rows, targets = make_case_data(case, 0).rows("float32")
    mbbp.set_threads(1)
    net = mbbp.Network(case.sizes, rng=0)
    net.fit(rows.T, targets.T, epochs=2, batch_size=10, progress=False)
    net.fit(rows.T, targets.T, epochs=30, batch_size=10, progress=False)
    by_hand = np.min(net.history["seconds"][2:]) / (2048 / 10) * 1e6
    assert 1 / 4 < measure_case(case, IMPLEMENTATIONS, 0.5, 0).of("mbbp").minimum / by_hand < 4
