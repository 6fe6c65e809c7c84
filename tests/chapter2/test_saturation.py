"""The measures of saturated neurons, low activations and slow weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import chapter2
from tests.networks import fixed


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_share_of_slow_weights_agrees_with_a_count(n_out, n_in, m, seed):
    rng = np.random.default_rng(seed)
    is_saturated, is_low = rng.random((n_out, m)) < 0.3, rng.random((n_in, m)) < 0.4
    slow = [is_saturated[j, i] or is_low[k, i] for j, k, i in np.ndindex(n_out, n_in, m)]
    assert chapter2.slow_share(is_saturated, is_low) == pytest.approx(np.mean(slow), abs=1e-15)


def test_the_thresholds_are_strict_and_use_the_absolute_value():
    np.testing.assert_array_equal(chapter2.saturated([[0.01, 0.0099, -0.0099, -0.5]]), [[False, True, True, False]])
    np.testing.assert_array_equal(chapter2.saturated([[0.01, 0.2]], below=0.1), [[True, False]])
    np.testing.assert_array_equal(chapter2.low_activation([[0.1, 0.0999, -0.0999, -2]]), [[False, True, True, False]])
    np.testing.assert_array_equal(chapter2.low_activation([[0.1, 0.6]], below=0.5), [[True, False]])


def test_softmax_is_saturated_where_an_output_is_near_0_or_1():
    net, X, _ = fixed((5, 3), "softmax", "log_likelihood", m=20)
    net.layers[0].W = 4 * net.layers[0].W
    a = net.feedforward(X)
    (row,) = mbbp.diagnose(net, X, np.arange(20) % 3).layers
    assert row.saturated == pytest.approx(np.mean(a * (1 - a) < 0.01))
    assert 0 < row.saturated < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chapter2.saturated([1.0]), r"sigma_prime_z: expected shape \(n, m\)"),
        (lambda: chapter2.saturated([[1.0]], below=0), "below: expected "),
        (lambda: chapter2.low_activation([1.0]), r"a_in: expected shape \(n, m\)"),
        (lambda: chapter2.low_activation([[1.0]], below=-1), "below: expected "),
        (lambda: chapter2.slow_share([[True]], [[True, False]]), r"is_low: expected shape \(n, 1\), got \(1, 2\)"),
    ],
)
def test_bad_arguments_of_the_measures_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
