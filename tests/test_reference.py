"""The oracle's own checks: what no longer comes out as an error of Python's, or as a wrong number."""

import re

import numpy as np
import pytest

import mbbp
from mbbp import reference

X, Y = np.eye(4)[:, :3], np.eye(3)


@pytest.fixture
def net():
    return mbbp.Network([4, 5, 3], dtype="float64", rng=0)


REFUSED = {
    "no network": (lambda net: reference.feedforward("net", X), TypeError, "net: expected an mbbp.Network, got 'net'"),
    "the class": (lambda net: reference.cost(mbbp.Network, X, Y), TypeError, "net: expected an mbbp.Network"),
    "complex inputs": (lambda net: reference.cost(net, X * 1j, Y), TypeError, "X: expected real numbers, got dtype c"),
    "complex targets": (lambda net: reference.cost(net, X, Y * 1j), TypeError, "Y: expected real numbers, got dtype c"),
    "a vector": (lambda net: reference.gradient(net, X[:, 0], Y), ValueError, "X: expected shape (4, m) with one"),
    "a label": (lambda net: reference.gradient(net, X, [0, 1, 3]), ValueError, "Y: expected labels from 0 to 2, got 3"),
    "half a label": (lambda net: reference.cost(net, X, [0, 0.5, 1]), ValueError, "Y: expected labels from 0 to 2"),
    "too few targets": (
        lambda net: reference.cost(net, X, Y[:, :2]),
        ValueError,
        "Y: expected one target for each of the 3 columns of X, got shape (3, 2)",
    ),
    "a column too far": (
        lambda net: reference.sgd(net, X, Y, [[0, 3]], 0.1),
        ValueError,
        "mini_batches: expected sequences of column numbers from 0 to 2, got [0, 3]",
    ),
    "other shapes": (
        lambda net: reference.quadratic(X, X, X.T),
        ValueError,
        "y: expected the shape of z, (4, 3), got (3, 4)",
    ),
    "text": (lambda net: reference.sigmoid("z"), TypeError, "z: expected numbers, got dtype <U1"),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_by_name(net, call, error, message):
    before = net.theta.tobytes()
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call(net)
    assert net.theta.tobytes() == before


def test_whole_numbers_do_not_wrap_around():
    z = np.array([0, 1, 2], np.uint8)  # -z would be 0, 255, 254
    np.testing.assert_array_equal(reference.sigmoid(z), reference.sigmoid(z.astype(float)))


def test_complex_numbers_are_still_taken_where_they_make_sense():
    z = np.array([[1e-30j]])
    assert reference.sigmoid(z).imag.item() == pytest.approx(0.25e-30)
