"""The second derivatives of activations and costs in NumPy: against the complex step, and far from 0."""

import copy
import math
import pickle

import numpy as np
import pytest

import mbbp
from mbbp import reference
from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS

STEP = 1e-30
ELEMENTWISE = sorted(set(ACTIVATIONS) - {"softmax"})
FUSED = {"cross_entropy": "sigmoid", "log_likelihood": "softmax", "poisson": "exp"}
NOT_FUSED = [
    *(COSTS[name] for name in sorted(set(COSTS) - set(FUSED))),
    mbbp.costs.huber(0.25),
    mbbp.costs.quantile(0.9),
]
HUGE = np.finfo(np.float64).max


def z_around_0(n=4001):
    """Return numbers from -20 to 20; 0, a kink of some activations, is not among them."""
    return np.linspace(-20, 20, n) + 1e-3


def columns(rng, n=4, m=50):
    return 2.0 * rng.standard_normal((n, m))


def swish(z):
    return z / (1 + math.exp(-z))


def swish_prime(z):
    s = 1 / (1 + math.exp(-z))
    return s + z * s * (1 - s)


def swish_second_derivative(z):
    s = 1 / (1 + math.exp(-z))
    return s * (1 - s) * (2 + z * (1 - 2 * s))


def half_square(a, y):
    return 0.5 * (a - y) ** 2


def difference(a, y):
    return a - y


def one(a, y):
    return 1.0


SWISH = mbbp.Activation("swish", swish, swish_prime, second_derivative=swish_second_derivative)
HALF = mbbp.Cost("half", half_square, difference, second_derivative=one)


# ---------------------------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_it_is_the_derivative_of_the_derivative(name):
    z = z_around_0()
    exact = ACTIVATIONS[name].derivative(z + 1j * STEP).imag / STEP
    found = ACTIVATIONS[name].second_derivative(z)
    assert found is not None
    np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_it_takes_complex_numbers_and_stays_right(name):
    z = z_around_0(400)
    second = ACTIVATIONS[name].second_derivative
    found = second(z + 1j * STEP)
    np.testing.assert_allclose(found.real, second(z), rtol=1e-14, atol=1e-300)
    central = (second(z + 1e-5) - second(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(found.imag / STEP, central, rtol=1e-8, atol=1e-9 * np.abs(central).max())


FAR = {  # what it is at z and at -z, where e^-z is small beside 1
    "sigmoid": (lambda z: -math.exp(-z), lambda z: math.exp(-z)),
    "tanh": (lambda z: -8 * math.exp(-2 * z), lambda z: 8 * math.exp(-2 * z)),
    "silu": (lambda z: math.exp(-z) * (2 - z), lambda z: math.exp(-z) * (2 - z)),
    "softplus": (lambda z: math.exp(-z), lambda z: math.exp(-z)),
    "elu": (lambda z: 0.0, lambda z: math.exp(-z)),
    "exp": (lambda z: math.exp(z), lambda z: math.exp(-z)),
}


@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("z", [40.0, 100.0, 300.0])
def test_no_digits_are_lost_where_it_is_small(name, z):
    ahead, behind = (f(z) for f in FAR[name])
    found = ACTIVATIONS[name].second_derivative(np.array([z, -z]))
    np.testing.assert_allclose(found, [ahead, behind], rtol=1e-14)


def test_no_digits_are_lost_for_gelu_either():
    z = np.array([10.0, -10.0, 30.0, -30.0])
    exact = [math.exp(-0.5 * one * one) / math.sqrt(2 * math.pi) * (2 - one * one) for one in z]
    np.testing.assert_allclose(reference.gelu_second_derivative(z), exact, rtol=1e-14)


def test_no_digits_are_lost_near_0():
    z = np.array([1e-3, 1e-8, 1e-30])
    np.testing.assert_allclose(reference.sigmoid_second_derivative(z), -z / 8 + z**3 / 24, rtol=1e-12)
    np.testing.assert_allclose(reference.tanh_second_derivative(z), -2 * z + 8 * z**3 / 3, rtol=1e-10)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nothing_overflows(name):
    found = ACTIVATIONS[name].second_derivative(np.array([1e3, 1e160, HUGE, -1e3, -1e160, -HUGE]))
    np.testing.assert_array_equal(found, [math.inf] * 3 + [0.0] * 3 if name == "exp" else np.zeros(6))


def test_the_second_product_of_softmax_is_the_derivative_of_the_product(rng):
    z, e, tangent_z = (columns(rng) for _ in range(3))
    ahead = reference.softmax_jacobian_product(reference.softmax(z + 1j * STEP * tangent_z), e.astype(complex))
    found = reference.softmax_second_derivative_product(reference.softmax(z), e, tangent_z)
    np.testing.assert_allclose(found, ahead.imag / STEP, rtol=0, atol=1e-14 * np.abs(found).max())
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-15 * np.abs(found).max() * len(z))


def test_the_second_product_of_softmax_does_not_depend_on_what_e_and_the_direction_have_in_common(rng):
    a, e, tangent_z = reference.softmax(columns(rng)), columns(rng), columns(rng)
    found = reference.softmax_second_derivative_product(a, e, tangent_z)
    shifted = reference.softmax_second_derivative_product(a, e + 1e3, tangent_z - 1e3)
    np.testing.assert_allclose(shifted, found, rtol=0, atol=1e-11 * np.abs(found).max())


# ---------------------------------------------------------------------------------------------------------------- costs


def targets(cost, rng, shape):
    if cost.is_of_classes:
        return rng.integers(0, 2, shape).astype(float)
    return rng.dirichlet(np.ones(shape[0]), shape[1]).T


@pytest.mark.parametrize("cost", NOT_FUSED, ids=str)
def test_that_of_a_cost_is_the_derivative_of_its_gradient(cost, rng):
    a = columns(rng)
    y = targets(cost, rng, a.shape)
    exact = np.imag(cost.gradient(a + 1j * STEP, y + 0j)) / STEP
    np.testing.assert_allclose(cost.second_derivative(a, y), exact, rtol=1e-14, atol=0)
    tangent = columns(rng)
    np.testing.assert_array_equal(cost.error_tangent(a, a, y, tangent), cost.second_derivative(a, y) * tangent)


@pytest.mark.parametrize(("name", "output"), FUSED.items())
def test_a_fused_cost_has_the_tangent_of_its_whole_error(name, output, rng):
    cost, activation = COSTS[name], ACTIVATIONS[output]
    z, tangent_z = columns(rng), columns(rng)
    y = 3.0 * targets(cost, rng, z.shape) if name != "cross_entropy" else targets(cost, rng, z.shape)
    moved = z + 1j * STEP * tangent_z
    exact = cost.fused_error(activation.function(moved), y + 0j).imag / STEP
    a = activation.function(z)
    tangent_a = activation.multiply_by_derivative(z, a, tangent_z)
    found = cost.error_tangent(z, a, y, tangent_a)
    np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-15 * np.abs(exact).max())
    assert cost.second_derivative is None


def test_at_its_kinks_a_cost_takes_the_side_of_its_gradient():
    a, y = np.array([1.0, -1.0, 1.0 + 1e-12]), np.zeros(3)
    np.testing.assert_array_equal(reference.huber_second_derivative(a, y), [1, 1, 0])
    np.testing.assert_array_equal(reference.huber_second_derivative(a, y, delta=0.5), [0, 0, 0])
    np.testing.assert_array_equal(reference.squared_hinge_second_derivative(a, y), [2, 0, 2])


# --------------------------------------------------------------------------------------------------------- custom ones


def test_that_of_a_custom_activation_is_applied_to_arrays(rng):
    z, e, tangent_z = (columns(rng) for _ in range(3))
    np.testing.assert_allclose(SWISH.second_derivative(z), reference.silu_second_derivative(z), rtol=1e-12, atol=1e-15)
    found = SWISH.multiply_by_second_derivative(z, SWISH.function(z), e, tangent_z)
    np.testing.assert_array_equal(found, e * SWISH.second_derivative(z) * tangent_z)
    assert SWISH.second_scalar is swish_second_derivative


def test_that_of_a_custom_cost_is_applied_to_arrays(rng):
    a = columns(rng)
    np.testing.assert_array_equal(HALF.error_tangent(a, a, a, a), a)
    assert HALF.second_scalar is one


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"])
@pytest.mark.parametrize("custom", [SWISH, HALF], ids=["activation", "cost"])
def test_a_copy_has_it_too(custom, again):
    assert again(custom).second_scalar is custom.second_scalar
    assert again(custom).scalars == custom.scalars


def test_where_there_is_none_the_products_say_so():
    z = np.ones((2, 3))
    activation, cost = mbbp.Activation("swish", swish, swish_prime), mbbp.Cost("half", half_square, difference)
    assert activation.second_derivative is cost.second_derivative is activation.second_scalar is None
    says = "expected a second_derivative for second-order products, got none"
    with pytest.raises(TypeError, match=f"^activation 'swish': {says}$"):
        activation.multiply_by_second_derivative(z, z, z, z)
    with pytest.raises(TypeError, match=f"^cost 'half': {says}$"):
        cost.error_tangent(z, z, z, z)


@pytest.mark.parametrize("make", [mbbp.Activation, mbbp.Cost])
def test_what_is_no_function_is_refused(make):
    with pytest.raises(TypeError, match=r"^second_derivative: expected a function of numbers or None, got 1$"):
        make("odd", swish, swish_prime, second_derivative=1)
