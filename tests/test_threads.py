"""Several threads give the same numbers as one thread, to the bit."""

import threading
from typing import NamedTuple

import numpy as np
import pytest

import mbbp
import mbbp.threads
from mbbp import loop
from mbbp.kernels.gemm.tile import MR
from mbbp.kernels.lowlevel.records import Int, Integers, kernel, record
from mbbp.kernels.team import Team, make_team, share, wait
from tests.conftest import JIT

EXAMPLES = 700 if JIT else 90
NETWORKS = {
    "sigmoid": {},
    "softmax": {"activation": ["relu", "tanh", "softmax"], "cost": "log_likelihood"},
    "one output": {"cost": "cross_entropy"},
}
TRAININGS = {
    "sgd": {},
    "clipped": {"clip_norm": 0.01, "l2": 0.5},
    "momentum": {"optimizer": "momentum", "learning_rate": 0.05},
    "adamw": {"optimizer": "adamw"},
    "weighted": {"example_weights": np.random.default_rng(0).random(EXAMPLES)},
}


@pytest.fixture
def threads(monkeypatch):
    """Return the function that sets the number of threads. They share even a tiny step, until the test ends."""
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    monkeypatch.setattr(loop, "LEAST_EXAMPLES", 1)
    yield mbbp.set_threads
    mbbp.set_threads(None)


def trained(network, training, dtype, batch_size, sizes):
    rng = np.random.default_rng(1)
    net = mbbp.Network(sizes, dtype=dtype, rng=0, **network)
    X, y = rng.random((sizes[0], EXAMPLES)), rng.integers(0, max(2, sizes[-1]), EXAMPLES)
    history = net.fit(X, y, epochs=2, batch_size=batch_size, progress=False, **training)
    assert np.isfinite(net.theta).all()
    return [net.theta, *(history[name] for name in ("training_cost", "training_accuracy", "gradient_norm"))]


def assert_same(first, second):
    """Assert that all is equal to the bit, and without the JIT except for rounding: NumPy sums in another order."""
    for one, other in zip(first, second, strict=True):
        if JIT:
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
        else:
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("network", NETWORKS, ids=NETWORKS)
def test_training_is_the_same_to_the_bit(network, training, dtype, threads):
    sizes = [13, 9, 17, 1 if network == "one output" else 4]
    for batch_size in (1, 30, 66, 349) if JIT else (30,):
        threads(1)
        alone = trained(NETWORKS[network], training, dtype, batch_size, sizes)
        for n in (2, 3):
            threads(n)
            assert_same(trained(NETWORKS[network], training, dtype, batch_size, sizes), alone)


@pytest.mark.skipif(not JIT, reason="takes minutes in plain Python")
def test_a_large_step_is_shared_by_itself_and_gives_the_same():
    def train(n):
        mbbp.set_threads(n)
        try:
            return trained({}, {}, "float32", 128, [600, 200, 10])
        finally:
            mbbp.set_threads(None)

    assert_same(train(2), train(1))
    mbbp.set_threads(2)
    try:
        assert loop.threads_for_step([600, 200, 10], 128) == 2
        assert loop.threads_for_step([784, 30, 10], 10) == 1
    finally:
        mbbp.set_threads(None)


def test_a_cost_that_is_not_finite_stops_all_threads(threads):
    threads(3)
    net = mbbp.Network([3, 2], "identity", rng=0)
    X = np.full((3, 64), 1e18, np.float32)
    before = net.theta.copy()
    with pytest.raises(mbbp.DivergedError):
        net.fit(X, np.full((2, 64), 1e19), epochs=1, batch_size=16, learning_rate=1e3, progress=False)
    assert net.theta.tobytes() == before.tobytes()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_are_disjoint_and_whole(size):
    for n in [*range(40), 1000]:
        shares = [share(member, n, MR) for member in make_team(size)]
        assert [i for start, stop in shares for i in range(start, stop)] == list(range(n))
        assert all(start % MR == 0 or start == n for start, _ in shares)


@record
class Meeting(NamedTuple):
    team: Team
    came: Integers
    rounds: Int


@kernel(Meeting)
def meet(at):
    """Wait at a barrier again and again; return how often a thread passed it before all threads had come."""
    meeting = at[0]
    team, ahead = meeting.team, 0
    for number in range(1, meeting.rounds + 1):
        meeting.came[team.rank] = number
        wait(team)
        for other in range(team.size):
            ahead += meeting.came[other] < number
        wait(team)
    return ahead


def test_nobody_passes_a_barrier_before_all_have_come():
    rounds, size = (2000, 3) if JIT else (20, 3)
    came = np.zeros(size, np.int64)
    dtype = np.dtype(np.float32)
    calls = [meet.bind(Meeting(team=place, came=came, rounds=rounds), dtype) for place in make_team(size)]
    assert mbbp.threads.run_together(calls) == [0] * size
    assert came.tolist() == [rounds] * size


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()])
def test_threads_that_wait_for_one_that_cannot_come_are_let_go(error, threads, monkeypatch):
    threads(3)
    net = mbbp.Network([4, 3, 2], rng=0)
    X, y = np.zeros((4, 64)), np.zeros(64, int)
    net.fit(X, y, epochs=1, batch_size=32, progress=False)
    before, start, count = threading.active_count(), threading.Thread.start, []

    def fail_at_the_second(thread):
        count.append(thread)
        if len(count) == 2:
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_at_the_second)
    theta = net.theta.copy()
    with pytest.raises(type(error)):
        net.fit(X, y, epochs=1, batch_size=32, progress=False)
    assert threading.active_count() == before
    assert net.theta.tobytes() == theta.tobytes()
    monkeypatch.undo()
    threads(1)
    net.fit(X, y, epochs=1, batch_size=32, progress=False)


def test_what_goes_wrong_in_another_thread_is_raised():
    given_up = []

    def fail():
        raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        mbbp.threads.run_together([lambda: 1, fail], lambda: given_up.append(True))
    assert given_up


def test_all_threads_have_ended_after_an_interrupt_of_the_wait(monkeypatch):
    ended, released = [], threading.Event()
    join = threading.Thread.join

    def interrupted(thread):
        monkeypatch.setattr(threading.Thread, "join", join)
        raise KeyboardInterrupt

    def slow():
        released.wait()
        ended.append(True)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mbbp.threads.run_together([lambda: None, slow], released.set)
    assert ended
