"""The comparison's engines and its stop-watch: the same work for all, and nobody timed who does something else."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

import mbbp
from mbbp import reference
from mbbp.bench import cases
from mbbp.bench import measure as measuring
from mbbp.bench.agreement import TOLERANCES, Agreement, CrossEntropyBookLoop
from mbbp.bench.cases import TABLE, WHATS, Case, batch_cases, make_examples, sweep_cases
from mbbp.bench.engines import ENGINES, LEARNING_RATE, BookLoop, Engine, Mbbp, NumpyMatrices
from mbbp.bench.measure import Deadline, Roof, bytes_held, measure, measure_case
from tests.conftest import JIT

SHAPES = [((2, 3, 1), 4), ((4, 5, 3, 2), 3), ((5, 3), 1), ((3, 4, 1), 5)]
engines = pytest.mark.parametrize("kind", ENGINES, ids=lambda kind: kind.name)


@pytest.fixture(autouse=True)
def short_samples(monkeypatch):
    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.0005)
    monkeypatch.setattr(cases, "EXAMPLES", 64)
    # rarely, on a busy machine, NumPy warned of an invalid value in products of finite numbers: a stray flag, it seems
    with np.errstate(invalid="ignore"):
        yield


# ------------------------------------------------------------------------------------------------------------ the work


def test_flops_are_those_counted_by_hand():
    # [2, 3, 1], one example: forward 2*3 + 3*1 = 9 multiply-adds, gradients as many, and 3*1 to carry the error back
    assert Case((2, 3, 1), 1).flops == 2 * (9 + 9 + 3)
    assert Case((2, 3, 1), 4).flops == 4 * 42
    assert Case((2, 3, 1), 4, what="gradient").flops == 4 * 42
    assert Case((2, 3, 1), 1, what="predict").flops == 18
    assert Case((784, 30, 10), 10).flops == 2 * 10 * (2 * (784 * 30 + 30 * 10) + 30 * 10)
    # no error is carried back through a single layer
    assert Case((5, 3), 2).flops == 2 * 2 * (15 + 15)


def test_names_and_keys():
    case = Case((784, 30, 10), 32, "float64", "gradient")
    assert case.name == "[784, 30, 10], m = 32"
    assert case.key == "gradient 784-30-10 m32 float64"
    assert case.n_parameters == 23860
    keys = [Case(sizes, m).key for sizes, m in TABLE]
    assert len(set(keys)) == len(keys) == 9


def test_sweeps():
    assert [place for place, _ in sweep_cases("width", [7, 30, 2], 10, "float32", "step")] == [8 << i for i in range(7)]
    widths = sweep_cases("width", [7, 30, 20, 2], 10, "float32", "step")
    assert widths[0][1].sizes == (7, 8, 8, 2)
    assert sweep_cases("width", [7, 2], 10, "float32", "step")[0][1].sizes == (7, 8, 2)
    depths = sweep_cases("depth", [7, 30, 2], 10, "float32", "step")
    assert [len(case.sizes) - 2 == place for place, case in depths] == [True] * 6
    batches = sweep_cases("batch", [7, 30, 2], 10, "float32", "step")
    assert [case.batch_size for _, case in batches] == [place for place, _ in batches] == [1 << i for i in range(10)]
    assert [case.batch_size for case in batch_cases([7, 2], [3, 4], "float32", "step")] == [3, 4]


def test_examples_are_the_same_for_a_seed_shared_and_exact_in_float32():
    case = Case((6, 5, 3), 4)
    one, other = make_examples(case, 3), make_examples(Case((6, 2, 3), 8, "float64"), 3)
    assert one.rows("float64")[0] is other.rows("float64")[0]
    assert one.rows("float32")[0] is other.rows("float32")[0]
    assert np.array_equal(one.rows("float32")[0], one.rows("float64")[0])
    assert np.array_equal(one.theta, one.theta.astype(np.float32))
    assert one.theta.size == case.n_parameters != other.theta.size
    assert not np.array_equal(make_examples(case, 4).rows("float64")[0], one.rows("float64")[0])
    assert make_examples(Case((2, 3, 1), 4), 0).rows("float64")[1].shape == (64, 1)
    assert make_examples(Case((2, 3, 1), 4000), 0).n == 16000


# ---------------------------------------------------------------------------------------------------------- the engines


def oracle(case, examples, columns, cost="quadratic"):
    net = mbbp.Network(case.sizes, dtype="float64", cost=cost)
    net.theta = examples.theta
    rows, targets = examples.rows("float64")
    return net, rows[columns].T, targets[columns].T


@engines
@pytest.mark.parametrize(("sizes", "m"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_engine_does_what_the_reference_does(kind, sizes, m, dtype):
    case = Case(sizes, m, dtype)
    examples = make_examples(case, 1)
    engine = kind(case, examples)
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if engine.dtype == "float64" else {"rtol": 1e-4, "atol": 1e-6}
    order = np.random.default_rng(0).permutation(examples.n)[: 4 * m]
    net, X, Y = oracle(case, examples, order[:m])
    np.testing.assert_allclose(engine.theta(), examples.theta, rtol=0, atol=0)
    right = reference.gradient(net, X, Y).theta
    np.testing.assert_allclose(engine.flat(engine.gradient(order[:m])), right, **tolerance)
    np.testing.assert_allclose(engine.predict(order[:m]), reference.feedforward(net, X)[1][-1], **tolerance)
    engine.steps(order)
    rows, targets = examples.rows("float64")
    right = reference.sgd(net, rows.T, targets.T, order.reshape(-1, m), LEARNING_RATE)
    np.testing.assert_allclose(engine.theta(), right, **tolerance)
    engine.reset(examples.theta)
    np.testing.assert_allclose(engine.theta(), examples.theta, rtol=0, atol=0)


@engines
@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_agree_on_all_work(kind, what, dtype):
    case = Case((4, 5, 3), 4, dtype, what)
    examples = make_examples(case, 2)
    engine = kind(case, examples)
    assert Agreement(case, examples).difference(engine) <= TOLERANCES[engine.dtype] / 10


def test_the_cross_entropy_loop_is_the_reference():
    case = Case((4, 5, 3), 6, "float64")
    examples = make_examples(case, 2)
    columns = np.arange(6)
    net, X, Y = oracle(case, examples, columns, "cross_entropy")
    loop = CrossEntropyBookLoop(case, examples)
    np.testing.assert_allclose(
        loop.flat(loop.gradient(columns)), reference.gradient(net, X, Y).theta, rtol=1e-10, atol=1e-13
    )


def test_run_does_the_work_of_the_case_once_for_each_mini_batch():
    calls = []

    class Counting(NumpyMatrices):
        def gradient(self, columns):
            calls.append(columns.tolist())
            return super().gradient(columns)

    case = Case((2, 3, 1), 2, what="gradient")
    Counting(case, make_examples(case, 0)).run(np.arange(6))
    assert calls == [[0, 1], [2, 3], [4, 5]]


# ------------------------------------------------------------------------------------------------------ broken engines


class WrongSign(NumpyMatrices):
    """Climbs."""

    def reset(self, theta):
        super().reset(theta)
        self.rate = -abs(self.rate)


class ForgetsToDivide(NumpyMatrices):
    """Sums where there should be a mean."""

    def reset(self, theta):
        super().reset(theta)
        self.rate = np.dtype(self.dtype).type(LEARNING_RATE)


class StaleDelta(NumpyMatrices):
    """Carries the error back through weights that it has already changed, and from the mini-batch before."""

    before = None

    def reset(self, theta):
        super().reset(theta)
        self.before = None

    def _backward(self, columns):
        nabla_w, nabla_b = super()._backward(columns)
        stale = nabla_w[0] if self.before is None else self.before
        self.before = nabla_w[0]
        return [stale, *nabla_w[1:]], nabla_b


class UpdatesTooSoon(Mbbp):
    """Takes every step but the first."""

    def steps(self, order):
        super().steps(order[self.case.batch_size :])


class NotANumber(NumpyMatrices):
    """Has a NaN among its parameters."""

    def steps(self, order):
        super().steps(order)
        self.weights[0][0, 0] = np.nan


@pytest.mark.parametrize("kind", [WrongSign, ForgetsToDivide, StaleDelta, UpdatesTooSoon, NotANumber])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_broken_engine_is_refused_before_anything_is_timed(kind, dtype):
    kind.name = "broken"
    found = measure_case(Case((4, 5, 3), 4, dtype), [BookLoop, kind], 0.0, 0)
    broken = found.results[1]
    assert broken.is_wrong
    assert broken.us == []
    assert found.of("broken") is None
    assert broken.difference > 0.01
    assert "computes something else: differs from the book's loop by" in broken.refused
    assert len(found.results[0].us) == measuring.LEAST_ROUNDS


@pytest.mark.parametrize("what", ["gradient", "predict", "epoch"])
def test_other_work_is_compared_too(what):
    class Broken(NumpyMatrices):
        name = "broken"

        def gradient(self, columns):
            nabla_w, nabla_b = super().gradient(columns)
            return [1.01 * nw for nw in nabla_w], nabla_b

        def predict(self, columns):
            return super().predict(columns[:-1])

        def epoch(self, order):
            self.steps(order)
            self.steps(order)

    assert measure_case(Case((4, 5, 3), 4, what=what), [BookLoop, Broken], 0.0, 0).results[1].is_wrong


def test_an_engine_that_fails_or_has_no_such_work_ends_nothing():
    class Failing(NumpyMatrices):
        name = "failing"

        def steps(self, order):
            raise RuntimeError("no\n   compiler")

    class Partial(NumpyMatrices):
        name = "partial"
        whats = ("predict",)

    class Missing(NumpyMatrices):
        name = "missing"

        @classmethod
        def missing(cls):
            return "not installed"

    found = measure_case(Case((2, 3, 1), 4), [BookLoop, Failing, Partial, Missing], 0.0, 0)
    assert [one.refused for one in found.results] == [
        None,
        "RuntimeError: no compiler",
        "has no step of its own",
        "not installed",
    ]
    assert not any(one.is_wrong for one in found.results)


# ----------------------------------------------------------------------------------------------------------- the timing


@pytest.mark.parametrize("what", WHATS)
def test_timing_fills_in_everything(what):
    told = []
    found = measure_case(Case((2, 3, 1), 8, what=what), ENGINES, 0.05, 0, told.append)
    for one in found.results:
        assert len(one.us) >= measuring.LEAST_ROUNDS
        assert all(us > 0 for us in one.us)
        assert 0 < one.minimum <= one.median
        assert one.first_call_seconds > 0
        assert one.bytes_per_step >= 0
        assert math.isfinite(one.spread)
    assert len({len(one.us) for one in found.results}) == 1
    assert {"[2, 3, 1], m = 8: checking mbbp", "[2, 3, 1], m = 8: round 1 of 5"} <= set(told)


class Clocked(Engine):
    """An engine whose time is made up: it moves a clock that stands still otherwise."""

    now = 0.0
    log: list = []  # noqa: RUF012 -- shared by all of them on purpose

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
    monkeypatch.setattr(Agreement, "difference", lambda self, engine: 0.0)
    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.02)
    monkeypatch.setattr(Clocked, "now", 0.0)
    monkeypatch.setattr(Clocked, "log", [])
    return lambda: Clocked.now


def clocked(label, costs_of):
    class Made(Clocked):
        name = label
        tracks_memory = False

        def __init__(self, case, examples):
            super().__init__(case, examples)
            self.costs = itertools.cycle(costs_of(case.batch_size))

    return Made


def test_times_are_those_of_the_clock_and_turns_are_taken(clock):
    kinds = [clocked("a", lambda m: [1e-3]), clocked("b", lambda m: [2e-3]), clocked("c", lambda m: [3e-3])]
    found = measure([Case((2, 3, 1), 4)], kinds, 1.0, 0, clock=clock)[0]
    assert [one.median for one in found.results] == pytest.approx([1000, 2000, 3000])
    assert [one.spread for one in found.results] == pytest.approx([0, 0, 0], abs=1e-9)
    # nobody always comes after the same one
    turns = "".join(name for _, name in Clocked.log)
    assert turns.endswith("bcacababcbca")


def test_the_time_that_is_left_goes_to_the_noisiest_case_and_no_further(clock):
    quiet_then_noisy = clocked("a", lambda m: [1e-3] if m == 1 else [1e-3, 2e-3, 4e-3])
    seconds = 4.0
    quiet, noisy = measure([Case((2, 3, 1), 1), Case((2, 3, 1), 2)], [quiet_then_noisy], seconds, 0, clock=clock)
    assert len(quiet.results[0].us) == measuring.LEAST_ROUNDS
    assert len(noisy.results[0].us) > 4 * measuring.LEAST_ROUNDS
    assert Clocked.now < 1.1 * seconds


def test_there_is_an_end_even_with_noise_and_time(clock):
    found = measure([Case((2, 3, 1), 2)], [clocked("a", lambda m: [1e-5, 2e-5])], 1e9, 0, clock=clock)
    assert len(found[0].results[0].us) <= measuring.MOST_ROUNDS


def test_what_a_peer_takes_to_compile_is_not_taken_from_the_others(clock):
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
    # a little more is what a tool that traces the test, such as coverage, keeps meanwhile
    assert 400_000 <= bytes_held(Hungry(case, make_examples(case, 0)), np.arange(4)) < 410_000
    assert not tracemalloc.is_tracing()


@pytest.mark.skipif(not JIT, reason="plain Python allocates")
def test_a_step_of_this_library_allocates_nothing_not_even_inside_compiled_code():
    from numba.core.runtime import _nrt_python as nrt
    from numba.core.runtime import rtsys

    case = Case((20, 10, 5), 10)
    examples = make_examples(case, 0)
    engine = Mbbp(case, examples)
    order = np.arange(250) % examples.n
    engine.run(order)
    assert bytes_held(engine, order) < 300
    nrt.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        engine.run(order[:10])
        one = rtsys.get_allocation_stats().alloc - before.alloc
        before = rtsys.get_allocation_stats()
        engine.run(order)
        assert rtsys.get_allocation_stats().alloc - before.alloc == one
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
