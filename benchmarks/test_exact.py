"""Exact counts, which a busy machine does not change: memory that a step allocates, and Python that it runs."""

import sys

import numba
import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import mbbp
from mbbp.loop import Loop
from mbbp.optimizer_state import Rates
from mbbp.solvers import OPTIMIZERS

DTYPES = ("float32", "float64")
STEPS = 100


def problem(sizes, n, dtype, **options):
    rng = np.random.default_rng(0)
    net = mbbp.Network(sizes, dtype=dtype, rng=0, **options)
    return net.engine, net.engine.examples(rng.random((sizes[0], n)), rng.random((sizes[-1], n)))


def allocations_of(engine, examples, name, steps, m):
    """Return how many blocks of memory one call of the compiled loop allocates, for this many steps."""
    optimizer = OPTIMIZERS[name]
    loop = Loop(engine, examples, m)
    order = np.arange(steps * m) % examples.n
    rates = Rates(0.01, 0.1) if name == "sgd" else Rates(0.01, 0.1, clip_norm=1.0)
    step = optimizer.step(engine.theta, loop.gradient, optimizer.start(engine.theta.size, engine.dtype), rates)
    loop.run(order, step)
    before = rtsys.get_allocation_stats()
    loop.run(order, step)
    after = rtsys.get_allocation_stats()
    return after.alloc - before.alloc


@pytest.fixture
def counting():
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "options",
    [{}, {"cost": "cross_entropy"}, {"activation": ["relu", "softmax"], "cost": "log_likelihood"}],
    ids=["quadratic", "cross-entropy", "softmax"],
)
def test_a_step_allocates_nothing(options, optimizer, dtype, counting):
    engine, examples = problem([20, 15, 10], 70, dtype, **options)
    assert allocations_of(engine, examples, optimizer, STEPS + 1, 7) == allocations_of(
        engine, examples, optimizer, 1, 7
    )


def test_the_counters_see_an_allocation(counting):
    before = rtsys.get_allocation_stats().alloc
    numba.njit(lambda n: np.zeros(n))(3)
    assert rtsys.get_allocation_stats().alloc > before


def python_calls(run):
    count = 0

    def see(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def test_an_epoch_runs_no_python_for_a_step():
    def calls_for(steps):
        net = mbbp.Network([4, 3, 2], rng=0)
        X, y = np.zeros((4, steps)), np.zeros(steps, int)
        net.fit(X, y, epochs=1, batch_size=1, progress=False)
        return python_calls(lambda: net.fit(X, y, epochs=1, batch_size=1, progress=False))

    assert calls_for(5000) - calls_for(10) < 500  # the loop returns to Python about ten times per second
