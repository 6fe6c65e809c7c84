"""Gates that noise cannot touch: what a compiled step allocates, how often it is compiled, and what Python it runs."""

import sys

import numpy as np
import pytest
from mbbp.stepping import Stepper
from numba.core.runtime import _nrt_python, rtsys

import mbbp
from mbbp.bench.cases import TABLE
from mbbp.kernels import elementwise, epoch, propagation, updates
from mbbp.optimizers import OPTIMIZERS

DTYPES = ("float32", "float64")
STEPS = 100


def problem(sizes, n, dtype, **options):
    rng = np.random.default_rng(0)
    net = mbbp.Network(sizes, dtype=dtype, rng=0, **options)
    return net, net.examples(rng.random((sizes[0], n)), rng.random((sizes[-1], n)))


def allocations_of(net, examples, optimizer, steps, m):
    """Return how many blocks of memory one call of the compiled loop takes, for this many steps."""
    chosen = OPTIMIZERS[optimizer]
    stepper = Stepper(net.model, examples, m)
    order = np.arange(steps * m) % examples.labels.size
    clip_norm = 1.0 if optimizer != "sgd" else None
    compiled = chosen.compiled(0.01, 0.1, clip_norm, *chosen.start(net.theta.size, net.dtype))
    stepper.run(order, compiled, np.zeros(4))
    before = rtsys.get_allocation_stats()
    stepper.run(order, compiled, np.zeros(4))
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
    net, examples = problem([20, 15, 10], 70, dtype, **options)
    assert allocations_of(net, examples, optimizer, STEPS + 1, 7) == allocations_of(net, examples, optimizer, 1, 7)


def test_the_counters_see_an_allocation(counting):
    before = rtsys.get_allocation_stats().alloc
    elementwise.sigmoid(np.zeros(3))
    assert rtsys.get_allocation_stats().alloc > before


def test_one_specialisation_for_each_dtype():
    for dtype in DTYPES:
        for sizes, m in [*TABLE, ((1, 1), 1), ((3, 1), 7)]:
            net = mbbp.Network(sizes, dtype=dtype, rng=0)
            X, y = np.zeros((sizes[0], 2 * m)), np.zeros(2 * m, int)
            for optimizer in OPTIMIZERS:
                net.fit(X, y, epochs=1, batch_size=m, optimizer=optimizer, l2=1, clip_norm=2, progress=False)
            net.feedforward(X)
            net.cost(X, y)
            net.gradient(X, y, with_respect_to_input=True)
    kernels = [
        epoch.train,
        propagation.predict,
        propagation.evaluate,
        propagation.gradient,
        updates.update,
    ]
    found = [(kernel.py_func.__name__, len(kernel.signatures)) for kernel in kernels]
    assert found == [(name, len(DTYPES)) for name, _ in found]


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

    assert calls_for(5000) - calls_for(10) < 500  # the loop comes up for air some ten times a second
