"""The implementations that are compared: all do the same work."""

import numpy as np
import pytest

import mbbp
from mbbp import reference
from mbbp.bench.agreement import TOLERANCES, Agreement, CrossEntropyBookLoop
from mbbp.bench.cases import WHATS, Case, make_case_data
from mbbp.bench.implementations import IMPLEMENTATIONS, LEARNING_RATE, NumpyMatrices

pytestmark = pytest.mark.usefixtures("quick")
SHAPES = [((2, 3, 1), 4), ((4, 5, 3, 2), 3), ((5, 3), 1), ((3, 4, 1), 5)]
implementations = pytest.mark.parametrize("kind", IMPLEMENTATIONS, ids=lambda kind: kind.name)


def oracle(case, data, columns, cost="quadratic"):
    net = mbbp.Network(case.sizes, dtype="float64", cost=cost)
    net.theta = data.theta
    rows, targets = data.rows("float64")
    return net, rows[columns].T, targets[columns].T


@implementations
@pytest.mark.parametrize(("sizes", "m"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_implementation_agrees_with_the_reference(kind, sizes, m, dtype):
    case = Case(sizes, m, dtype)
    data = make_case_data(case, 1)
    one = kind(case, data)
    tolerance = {"rtol": 1e-10, "atol": 1e-12} if one.dtype == "float64" else {"rtol": 1e-4, "atol": 1e-6}
    order = np.random.default_rng(0).permutation(data.n)[: 4 * m]
    net, X, Y = oracle(case, data, order[:m])
    np.testing.assert_allclose(one.theta(), data.theta, rtol=0, atol=0)
    right = reference.gradient(net, X, Y).theta
    np.testing.assert_allclose(one.flat(one.gradient(order[:m])), right, **tolerance)
    np.testing.assert_allclose(one.predict(order[:m]), reference.feedforward(net, X)[1][-1], **tolerance)
    one.steps(order)
    rows, targets = data.rows("float64")
    right = reference.sgd(net, rows.T, targets.T, order.reshape(-1, m), LEARNING_RATE)
    np.testing.assert_allclose(one.theta(), right, **tolerance)
    one.reset(data.theta)
    np.testing.assert_allclose(one.theta(), data.theta, rtol=0, atol=0)


@implementations
@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_agree_on_all_work(kind, what, dtype):
    case = Case((4, 5, 3), 4, dtype, what)
    data = make_case_data(case, 2)
    one = kind(case, data)
    assert Agreement(case, data).difference(one) <= TOLERANCES[one.dtype] / 10


def test_the_cross_entropy_loop_is_the_reference():
    case = Case((4, 5, 3), 6, "float64")
    data = make_case_data(case, 2)
    columns = np.arange(6)
    net, X, Y = oracle(case, data, columns, "cross_entropy")
    loop = CrossEntropyBookLoop(case, data)
    np.testing.assert_allclose(
        loop.flat(loop.gradient(columns)), reference.gradient(net, X, Y).theta, rtol=1e-10, atol=1e-13
    )


def test_run_does_the_work_of_the_case_once_for_each_mini_batch():
    calls = []

    class Counting(NumpyMatrices):
        def gradient(self, columns):
            calls.append(columns.tolist())
            return super().gradient(columns)

    case = Case((2, 3, 1), 2, what="gradient")
    Counting(case, make_case_data(case, 0)).run(np.arange(6))
    assert calls == [[0, 1], [2, 3], [4, 5]]
