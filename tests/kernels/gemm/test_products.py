"""The matrix products against NumPy's. On small whole numbers every sum is exact, so not a bit may differ."""

import itertools

import numpy as np
import pytest
from hypothesis import given

from mbbp.kernels.gemm import products
from tests.conftest import JIT
from tests.kernels.matrices import ORDERS, dtypes, multiplier_for, on_matrices, orders, seeds, widths

affine = on_matrices(3, lambda W, A, Z, b, multiplier: products.affine(W, A, b, Z, multiplier))
transposed_product = on_matrices(3, lambda W, D, out, multiplier: products.transposed_product(W, D, out, multiplier))
add_outer_products = on_matrices(
    3, lambda D, A, G, beta, multiplier: products.add_outer_products(beta, G, D, A, 0, A.n, multiplier)
)
add_columns = on_matrices(1, lambda D, g, beta, multiplier: products.add_columns(beta, g, D, multiplier))

WIDEST = 40 if JIT else 4


def whole_numbers(seed, dtype, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.integers(-8, 9, shape).astype(dtype) for shape in shapes]


def check_affine(n_out, n_in, m, dtype, seed, inner, outer):
    W, A, Z, b = whole_numbers(seed, dtype, (n_out, n_in), (n_in, m), (n_out, m), n_out)
    affine(W, A, Z, b, multiplier_for(dtype), orders=["columns", inner, outer])
    np.testing.assert_array_equal(Z, W @ A + b[:, None])


def check_transposed_product(n_out, n_in, m, dtype, seed, inner, outer):
    W, D, out = whole_numbers(seed, dtype, (n_out, n_in), (n_out, m), (n_in, m))
    transposed_product(W, D, out, multiplier_for(dtype), orders=["columns", inner, outer])
    np.testing.assert_array_equal(out, W.T @ D)


def check_add_outer_products(n_out, n_in, m, dtype, seed, inner, outer):
    D, A, G = whole_numbers(seed, dtype, (n_out, m), (n_in, m), (n_out, n_in))
    expected = 2 * G + D @ A.T
    add_outer_products(D, A, G, dtype(2), multiplier_for(dtype), orders=[outer, inner, "columns"])
    np.testing.assert_array_equal(G, expected)


def check_add_columns(n_out, n_in, m, dtype, seed, inner, outer):
    D, g = whole_numbers(seed, dtype, (n_out, m), n_out)
    expected = 2 * g + D.sum(axis=1)
    add_columns(D, g, dtype(2), multiplier_for(dtype), orders=[outer])
    np.testing.assert_array_equal(g, expected)


CHECKS = [check_affine, check_transposed_product, check_add_outer_products, check_add_columns]
checks = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))


@checks
@given(n_out=widths, n_in=widths, m=widths, dtype=dtypes, seed=seeds, inner=orders, outer=orders)
def test_products_are_numpys(check, n_out, n_in, m, dtype, seed, inner, outer):
    check(n_out, n_in, m, dtype, seed, inner, outer)


@checks
@pytest.mark.parametrize("inner", ORDERS)
@pytest.mark.parametrize("outer", ORDERS)
def test_every_width_up_to_nine_in_all_orders(check, inner, outer):
    for n_in, n_out, m in itertools.product(range(1, 10), range(1, 10), (1, 4, 8, 9)):
        check(n_out, n_in, m, np.float32, n_in * m, inner, outer)


@checks
@pytest.mark.parametrize("order", ["columns", "rows of a share"])
def test_every_width_and_batch_up_to_forty(check, order):
    for n_out, m in itertools.product(range(1, WIDEST + 1), repeat=2):
        check(n_out, 1 + (3 * n_out + m) % WIDEST, m, np.float32, m, order, order)


@checks
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(83, 301, 290), (3, 301, 290), (301, 3, 290), (1, 600, 20), (2, 7, 600)])
def test_more_than_one_block(check, order, shape):
    check(*shape, np.float32, 1, order, order)


def test_nothing_of_a_gradient_that_is_not_kept_shines_through():
    D, A = whole_numbers(4, np.float32, (5, 6), (7, 6))
    G = np.full((5, 7), np.nan, np.float32)
    add_outer_products(D, A, G, np.float32(0), multiplier_for(np.float32))
    np.testing.assert_array_equal(G, D @ A.T)


def test_small_errors_are_not_lost_in_a_large_bias(rng):
    D = np.float32(1e-4) * rng.random((3, 100), np.float32)
    g = np.full(3, 1000, np.float32)
    expected = 1000 + D.sum(axis=1, dtype=np.float64)
    add_columns(D, g, np.float32(1), multiplier_for(np.float32))
    assert (np.abs(g - expected) <= np.spacing(np.float32(1000))).all()
