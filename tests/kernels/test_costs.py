"""The kernels of the costs against their NumPy twins."""

import numpy as np
import pytest
from hypothesis import given

from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS, Cost
from mbbp.kernels.activations import Block
from mbbp.kernels.costs import BUILT_IN, Outputs
from tests.kernels.matrices import assert_close, drawn, dtypes, orders, probabilities, run, seeds, widths


def huber(a, y):
    return 0.5 * (a - y) ** 2 if abs(a - y) < 1.0 else abs(a - y) - 0.5


def huber_gradient(a, y):
    return min(1.0, max(-1.0, a - y))


CUSTOM = Cost("huber", huber, huber_gradient)
FITTING = [
    *((cost, output) for cost in (COSTS["quadratic"], CUSTOM) for output in ACTIVATIONS),
    (COSTS["cross_entropy"], "sigmoid"),
    (COSTS["log_likelihood"], "softmax"),
]
fitting = pytest.mark.parametrize(
    ("cost", "output"), FITTING, ids=[f"{cost.name}-{output}" for cost, output in FITTING]
)


def total(cost, Z, A, Y, order="columns"):
    n, m = Z.shape
    return run(cost.kernels.total, Outputs, order, z=Z, a=A, y=Y, delta=np.empty_like(Z), n=n, m=m)


def test_the_table_is_the_one_of_the_kernels():
    assert list(COSTS) == list(BUILT_IN)


@fitting
@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_output_error(cost, output, n, m, dtype, seed, order):
    (Z,) = drawn(seed, dtype, n, m)
    Y, D = probabilities(seed, dtype, n, m), np.full_like(Z, 7)
    A = np.asfortranarray(ACTIVATIONS[output].function(Z).astype(dtype))
    expected = cost.delta(ACTIVATIONS[output], *(array.astype(np.float64) for array in (Z, A, Y)))
    run(cost.kernels.output_error, Outputs, order, z=Z, a=A, y=Y, delta=D, n=n, m=m)
    derivative = ACTIVATIONS[output].kernels.multiply_by_derivative
    if not cost.is_fused and derivative is not None:
        run(derivative, Block, order, z=Z, a=A, delta=D, n=n, m=m)
    assert_close(D, expected, dtype, n)


@fitting
@given(n=widths, m=widths, dtype=dtypes, seed=seeds, order=orders)
def test_total(cost, output, n, m, dtype, seed, order):
    (Z,) = drawn(seed, dtype, n, m)
    Y, A = probabilities(seed, dtype, n, m), np.asfortranarray(ACTIVATIONS[output].function(Z).astype(dtype))
    expected = cost.function(*(array.astype(np.float64) for array in (Z, A, Y))).sum()
    assert_close(total(cost, Z, A, Y, order), expected, dtype, n)


@pytest.mark.parametrize("name", ["cross_entropy", "log_likelihood"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_the_cost_of_a_saturated_output_is_its_weighted_input(name, dtype):
    Z, A, Y = (np.array(column, dtype)[:, None] for column in ([1e4, -1e4], [1, 0], [0, 1]))
    assert total(COSTS[name], Z, A, Y) == 20000


def test_the_quadratic_cost_of_float32_does_not_overflow():
    Z, Y = np.full((2, 2), 1e30, np.float32, "F"), np.zeros((2, 2), np.float32, "F")
    assert total(COSTS["quadratic"], Z, Z, Y) == pytest.approx(2e60)
