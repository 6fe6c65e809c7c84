"""The speed of kernels and of their NumPy twins. Each group has one kernel and its twin."""

import math

import numba
import numpy as np
import pytest

from mbbp import kernels
from mbbp.activations import ACTIVATIONS, Activation
from mbbp.bench.cases import TABLE
from mbbp.kernels.activations import Block
from mbbp.kernels.gemm import products
from mbbp.kernels.gemm.blocking import multiply_add, panel_size
from mbbp.kernels.gemm.matrix import by_columns
from mbbp.kernels.gemm.products import Multiplier
from mbbp.kernels.gemm.sums import sum_columns
from mbbp.kernels.gemm.tile import lanes
from mbbp.kernels.layout import SPARE_ROWS

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


PAIRS = {
    "sigmoid": (lambda z, t, out: kernels.sigmoid(z, out), lambda z, t, out: numpy_sigmoid(z, out)),
    "sigmoid_prime": (lambda z, t, out: kernels.sigmoid_prime(z, out), lambda z, t, out: numpy_sigmoid_prime(z, out)),
    "hadamard": (kernels.hadamard, lambda s, t, out: np.multiply(s, t, out)),
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


def swish(z):
    return z / (1 + math.exp(-z))


def swish_prime(z):
    s = 1 / (1 + math.exp(-z))
    return s + z * s * (1 - s)


ENTRIES = {**ACTIVATIONS, "a custom swish": Activation("swish", swish, swish_prime)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ENTRIES)
def test_activations(benchmark, name, dtype):
    """A custom function costs what a built-in one with the same arithmetic does: compare swish with sigmoid."""
    n, m = 64, 128
    benchmark.group = f"activations of {n} neurons and {m} examples, {dtype}"
    z, a, delta = np.random.default_rng(0).standard_normal((3, n * m)).astype(dtype)
    spare = np.empty(SPARE_ROWS * m, dtype)
    block = Block(z=z, a=a, delta=delta, n=n, m=m, rs=1, cs=n, spare=spare)
    run = ENTRIES[name].kernels.activate.bind(block, np.dtype(dtype)).run
    run()
    benchmark(run)


@numba.njit
def affine(w, a, b, z, n_out, n_in, m, multiplier):
    products.affine(by_columns(w, 0, n_out, n_in), by_columns(a, 0, n_in, m), b, by_columns(z, 0, n_out, m), multiplier)


@numba.njit
def transposed_product(w, d, out, n_out, n_in, m, multiplier):
    W, D = by_columns(w, 0, n_out, n_in), by_columns(d, 0, n_out, m)
    products.transposed_product(W, D, by_columns(out, 0, n_in, m), multiplier)


@numba.njit
def add_outer_products(beta, g, d, a, n_out, n_in, m, multiplier):
    D, A = by_columns(d, 0, n_out, m), by_columns(a, 0, n_in, m)
    products.add_outer_products(beta, by_columns(g, 0, n_out, n_in), D, A, 0, n_in, multiplier)


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
    dtype = np.dtype(np.float32)
    multiplier = Multiplier(
        multiply_add=multiply_add.address(dtype),
        sum_columns=sum_columns.address(dtype),
        panel=np.empty(panel_size(n_out, max(n_in, m), dtype.itemsize), dtype),
        scratch=np.empty(n_out * n_in, dtype),
        lanes=lanes(dtype),
    )
    w, a, d, z, out = (matrix.T.reshape(-1) for matrix in (W, A, D, Z, back))  # as they are in memory

    def numpy_update():
        np.add(W, D @ A.T, out=W)

    runs = {
        "W A + b": (lambda: affine(w, a, b, z, n_out, n_in, m, multiplier), lambda: W @ A + b[:, None]),
        "W^T delta": (lambda: transposed_product(w, d, out, n_out, n_in, m, multiplier), lambda: W.T @ D),
        "W + delta A^T": (lambda: add_outer_products(one, w, d, a, n_out, n_in, m, multiplier), numpy_update),
    }
    run = runs[product][engine == "numpy"]
    run()
    benchmark(run)
