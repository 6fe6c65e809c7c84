"""The kernels of the activations against their NumPy twins."""

import numpy as np
import pytest
from hypothesis import given

from mbbp.activations import ACTIVATIONS, Activation
from mbbp.kernels.activations import BUILT_IN, Block
from tests.kernels.matrices import assert_close, drawn, dtypes, orders, run, seeds, widths


def softplus(z):
    return np.log1p(np.exp(-abs(z))) + max(z, 0.0)


def softplus_prime(z):
    return 1 / (1 + np.exp(-z))


CUSTOM = Activation("softplus", softplus, softplus_prime)
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
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
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
