"""Custom functions that can raise an error or print are refused: a compiled kernel could do neither."""

import math
import re
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numba
import numpy as np
import pytest

import mbbp
from mbbp.kernels.lowlevel.failures import CanFailError, check_cannot_fail
from tests.conftest import JIT

if not JIT:
    pytest.skip("compiles", allow_module_level=True)

TABLE, PAIR = np.array([1.0, 2.0, 3.0]), (1.0, 2.0)


@numba.njit
def positive(z):
    if z < 0:
        raise ValueError("negative")
    return z


@numba.njit
def root_in_python(z):
    with numba.objmode(y="float64"):
        y = math.sqrt(z)
    return y  # noqa: RET504 -- Numba needs the name


def raises(z):
    if z > 1e30:
        raise ValueError("too large")
    return z


def raises_what_it_makes(z):
    if z > 1e30:
        raise ValueError(z)
    return z


def says_it_is_not_implemented(z):
    if z > 1e30:
        raise NotImplementedError
    return z


def says_there_is_no_memory(z):
    if z > 1e30:
        raise MemoryError("too large")
    return z


ON_WINDOWS = "def on_windows(z):\n    if z > 1e30:\n        raise ValueError\n    return z"
exec(compile(ON_WINDOWS, r"C:\Users\me\model.py", "exec"))
exec("def asserts(z):\n    assert z < 1e30\n    return z")  # pytest would rewrite the assert


def calls_one_that_raises(z):
    return positive(z)


def prints(z):
    print(z)
    return z


def calls_python(z):
    return root_in_python(z)


def reads_a_tuple(z):
    return PAIR[int(z)] * z


def reads_an_array(z):  # without a check of its bounds it would read any memory
    return TABLE[int(z)] * z


class Functions(NamedTuple):
    of: object


def looked_up(z):
    return TABLE[int(z)]


by_njit, with_signature = numba.njit(looked_up), numba.njit("float64(float64)")(looked_up)
registered = numba.extending.register_jitable(lambda z: TABLE[int(z)])
by_vectorize, by_cfunc = numba.vectorize(looked_up), numba.cfunc("float64(float64)")(looked_up)
FUNCTIONS, WITH_SIGNATURES, MODULE = Functions(by_njit), (with_signature, with_signature), ModuleType("module")
MODULE.of = by_njit


@numba.njit
def apply(function, z):
    return function(z)


@numba.experimental.jitclass([("z", numba.float64)])
class Box:
    def __init__(self, z):
        self.z = z

    def value(self):
        return TABLE[int(self.z)]


def reads_in_a_closure(z):
    read = by_njit
    return (lambda: read(z))()


def reads_in_an_inner_function(z):
    def inner(z):
        return TABLE[int(z)]

    return apply(inner, z)


def reads_by_default(z, read=by_njit):
    return read(z)


HELPERS = {  # Numba checks bounds only in functions that ask for it
    "a global name": lambda z: by_njit(z),
    "compiled before": lambda z: with_signature(z),
    "two calls away": lambda z: apply(by_njit, z),
    "in a tuple": lambda z: FUNCTIONS.of(z),
    "in a module": lambda z: MODULE.of(z),
    "registered": lambda z: registered(z),
    "a closure": reads_in_a_closure,
    "an inner function": reads_in_an_inner_function,
    "a default": reads_by_default,
}
OTHER_KINDS = {
    r"looked_up, compiled by numba.vectorize; use numba.njit": lambda z: by_vectorize(z),
    r"looked_up, compiled by numba.cfunc; use numba.njit": lambda z: by_cfunc(z),
    r"Box, compiled by numba.jitclass; use numba.njit": lambda z: Box(z).value(),
    r"looked_up from a tuple; use numba.njit without a signature": lambda z: WITH_SIGNATURES[int(z)](z),
}


def steps_of_any_size(z):
    total = 0.0 * z
    for _ in range(0, 10, int(z)):
        total += z
    return total


def powers_of_integers(z):
    return z + 2 ** int(z)


REFUSED = {
    raises: r"one that can raise ValueError in line \d+ of test_custom_refused.py, in raises; where it is not defined",
    raises_what_it_makes: r"one that can raise ValueError in line \d+ of test_custom_refused.py",
    says_it_is_not_implemented: r"one that can raise NotImplementedError in line \d+ of test_custom_refused.py",
    says_there_is_no_memory: r"one that can raise MemoryError in line \d+ of test_custom_refused.py",
    globals()["on_windows"]: r"one that can raise ValueError in line 3 of .*model.py, in on_windows",
    globals()["asserts"]: r"one that can raise AssertionError in line 2 of <string>, in asserts",
    calls_one_that_raises: r"one that can raise ValueError in line \d+ of test_custom_refused.py, in positive",
    prints: r"one that prints, or calls Python in another way$",
    calls_python: "one that prints, or calls Python in another way",
    reads_a_tuple: r"one that can raise IndexError \(tuple index out of range\)",
    reads_an_array: r"one that can raise IndexError \(index is out of bounds\)",
    steps_of_any_size: r"one that can raise ValueError \(range\(\) arg 3 must not be zero\)",
    powers_of_integers: "one that can raise OverflowError",
}
refused = pytest.mark.parametrize(("function", "got"), REFUSED.items(), ids=[one.__name__ for one in REFUSED])
EXPECTED = "expected a function that raises no error and prints nothing, got "


def slope(z):
    return 1.0


@refused
@pytest.mark.filterwarnings("ignore:Code running in object mode")
def test_an_activation_that_can_fail_is_refused_by_name(function, got):
    with pytest.raises(TypeError, match=f"^activation 'odd', function: {EXPECTED}.*{got}"):
        mbbp.Network([2, 2], mbbp.Activation("odd", function, slope))
    with pytest.raises(TypeError, match=f"^activation 'odd', derivative: {EXPECTED}.*{got}"):
        mbbp.Network([2, 2], mbbp.Activation("odd", slope, function))


def llvm_of(function):
    """Return what LLVM makes of a function of a float64."""
    return numba.njit("float64(float64)", error_model="numpy")(function).inspect_llvm((numba.float64,))


def test_an_error_is_seen_whatever_the_length_of_its_message():
    # The pickled error holds lengths. As a byte, one of them can be a backslash or a quote.
    lengths = range(1, 120)
    lines = [f"    if z == {length}: raise ValueError('{'x' * length}')" for length in lengths]
    found = {}
    exec(compile("\n".join(["def f(z):", *lines, "    return z"]), "a.py", "exec"), found)
    with pytest.raises(CanFailError) as caught:
        check_cannot_fail(llvm_of(found["f"]))
    seen = re.findall(r"can raise ValueError in line (\d+) of a.py", str(caught.value))
    assert sorted(map(int, seen)) == [length + 1 for length in lengths]


def test_an_error_that_is_printed_in_an_unknown_way_is_refused_too():
    llvm = llvm_of(raises)
    assert llvm.count(' c"\\80\\04') == 1  # where the pickled error starts
    with pytest.raises(CanFailError, match=r"^one that can raise an error$"):
        check_cannot_fail(llvm.replace(' c"\\80\\04', ' x"\\80\\04'))


@pytest.mark.parametrize("function", HELPERS.values(), ids=HELPERS)
def test_a_function_that_is_called_must_not_read_outside_of_an_array(function):
    with pytest.raises(TypeError, match=f"{EXPECTED}one that can raise IndexError .index is out of bounds"):
        mbbp.Network([2, 2], mbbp.Activation("odd", function, slope), dtype="float64")


@pytest.mark.parametrize(("got", "function"), OTHER_KINDS.items())
def test_compiled_code_that_cannot_be_checked_is_refused(got, function):
    with pytest.raises(TypeError, match=f"{EXPECTED}one that (uses|takes) {got}$"):
        mbbp.Network([2, 2], mbbp.Activation("odd", function, slope), dtype="float64")


def test_a_cost_that_can_fail_is_refused_by_name():
    def difference(a, y):
        return a - y

    def checked(a, y):
        if y < 0:
            raise OverflowError
        return a - y

    for cost, part in (
        (mbbp.Cost("odd", checked, difference), "function"),
        (mbbp.Cost("odd", difference, checked), "gradient"),
    ):
        with pytest.raises(TypeError, match=f"^cost 'odd', {part}: {EXPECTED}one that can raise OverflowError"):
            mbbp.Network([2, 2], cost=cost)


@pytest.mark.parametrize("place", ["update", "coefficients"])
def test_an_optimizer_that_can_fail_is_refused_before_anything_changes(place):
    @dataclass(frozen=True)
    class Odd(mbbp.Optimizer):
        name = "odd"

        @staticmethod
        def update(gradient, learning_rate):
            if place == "update" and gradient > 1e30:
                raise ValueError
            return -learning_rate * gradient

        @staticmethod
        def coefficients(learning_rate, step):
            if place == "coefficients":
                print(step)
            return (learning_rate,)

    net = mbbp.Network([2, 2], rng=0)
    before = net.theta.tobytes()
    with pytest.raises(TypeError, match=f"^optimizer 'odd', update: {EXPECTED}"):
        net.fit(np.ones((2, 3)), np.ones((2, 3)), optimizer=Odd())
    assert net.theta.tobytes() == before
    assert net.optimizer_state is None
    assert len(net.history) == 0


def polynomial(z):
    total = 0.0 * z
    for i in range(3):
        total = total * z + TABLE[i]
    return total


def of_a_tuple(z):
    total = 0.0 * z
    for coefficient in PAIR:
        total = total * z + coefficient
    return total


def allocates(z):  # Numba's own error, if there is no memory left, is allowed
    numbers = np.zeros(2)
    numbers[0] = z
    return numbers.sum()


def caught(z):
    try:
        return 1.0 / z
    except Exception:
        return 0.0


@numba.njit
def factorial(n):
    return 1.0 if n < 2 else n * factorial(n - 1)


@numba.njit("int64(int64)")
def whole(z):
    return z


def calls_one_that_calls_itself(z):
    return factorial(z + 3)


def calls_one_that_casts(z):
    return z + whole(7.5 * abs(z)) - int(7.5 * abs(z)) + whole(3)


def many_branches(z):
    for i in range(20):
        z = math.sin(z) + math.cos(z) * math.exp(-abs(z)) if z > i else math.atan2(z, 1.0) + math.log1p(abs(z))
    return z


TAKEN = [polynomial, of_a_tuple, allocates, calls_one_that_calls_itself, calls_one_that_casts, caught, many_branches]


@pytest.mark.parametrize("function", TAKEN, ids=lambda f: f.__name__)
def test_what_cannot_fail_is_taken(function):
    net = mbbp.Network([1, 1], mbbp.Activation("fine", function, slope), dtype="float64")
    net.theta = [1, 0]
    assert net.feedforward([[0.5]])[0, 0] == pytest.approx(function(0.5))


@pytest.mark.parametrize(
    ("function", "z", "expected"),
    [
        (lambda z: math.log(z), -1.0, np.nan),
        (lambda z: math.log(z), 0.0, -np.inf),
        (lambda z: math.sqrt(z), -1.0, np.nan),
        (lambda z: 1 / z, 0.0, np.inf),
        (lambda z: z + 1 // int(z), 0.0, 0.0),
        (lambda z: math.exp(z), 1e4, np.inf),
    ],
)
def test_what_python_would_raise_is_a_number_as_in_numpy(function, z, expected):
    net = mbbp.Network([1, 1], mbbp.Activation("open", function, slope), dtype="float64")
    net.theta = [1, 0]
    np.testing.assert_equal(net.feedforward([[z]])[0, 0], expected)
