"""Training takes denormal numbers as 0, and leaves the thread as it was."""

import numpy as np
import pytest

import mbbp
from mbbp.kernels.lowlevel.denormals import HAS_MXCSR
from mbbp.loop import Loop
from mbbp.optimizer_state import Rates
from mbbp.solvers import OPTIMIZERS
from tests.conftest import JIT

needs_register = pytest.mark.skipif(not (JIT and HAS_MXCSR), reason="needs compiled kernels and the register MXCSR")


def computes_with_denormals():
    tiny = np.full(3, 5e-324)
    return bool((tiny * np.ones(3) == tiny).all())


@needs_register
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["momentum", "nesterov", "adam", "rmsprop"])
@pytest.mark.parametrize("threads", [1, 2])
def test_states_do_not_stay_denormal(dtype, optimizer, threads, monkeypatch):
    monkeypatch.setattr("mbbp.loop.threads_for_step", lambda *_: threads)
    net = mbbp.Network([3, 4, 2], ["relu", "identity"], dtype=dtype, rng=0)
    net.layers[0].W, net.layers[0].b = np.zeros((4, 3)), np.full((4, 1), -1.0)  # no relu is active
    X, Y = np.random.default_rng(0).standard_normal((2, 3, 8))
    loop = Loop(net.engine, net.engine.examples(X, Y[:2]), 4)
    chosen = OPTIMIZERS[optimizer]
    state = chosen.start(net.theta.size, net.dtype)
    first = net.layers[0].W.size
    state.moments[:, :first] = np.finfo(dtype).smallest_subnormal * 1000
    assert loop.run(np.arange(8), chosen.step(net.engine.theta, loop.gradient, state, Rates(0.01)))
    np.testing.assert_array_equal(state.moments[:, :first], 0.0)
    assert computes_with_denormals()
