"""Kernels that are called by their address: what their records hold and refuse, and what they keep in memory."""

import gc
import weakref
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import types

from mbbp.kernels.lowlevel import calls
from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import (
    Address,
    Bytes,
    Int,
    Integers,
    Number,
    Numbers,
    Placed,
    PointerTo,
    Real,
    Reals,
    array_of,
    record,
)
from tests.conftest import JIT

compiles = pytest.mark.skipif(not JIT, reason="compiles")
dtypes = pytest.mark.parametrize("dtype", [np.dtype(np.float32), np.dtype(np.float64)], ids=lambda dtype: dtype.name)


@record
class Point(NamedTuple):
    x: Number
    n: Int


@record
class SameFields(NamedTuple):
    x: Number
    n: Int


@record
class Row(NamedTuple):
    first: Int
    share: Real
    last: Int


@record(returns=Real)
class Everything(NamedTuple):
    start: Numbers
    point: Point
    values: Numbers
    n: Int
    r: Real
    number: Number
    rows: PointerTo(Row)
    reals: Reals
    integers: Integers
    pixels: Bytes
    address: Address


@kernel(Everything)
def total(at):
    """Add up all that there is, each field in a place of its own."""
    r = at[0]
    row = r.rows[1]
    small = r.start[0] + 1e1 * r.point.x + 1e2 * r.point.n + 1e3 * r.values[1] + 1e4 * r.n + 1e5 * r.r + 1e6 * r.number
    large = 1e7 * row.first + 1e8 * row.share + 1e9 * row.last + 1e10 * r.reals[1] + 1e11 * r.integers[1]
    return small + large + 1e12 * r.pixels[1]


TOTAL = 3_217_654_987_321.0


def everything(dtype, **changed):
    """Return a record whose total is TOTAL."""
    rows = array_of([Row(first=0, share=0.0, last=0), Row(first=5, share=6.0, last=7)])
    return Everything(
        **{
            "start": np.array([1], dtype),
            "point": Point(x=2.0, n=3),
            "values": np.array([0, 7], dtype),
            "n": 8,
            "r": 9.0,
            "number": 4.0,
            "rows": rows,
            "reals": np.array([0, 1.0]),
            "integers": np.array([0, 2]),
            "pixels": np.array([0, 3], np.uint8),
            "address": 0,
        }
        | changed
    )


# ------------------------------------------------------------------------------------------------- called from Python


@dtypes
def test_every_field_is_read(dtype):
    assert total.bind(everything(dtype), dtype)() == TOTAL
    assert total.run(everything(dtype), dtype) == TOTAL


@pytest.mark.parametrize(
    "values",
    [
        np.array([9.0, 0, 7])[1:],
        np.array([[0.0, 9], [7, 9]], order="F"),
        np.array([0.0, 7]).view(np.recarray),
        np.ma.array([0.0, 7]),
        np.frombuffer(np.array([9.0, 0, 7]).tobytes(), offset=8),
    ],
    ids=["a part", "in Fortran order", "a record array", "a masked array", "a buffer"],
)
def test_any_contiguous_array_is_read_where_it_begins(values):
    values = values.reshape(-1, order="A")
    assert total.run(everything(values.dtype, values=values), values.dtype) == TOTAL


@dtypes
def test_set_changes_fields(dtype):
    bound = total.bind(everything(dtype), dtype)
    bound.set(n=0, r=0.0)
    assert bound() == TOTAL - 8e4 - 9e5
    bound.set(point=Point(x=0.0, n=0), start=np.zeros(1, dtype))
    assert bound.run() == TOTAL - 8e4 - 9e5 - 321


@pytest.mark.parametrize(
    "changed",
    [
        {"values": np.zeros(2, np.float32)},
        {"values": np.zeros(2, np.int64)},
        {"values": np.zeros(4)[::2]},
        {"values": np.zeros((4, 4))[:2, :2]},
        {"reals": np.zeros(2, np.float32)},
        {"integers": np.zeros(2, np.int32)},
        {"rows": np.zeros(2, [("first", np.int64)])},
        {"pixels": np.zeros(4, np.uint8)[::2]},
    ],
    ids=lambda changed: "-".join(changed),
)
@compiles
def test_arrays_that_are_not_as_declared_are_refused(changed):
    dtype = np.dtype(np.float64)
    (name,) = changed
    with pytest.raises(TypeError, match=f"{name}: expected a contiguous array"):
        total.bind(everything(dtype, **changed), dtype)
    bound = total.bind(everything(dtype), dtype)
    with pytest.raises(TypeError, match=f"{name}: expected a contiguous array"):
        bound.set(**changed)
    assert bound() == TOTAL


def test_a_record_of_another_class_is_refused():
    with pytest.raises(TypeError, match=r"total: expected a Everything, got .*Point"):
        total.bind(Point(x=1.0, n=1), np.dtype(np.float64))


@compiles
@pytest.mark.parametrize("nested", [SameFields(x=2.0, n=3), (2.0, 3)], ids=["another record", "a tuple"])
def test_a_nested_record_of_another_class_is_refused(nested):
    dtype = np.dtype(np.float64)
    with pytest.raises(TypeError, match="point: expected"):
        total.bind(everything(dtype, point=nested), dtype)
    bound = total.bind(everything(dtype), dtype)
    with pytest.raises(TypeError, match="point: expected"):
        bound.set(point=nested)


def test_set_refuses_a_field_that_is_not_there():
    bound = total.bind(everything(np.dtype(np.float64)), np.dtype(np.float64))
    with pytest.raises((KeyError, ValueError), match="m"):
        bound.set(m=3)
    assert bound() == TOTAL


def overwrite_what_is_free(dtype):
    """Take memory of every small size, full of ones."""
    gc.collect()
    return [np.ones(n, dtype) for n in (*range(1, 40), 1000) for _ in range(100)]


@dtypes
def test_run_alone_keeps_the_memory(dtype):
    start = np.full(1000, 1, dtype)
    run, there = total.bind(everything(dtype, start=start), dtype).run, weakref.ref(start)
    del start
    kept = overwrite_what_is_free(dtype)
    assert there() is not None
    assert run() == TOTAL
    del kept


@compiles
def test_the_memory_is_free_again_without_the_garbage_collector():
    start = np.full(1000, 1.0)
    bound, there = total.bind(everything(start.dtype, start=start), start.dtype), weakref.ref(start)
    assert bound() == TOTAL
    gc.disable()
    try:
        del start, bound
        assert there() is None
    finally:
        gc.enable()


@dtypes
def test_set_keeps_new_arrays(dtype):
    bound = total.bind(everything(dtype), dtype)
    bound.set(start=np.full(1000, 2, dtype), point=Point(x=2.0, n=3), reals=np.full(1000, 1.0))
    kept = overwrite_what_is_free(dtype)
    assert bound() == TOTAL + 1
    del kept


@dtypes
def test_a_setter_changes_one_field_of_a_bound_record_a_placed_one_or_a_nested_one(dtype):
    bound = total.bind(everything(dtype), dtype)
    bound.setter("n")(0)
    assert bound() == TOTAL - 8e4
    bound.setter("point.n")(0)
    assert bound() == TOTAL - 8e4 - 300
    bound.setter("start")(new := np.full(1000, 2, dtype))
    assert bound() == TOTAL - 8e4 - 300 + 1
    placed = Placed(Point(x=1.0, n=7), dtype)
    read = read_pointed.bind(Pointing(placed, np.zeros(1, dtype)), dtype)
    placed.setter("n")(9)
    assert read() == 9
    del new


@compiles
def test_a_setter_refuses_an_array_that_is_not_as_declared():
    bound = total.bind(everything(np.dtype(np.float64)), np.dtype(np.float64))
    with pytest.raises(TypeError, match="values: expected a contiguous array"):
        bound.setter("values")(np.zeros(4)[::2])
    assert bound() == TOTAL


# --------------------------------------------------------------------------------------------- called by compiled code


@record
class Caller(NamedTuple):
    whole: Everything
    placed: PointerTo(Everything)
    total: Address
    out: Reals
    rows: PointerTo(Row)


@kernel(Caller)
def call_again(at):
    """Call the kernel with what was given, and with another record; write a row."""
    caller = at[0]
    whole = caller.whole
    caller.out[0] = call(caller.total, caller.placed[0])
    caller.out[1] = call(
        caller.total,
        Everything(
            start=whole.values,
            point=Point(x=whole.point.x, n=0),
            values=whole.values,
            n=whole.n,
            r=whole.r,
            number=whole.number,
            rows=caller.rows,
            reals=caller.out,
            integers=whole.integers,
            pixels=whole.pixels,
            address=0,
        ),
    )
    caller.rows[1] = Row(first=whole.n, share=caller.rows[0].share, last=caller.rows[0].first)
    return 0


@dtypes
def test_records_are_passed_on_nested_pointed_to_and_in_rows(dtype):
    rows, out = array_of([Row(first=1, share=0.25, last=2), Row(first=0, share=0.0, last=0)]), np.zeros(2)
    placed = Placed(everything(dtype, r=0.0), dtype)
    caller = Caller(whole=everything(dtype), placed=placed, total=total.address(dtype), out=out, rows=rows)
    call_again.bind(caller, dtype)()
    # the row, the first of `values`, a nested field, and `out` itself, whose second number is 0
    assert out.tolist() == [TOTAL - 9e5, TOTAL - 1 - 300 - 5e7 - 6e8 - 7e9 - 1e10]
    assert rows[1].tolist() == (8, 0.25, 1)
    assert rows[0].tolist() == (1, 0.25, 2)


def called_with(**changed):
    """Return a function that calls a kernel with these fields changed; None leaves one out."""
    fields = {"values": "values", "more": "values", "point": "Point(x=x, n=1)", "n": "1", "r": "1.0"}
    fields |= {"rows": "whole.rows"} | changed
    given = ", ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
    names = {"__name__": __name__, "call": call, "Small": Small, "Point": Point, "SameFields": SameFields}
    exec(f"def caller(address, whole, values, other, x): return call(address, Small({given}))", names)
    return names["caller"]


@record
class Small(NamedTuple):
    values: Numbers
    more: Numbers
    point: Point
    n: Int
    r: Real
    rows: PointerTo(Row)


REFUSED = {
    "a missing field": ({"n": None}, "'n'"),
    "a wrong name": ({"n": None, "m": "1"}, "'n'"),
    "one too many": ({"m": "1"}, "'m'"),
    "an int for an array": ({"more": "1"}, r"Small\.more: expected float64\*, got"),
    "an int for the first array": ({"values": "1"}, r"Small\.values: expected float64\*, got"),
    "an array with gaps": ({"layout": "A"}, r"Small\.values: expected float64\*, got array\(float64, 1d, A"),
    "a float for the address": ({"address": types.float64}, "call: expected an int64 as the address, got float64"),
    "a float for an int": ({"n": "1.0"}, r"Small\.n: expected int64, got float64"),
    "an int for a float": ({"r": "1"}, r"Small\.r: expected float64, got int64"),
    "a bool for an int": ({"n": "True"}, r"Small\.n: expected int64, got bool"),
    "an array of another dtype": ({"more": "other"}, r"Small\.more: expected float64\*, got array\(float32"),
    "an array for a record": ({"point": "values"}, r"Small\.point: expected Point"),
    "a plain tuple for a record": ({"point": "(x, 1)"}, r"Small\.point: expected Point.*, got Tuple"),
    "another record": ({"point": "SameFields(x=x, n=1)"}, r"Small\.point: expected Point.*, got SameFields"),
    "a wrong field in a record": ({"point": "Point(x=x, n=1.0)"}, r"Point\.n: expected int64, got float64"),
    "another pointer": ({"rows": "whole.integers"}, r"Small\.rows: expected Row.*\*, got int64\*"),
    "another number in a record": ({"point": "Point(x=other[0], n=1)"}, r"Point\.x: expected float64, got float32"),
}


def compile_caller(address=types.int64, layout="C", **changed):
    whole = calls.numba_type(Everything, types.float64)
    vector, other = types.Array(types.float64, 1, layout), types.Array(types.float32, 1, "C")
    numba.njit((address, whole, vector, other, types.float64))(called_with(**changed))


@compiles
def test_a_right_call_is_compiled():
    compile_caller()


@compiles
@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
def test_a_slip_is_found_when_the_caller_is_compiled(changed, message):
    # that a field is missing, Numba says in a TypeError of its own
    with pytest.raises((numba.TypingError, TypeError), match=message):
        compile_caller(**changed)


@record
class Empty(NamedTuple):
    n: Int


@record
class WithoutNumbersFirst(NamedTuple):
    empty: Empty
    values: Numbers


@compiles
def test_the_dtype_is_found_behind_a_record_that_has_none():
    vector = types.Array(types.float32, 1, "C")
    numba.njit((types.int64, vector))(lambda address, x: call(address, WithoutNumbersFirst(Empty(n=1), x)))


@record
class Pointing(NamedTuple):
    at: PointerTo(Point)
    values: Numbers


@kernel(Pointing)
def read_pointed(at):
    return at[0].at[0].n


@dtypes
def test_a_placed_record_is_pointed_to(dtype):
    assert read_pointed.bind(Pointing(Placed(Point(x=1.0, n=7), dtype), np.zeros(1, dtype)), dtype)() == 7


@compiles
@pytest.mark.parametrize(
    "placed",
    [Placed(SameFields(x=1.0, n=7), np.dtype(np.float64)), Placed(Point(x=1.0, n=7), np.dtype(np.float32))],
    ids=["class", "dtype"],
)
def test_a_placed_record_of_another_class_or_dtype_is_refused(placed):
    with pytest.raises(TypeError, match="at: expected"):
        read_pointed.bind(Pointing(placed, np.zeros(1)), np.dtype(np.float64))


@compiles
def test_what_is_no_record_is_refused():
    with pytest.raises(numba.TypingError, match="call: expected a record, got"):
        numba.njit((types.int64, types.float64))(lambda address, x: call(address, (x, 1)))
