import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import tuning
from mbbp.tuning import Distribution

N = 4000
finite = st.floats(-1e300, 1e300)
positive = st.floats(1e-300, 1e300)
whole = st.integers(-(2**62), 2**62)
sizes = st.integers(1, 2**52)
seeds = st.integers(0, 2**32)


def drawn(distribution, seed=0, n=N):
    rng = np.random.default_rng(seed)
    return [distribution.sample(rng) for _ in range(n)]


@given(finite, finite, seeds)
def test_uniform_numbers_are_within_their_bounds(a, b, seed):
    low, high = sorted((a, b))
    if low < high and math.isfinite(high - low):
        values = drawn(tuning.uniform(low, high), seed, 20)
        assert all(type(one) is float and low <= one <= high for one in values)


@given(positive, positive, seeds)
def test_log_uniform_numbers_are_within_their_bounds(a, b, seed):
    low, high = sorted((a, b))
    if low < high:
        values = drawn(tuning.log_uniform(low, high), seed, 20)
        assert all(type(one) is float and low <= one <= high for one in values)


@given(whole, whole, seeds)
def test_integers_are_within_their_bounds(a, b, seed):
    low, high = sorted((a, b))
    values = drawn(tuning.integers(low, high), seed, 20)
    assert all(type(one) is int and low <= one <= high for one in values)


@given(sizes, sizes, seeds)
def test_log_integers_are_within_their_bounds(a, b, seed):
    low, high = sorted((a, b))
    values = drawn(tuning.log_integers(low, high), seed, 20)
    assert all(type(one) is int and low <= one <= high for one in values)


def test_uniform_numbers_are_as_likely_everywhere():
    values = drawn(tuning.uniform(-1, 3))
    assert np.histogram(values, 4, (-1, 3))[0] == pytest.approx(N / 4, rel=0.1)


def test_orders_of_magnitude_are_as_likely():
    values = np.log10(drawn(tuning.log_uniform(1e-4, 1.0)))
    assert np.histogram(values, 4, (-4, 0))[0] == pytest.approx(N / 4, rel=0.1)


def test_integers_are_as_likely():
    assert np.bincount(drawn(tuning.integers(0, 3))) == pytest.approx(N / 4, rel=0.1)


def test_small_integers_are_more_likely_as_their_logarithms_tell():
    found = np.bincount(drawn(tuning.log_integers(1, 3)), minlength=4)[1:]
    edges = np.log([0.5, 1.5, 2.5, 3.5])
    assert found / N == pytest.approx(np.diff(edges) / (edges[-1] - edges[0]), abs=0.03)


def test_options_are_as_likely_and_may_be_distributions():
    values = drawn(tuning.choice("a", tuning.uniform(2, 3)))
    numbers = [one for one in values if one != "a"]
    assert len(numbers) == pytest.approx(N / 2, rel=0.1)
    assert all(2 <= one <= 3 for one in numbers)


def test_layers_have_sizes_of_their_own():
    values = drawn(tuning.layers(0, 2, tuning.integers(5, 6)))
    assert {tuple(one) for one in values} == {(), (5,), (6,), (5, 5), (5, 6), (6, 5), (6, 6)}
    assert drawn(tuning.layers(2, 2, 7), n=1) == [[7, 7]]


def test_objects_are_built_of_drawn_arguments():
    values = drawn(tuning.built(mbbp.schedules.Cosine, tuning.uniform(1, 2), epochs=tuning.integers(5, 6), final=0.5))
    assert {type(one) for one in values} == {mbbp.schedules.Cosine}
    assert {one.epochs for one in values} == {5, 6}
    assert {one.final for one in values} == {0.5}
    assert all(1 <= one.initial <= 2 for one in values)


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (tuning.uniform(0, 0.1), "uniform(0, 0.10000000000000001)"),
        (tuning.log_uniform(1e-3, 1), "log_uniform(0.001, 1)"),
        (tuning.integers(-1, 3), "integers(-1, 3)"),
        (tuning.log_integers(1, 3), "log_integers(1, 3)"),
        (tuning.choice("a", None, 3), "choice('a', None, 3)"),
        (tuning.choice(math.log, tuning.integers(1, 2), [1.5]), "choice(math.log, integers(1, 2), [1.5])"),
        (tuning.built(mbbp.Adam, beta1=tuning.integers(0, 1)), "built(mbbp.optimizers.Adam, beta1=integers(0, 1))"),
        (tuning.layers(1, 2, 8), "layers(1, 2, choice(8))"),
    ],
)
def test_its_text_tells_the_settings(distribution, text):
    assert repr(distribution) == text
    assert isinstance(distribution, Distribution)
    with pytest.raises(AttributeError):
        distribution.low = 1


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "message"),
    [
        ("uniform", (1, 1), ValueError, "low: expected less than high, which is 1, got 1"),
        ("uniform", (2, 1), ValueError, "low: expected less than high, which is 1, got 2"),
        ("uniform", (0, math.inf), ValueError, "high: expected a finite number"),
        ("uniform", (math.nan, 1), ValueError, "low: expected a finite number"),
        ("uniform", (-1.7e308, 1.7e308), ValueError, "high: expected a number whose distance to low"),
        ("uniform", ("0", 1), TypeError, "low: expected a finite number"),
        ("log_uniform", (0, 1), ValueError, "low: expected a finite number above 0"),
        ("log_uniform", (1, 0.5), ValueError, "low: expected less than high"),
        ("integers", (0.5, 1), TypeError, "low: expected a whole number, got 0.5"),
        ("integers", (2, 1), ValueError, "low: expected at most high, which is 1, got 2"),
        ("integers", (0, 2**63), ValueError, "high: expected"),
        ("log_integers", (0, 1), ValueError, "low: expected 1 or more, got 0"),
        ("log_integers", (1, 2**60), ValueError, "high: expected"),
        ("choice", (), ValueError, "options: expected at least one value, got none"),
        ("built", (3,), TypeError, "kind: expected a class or a function, got 3"),
        ("layers", (2, 1, 3), ValueError, "fewest: expected at most most, which is 1, got 2"),
        ("layers", (-1, 1, 3), ValueError, "fewest: expected 0 or more"),
        ("layers", (1, 2, "3"), TypeError, "size: expected a distribution or a whole number, got '3'"),
        ("layers", (1, 2, 0), ValueError, "size: expected 1 or more"),
    ],
)
def test_what_is_refused(name, arguments, kind, message):
    with pytest.raises(kind, match=message):
        getattr(tuning, name)(*arguments)
