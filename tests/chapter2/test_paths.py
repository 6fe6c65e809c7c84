"""The gradient as a sum over paths, eq. (53): the number of paths, their rates, and their sum."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbbp import chapter2, reference
from tests.networks import OUTPUTS, distance, examples_to_try, fixed, problems

few = settings(max_examples=examples_to_try)


def rates_of(net, x):
    """Return da^l/da^{l-1} of every layer, by complex steps."""
    _, activations = reference.feedforward(net, x)
    found = {}
    for l, (layer, a_in) in enumerate(zip(net.layers, activations[:-1], strict=True), 2):
        steps = [a_in + 1e-30j * np.eye(layer.n_in)[:, k : k + 1] for k in range(layer.n_in)]
        found[l] = np.hstack([layer.activation.function(layer.W @ a + layer.b).imag / 1e-30 for a in steps])
    return found


@few
@given(problems(most_examples=1), st.data())
def test_the_paths_of_a_weight_add_up_to_its_derivative(problem, data):
    net, x, y = problem
    L = len(net.sizes)
    l = data.draw(st.integers(2, L))
    j, k = (data.draw(st.integers(0, net.sizes[number - 1] - 1)) for number in (l, l - 1))
    paths = chapter2.weight_paths(net, x, y, l, j, k)
    assert paths.total == pytest.approx(net.gradient(x, y).weights[l - 2][j, k], rel=1e-10, abs=1e-13)
    moved_at_once = net.sizes[-1] if l == L and net.layers[-1].activation.name == "softmax" else 1
    assert len(paths) == moved_at_once * chapter2.count_paths(net.sizes, l)
    assert paths.neurons.shape == (len(paths), L - l + 1)
    assert paths.rates.shape == (len(paths), L - l + 2)
    assert len({tuple(row) for row in paths.neurons}) == len(paths)
    np.testing.assert_array_equal(paths.products, paths.rates.prod(axis=1))


@few
@given(problems(most_examples=3, widest=4))
def test_all_paths_of_all_parameters_are_the_gradient(problem):
    net, X, Y = problem
    found, exact = chapter2.gradient_by_paths(net, X, Y), net.gradient(X, Y)
    assert distance(found.theta, exact.theta) < 1e-11
    assert found.cost == pytest.approx(exact.cost, rel=1e-12)
    for mine, its in zip([*found.weights, *found.biases], [*exact.weights, *exact.biases], strict=True):
        assert distance(mine, its) < 1e-11


@pytest.mark.parametrize(("output", "cost"), OUTPUTS)
def test_every_rate_is_the_numeric_derivative(output, cost):
    net, x, y = fixed((2, 3, 4, 2), ["tanh", "sigmoid", output], cost, m=1)
    numeric = rates_of(net, x)
    paths = chapter2.weight_paths(net, x, y, 2, 1, 0)
    assert [tuple(row) for row in paths.neurons] == list(itertools.product([1], range(4), range(2)))
    zs, activations = reference.feedforward(net, x)
    for (j, q, m), (first, second, third, last) in zip(paths.neurons, paths.rates, strict=True):
        assert first == pytest.approx(reference.tanh_prime(zs[0])[1, 0] * x[0, 0], rel=1e-12)
        assert second == pytest.approx(numeric[3][q, j], rel=1e-12)
        assert third == pytest.approx(numeric[4][m, q], rel=1e-12)
        assert last == pytest.approx(net.cost_function.gradient(activations[-1], y)[m, 0], rel=1e-12)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5))
def test_the_formulas_give_the_number_of_paths(sizes):
    L = len(sizes)
    total = 0
    for l in range(2, L + 1):
        onward = list(itertools.product(*(range(n) for n in sizes[l:])))
        assert chapter2.count_paths(sizes, l) == len(onward)
        total += (sizes[l - 2] + 1) * sizes[l - 1] * len(onward)
    assert chapter2.count_all_paths(sizes) == total


def test_the_number_of_paths_is_printed_with_the_largest_first_and_their_sum():
    net, x, y = fixed((2, 3, 4, 3), m=1)
    paths = chapter2.weight_paths(net, x, y, 2, 1, 0)
    lines = str(paths).splitlines()
    assert lines[0] == "12 paths from w^2[1, 0] to C"
    assert lines[-1] == f"their sum, dC/dw^2[1, 0] = {paths.total:.9g}"
    printed = [abs(float(line.rsplit("= ", 1)[1])) for line in lines[1:-1]]
    assert printed == sorted(printed, reverse=True)
    q, m = paths.neurons[np.abs(paths.products).argmax(), 1:]
    assert f"w -> a^2[1] -> a^3[{q}] -> a^4[{m}] -> C" in lines[1]
    many = str(chapter2.weight_paths(*fixed((2, 3, 8, 4), m=1), 2, 0, 0))
    assert "... and 12 with smaller products" in many
    assert len(many.splitlines()) == 23


def test_too_many_paths_are_refused_before_any_is_followed():
    net, X, Y = fixed((10, 200, 200, 200, 10), m=1)
    with pytest.raises(
        ValueError, match=r"max_paths: expected w\^2\[0, 0\] .* at most 399,999 paths to the cost, got 400,000;"
    ):
        chapter2.weight_paths(net, X, Y, 2, 0, 0, max_paths=399_999)
    deep, X, Y = fixed((2, *[50] * 6, 10), m=1)
    with pytest.raises(ValueError, match=r"at most 1,000,000 paths to the cost, got 3,125,000,000;"):
        chapter2.weight_paths(deep, X, Y, 2, 0, 0)
    with pytest.raises(ValueError, match="max_paths: expected all parameters of a network"):
        chapter2.gradient_by_paths(deep, X, Y)


def test_the_limit_of_the_whole_gradient_counts_every_example():
    net, X, Y = fixed((2, 3, 2), m=3)
    n_paths = 3 * chapter2.count_all_paths(net.sizes)
    chapter2.gradient_by_paths(net, X, Y, max_paths=n_paths)
    with pytest.raises(
        ValueError, match=f"and 3 examples to have at most {n_paths - 1} paths to the cost, got {n_paths};"
    ):
        chapter2.gradient_by_paths(net, X, Y, max_paths=n_paths - 1)


def test_an_infinite_derivative_of_the_cost_is_refused():
    net, X, _ = fixed((3, 4, 2), ["tanh", "sigmoid"], "cross_entropy", m=1)
    net.layers[-1].b = [[800.0], [-800.0]]
    for call in (
        lambda: chapter2.weight_paths(net, X, [[0.5], [0.5]], 2, 0, 0),
        lambda: chapter2.gradient_by_paths(net, X, [[0.5], [0.5]]),
    ):
        with pytest.raises(
            ValueError, match=r"X: expected outputs at which the cross_entropy cost has a finite dC/da\^L, got "
        ):
            call()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((1, 0, 0), "l: expected "),
        ((5, 0, 0), "l: expected a layer from 2 to 4, got 5"),
        ((2, 4, 0), "j: expected a neuron from 0 to 3 of layer 2, got 4"),
        ((2, 0, 3), "k: expected a neuron from 0 to 2 of layer 1, got 3"),
        ((2, 0, "a"), "k: expected "),
    ],
)
def test_a_weight_that_does_not_exist_is_refused(place, message):
    net, X, Y = fixed(m=1)
    with pytest.raises((ValueError, TypeError), match=message):
        chapter2.weight_paths(net, X, Y, *place)


def test_other_bad_arguments_are_named():
    net, X, Y = fixed()
    with pytest.raises(ValueError, match=r"X: expected shape \(3, 1\), got \(3, 4\)"):
        chapter2.weight_paths(net, X, Y, 2, 0, 0)
    with pytest.raises(ValueError, match="max_paths: expected "):
        chapter2.gradient_by_paths(net, X, Y, max_paths=0)
    with pytest.raises(ValueError, match="l: expected a layer from 2 to 3, got 4"):
        chapter2.count_paths([2, 3, 1], 4)
    with pytest.raises(ValueError, match="sizes: "):
        chapter2.count_all_paths([2])
