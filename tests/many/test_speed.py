"""Many networks on several cores, against one core."""

import time

import numpy as np
import pytest

import mbbp
from tests.conftest import JIT

WITH_ONE, WITH_TWO = 1, 2


@pytest.mark.skipif(not JIT or mbbp.threads.available_cores() < WITH_TWO, reason="needs compiled kernels and two cores")
def test_two_cores_train_many_networks_in_far_less_time_than_one():
    rng = np.random.default_rng(0)
    X, Y = rng.random((10, 4096), np.float32), rng.random((1, 4096), np.float32)
    nets = [mbbp.Network([10, 64, 64, 1], rng=i) for i in range(8)]

    def seconds(threads):
        mbbp.set_threads(threads)
        began = time.perf_counter()
        mbbp.fit_many(nets, X, Y, epochs=8, batch_size=32, learning_rate=0.01, progress=False)
        return time.perf_counter() - began

    before = mbbp.get_threads()
    try:
        seconds(WITH_TWO)
        ratios = [seconds(WITH_ONE) / seconds(WITH_TWO) for _ in range(5)]
    finally:
        mbbp.set_threads(before)
    assert max(ratios) > 1.5
