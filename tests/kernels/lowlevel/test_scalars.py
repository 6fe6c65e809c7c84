"""A user's scalar functions: literals in the dtype of what they meet, and exp and tanh that run in vector lanes."""

import math
import re
from math import exp
from math import tanh as tangent
from typing import NamedTuple

import numba
import numpy as np
import numpy as number_library
import pytest
from numba import types
from numpy import exp as numpy_exp

from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Numbers, Reals, record
from mbbp.kernels.lowlevel.scalars import compiled_scalar
from mbbp.kernels.lowlevel.tuples import numbers_of, reals_of
from tests.conftest import JIT

DTYPES = ["float32", "float64"]
compiles = pytest.mark.skipif(not JIT, reason="compiles")


def loop_over(function):
    """Return a compiled loop that applies a compiled scalar function."""

    @numba.njit(error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def applied(function, x):
    """Return what the loop over a user's function gives."""
    out = np.empty_like(x)
    loop_over(compiled_scalar(function))(x, out)
    return out


def llvm_of(scalar):
    """Return what LLVM makes of a loop over float32."""
    loop = loop_over(scalar)
    loop(np.ones(64, np.float32), np.ones(64, np.float32))
    return loop.inspect_llvm(loop.signatures[0])


def count_doubles(llvm):
    """Return how many instructions, calls among them, compute with float64."""
    return len(re.findall(r"= (?:tail )?(?:fadd|fsub|fmul|fdiv|fneg|fcmp|fpext|fptrunc|sitofp|call)\b.*double", llvm))


# ------------------------------------------------------------------------------------------------------------ literals


def with_augmented(z):
    total = z
    total += 0.3
    total *= 3
    return total - 1e-3


def with_a_sign(z):
    third = 0.3
    return -third * z


def with_a_name(z):
    third = 0.3
    return third * z if third < z else z - third


LITERALS = {
    "branches": lambda z: 2 * z + 1 if z > 0 else -1.5 * max(z, 0.25),
    "both sides": lambda z: (0.1 + z) / (1 + abs(z)) - z * 0.7,
    "limits": lambda z: 0.3 + min(0.1, max(0.2 * z, -0.7)),
    "a sign": with_a_sign,
    "augmented": with_augmented,
    "a name": with_a_name,
    "a comparison": lambda z: z if z == 0.1 else z * 0.1,  # 0.1 of float32 is not 0.1 of float64
    "what only float32 rounds away": lambda z: (z + 1e8) - 1e8,
}
literals = pytest.mark.parametrize("function", LITERALS.values(), ids=LITERALS)


@literals
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_literal_takes_the_type_of_what_it_meets(function, dtype, rng):
    x = np.concatenate([3 * rng.standard_normal(500), [0.0, 0.1, 0.25, 0.3, -0.3, 1e8]]).astype(dtype)
    expected = np.array([function(one) for one in x], dtype)  # NumPy's rule (NEP 50)
    assert (np.abs(applied(function, x) - expected) <= np.spacing(np.maximum(np.abs(expected), np.abs(x)))).all()


def test_float32_is_not_float64_rounded_afterwards():
    x = np.array([1, 2, 3, 7], np.float32)
    assert applied(LITERALS["what only float32 rounds away"], x).tolist() == [0, 0, 0, 8]
    assert applied(LITERALS["what only float32 rounds away"], x.astype(np.float64)).tolist() == [1, 2, 3, 7]


@compiles
@literals
def test_a_loop_over_float32_computes_in_float32(function):
    assert count_doubles(llvm_of(compiled_scalar(function))) == 0
    assert count_doubles(llvm_of(numba.njit(function))) > 0


# -------------------------------------------------------------------------------------------------------- exp and tanh


def through_a_name(z):
    function = math.exp
    return function(z)


free = number_library.tanh
EXP = {
    "math.exp": lambda z: math.exp(z),
    "from math import exp": lambda z: exp(z),
    "np.exp": lambda z: np.exp(z),
    "numpy under another name": lambda z: number_library.exp(z),
    "from numpy import exp as": lambda z: numpy_exp(z),
    "a name in the function": through_a_name,
    "math.exp itself": math.exp,
    "np.exp itself": np.exp,
    "compiled": numba.njit(lambda z: math.exp(z)),
}
TANH = {
    "math.tanh": lambda z: math.tanh(z),
    "from math import tanh as": lambda z: tangent(z),
    "np.tanh": lambda z: np.tanh(z),
    "a global": lambda z: free(z),
    "math.tanh itself": math.tanh,
    "np.tanh itself": np.tanh,
}
EXACT = [(np.exp, function) for function in EXP.values()] + [(np.tanh, function) for function in TANH.values()]
replaced = pytest.mark.parametrize(("exact", "function"), EXACT, ids=[*EXP, *TANH])
C_CALLS = r"@(?:llvm\.)?(?:exp|tanh)f?[.(]"


@replaced
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_and_tanh_are_right_to_four_units_in_the_last_place(exact, function, dtype, rng):
    x = np.concatenate([rng.uniform(-80, 80, 300), rng.standard_normal(300)]).astype(dtype)
    expected = exact(x.astype(np.longdouble))
    assert (np.abs(applied(function, x) - expected) <= 4 * np.spacing(np.abs(expected).astype(dtype))).all()


@compiles
@replaced
def test_exp_and_tanh_do_not_call_the_c_library(exact, function):
    llvm = llvm_of(compiled_scalar(function))
    assert not re.findall(C_CALLS, llvm)
    assert count_doubles(llvm) == 0


@compiles
def test_numba_itself_does_call_the_c_library():
    assert re.findall(C_CALLS, llvm_of(numba.njit(lambda z: math.exp(z))))
    assert re.findall(C_CALLS, llvm_of(numba.njit(lambda z: np.tanh(z))))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exact", [np.log, np.sqrt, np.cos])
def test_what_is_not_known_is_left_alone(exact, dtype, rng):
    function = {np.log: lambda z: math.log(z), np.sqrt: lambda z: math.sqrt(z), np.cos: lambda z: np.cos(z)}[exact]
    x = rng.uniform(0.1, 9, 300).astype(dtype)
    expected = exact(x.astype(np.longdouble))
    assert (np.abs(applied(function, x) - expected) <= 2 * np.spacing(np.abs(expected).astype(dtype))).all()


def test_a_users_own_exp_is_his_own():
    @numba.njit
    def exp(z):
        return z + 1

    assert applied(lambda z: exp(z), np.array([1.0, 2.0])).tolist() == [2, 3]


@compiles
@pytest.mark.parametrize("name", ["log", "sqrt"])
def test_a_function_that_is_not_known_still_calls_what_numba_calls(name):
    function = {"log": lambda z: math.log(z), "sqrt": lambda z: math.sqrt(z)}[name]
    assert re.findall(rf"@(?:llvm\.)?{name}f?[.(]", llvm_of(compiled_scalar(function)))


# -------------------------------------------------------------------------------------------------------------- powers


def raised(z):
    power = z
    power **= int(z)
    return power


POWERS = {
    "a whole number": lambda z: 1.5 ** int(z),
    "itself": lambda z: z ** int(z),
    "in place": raised,
    "a number": lambda z: abs(z) ** z,
    "a literal": lambda z: z**3,
}


@pytest.mark.parametrize("function", POWERS.values(), ids=POWERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_are_numpys(function, dtype):
    x = np.array([-7, -3, -1, 0, 1, 2, 9.5], dtype)
    with np.errstate(divide="ignore"):
        expected = np.array([function(one) for one in x], dtype)
    np.testing.assert_allclose(applied(function, x), expected, rtol=2e-6 if dtype == "float32" else 4e-15)


def test_zero_to_a_negative_power_is_infinite():
    assert applied(lambda z: (z + 1) ** int(z), np.array([-1.0])).tolist() == [np.inf]


# -------------------------------------------------------------------------------------------------------------- tuples


@record
class Given(NamedTuple):
    reals: Reals
    like: Numbers
    out: Reals


@kernel(Given)
def take_three(at):
    """Write three reals, and the same with 7 before them in the dtype of `like`."""
    given = at[0]
    reals = reals_of(given.reals, 3)
    numbers = numbers_of((7, *reals), given.like)
    for i in range(3):
        given.out[i] = reals[i]
    for i in range(4):
        given.out[3 + i] = numbers[i]
    return len(reals) + 10 * len(numbers)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reals_become_a_tuple_and_then_numbers(dtype):
    reals, out = np.array([0.1, 1 / 3, 1e-9, 5.0]), np.full(8, np.nan)
    like = np.zeros(1, dtype)
    assert take_three.bind(Given(reals=reals, like=like, out=out), like.dtype)() == 43
    assert out[:3].tolist() == reals[:3].tolist()
    assert out[3:7].tolist() == [7, *reals[:3].astype(dtype).astype(float)]
    assert np.isnan(out[7])


@compiles
def test_how_many_reals_are_taken_must_be_a_constant():
    with pytest.raises(numba.TypingError, match="n: expected a constant"):
        numba.njit((types.CPointer(types.float64), types.int64))(lambda reals, n: reals_of(reals, n))
