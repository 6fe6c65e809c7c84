"""Texts of settings and data: the same in every process, and different where it matters."""

import functools

import numpy as np
import pytest

import mbbp
from mbbp.tuning import choice
from mbbp.tuning.describing import describe, digest


def double(z):
    return 2 * z


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (0.1, "0.1"),
        (np.float64(0.1), "0.1"),
        (np.int32(3), "3"),
        ("tanh", "'tanh'"),
        ([1, (2.5, None)], "[1, [2.5, None]]"),
        ({"a": double}, "{'a': tests.tuning.test_describing.double}"),
        (functools.partial(double, z=1), "partial(tests.tuning.test_describing.double, [], {'z': 1})"),
        (mbbp.SGD(), "SGD(weight_decay=0.0)"),
        (choice(np.zeros(2)), f"choice({digest(np.zeros(2))})"),
    ],
)
def test_a_text(value, text):
    assert describe(value) == text


def test_an_object_has_no_address_in_its_text():
    assert " at " not in describe(object())
    custom = [mbbp.Activation("double", lambda z: 2 * z, lambda z: 2.0) for _ in range(2)]
    assert describe(custom[0]) == describe(custom[1])


ARRAY = np.random.default_rng(0).standard_normal((7, 50))


def test_the_order_in_memory_does_not_count(monkeypatch):
    once = digest(ARRAY)
    assert digest(np.asfortranarray(ARRAY)) == once
    assert digest(np.repeat(ARRAY, 2, axis=1)[:, ::2]) == once
    monkeypatch.setattr("mbbp.tuning.describing.BYTES_AT_ONCE", 100)
    assert digest(ARRAY) == once


def test_other_arrays_have_other_digests():
    other = ARRAY.copy()
    other[3, 7] = np.nextafter(other[3, 7], 9)
    kinds = [ARRAY, other, ARRAY.astype(np.float32), ARRAY.T, ARRAY.ravel(), ARRAY[:, :-1], ARRAY[:0], np.array(1.0)]
    kinds += [np.array([1, None], object), np.array([1, 2], object)]
    assert len({digest(array) for array in kinds}) == len(kinds)
