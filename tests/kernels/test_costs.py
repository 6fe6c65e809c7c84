"""The kernels of the costs against their NumPy twins."""

import numpy as np
import pytest
from hypothesis import given

from mbbp import costs
from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS, Cost
from mbbp.kernels.activations import Block
from mbbp.kernels.costs import BUILT_IN, Outputs
from tests.kernels.matrices import assert_close, drawn, dtypes, orders, probabilities, run, seeds, widths


def rounded_absolute(a, y):
    return np.sqrt(1 + (a - y) ** 2) - 1


def rounded_sign(a, y):
    return (a - y) / np.sqrt(1 + (a - y) ** 2)


ALL = [*COSTS.values(), costs.huber(0.25), costs.quantile(0.9), Cost("custom", rounded_absolute, rounded_sign)]
FITTING = [
    (cost, output)
    for cost in ALL
    for output in ([cost.required_activation] if cost.required_activation else ACTIVATIONS)
]
fitting = pytest.mark.parametrize(("cost", "output"), FITTING, ids=[f"{cost}-{output}" for cost, output in FITTING])
every = pytest.mark.parametrize("cost", ALL, ids=str)
both = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)


def targets(cost, seed, dtype, n, m):
    """Return targets (n, m) that the cost is defined for."""
    Y = probabilities(seed, dtype, n, m)
    return np.asfortranarray(np.round(Y)) if cost.is_of_classes else Y


def total(cost, Z, A, Y, order="columns"):
    n, m = Z.shape
    parameter = cost.parameter or 0.0
    return run(cost.kernels.total, Outputs, order, z=Z, a=A, y=Y, delta=np.empty_like(Z), n=n, m=m, parameter=parameter)


def error(cost, Z, A, Y, order="columns"):
    """Return what the kernel of the output error leaves in delta."""
    D, (n, m), parameter = np.full_like(Z, 7), Z.shape, cost.parameter or 0.0
    run(cost.kernels.output_error, Outputs, order, z=Z, a=A, y=Y, delta=D, n=n, m=m, parameter=parameter)
    return D


def test_the_table_is_the_one_of_the_kernels():
    assert list(COSTS) == list(BUILT_IN)


@fitting
@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_output_error(cost, output, n, m, dtype, seed, order):
    (Z,) = drawn(seed, dtype, n, m)
    Y = targets(cost, seed, dtype, n, m)
    A = np.asfortranarray(ACTIVATIONS[output].function(Z).astype(dtype))
    expected = cost.delta(ACTIVATIONS[output], *(array.astype(np.float64) for array in (Z, A, Y)))
    D = error(cost, Z, A, Y, order)
    derivative = ACTIVATIONS[output].kernels.multiply_by_derivative
    if not cost.is_fused and derivative is not None:
        run(derivative, Block, order, z=Z, a=A, delta=D, n=n, m=m)
    assert_close(D, expected, dtype, n)


@fitting
@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_total(cost, output, n, m, dtype, seed, order):
    (Z,) = drawn(seed, dtype, n, m)
    Y, A = targets(cost, seed, dtype, n, m), np.asfortranarray(ACTIVATIONS[output].function(Z).astype(dtype))
    expected = cost.function(*(array.astype(np.float64) for array in (Z, A, Y))).sum()
    assert_close(total(cost, Z, A, Y, order), expected, dtype, n)


@pytest.mark.parametrize("name", ["cross_entropy", "log_likelihood"])
@both
def test_the_cost_of_a_saturated_output_is_its_weighted_input(name, dtype):
    Z, A, Y = (np.array(column, dtype)[:, None] for column in ([1e4, -1e4], [1, 0], [0, 1]))
    assert total(COSTS[name], Z, A, Y) == 20000


def test_the_quadratic_cost_of_float32_does_not_overflow():
    Z, Y = np.full((2, 2), 1e30, np.float32, "F"), np.zeros((2, 2), np.float32, "F")
    assert total(COSTS["quadratic"], Z, Z, Y) == pytest.approx(2e60)


@every
@both
def test_an_output_that_is_nan_gives_a_cost_and_an_error_that_are_nan(cost, dtype):
    Z, Y = np.array([[0.5], [np.nan], [1.5]], dtype), np.array([[1.0], [0.0], [0.0]], dtype)
    assert np.isnan(total(cost, Z, Z.copy(), Y))
    assert np.isnan(error(cost, Z, Z.copy(), Y)).any()


@both
def test_a_count_of_0_costs_its_output(dtype):
    Z, Y = np.array([[-1e4, -2.0, 0.0, 3.0]], dtype), np.zeros((1, 4), dtype)
    A = np.exp(Z)
    assert total(COSTS["poisson"], Z, A, Y) == pytest.approx(A.astype(float).sum(), rel=1e-6)
    np.testing.assert_array_equal(error(COSTS["poisson"], Z, A, Y), A)


@both
def test_the_poisson_cost_of_the_right_output_is_0(dtype):
    Y = np.array([[0.5, 1.0, 2.0, 30.0, 1e4]], dtype)
    assert abs(total(COSTS["poisson"], np.log(Y), Y.copy(), Y)) <= 1e5 * np.finfo(dtype).eps


def test_a_negative_count_costs_nan():
    """A trainer checks no target after its first step, so a wrong one must not go unseen."""
    assert np.isnan(total(COSTS["poisson"], *np.array([[[0.5]], [[1.6]], [[-1.0]]])))


# cost, a, y, C and dC/da at and around the kinks
KINKS = {
    "absolute": (COSTS["absolute"], [2, 2, 2], [2, 1, 5], [0, 1, 3], [0, 1, -1]),
    "huber": (costs.huber(2.0), [0, 2, -2, 3, -5], [0] * 5, [0, 2, 2, 4, 8], [0, 2, -2, 2, -2]),
    "quantile": (costs.quantile(0.25), [2, 2, 2], [2, 1, 5], [0, 0.75, 0.75], [0, 0.75, -0.25]),
    "squared_hinge": (
        COSTS["squared_hinge"],
        [1, -1, 0, 3, -3, -1],
        [1, 0, 1, 1, 0, 1],
        [0, 0, 1, 0, 0, 4],
        [0, 0, -2, 0, 0, -4],
    ),
}


@pytest.mark.parametrize(("cost", "a", "y", "values", "slopes"), KINKS.values(), ids=KINKS)
@both
def test_costs_and_slopes_at_their_kinks(cost, a, y, values, slopes, dtype):
    A, Y = np.array([a], dtype), np.array([y], dtype)
    np.testing.assert_array_equal(error(cost, A, A, Y), [slopes])
    np.testing.assert_array_equal(cost.gradient(A, Y), [slopes])
    np.testing.assert_array_equal(cost.function(A, A, Y), values)
    assert total(cost, A, A, Y) == sum(values)
