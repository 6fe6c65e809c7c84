"""Gaussian noise against its NumPy twin, at the extremes of its bits, and how Gaussian it is."""

import math
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mbbp.kernels.noise import Noise, gaussian_noise
from mbbp.methods.keystream import Keystream
from mbbp.reference.noise import box_muller
from tests.conftest import JIT
from tests.kernels.matrices import dtypes, seeds

N = 100_000 if JIT else 4_000
WORDS = {np.float32: np.uint32, np.float64: np.uint64}
both = pytest.mark.parametrize("dtype", WORDS)


def made(words, dtype, n):
    """Return n numbers of the kernel, and check that nothing is written behind them."""
    out = np.full(n + 3, 7.0, dtype)
    gaussian_noise.run(Noise(bits=words.view(np.uint8), out=out, n=n), np.dtype(dtype))
    assert (out[n:] == 7.0).all()
    return out[:n]


def assert_is_the_twin(words, dtype, n):
    """Assert that all numbers are right to some roundings, of numbers as large as the largest one."""
    found = made(words, dtype, n)
    np.testing.assert_allclose(found, box_muller(words, n), rtol=0, atol=32 * np.finfo(dtype).eps)


@given(n=st.integers(1, 70), dtype=dtypes, seed=seeds)
def test_the_numbers_are_those_of_the_twin(n, dtype, seed):
    kind = WORDS[dtype]
    words = np.random.default_rng(seed).integers(0, np.iinfo(kind).max, 2 * ((n + 1) // 2), kind, endpoint=True)
    assert_is_the_twin(words, dtype, n)


@both
def test_extreme_words(dtype):
    kind = WORDS[dtype]
    bits, most = np.iinfo(kind).bits, np.iinfo(kind).max
    alternating = most // 3
    extreme = [0, 1, 2, 7, 8, alternating, 2 * alternating, most >> 1, (most >> 1) + 1, most - 8, most - 1, most]
    # where ln u changes its branch, at a power of 2 times the root of 2
    extreme += [int(2**k * math.sqrt(2)) + i for k in (bits - 1, bits // 2) for i in (-2, -1, 0, 1, 2)]
    pairs = np.array(list(product(extreme, repeat=2)), kind)
    words = np.ascontiguousarray(pairs.T).reshape(-1)
    assert_is_the_twin(words, dtype, words.size)
    found = made(words, dtype, words.size)
    assert np.isfinite(found).all()
    assert np.abs(found).max() == pytest.approx(math.sqrt(2 * bits * math.log(2)), rel=1e-6)


@both
def test_the_lowest_bits_exchange_the_two_numbers_and_are_their_signs(dtype):
    kind = WORDS[dtype]
    first = np.full(8, np.iinfo(kind).max // 5, kind)
    second = np.arange(8, dtype=kind) + kind(8 * 12345)
    x, y = made(np.concatenate([first, second]), dtype, 16).reshape(2, 8)
    cosine, sine = x[0], y[0]
    assert cosine > sine > 0
    for low in range(8):
        expected = (sine, cosine) if low & 1 else (cosine, sine)
        assert x[low] == (-expected[0] if low & 2 else expected[0])
        assert y[low] == (-expected[1] if low & 4 else expected[1])


@both
def test_it_is_gaussian(dtype):
    stream = Keystream(bytes(range(32)))
    words = np.empty(N, WORDS[dtype])
    stream.fill(words)
    found = made(words, dtype, N).astype(np.float64)
    for part in (found, found[: N // 2], found[N // 2 :]):
        assert scipy.stats.kstest(part, "norm").pvalue > 1e-3
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3), (5, 0), (6, 15)):
        spread = math.sqrt(math.prod(range(2 * power - 1, 0, -2)))  # that of the power, or more
        assert (found**power).mean() == pytest.approx(moment, abs=5 * spread / math.sqrt(N)), power
    assert (found > 0).mean() == pytest.approx(0.5, abs=2.5 / math.sqrt(N))
    # the two numbers of a pair are independent, and so are neighbours
    x, y = found.reshape(2, -1)
    for one, other in ((x, y), (x**2 - 1, y**2 - 1), (x, y**2 - 1), (x[1:], x[:-1]), (y[1:] ** 2 - 1, y[:-1] ** 2 - 1)):
        assert abs((one * other).mean()) < 10 / math.sqrt(N)


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_the_loop_of_float32_uses_vectors():
    text = gaussian_noise.compile(np.dtype(np.float32), is_cached=False).inspect_llvm()
    assert "x float> @llvm.sqrt" in text
