"""Texts of settings and data: the same in every process, and different where it matters."""

import copy
import functools
from dataclasses import dataclass

import numpy as np
import pytest

import mbbp
from mbbp.tuning import choice
from mbbp.tuning.describing import describe, describe_space, digest


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


class Plain:
    def __init__(self, low):
        self.low, self.me = low, self


class Called(Plain):
    def __call__(self, net, row):
        pass


class WithText:
    def __init__(self, low):
        self.low = low

    def __repr__(self):
        return f"WithText({self.low})"


@dataclass(frozen=True)
class Short:
    low: float

    def __repr__(self):
        return f"Short({self.low:.1f})"


def half(a, y):
    return (a - y) / 2


MEANS = np.array([0.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (mbbp.Scaling(factor=1 / 255), mbbp.Scaling(factor=0.00392157)),
        (mbbp.Scaling(MEANS, 1.0), mbbp.Scaling(MEANS + np.eye(4)[3], 1.0)),
        (mbbp.Scaling(MEANS, 1.0), mbbp.Scaling(MEANS, 1.0 + 1e-15)),
        (mbbp.costs.huber(0.01), mbbp.costs.huber(100)),
        (mbbp.Cost("own", half, double), mbbp.Cost("own", double, half)),
        (mbbp.Activation("own", half, double), mbbp.Activation("own", half, double, second_derivative=double)),
        (Plain(0.1), Plain(0.2)),
        (WithText(0.1), WithText(0.2)),
        (Short(0.11), Short(0.12)),
        (choice(Short(0.11)), choice(Short(0.12))),
        ({1, 2}, {1, 3}),
        (mbbp.schedules.Step(0.1), mbbp.schedules.Step(0.1 + 1e-16)),
    ],
)
def test_other_values_have_other_texts(one, other):
    assert describe(one) != describe(other)
    assert describe(one) == describe(copy.deepcopy(one))


def test_a_callback_is_named_without_its_state():
    for low in (0.1, 0.2):
        texts = describe_space({"callbacks": [Called(low), print]})
        assert texts == {"callbacks": "[tests.tuning.test_describing.Called, builtins.print]"}
    assert describe_space({"callbacks": WithText(1)}) == {"callbacks": "WithText(1)"}


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
