"""Several threads give the same numbers as one thread, to the bit."""

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

import mbbp
import mbbp.threads
from mbbp import loop
from mbbp.kernels.gemm.tile import MR
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Integers, record
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


# ---------------------------------------------------------------------------------------------------- threads that stay


def ended(count):
    """Wait until so many threads are left, and return whether it happened."""
    for _ in range(500):
        if threading.active_count() == count:
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def alone():
    """Let the threads that stay end, so that only those of the test itself are there."""
    mbbp.threads._idle.clear()
    assert ended(sum(thread.name != "mbbp" for thread in threading.enumerate()))
    yield threading.active_count()
    mbbp.threads._idle.clear()


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()])
def test_threads_that_wait_for_one_that_cannot_come_are_let_go(error, threads, alone, monkeypatch):
    threads(3)
    net = mbbp.Network([4, 3, 2], rng=0)
    X, y = np.zeros((4, 64)), np.zeros(64, int)
    start, count = threading.Thread.start, []

    def fail_at_the_second(thread):
        count.append(thread)
        if len(count) == 2:
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_at_the_second)
    theta = net.theta.copy()
    with pytest.raises(type(error)):
        net.fit(X, y, epochs=1, batch_size=32, progress=False)
    assert threading.active_count() == alone + 1  # the one that could start stays
    assert net.theta.tobytes() == theta.tobytes()
    monkeypatch.undo()
    net.fit(X, y, epochs=1, batch_size=32, progress=False)


def test_what_goes_wrong_in_another_thread_is_raised():
    given_up = []

    def fail():
        raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        mbbp.threads.run_together([lambda: 1, fail], lambda: given_up.append(True))
    assert given_up


def test_what_goes_wrong_in_this_thread_is_raised_when_the_others_have_ended():
    released, done = threading.Event(), []

    def slow():
        released.wait()
        done.append(True)

    def fail():
        raise MemoryError("no more")

    for _ in range(100):
        released.clear()
        with pytest.raises(MemoryError, match="no more"):
            mbbp.threads.run_together([fail, slow, slow], released.set)
        count = len(done)
        assert mbbp.threads.run_together([lambda: 1, lambda: 2, lambda: 3]) == [1, 2, 3]
        assert len(done) == count  # what had not begun was withdrawn


@pytest.mark.parametrize("interrupts", [1, 3])
def test_all_threads_have_ended_after_an_interrupt_of_the_wait(interrupts, monkeypatch):
    done, released, left = [], threading.Event(), [KeyboardInterrupt] * interrupts
    wait = mbbp.threads._Job.wait

    def interrupted(job):
        if left:
            raise left.pop()
        wait(job)

    def slow():
        released.wait()
        done.append(True)

    monkeypatch.setattr(mbbp.threads._Job, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mbbp.threads.run_together([lambda: None, slow], released.set)
    assert done


def test_an_interrupt_while_the_functions_run_reaches_the_caller_when_all_have_ended():
    begun, released, done = threading.Event(), threading.Event(), []

    def interrupted():
        begun.wait()
        signal.raise_signal(signal.SIGINT)

    def slow():
        begun.set()
        released.wait()
        done.append(True)

    with pytest.raises(KeyboardInterrupt):
        mbbp.threads.run_together([interrupted, slow], released.set)
    assert done


def test_threads_stay_for_the_next_call(alone):
    names = [mbbp.threads.run_together([threading.get_ident] * 2) for _ in range(20)]
    assert names == [names[0]] * 20
    assert names[0][0] == threading.get_ident() != names[0][1]
    assert threading.active_count() == alone + 1


def test_calls_from_several_threads_do_not_wait_for_each_other(alone):
    n = mbbp.threads.available_cores() + 3
    barrier = threading.Barrier(2 * n)

    def together():
        return mbbp.threads.run_together([lambda: barrier.wait(60)] * 2)

    with ThreadPoolExecutor(n) as pool:
        places = [place for future in [pool.submit(together) for _ in range(n)] for place in future.result()]
    assert sorted(places) == list(range(2 * n))
    assert ended(alone + mbbp.threads.available_cores())  # those that stay; the others end


def test_a_thread_that_waits_keeps_no_memory_alive(alone):
    array = np.zeros(3)
    there = weakref.ref(array)
    mbbp.threads.run_together([lambda: None, lambda array=array: None])
    del array
    for _ in range(500):
        if there() is None:
            return
        time.sleep(0.01)
    raise AssertionError("the thread still has the array")


FORKING = """
import os, sys, threading
from mbbp.threads import run_together
assert run_together([lambda: 1, lambda: 2]) == [1, 2]
child = os.fork() if sys.argv[1] == "fork" else 0
assert run_together([lambda: 1, lambda: 2]) == [1, 2]
assert threading.active_count() == 2
if child:
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""


@pytest.mark.parametrize("how", ["fork", "exit"])
def test_a_child_process_and_the_end_of_the_program_do_not_wait_for_them(how):
    if how == "fork" and not hasattr(os, "fork"):
        pytest.skip("the system has no fork")
    command = [sys.executable, "-W", "ignore", "-c", FORKING, how]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.count("done") == (2 if how == "fork" else 1)
