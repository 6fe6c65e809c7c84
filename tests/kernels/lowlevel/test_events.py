"""What mbbp does while Numba compiles must not disturb what others compile."""

import gc

import numba
import pytest

import mbbp.kernels  # noqa: F401 -- begins to listen
from tests.conftest import JIT

pytestmark = pytest.mark.skipif(not JIT, reason="compiles")


def test_a_users_function_without_a_module_is_compiled():
    names = {}
    exec("def add_one(x): return x + 1", names)  # as sympy.lambdify does
    assert numba.njit(names["add_one"])(1) == 2


def fail_to_compile():
    with pytest.raises(numba.TypingError):
        our_function("text")


def our_function(x):
    return x + 1


our_function.__module__ = "mbbp.kernels"  # as one of ours, which the collector is put off for
our_function = numba.njit(our_function)


@pytest.mark.parametrize("is_on", [True, False])
def test_the_garbage_collector_is_as_it_was(is_on):
    try:
        (gc.enable if is_on else gc.disable)()
        fail_to_compile()
        assert gc.isenabled() == is_on
        assert our_function(1 if is_on else 1.0) == 2
        assert gc.isenabled() == is_on
    finally:
        gc.enable()
