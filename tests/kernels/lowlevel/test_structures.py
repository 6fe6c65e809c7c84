"""Python and compiled code see the same memory: every record that the package declares is read back field by field."""

import importlib
import pkgutil
from typing import NamedTuple

import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic

import mbbp.kernels
from mbbp.kernels.lowlevel import records
from mbbp.kernels.lowlevel.kernel import Kernel
from mbbp.kernels.lowlevel.records import Int, Placed, Reals, record
from tests.conftest import JIT
from tests.kernels.lowlevel.test_records import dtypes


def package_records():
    """Return every record class that the package declares."""
    for module in pkgutil.walk_packages(mbbp.kernels.__path__, "mbbp.kernels."):
        importlib.import_module(module.name)
    return [one for one in records.RETURN_KINDS if one.__module__.startswith("mbbp.")]


PACKAGE_RECORDS = package_records()


def leaves(record_class, path=""):
    """Yield the path and the kind of every field, of nested records too."""
    for name, kind in records.kinds_of(record_class).items():
        if records.is_record(kind):
            yield from leaves(kind, f"{path}{name}.")
        else:
            yield path + name, kind


def numbered(record_class, dtype, count):
    """Return a record with another number in every field."""
    values = []
    for kind in records.kinds_of(record_class).values():
        if records.is_record(kind):
            values.append(numbered(kind, dtype, count))
        elif isinstance(kind, list):
            values.append(Placed(numbered(kind[0], dtype, count), dtype))
        elif records.is_array(kind):
            words = {"numbers": dtype, "reals": np.float64, "integers": np.int64, "bytes": np.uint8}
            values.append(np.zeros(1, words[kind]))
        else:
            values.append(next(count))
    return record_class(*values)


@intrinsic
def address_of(_, pointer):
    """Return a pointer as a number."""

    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], context.get_value_type(types.int64))

    return types.int64(pointer), codegen


def value_of(whole, path):
    for name in path.split("."):
        whole = getattr(whole, name)
    if isinstance(whole, Placed):
        return whole.address
    return whole.ctypes.data if isinstance(whole, np.ndarray) else whole


@pytest.mark.skipif(not JIT, reason="compiles")
@dtypes
@pytest.mark.parametrize("record_class", PACKAGE_RECORDS, ids=lambda one: one.__qualname__)
def test_python_and_compiled_code_see_the_same_memory(record_class, dtype):
    """Every field is read back by compiled code, and so is one behind the record, which its size moves."""
    found = dict(leaves(record_class))
    Reading = record(NamedTuple("Reading", [("out", Reals), ("whole", record_class), ("end", Int)]))
    lines = [
        f"    out[{i}] = {f'address_of(r.whole.{path})' if records.is_array(kind) else f'r.whole.{path}'}"
        for i, (path, kind) in enumerate(found.items())
    ]
    names = {"address_of": address_of, "__name__": __name__}
    exec("\n".join(["def read(at):", "    r = at[0]", "    out = r.out", *lines, "    return r.end"]), names)
    whole, out = numbered(record_class, dtype, iter(range(1, 1000))), np.zeros(len(found))
    reading = Reading(out=out, whole=whole, end=12345)
    assert Kernel(names["read"], Reading, is_cached=False).bind(reading, dtype)() == 12345
    assert dict(zip(found, out.tolist(), strict=True)) == {path: value_of(whole, path) for path in found}


def test_the_package_declares_records():
    assert {one.__name__ for one in PACKAGE_RECORDS} >= {"Product", "LayerRow", "Model", "Training", "Segment"}
