"""Gradient and update slab by slab: the same bits as with the whole gradient."""

import numpy as np
import pytest

import mbbp
from mbbp.kernels.descent import MOST_EXAMPLES, SLAB, SMALL
from mbbp.loop import Loop
from mbbp.optimizer_state import Rates
from mbbp.parameters import parameter_count
from mbbp.solvers import OPTIMIZERS
from tests.conftest import JIT

SIZES = {
    "small": [3, 4, 2],
    "narrow layers": [9, 1, 5, 1],
    "one layer": [7, 3],
    "more than a slab": [130, 37, 5],
    "many slabs": [301, 70, 33, 2],
    "a wide layer": [5, SLAB + 3, 2],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("sgd", "momentum")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_as_with_the_whole_gradient(sizes, optimizer, dtype, threads, monkeypatch, rng):
    if not JIT and parameter_count(sizes) > 2 * SLAB + 1000:
        pytest.skip("takes long without compiled kernels")
    m = 34  # not a multiple of anything
    monkeypatch.setattr("mbbp.loop.threads_for_step", lambda *_: threads)
    X, Y = rng.standard_normal((sizes[0], 2 * m)), rng.standard_normal((sizes[-1], 2 * m))
    found = []
    for is_gradient in (1, 0):
        net = mbbp.Network(sizes, "tanh", dtype=dtype, rng=0)
        loop = Loop(net.engine, net.engine.examples(X, Y), m)
        assert loop.threads == threads
        chosen = mbbp.solvers.get_optimizer(optimizer, weight_decay=0.01)
        state = chosen.start(net.theta.size, net.dtype)
        step = chosen.step(net.engine.theta, loop.gradient, state, Rates(0.01, l2=0.01))
        assert step.is_gradient
        assert loop.run(np.arange(2 * m), step._replace(is_gradient=is_gradient))
        found.append((net.theta, state.moments))
    # as plain Python, the products are those of NumPy's BLAS, which may round a part of a product differently
    rounding = 0.0 if JIT else 100 * float(np.finfo(dtype).eps)
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=rounding, atol=rounding)


def test_the_sizes_above_meet_every_case():
    sizes = [parameter_count(one) for one in SIZES.values()]
    assert min(sizes) < SLAB < SMALL < max(sizes)
    assert MOST_EXAMPLES > 34
