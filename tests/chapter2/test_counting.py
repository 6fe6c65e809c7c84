"""Backpropagation against the gradient by differences: the passes, the gradients and the times."""

import numpy as np
import pytest
from hypothesis import given, settings

from mbbp import chapter2
from mbbp.chapter2 import counting
from tests.networks import distance, examples_to_try, fixed, problems


@settings(max_examples=examples_to_try)
@given(problems([("sigmoid", "quadratic"), ("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")]))
def test_the_three_methods_agree_and_take_as_many_passes_as_in_the_book(problem):
    net, X, Y = problem
    theta = net.theta.copy()
    exact = net.gradient(X, Y).theta
    n = exact.size
    back = chapter2.gradient_by_backpropagation(net, X, Y)
    assert (back.forward_passes, back.backward_passes) == (1, 1)
    assert distance(back.theta, exact) < 1e-12
    for way, passes in (
        (chapter2.gradient_by_one_sided_differences, n + 1),
        (chapter2.gradient_by_central_differences, 2 * n),
    ):
        found = way(net, X, Y)
        assert (found.forward_passes, found.backward_passes) == (passes, 0)
        assert found.seconds > 0
        assert found.theta.shape == exact.shape
    np.testing.assert_array_equal(net.theta, theta)


def test_the_counted_passes_are_the_passes_made(monkeypatch):
    net, X, Y = fixed()
    made = []
    plain = counting.forward_pass
    monkeypatch.setattr(counting, "forward_pass", lambda *given: made.append(1) or plain(*given))
    for way in (
        chapter2.gradient_by_backpropagation,
        chapter2.gradient_by_one_sided_differences,
        chapter2.gradient_by_central_differences,
    ):
        made.clear()
        assert way(net, X, Y).forward_passes == len(made)


def test_the_differences_have_the_error_that_their_step_allows():
    net, X, Y = fixed((3, 5, 4, 2), "sigmoid")
    exact = net.gradient(X, Y).theta
    assert 0 < distance(chapter2.gradient_by_one_sided_differences(net, X, Y).theta, exact) < 1e-7
    assert 0 < distance(chapter2.gradient_by_central_differences(net, X, Y).theta, exact) < 1e-9
    # the truncation error is of first order for one-sided differences and of second order for central ones
    far = [
        distance(way(net, X, Y, epsilon=step).theta, exact)
        for way in (chapter2.gradient_by_one_sided_differences, chapter2.gradient_by_central_differences)
        for step in (1e-2, 1e-3)
    ]
    assert far[0] / far[1] == pytest.approx(10, rel=0.2)
    assert far[2] / far[3] == pytest.approx(100, rel=0.2)


def test_the_comparison_has_three_rows_for_each_network():
    rows = chapter2.count_passes([[4, 3, 2], [4, 30, 2]], m=3)
    assert [row.method for row in rows] == ["backpropagation", "one-sided", "central"] * 2
    assert [row.n_parameters for row in rows] == [23] * 3 + [212] * 3
    assert [row.sizes for row in rows[::3]] == [(4, 3, 2), (4, 30, 2)]
    assert [row.forward_passes for row in rows] == [1, 24, 46, 1, 213, 424]
    assert [row.backward_passes for row in rows] == [1, 0, 0] * 2
    for row in rows:
        assert row.relative_difference < 1e-5
        assert row.times_backpropagation > 0
    assert [row.relative_difference for row in rows[::3]] == [0, 0]
    assert all(row.times_backpropagation == 1 for row in rows[::3])


def test_only_the_time_of_differences_grows_much_with_the_parameters():
    for _ in range(5):  # on a busy machine a single measurement can fail
        rows = chapter2.count_passes([[4, 3, 2], [4, 60, 2]], m=3)
        small, large = ({row.method: row for row in rows[start : start + 3]} for start in (0, 3))
        grown = {method: large[method].seconds / small[method].seconds for method in small}
        if grown["one-sided"] > 5 and grown["central"] > 5 and grown["backpropagation"] < 5:
            break
    else:
        raise AssertionError(grown)
    assert large["central"].times_backpropagation == large["central"].seconds / large["backpropagation"].seconds


def test_a_wrong_gradient_gives_a_large_difference(monkeypatch):
    plain = counting.backward_pass
    monkeypatch.setattr(counting, "backward_pass", lambda *given: {l: 1.01 * d for l, d in plain(*given).items()})
    assert chapter2.count_passes([[2, 3, 1]])[1].relative_difference == pytest.approx(0.01 / 1.01, rel=0.01)


def test_the_table_shows_every_number():
    rows = [chapter2.PassCount((784, 30, 10), 23860, "central", 47720, 0, 1.5, 2345.6, 1.26e-9)]
    heading, line = chapter2.pass_table(rows).splitlines()
    for word in ("network", "parameters", "forward", "backward", "seconds", "times as long", "difference"):
        assert word in heading
    for word in ("[784, 30, 10]", "23,860", "central", "47,720", "1.500000", "2,345.6", "1.3e-09"):
        assert word in line


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chapter2.gradient_by_central_differences(*fixed(), epsilon=0), "epsilon: expected "),
        (lambda: chapter2.gradient_by_one_sided_differences(*fixed(), epsilon=-1), "epsilon: expected "),
        (lambda: chapter2.gradient_by_backpropagation(*fixed()[:2], [0, 1]), "Y: expected "),
        (lambda: chapter2.gradient_by_backpropagation(3, [[1]], [1]), "net: expected an mbbp.Network"),
        (lambda: chapter2.count_passes([[2]]), "sizes: "),
        (lambda: chapter2.count_passes([[2, 1]], m=0), "m: expected "),
        (lambda: chapter2.count_passes([[2, 1]], activation="swish"), "activation: .*'swish'"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
