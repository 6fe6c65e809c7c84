"""The micro-kernel and the products cut into its tiles: every tail, against NumPy."""

import itertools

import numpy as np
import pytest

from mbbp.kernels.gemm.blocking import KC
from mbbp.kernels.gemm.tile import HALF, MR, NR_VECTORS, PARTIAL, _twin, lanes, tiles
from mbbp.kernels.lowlevel.compiling import compiled
from mbbp.kernels.lowlevel.vectors import transpose
from tests.conftest import JIT
from tests.kernels.gemm.test_products import add_columns, add_outer_products, affine, transposed_product
from tests.kernels.matrices import multiplier_for

DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": 2e-6, "float64": 2e-15}
WIDEST = 40 if JIT else 12


def close(got, expected, dtype, terms=1):
    scale = np.abs(expected).max() + 1.0
    return np.abs(got - expected).max() <= TOLERANCE[dtype] * scale * np.sqrt(terms)


def tiles_of(vectors):
    @compiled
    def run(a, b, start, c, n_rows, columns, depth, beta):
        A, B = (a, 1, depth, 1), (b, 2, columns)
        tiles(vectors, A, B, (start, 1, columns), (c, 3, columns), n_rows, depth, columns, beta)

    return run


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vectors", [PARTIAL, HALF, *range(1, NR_VECTORS + 1)])
def test_tiles_equal_their_twin_and_touch_nothing_else(vectors, dtype, rng):
    run = tiles_of(vectors)
    most = lanes(dtype, vectors)
    least = {PARTIAL: 1, HALF: 1, 1: most}.get(vectors, most - lanes(dtype) + 1)
    sizes = itertools.product(range(1, 4 * MR), range(least, most + 1), (1, 2, 7), (0, 1, 0.5))
    for n_rows, columns, depth, beta in sizes:
        beta = np.dtype(dtype).type(beta)
        a = rng.standard_normal(1 + n_rows * depth).astype(dtype)
        b = rng.standard_normal(2 + depth * columns).astype(dtype)
        start = rng.standard_normal(1 + n_rows * columns).astype(dtype)
        if beta == 0:
            start[...] = np.nan
        c = rng.standard_normal(3 + n_rows * columns + 5).astype(dtype)
        expected, before = c.copy(), c.copy()
        A, B = (a, 1, depth, 1), (b, 2, columns)
        _twin(vectors, A, B, (start, 1, columns), (expected, 3, columns), n_rows, depth, columns, beta)
        run(a, b, start, c, n_rows, columns, depth, beta)
        assert close(c, expected, dtype, depth)
        assert (c[:3] == before[:3]).all()
        assert (c[-5:] == before[-5:]).all()


def test_the_twin_is_the_product(rng):
    a, b, c = rng.standard_normal(6), rng.standard_normal(12), rng.standard_normal(8)
    expected = 0.5 * c.reshape(2, 4) + a.reshape(2, 3) @ b.reshape(3, 4)
    _twin(1, (a, 0, 3, 1), (b, 0, 4), (c, 0, 4), (c, 0, 4), 2, 3, 4, 0.5)
    assert close(c.reshape(2, 4), expected, "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_is_turned(dtype, rng):
    n = lanes(dtype)

    @compiled
    def run(source, target, step, rows, columns):
        transpose(source, 1, step, target, 2, n + 3, rows, columns)

    for rows in range(1, n + 1):
        for columns in range(1, n + 1):
            source = rng.standard_normal(1 + rows * (columns + 2) - 2).astype(dtype)
            target = np.full(2 + n * (n + 3), np.nan, dtype)
            run(source, target, columns + 2, rows, columns)
            block = np.lib.stride_tricks.as_strided(
                source[1:], (rows, columns), (source.itemsize * (columns + 2), source.itemsize)
            )
            assert (target[2:].reshape(n, n + 3)[:columns, :rows] == block.T).all()


def matrices(rng, dtype, *shapes):
    return [np.asfortranarray(rng.standard_normal(shape).astype(dtype)) for shape in shapes]


def check_products(n_out, n_in, m, dtype, rng):
    number = np.dtype(dtype).type
    multiplier = multiplier_for(dtype)
    W, A, D, G = matrices(rng, dtype, (n_out, n_in), (n_in, m), (n_out, m), (n_out, n_in))
    b = rng.standard_normal(n_out).astype(dtype)
    Z, back = np.full((n_out, m), np.nan, dtype, "F"), np.full((n_in, m), np.nan, dtype, "F")
    affine(W, A, Z, b, multiplier)
    assert close(Z, W.astype(float) @ A + b[:, None], dtype, n_in)
    transposed_product(W, D, back, multiplier)
    assert close(back, W.astype(float).T @ D, dtype, n_out)
    outer = D.astype(float) @ A.T
    for beta in (0.5, 1.0):
        expected = beta * G.astype(float) + outer
        add_outer_products(D, A, G, number(beta), multiplier)
        assert close(G, expected, dtype, m)
    G[...] = np.nan
    add_outer_products(D, A, G, number(0), multiplier)
    assert close(G, outer, dtype, m)
    expected = b + D.astype(float).sum(axis=1)
    add_columns(D, b, number(1), multiplier)
    assert close(b, expected, dtype, m)
    b[...] = np.nan
    add_columns(D, b, number(0), multiplier)
    assert close(b, D.astype(float).sum(axis=1), dtype, m)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_out", range(1, WIDEST + 1))
def test_products_of_every_width_and_batch(n_out, dtype, rng):
    for m in range(1, WIDEST + 1):
        check_products(n_out, 1 + (3 * n_out + m) % WIDEST, m, dtype, rng)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n_out", "n_in", "m"),
    [
        (10, KC + 1, 3),
        (100, 2 * KC, 33),
        (130, 70, KC + 9),
        (64, 200, 130),
        (1, 300, 1),
        (300, 1, 2),
        (49, 97, 64),
    ],
)
def test_products_over_several_blocks(n_out, n_in, m, dtype, rng):
    check_products(n_out, n_in, m, dtype, rng)
