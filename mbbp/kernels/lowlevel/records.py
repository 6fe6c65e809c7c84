"""Typed records: what the kernels are called with.

A *record* is a NamedTuple that declares each field and its kind once. From this declaration come the C structure,
which Python fills (here), and the Numba type, for the code on both sides of a call (`calls.py`). With the JIT disabled,
records hold NumPy arrays.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from mbbp.kernels.lowlevel.compiling import DISABLED

# The kinds of a record's fields. An array is in memory the address of its first number.
Int = Annotated[int, "int"]  # int64
Real = Annotated[float, "real"]  # float64, whatever the dtype of the network
Number = Annotated[float, "number"]  # of the network's dtype
Address = Annotated[int, "int"]  # of a kernel; 0 for none
Numbers = Annotated[NDArray[Any], "numbers"]  # of the network's dtype
Reals = Annotated[NDArray[Any], "reals"]
Integers = Annotated[NDArray[Any], "integers"]
Bytes = Annotated[NDArray[Any], "bytes"]  # an array of any dtype


def PointerTo(record_class: type) -> Any:  # noqa: N802 -- a kind, like the others
    """Return the kind of a pointer to records: in Python an array of them (see `array_of`), or one that is `Placed`."""
    return Annotated[Any, record_class]


RETURN_KINDS: dict[type, str] = {}  # of every record class


def record(cls: type | None = None, *, returns: Any = Int) -> Any:
    """Declare a NamedTuple as a record; a kernel that takes it returns an Int or a Real."""
    if cls is None:
        return lambda cls: record(cls, returns=returns)
    RETURN_KINDS[cls] = get_args(returns)[1]
    return cls


@functools.cache
def kinds_of(record_class: Any) -> dict[str, Any]:
    """Return the kind of every field: a word, a record class that is nested, or a list of one that is pointed to."""
    found = {}
    for name, hint in get_type_hints(record_class, include_extras=True).items():
        kind = hint if hint in RETURN_KINDS else get_args(hint)[1]
        found[name] = [kind] if kind in RETURN_KINDS and hint is not kind else kind
    return found


def is_record(kind: Any) -> bool:
    """Return whether the kind of a field is a record that is nested."""
    return isinstance(kind, type)


def is_array(kind: Any) -> bool:
    """Return whether the kind of a field is an address of numbers or of records."""
    return isinstance(kind, list) or kind in ("numbers", "reals", "integers", "bytes")


class Format:
    """The C structure of a record for a dtype, and how each field gets into it.

    Attributes
    ----------
    structure : type
        The ctypes structure.
    converters : dict of str to callable
        By field: what turns the value that Python gives into the one in the structure.
    nested : dict of str to Format
        The formats of the fields that are records.
    """

    def __init__(self, record_class: Any, dtype: np.dtype[Any]) -> None:
        number = ctypes.c_float if dtype == np.float32 else ctypes.c_double
        words = {"int": (ctypes.c_int64, int), "real": (ctypes.c_double, float), "number": (number, float)}
        dtypes: dict[Any, Any] = {"numbers": dtype, "reals": np.dtype(np.float64), "integers": np.dtype(np.int64)}
        fields: list[tuple[str, Any]] = []
        self.converters: dict[str, Callable[[Any], Any]] = {}
        self.nested: dict[str, Format] = {}
        for name, kind in kinds_of(record_class).items():
            c_type: Any = ctypes.c_void_p
            converter: Any
            if isinstance(kind, list):
                converter = _pointer_converter(name, kind[0], dtype)
            elif is_array(kind):
                converter = _array_converter(name, dtypes.get(kind))
            elif is_record(kind):
                nested = self.nested[name] = format_of(kind, dtype)
                c_type, converter = nested.structure, functools.partial(nested.fill, name=name)
            else:
                c_type, converter = words[kind]
            fields.append((name, c_type))
            self.converters[name] = converter
        self.structure: Any = type(record_class.__name__, (ctypes.Structure,), {"_fields_": fields})
        self._record_class, self._in_order = record_class, list(self.converters.values())

    def fill(self, arguments: Any, name: str = "record") -> ctypes.Structure:
        """Return a structure with the values of a record; the name is for errors."""
        if type(arguments) is not self._record_class:
            raise TypeError(f"{name}: expected a {self._record_class.__name__}, got {type(arguments)}")
        values = [convert(value) for convert, value in zip(self._in_order, arguments, strict=True)]
        structure: ctypes.Structure = self.structure(*values)
        return structure


@functools.cache
def format_of(record_class: Any, dtype: np.dtype[Any]) -> Format:
    """Return the C structure of a record for a dtype."""
    return Format(record_class, dtype)


def _array_converter(name: str, expected: np.dtype[Any] | None) -> Callable[[Any], int]:
    """Return what gives the address of an array of a dtype, or for None of any dtype."""
    find: Callable[[Any], int] = _data_address if _HAS_USUAL_OBJECTS else lambda array: int(array.ctypes.data)

    def address_of(array: Any) -> int:
        if (expected is not None and array.dtype != expected) or not array.flags.forc:
            raise TypeError(f"{name}: expected a contiguous array of {expected}, got {array.dtype}, {array.flags}")
        return find(array) if array.size else 0

    return address_of


_WORD_AT, _HEAD = ctypes.c_size_t.from_address, object.__basicsize__


def _data_address(array: Any) -> int:
    """Return the address of an array's first number.

    `array.ctypes.data` makes an object for that, and takes ten times as long. The address is the first field of NumPy's
    C structure of an array, after what every Python object begins with; its place is part of NumPy's binary interface.
    """
    address: int = _WORD_AT(id(array) + _HEAD).value
    return address


_HAS_USUAL_OBJECTS = all(_data_address(one) == one.ctypes.data for one in (np.zeros(3), np.ones((2, 2))))


def _pointer_converter(name: str, record_class: Any, dtype: np.dtype[Any]) -> Callable[[Any], int]:
    """Return what gives the address of a `Placed` record, or of an array of records."""
    of_array = _array_converter(name, np.dtype(format_of(record_class, dtype).structure))

    def address_of(value: Any) -> int:
        if not isinstance(value, Placed):
            return of_array(value)
        if type(value.record) is not record_class or value.dtype != dtype:
            found = f"{type(value.record).__name__} of {value.dtype}"
            raise TypeError(f"{name}: expected {record_class.__name__} of {dtype}, got {found}")
        return value.address

    return address_of


def array_of(records: Sequence[Any]) -> Any:
    """Return records of one class, without array fields, as an array whose elements have attributes."""
    record_class: Any = type(records[0])
    return np.array(records, _dtype_of(record_class)).view(np.recarray)


@functools.cache
def _dtype_of(record_class: Any) -> np.dtype[Any]:
    """Return the NumPy dtype of a record without array fields."""
    return np.dtype(format_of(record_class, np.dtype(np.float64)).structure)


class Settable:
    """A record whose fields can be changed where it stands in memory."""

    record: Any
    _structure: Any
    _format: Format

    def setter(self, path: str) -> Callable[[Any], None]:
        """Return what sets a field, or one of a nested record ("inputs.values"). It does not keep an array alive."""
        *outer, name = path.split(".")
        if DISABLED:
            return functools.partial(self._replace, [*outer, name])
        structure, form = self._structure, self._format
        for one in outer:
            structure, form = getattr(structure, one), form.nested[one]
        convert = form.converters[name]
        return lambda value: setattr(structure, name, convert(value))

    def _replace(self, path: Sequence[str], value: Any) -> None:
        records = [self.record]
        for name in path[:-1]:
            records.append(getattr(records[-1], name))
        for record, name in zip(reversed(records), reversed(path), strict=True):
            value = record._replace(**{name: value})
        self.record = value


class Placed(Settable):
    """A record that stands in memory, so that other records can point to it.

    Parameters
    ----------
    record : NamedTuple
        The record.
    dtype : dtype
        The network's.
    """

    def __init__(self, record: Any, dtype: np.dtype[Any]) -> None:
        self.record, self.dtype = record, dtype  # the record keeps the arrays alive
        if not DISABLED:
            record_class: Any = type(record)
            self._format = format_of(record_class, dtype)
            self._structure = self._format.fill(record)
            self.address = ctypes.addressof(self._structure)

    def __getitem__(self, index: int) -> Any:
        return (self.record,)[index]
