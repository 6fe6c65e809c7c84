"""Every argument of every public function, replaced by values of every kind.

A value that does not fit is refused by a TypeError or a ValueError that names the argument. The refusal comes in
bounded time, and leaves the networks as they were, to the bit.
"""

import contextlib
import decimal
import fractions
import io
import os
import pathlib
import re
import signal
import warnings
import zlib

import numpy as np
import pytest

import mbbp
from tests.public_calls import CALLS, Given
from tests.public_names import public_names

SECONDS = 20
# What a user's function raises comes out as it is.
FUNCTIONS = {"callbacks", "cost", "derivative", "initializer", "learning_rate", "make"}
CALLABLE = {"class", "function", "lambda"}
SHARE = 8  # of the values for each argument, one in so many is tried in a normal run


class Nothing:
    """An object that can do nothing."""


BAD = {
    "None": lambda good: None,
    "object": lambda good: Nothing(),
    "class": lambda good: Nothing,
    "function": lambda good: len,
    "lambda": lambda good: lambda *arguments: "x",
    "ellipsis": lambda good: ...,
    "module": lambda good: os,
    "empty string": lambda good: "",
    "string": lambda good: "abc",
    "number as text": lambda good: "1",
    "bytes": lambda good: b"abc",
    "path": lambda good: pathlib.Path("x.npz"),
    "list": lambda good: [],
    "tuple": lambda good: (),
    "set": lambda good: {1, 2},
    "dict": lambda good: {},
    "dict of text": lambda good: {"a": "b"},
    "generator": lambda good: (i for i in range(3)),
    "ragged": lambda good: [[1.0, 2.0], [3.0]],
    "list of text": lambda good: ["a", "b"],
    "list of None": lambda good: [None, None],
    "list of lists": lambda good: [[], []],
    "list of a huge number": lambda good: [10**30, 10**30],
    "list of -1": lambda good: [-1, -1],
    "list of NaN": lambda good: [np.nan, np.nan],
    "nested": lambda good: [[[[1.0]]]],
    "nan": lambda good: np.nan,
    "inf": lambda good: np.inf,
    "-inf": lambda good: -np.inf,
    "-1": lambda good: -1,
    "0": lambda good: 0,
    "half": lambda good: 0.5,
    "-0.5": lambda good: -0.5,
    "True": lambda good: True,
    "10**30": lambda good: 10**30,
    "-10**30": lambda good: -(10**30),
    "10**400": lambda good: 10**400,
    "1e300": lambda good: 1e300,
    "1e-320": lambda good: 1e-320,
    "complex": lambda good: 1 + 2j,
    "decimal": lambda good: decimal.Decimal("NaN"),
    "fraction": lambda good: fractions.Fraction(1, 3),
    "int64": lambda good: np.int64(-(2**63)),
    "date": lambda good: np.datetime64("2020-01-01"),
    "NaT": lambda good: np.timedelta64("NaT"),
    "empty array": lambda good: np.zeros(0),
    "0-d": lambda good: np.array(0.5),
    "no column": lambda good: np.zeros((4, 0)),
    "no row": lambda good: np.zeros((0, 6)),
    "vector": lambda good: np.ones(7),
    "three dimensions": lambda good: np.ones((2, 3, 4)),
    "bools": lambda good: np.ones((2, 2), bool),
    "objects": lambda good: np.array([1, "a", None], object),
    "array of None": lambda good: np.array(None),
    "dates": lambda good: np.zeros((4, 6), "M8[D]"),
    "durations": lambda good: np.zeros(6, "m8[s]"),
    "structured": lambda good: np.zeros(6, [("a", float), ("b", int)]),
    "text array": lambda good: np.full((4, 6), "1"),
    "uint64": lambda good: np.full((4, 6), 2**64 - 1, np.uint64),
    "longdouble": lambda good: np.full((4, 6), np.longdouble("1e4000")),
    "a list of the good": lambda good: [good],
    "made complex": lambda good: np.asarray(good) * (1 + 1j),
    "made float16": lambda good: np.asarray(good).astype(np.float16),
    "made int8": lambda good: np.asarray(good).astype(np.int8),
    "made bool": lambda good: np.asarray(good).astype(bool),
    "made objects": lambda good: np.asarray(good).astype(object),
    "made text": lambda good: np.asarray(good).astype(str),
    "made NaN": lambda good: np.full_like(np.asarray(good, float), np.nan),
    "made inf": lambda good: np.full_like(np.asarray(good, float), -np.inf),
    "made huge": lambda good: np.full_like(np.asarray(good, float), 1e308),
    "transposed": lambda good: np.asarray(good).T,
    "shortened": lambda good: np.asarray(good)[:-1],
    "narrowed": lambda good: np.asarray(good)[..., :-1],
    "flattened": lambda good: np.asarray(good).ravel(),
    "deepened": lambda good: np.asarray(good)[..., np.newaxis],
}


def made(kind, good):
    """Return the bad value, or the good one again if it cannot be made of that, or would be good too."""
    if kind == "True" and isinstance(good, bool):
        return good
    try:
        with np.errstate(all="ignore"):
            return BAD[kind](good)
    except (TypeError, ValueError, IndexError):
        return good


def arguments():
    given = Given()
    with contextlib.redirect_stdout(io.StringIO()):
        return [(name, argument) for name, call in CALLS.items() for argument in call(given)[1]]


ARGUMENTS = arguments()


def kinds_for(name, argument, *, share):
    """Return the kinds of bad values for an argument: all, or a sample that is the same in every run."""
    kinds = [kind for kind in BAD if not (kind in CALLABLE and argument in FUNCTIONS)]
    return [kind for kind in kinds if zlib.crc32(f"{name} {argument} {kind}".encode()) % share == 0]


@contextlib.contextmanager
def in_time(what):
    """Raise an AssertionError if the block takes longer than SECONDS."""

    def late(*_):
        raise AssertionError(f"{what}: no answer after {SECONDS} seconds")

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """A path among the values is a good one for some arguments."""
    monkeypatch.chdir(tmp_path)


def fault(name, argument, kind):
    """Return what is wrong with the answer to a bad value, or None."""
    given = Given()
    with contextlib.redirect_stdout(io.StringIO()):
        function, keywords = CALLS[name](given)
        keywords = keywords | {argument: made(kind, keywords[argument])}
        before = given.state()
        try:
            with warnings.catch_warnings(), in_time(f"{name}, {argument}, {kind}"):
                warnings.simplefilter("ignore", RuntimeWarning)  # numbers that fit, but overflow
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                function(**keywords)
        except (TypeError, ValueError, MemoryError) as error:  # the last one for a limit that a caller sets too low
            if not re.search(rf"(?<!\w){re.escape(argument)}(?!\w)", str(error)):
                return f"does not name the argument: {error!r}"
            if given.state() != before:
                return f"changed a network, and then refused: {error!r}"
        except mbbp.DivergedError:
            return None  # the numbers fit, but no network can learn from them
        except Exception as error:  # any other is a fault, whatever it is
            return f"raised {error!r}"
    return None


def faults(name, argument, *, share):
    found = {kind: fault(name, argument, kind) for kind in kinds_for(name, argument, share=share)}
    return [f"{name}, {argument}, {kind}: {what}" for kind, what in found.items() if what]


def test_a_seed_may_have_as_many_bits_as_numpys_own():
    assert mbbp.Network([2, 1], rng=2**128 - 1).theta.size == 3


def test_every_public_function_has_a_call_here():
    assert public_names() == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_the_good_call_is_good(name):
    with contextlib.redirect_stdout(io.StringIO()):
        function, keywords = CALLS[name](Given())
        function(**keywords)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS, ids=str)
def test_a_sample_of_bad_values_is_refused_by_the_name_of_the_argument(name, argument):
    assert faults(name, argument, share=SHARE) == []


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS, ids=str)
def test_every_bad_value_is_refused_by_the_name_of_the_argument(name, argument):
    assert faults(name, argument, share=1) == []
