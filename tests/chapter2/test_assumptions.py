"""The two assumptions about the cost: costs that satisfy both, and costs that break one."""

import numpy as np
import pytest
from hypothesis import assume, given, settings

import mbbp
from mbbp import chapter2, reference
from tests.networks import examples_to_try, fixed, problems

few = settings(max_examples=examples_to_try)


def total_cost(net, X, Y):
    return X.shape[1] * reference.cost(net, X, Y)


def weights_cost(net, X, Y):
    return reference.cost(net, X, Y) + sum((layer.W**2).sum() for layer in net.layers)


def inputs_cost(net, X, Y):
    return reference.cost(net, X, Y) + abs(X).sum(axis=0).mean()


def ordered_cost(net, X, Y):
    """Give later examples more weight. So the cost is not the mean of the costs, but for one example it is C_x."""
    each = np.array([reference.cost(net, X[:, i : i + 1], Y[:, i : i + 1]) for i in range(X.shape[1])])
    return np.average(each, weights=1 + np.arange(each.size))


def nan_cost(net, X, Y):
    return float("nan")


def nan_now_and_then(net, X, Y):
    return float("nan") if X[0, 0] > LARGEST else reference.cost(net, X, Y)


LARGEST = np.sort(fixed()[1][0])[-2]


@few
@given(problems())
def test_every_cost_of_a_network_satisfies_both(problem):
    net, X, Y = problem
    for cost in (net.cost_function, net.cost_function.name, mbbp.Network.cost, reference.cost):
        assert chapter2.is_function_of_outputs(cost, net, X, Y)
        if X.shape[1] > 1:
            assert chapter2.is_mean_over_examples(cost, net, X, Y)


@few
@given(problems([("sigmoid", "quadratic"), ("identity", "quadratic")], layers=(3, 5)))
def test_each_broken_cost_breaks_one_assumption_and_satisfies_the_other(problem):
    net, X, Y = problem
    # With dead relus only, the hidden activations are 0, and so the cost does not depend on them.
    assume(any(a.any() for a in net.activations(X)[1:-1]))
    assert chapter2.is_function_of_outputs(chapter2.worst_example_cost, net, X, Y)
    assert not chapter2.is_function_of_outputs(chapter2.sparse_activation_cost, net, X, Y)
    if X.shape[1] > 1:
        assert not chapter2.is_mean_over_examples(chapter2.worst_example_cost, net, X, Y)
        assert chapter2.is_mean_over_examples(chapter2.sparse_activation_cost, net, X, Y)


@pytest.mark.parametrize(
    ("cost", "mean", "outputs"),
    [
        (total_cost, False, True),
        (ordered_cost, False, True),
        (weights_cost, True, False),
        (inputs_cost, True, False),
        (nan_cost, False, False),
        (nan_now_and_then, False, False),
    ],
)
def test_the_checks_find_which_assumption_a_cost_breaks(cost, mean, outputs):
    net, X, Y = fixed()
    assert chapter2.is_mean_over_examples(cost, net, X, Y).holds == mean
    assert chapter2.is_function_of_outputs(cost, net, X, Y).holds == outputs


def test_the_broken_costs_have_the_documented_values():
    net, X, Y = fixed()
    each = [reference.cost(net, X[:, i : i + 1], Y[:, i : i + 1]) for i in range(4)]
    assert chapter2.worst_example_cost(net, X, Y) == pytest.approx(max(each), rel=1e-14)
    hidden = sum((a**2).sum(axis=0) for a in net.activations(X)[1:-1])
    assert chapter2.sparse_activation_cost(net, X, Y) == pytest.approx(np.mean(each + 0.5 * hidden), rel=1e-13)


def test_backpropagation_is_wrong_for_the_cost_of_hidden_activations():
    """Without the second assumption, the error of a hidden layer does not follow from that of the outputs alone."""
    net, X, Y = fixed((2, 3, 2), "tanh")
    numeric = np.empty(net.theta.size)
    for i in range(net.theta.size):
        start = net.theta.copy()
        net.theta[i] = start[i] + 1e-6
        ahead = chapter2.sparse_activation_cost(net, X, Y)
        net.theta[i] = start[i] - 1e-6
        numeric[i] = (ahead - chapter2.sparse_activation_cost(net, X, Y)) / 2e-6
        net.theta = start
    found = chapter2.backpropagation(net, X, Y)
    of_output = slice(-net.layers[-1].W.size - net.layers[-1].b.size, None)
    assert np.abs(found.theta - numeric)[of_output].max() < 1e-8
    assert np.abs(found.theta - numeric).max() > 1e-3


def test_float32_networks_have_a_larger_tolerance():
    net, X, Y = fixed(dtype="float32")
    for cost in ("quadratic", mbbp.Network.cost):
        assert chapter2.is_mean_over_examples(cost, net, X, Y)
        assert chapter2.is_function_of_outputs(cost, net, X, Y)
    assert not chapter2.is_mean_over_examples(total_cost, net, X, Y)


def test_the_check_says_what_differs_and_the_tolerance_decides():
    net, X, Y = fixed()
    check = chapter2.is_mean_over_examples(chapter2.worst_example_cost, net, X, Y)
    assert str(check).startswith("C = 1/n sum_x C_x: does NOT hold\n   examples ")
    expected, got = check.costs
    assert check.difference == abs(expected - got) / max(abs(expected), abs(got))
    assert f"{got:.9g} against {expected:.9g}" in str(check)
    assert chapter2.is_mean_over_examples(chapter2.worst_example_cost, net, X, Y, tolerance=check.difference)
    assert not chapter2.is_mean_over_examples(chapter2.worst_example_cost, net, X, Y, tolerance=0.99 * check.difference)
    held = chapter2.is_function_of_outputs("quadratic", net, X, Y)
    assert str(held).startswith("C_x is a function of the outputs a^L alone: holds\n")


def test_the_network_is_not_changed():
    net, X, Y = fixed()
    theta, state = net.theta.copy(), net.rng.bit_generator.state
    chapter2.is_function_of_outputs("quadratic", net, X, Y)
    chapter2.is_mean_over_examples("quadratic", net, X, Y)
    np.testing.assert_array_equal(net.theta, theta)
    assert net.rng.bit_generator.state == state


@pytest.mark.parametrize("check", [chapter2.is_mean_over_examples, chapter2.is_function_of_outputs])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost": "hinge"}, "cost: .*'hinge'"),
        ({"cost": 3}, "cost: expected "),
        ({"cost": "cross_entropy"}, "cost: .*cross_entropy.*sigmoid"),
        ({"net": None}, "net: expected an mbbp.Network"),
        ({"X": np.zeros((2, 4))}, "X: expected "),
        ({"Y": [0, 1]}, "Y: expected "),
        ({"tolerance": -1}, "tolerance: expected "),
    ],
)
def test_bad_arguments_are_named(check, options, message):
    net, X, Y = fixed()
    with pytest.raises((ValueError, TypeError), match=message):
        check(**{"cost": "quadratic", "net": net, "X": X, "Y": Y} | options)


def test_a_mean_needs_two_examples():
    net, X, Y = fixed(m=1)
    with pytest.raises(ValueError, match="X: expected two or more examples"):
        chapter2.is_mean_over_examples("quadratic", net, X, Y)
