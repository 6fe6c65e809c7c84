"""The kernels of the activations against their NumPy twins."""

import numpy as np
import pytest
from hypothesis import given

from mbbp.activations import ACTIVATIONS, Activation
from mbbp.kernels.activations import BUILT_IN, Block
from tests.kernels.matrices import assert_close, drawn, dtypes, orders, run, seeds, widths


def log_cosh(z):
    return np.log(np.cosh(z))


def log_cosh_prime(z):
    return np.tanh(z)


CUSTOM = Activation("log_cosh", log_cosh, log_cosh_prime)
both = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
ALL = [*ACTIVATIONS.values(), CUSTOM]
every = pytest.mark.parametrize("activation", ALL, ids=lambda one: one.name)
elementwise = pytest.mark.parametrize(
    "activation", [one for one in ALL if one.name != "softmax"], ids=lambda one: one.name
)


def activate(activation, Z, order="columns"):
    A = np.full_like(Z, 7)
    run(activation.kernels.activate, Block, order, z=Z, a=A, delta=np.empty_like(Z), n=Z.shape[0], m=Z.shape[1])
    return A


def multiply_by_derivative(activation, Z, A, D, order="columns"):
    if activation.kernels.multiply_by_derivative is not None:
        kernel = activation.kernels.multiply_by_derivative
        run(kernel, Block, order, z=Z, a=A, delta=D, n=Z.shape[0], m=Z.shape[1])
    return D


def test_the_table_is_the_one_of_the_kernels():
    assert list(ACTIVATIONS) == list(BUILT_IN)


@every
@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_activate(activation, n, m, dtype, seed, order):
    (Z,) = drawn(seed, dtype, n, m)
    assert_close(activate(activation, Z, order), activation.function(Z.astype(np.float64)), dtype)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
@both
def test_nan_goes_through_and_stays_alone(name, dtype):
    activation = ACTIVATIONS[name]
    np.testing.assert_array_equal(
        np.isnan(activate(activation, np.array([[0.5, np.nan, 2.0]], dtype))), [[False, True, False]]
    )


def test_tanh_of_small_numbers_loses_no_digit():
    Z = np.array([[1e-30, -1e-10, 1e-4, -1e-2]])
    np.testing.assert_allclose(activate(ACTIVATIONS["tanh"], Z), np.tanh(Z), rtol=1e-15)


@elementwise
@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_multiply_by_derivative(activation, n, m, dtype, seed, order):
    Z, D = drawn(seed, dtype, n, m, 2)
    A = np.asfortranarray(activation.function(Z).astype(dtype))
    expected = D.astype(np.float64) * activation.derivative(Z.astype(np.float64))
    assert_close(multiply_by_derivative(activation, Z, A, D, order), expected, dtype)


@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_softmax_multiplies_by_its_jacobian(n, m, dtype, seed, order):
    Z, D = drawn(seed, dtype, n, m, 2)
    A = np.asfortranarray(ACTIVATIONS["softmax"].function(Z).astype(dtype))
    wide = A.astype(np.float64)
    jacobians = [np.diag(a) - np.outer(a, a) for a in wide.T]
    expected = np.column_stack([J @ d for J, d in zip(jacobians, D.T.astype(np.float64), strict=True)])
    np.testing.assert_allclose(
        ACTIVATIONS["softmax"].jacobian_product(wide, D.astype(np.float64)), expected, atol=1e-12
    )
    assert_close(multiply_by_derivative(ACTIVATIONS["softmax"], Z, A, D, order), expected, dtype, n)


LARGE = [1e2, 1e4, 1e30]
ENDS = {  # what the activation and its derivative come to where z is far below and far above 0
    "gelu": ([0, 0], lambda z: (z, np.ones_like(z))),
    "silu": ([0, 0], lambda z: (z, np.ones_like(z))),
    "elu": ([-1, 0], lambda z: (z, np.ones_like(z))),
    "softplus": ([0, 0], lambda z: (z, np.ones_like(z))),
    "exp": ([0, 0], lambda z: (np.full_like(z, np.inf), np.full_like(z, np.inf))),
}


@pytest.mark.parametrize("name", ENDS)
@both
def test_large_weighted_inputs(name, dtype):
    (low, slope), above = ENDS[name]
    Z = np.array([LARGE], dtype) * (10 if name == "exp" else 1)  # float64 holds exp(100)
    for z, expected in ((-Z, (np.full_like(Z, low), np.full_like(Z, slope))), (Z, above(Z))):
        A = activate(ACTIVATIONS[name], z)
        np.testing.assert_allclose(A, expected[0], rtol=0, atol=1e-40)
        D = multiply_by_derivative(ACTIVATIONS[name], z, A, np.ones_like(Z))
        np.testing.assert_allclose(D, expected[1], rtol=0, atol=1e-40)


@pytest.mark.parametrize("name", ["elu", "softplus", "silu", "gelu"])
@both
def test_small_results_lose_no_digit(name, dtype):
    """Of elu near 0, of softplus far below 0, and of z sigma(z) at both."""
    small = -np.logspace(-30, -2, 50) if name != "softplus" else -np.linspace(5, 60, 50)
    Z = np.array([small], dtype)
    wide = Z.astype(np.float64)
    exact = np.log1p(np.exp(wide)) if name == "softplus" else ACTIVATIONS[name].function(wide)
    np.testing.assert_allclose(activate(ACTIVATIONS[name], Z), exact, rtol=4 * np.finfo(dtype).eps)
