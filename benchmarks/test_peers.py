"""Tests of the data and the bookkeeping of the races against other libraries."""

import math

import numpy as np
import pytest

import mbbp
from benchmarks import strd
from benchmarks.least_squares_problems import mackey_glass, problems
from benchmarks.least_squares_solvers import ADAM, Competitor, Curve, EnoughError, by_mbbp, network


@pytest.mark.parametrize("name", strd.MODELS)
def test_networks_express_the_models_of_nist(name):
    fit = strd.Fit(name, None)
    certified = fit.reference.residual_sum_of_squares
    # NIST's parameters have eleven digits, of which the sum of squares loses some
    assert fit.sum_of_squares() == pytest.approx(certified, rel=1e-6)


@pytest.mark.parametrize("problem", problems(is_quick=True), ids=lambda problem: problem.name)
def test_problems_have_the_shapes_of_their_networks(problem):
    assert problem.X.shape == (problem.sizes[0], problem.n)
    assert problem.y.shape == (1, problem.n)
    assert network(problem, seed=0).cost(problem.X, problem.y) > problem.levels[0]


def test_mackey_glass_is_the_solution_of_the_equation():
    problem = mackey_glass(200)
    assert problem.X.min() >= -1.0
    assert problem.X.max() <= 1.0
    # each value comes back as another input six steps later
    np.testing.assert_array_equal(problem.X[3, :-6], problem.X[2, 6:])
    np.testing.assert_array_equal(problem.y[0, :-6], problem.X[3, 6:])


def test_curves_end_and_find_the_time_of_an_error():
    curve = Curve(most_seconds=2.0, goal=0.1)
    curve.add(0.0, 1.0)
    curve.add(1.0, 1.5)
    with pytest.raises(EnoughError):
        curve.add(1.5, 0.1)
    assert curve.time_to(0.5) == 1.5
    assert curve.time_to(0.01) == math.inf
    assert curve.improvements() == [(0.0, 1.0), (1.5, 0.1)]


def test_a_curve_of_adam_begins_with_the_given_parameters():
    problem = problems(is_quick=True)[1]
    theta = network(problem, seed=3).theta.copy()
    curve = Competitor("", by_mbbp(optimizer="adam", **ADAM[0])).run(problem, theta, 0.0, 0.05)
    net = network(problem)
    net.theta[...] = theta
    assert curve.errors[0] == pytest.approx(2.0 * net.cost(problem.X, problem.y), rel=1e-10)
    assert curve.best < curve.errors[0]
    assert isinstance(net, mbbp.Network)
