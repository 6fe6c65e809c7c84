"""The norms of the gradients of single examples, and the sums of clipped ones, against loops over the examples."""

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import reference
from mbbp.engine import CHUNK
from mbbp.kernels.norms import WIDE
from tests.conftest import JIT
from tests.derivatives import mild, problem
from tests.kernels.matrices import seeds

KINDS = st.sampled_from([("tanh", "quadratic"), ("sigmoid", "cross_entropy"), (["relu", "softmax"], "log_likelihood")])
AROUND = [1, 2, WIDE - 1, WIDE, WIDE + 1] if JIT else [1, 2, 5]


def expected_norms(net, X, Y):
    return np.linalg.norm(reference.per_example_gradients(net, X, Y), axis=1)


@pytest.mark.parametrize("width", AROUND)
@pytest.mark.parametrize("m", [1, 2, 7, CHUNK, CHUNK + 1] if JIT else [1, 3])
@pytest.mark.parametrize("n_out", [1, 3])
def test_norms_for_any_width(width, m, n_out):
    """With one output or input, a matrix has its rows in order, else its columns."""
    for sizes in ([width, n_out], [2, width, n_out], [1, width, 1, n_out]):
        net, X, Y, _ = problem(sizes, "tanh", "quadratic", m=m)
        np.testing.assert_allclose(net.gradient_norms(X, Y), expected_norms(net, X, Y), rtol=1e-12, atol=1e-16)
        for rows in (net.gradient_norms(X.tolist(), Y.tolist()), net.gradient_norms(X[:, ::-1], Y[:, ::-1])[::-1]):
            np.testing.assert_allclose(rows, net.gradient_norms(X, Y), rtol=1e-14)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4), m=st.integers(1, 9), seed=seeds, kind=KINDS,
    share=st.sampled_from([1e-30, 1e-3, 0.3, 1.0, 2.0, 1e30]),
    scaled=st.sampled_from(["no", "factor", "standardized"]),
)  # fmt: skip
def test_clipped_sums(sizes, m, seed, kind, share, scaled):
    activation, cost = kind
    if not isinstance(activation, str):
        activation = ["relu"] * (len(sizes) - 2) + ["softmax"]
    net, X, Y, _ = problem(sizes, activation, cost, m=m, seed=seed, scaled=scaled)
    rows = reference.per_example_gradients(net, X, Y)
    norms = np.linalg.norm(rows, axis=1)
    clip_norm = share * (float(np.median(norms)) or 1.0)
    factors = np.where(norms > clip_norm, clip_norm / np.maximum(norms, 1e-300), 1.0)
    scale = max(np.linalg.norm(rows * factors[:, None], axis=1).sum(), 1e-300)
    found = net.clipped_gradient_sum(X, Y, clip_norm)
    np.testing.assert_allclose(found / scale, factors @ rows / scale, rtol=0, atol=1e-12)
    np.testing.assert_allclose(net.gradient_norms(X, Y), norms, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("m", [1, 5, CHUNK + 2])
def test_zero_gradients(m):
    net, X, _, _ = problem([4, 5, 3], "tanh", "quadratic", m=m)
    Y = net.feedforward(X)
    Y[:, 0] += 1.0
    norms = net.gradient_norms(X, Y)
    assert (norms[1:] == 0).all()
    assert norms[0] > 0.1
    for clip_norm in (1e-300, 1e-3, 1e300):
        found = net.clipped_gradient_sum(X, Y, clip_norm)
        length = min(clip_norm, norms[0])
        np.testing.assert_allclose(found / length, net.gradient(X, Y).theta * m / norms[0], rtol=1e-10, atol=1e-12)
    assert (net.clipped_gradient_sum(X, net.feedforward(X), 1.0) == 0).all()


def test_a_huge_clip_norm_gives_the_gradient_itself():
    net, X, Y, _ = problem([4, 5, 3], "tanh", "quadratic", m=300)
    np.testing.assert_allclose(net.clipped_gradient_sum(X, Y, 1e300) / 300, net.gradient(X, Y).theta, atol=1e-14)


@pytest.mark.skipif(not JIT, reason="too many numbers for plain Python")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_gradient_of_an_example_is_in_memory(dtype):
    m, clip_norm = 4000, 1.0
    net = mbbp.Network([784, 300, 10], "sigmoid", dtype=dtype, initializer=mild, rng=0)
    rng = np.random.default_rng(1)
    X, Y = rng.random((784, m), np.float32).astype(dtype), rng.random((10, m), np.float32).astype(dtype)
    one = m * net.theta.nbytes  # 3.8 GB in float32
    calls = {
        "norms": lambda X, Y: net.gradient_norms(X, Y),
        "clipped": lambda X, Y: net.clipped_gradient_sum(X, Y, clip_norm),
    }
    for name, call in calls.items():
        call(X, Y)  # what is compiled and kept does not count
        gc.collect()
        tracemalloc.start()
        try:
            call(X, Y)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 2 * X.nbytes + 8 * net.theta.nbytes < one / 50, name
    whole = net.gradient_norms(X, Y)
    picked = [0, 1, CHUNK, m - 1]
    expected = expected_norms(net, X[:, picked], Y[:, picked])
    np.testing.assert_allclose(whole[picked], expected, rtol=1e-4 if dtype == "float32" else 1e-12)
