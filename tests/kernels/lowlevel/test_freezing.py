"""Functions that do the same are compiled once; functions that do not are not mixed up."""

import math

import numba
import numpy as np
import pytest

import mbbp
from mbbp.kernels.lowlevel import compiling
from mbbp.kernels.lowlevel.freezing import compiled_once
from tests.conftest import JIT


@compiled_once
def make(*arguments):
    """Return a new object for arguments that it has not seen."""
    return list(arguments)


SLOPE = 2.0
LIMITS = np.array([1.0, 2.0])


def of_a_global(z):
    return SLOPE * z


def of_an_array(z):
    return LIMITS[0] * z


def of_a_function(z):
    return of_a_global(z) + math.exp(z)


def of_later(z):
    return not_yet(z)  # noqa: F821 -- a name that is given later


def of_a_module(z):
    return compiling.ZERO + z


def times(factor):
    return lambda z: factor * z


def with_default(value):
    def function(z, power=value):
        return z**power

    return function


SAME = {
    "the same": (of_a_global, of_a_global),
    "made twice": (times(2.0), times(2.0)),
    "default": (with_default(2), with_default(2)),
    "built-in": (math.exp, math.exp),
    "ufunc": (np.exp, np.exp),
    "numbers": (3, 3),
}
OTHER = {
    "closure": (times(2.0), times(3.0)),
    "kind of number": (times(2), times(2.0)),
    "sign of 0": (times(0.0), times(-0.0)),
    "default": (with_default(2), with_default(3)),
    "code": (lambda z: z, lambda z: z + 1),
    "closure that is a function": (times(times(2.0)), times(times(3.0))),
    "built-in": (math.exp, math.log),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_functions_that_do_the_same_are_made_once(one, other):
    assert make(one) is make(other)


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_functions_that_do_not_are_made_twice(one, other):
    assert make(one) is not make(other)


@pytest.mark.skipif(not JIT, reason="compiles")
def test_a_function_that_was_compiled_in_another_way_is_another_one():
    one, other = times(numba.njit(of_a_global)), times(numba.njit(fastmath=True)(of_a_global))
    assert make(one) is not make(other)


@pytest.mark.parametrize("function", [of_a_global, of_a_function])
def test_a_global_that_has_changed_makes_another_function(function, monkeypatch):
    before = make(function)
    monkeypatch.setitem(globals(), "SLOPE", 3.0)
    after = make(function)
    assert after is not before
    assert after is make(function)
    assert before[0](1.0) == (2.0 if function is of_a_global else before[0](1.0))  # it keeps its own


def test_numbers_of_an_array_count(monkeypatch):
    before = make(of_an_array)
    monkeypatch.setitem(globals(), "LIMITS", np.array([5.0, 2.0]))
    assert make(of_an_array) is not before
    assert before[0](1.0) == 1.0


@pytest.mark.parametrize("function", [of_later, of_a_module])
def test_what_cannot_be_known_now_is_made_each_time(function):
    assert make(function) is not make(function)


def test_a_function_may_call_itself():
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    assert make(factorial) is make(factorial)


def activation():
    factor = 0.125
    return mbbp.Activation("soft", lambda z: z / (factor + abs(z)), lambda z: factor / (factor + abs(z)) ** 2)


def cost():
    return mbbp.Cost("sixth", lambda a, y: (a - y) ** 6, lambda a, y: 6.0 * (a - y) ** 5)


@pytest.mark.skipif(not JIT, reason="compiles")
def test_fifty_networks_with_the_same_functions_compile_once():
    def build():
        net = mbbp.Network([2, 3, 1], activation(), cost(), rng=0)
        net.fit(np.ones((2, 4)), np.ones((1, 4)), epochs=1)

    build()
    compiled = len(compiling.jit()._KEPT)
    for _ in range(50):
        build()
    assert len(compiling.jit()._KEPT) == compiled
