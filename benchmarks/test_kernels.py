"""Kernels beside their NumPy twins, each pair in a group of its own."""

import numpy as np
import pytest
from mbbp.kernels.blocking import PANEL, Multiplier, multiplier_address

from mbbp import kernels
from mbbp.bench.cases import TABLE
from mbbp.kernels import elementwise, products

SIZES = (300, 30_000)
DTYPES = ("float32", "float64")


def numpy_sigmoid(z, out):
    np.negative(z, out)
    np.exp(out, out)
    out += 1
    return np.reciprocal(out, out)


def numpy_sigmoid_prime(z, out):
    s = numpy_sigmoid(z, out)
    return np.multiply(s, 1 - s, out)


def fused(z, a, d):
    elementwise.multiply_by_derivative(np.zeros(3, np.int64), z, a, d)


def numpy_fused(z, a, d):
    np.multiply(d, a * (1 - a), out=d)


PAIRS = {
    "sigmoid": (lambda z, t, out: kernels.sigmoid(z, out), lambda z, t, out: numpy_sigmoid(z, out)),
    "sigmoid_prime": (lambda z, t, out: kernels.sigmoid_prime(z, out), lambda z, t, out: numpy_sigmoid_prime(z, out)),
    "hadamard": (kernels.hadamard, lambda s, t, out: np.multiply(s, t, out)),
    "delta times sigmoid_prime": (fused, numpy_fused),
}


@pytest.mark.parametrize("engine", ["mbbp", "numpy"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PAIRS)
def test_elementwise(benchmark, name, size, dtype, engine):
    benchmark.group = f"{name}, {size:,} numbers, {dtype}"
    z, t, out = np.asfortranarray(np.random.default_rng(0).random((3, size // 10, 10)).astype(dtype))
    arrays = [np.asfortranarray(one) for one in (z, t, out)]
    run = PAIRS[name][engine == "numpy"]
    run(*arrays)  # compiles
    benchmark(run, *arrays)


LAYERS = sorted({(n_out, n_in, m) for sizes, m in TABLE for n_in, n_out in [(sizes[0], sizes[1])]})


@pytest.mark.parametrize("engine", ["mbbp", "numpy"])
@pytest.mark.parametrize(("n_out", "n_in", "m"), LAYERS)
@pytest.mark.parametrize("product", ["W A + b", "W^T delta", "W + delta A^T"])
def test_products(benchmark, product, n_out, n_in, m, engine):
    benchmark.group = f"{product}, W ({n_out}, {n_in}), m = {m}"
    rng = np.random.default_rng(0)
    W, A, D, Z, back = (
        np.asfortranarray(rng.random(shape, np.float32))
        for shape in ((n_out, n_in), (n_in, m), (n_out, m), (n_out, m), (n_in, m))
    )
    b, one = rng.random(n_out, np.float32), np.float32(1)
    multiplier = Multiplier(multiplier_address(np.dtype(np.float32)), np.empty(PANEL, np.float32))

    def numpy_update():
        np.add(W, D @ A.T, out=W)

    runs = {
        "W A + b": (lambda: products.affine(W, A, b, Z, multiplier), lambda: W @ A + b[:, None]),
        "W^T delta": (lambda: products.transposed_product(W, D, back, multiplier), lambda: W.T @ D),
        "W + delta A^T": (lambda: products.add_outer_products(one, W, D, A, 0, n_in, multiplier), numpy_update),
    }
    run = runs[product][engine == "numpy"]
    run()
    benchmark(run)
