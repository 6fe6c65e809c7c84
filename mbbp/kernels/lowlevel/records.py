"""Kernels that are called by their address, and the typed records that they are called with.

Numba compiles a function that is called by name into each of its callers, and into their callers again. Functions that
take long to compile, or differ from network to network, are therefore compiled separately and called by their address.
An address is a plain number without a type. So that no argument can have the wrong type or the wrong place, everything
that crosses an address is a *record*: a NamedTuple that declares each field and its kind once. From this declaration
come the Numba type, for the code on both sides of the call, and the C structure, which Python fills. If a field is
missing or has another name or type, compiling the caller fails.

A kernel takes a pointer to its record and returns an int64 or, if its record says so, a float64:

    @record(returns=Real)
    class Pair(NamedTuple):
        x: Numbers
        n: Int

    @kernel(Pair)
    def total(at):
        pair = at[0]
        ...

    call(total.address(dtype), Pair(x=vector, n=3))   # from compiled code
    total.bind(Pair(x=array, n=3), dtype)()           # from Python

With the JIT disabled an address is an index into a list of Python functions, and records hold NumPy arrays.
"""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args, get_type_hints

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

from mbbp.kernels.lowlevel.compiling import DISABLED, address_of_compiled, warn_of_nothing
from mbbp.kernels.lowlevel.views import data_pointer

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


_RETURN_KINDS: dict[type, str] = {}  # of every record class


def record(cls: type | None = None, *, returns: Any = Int) -> Any:
    """Declare a NamedTuple as a record; a kernel that takes it returns an Int or a Real."""
    if cls is None:
        return lambda cls: record(cls, returns=returns)
    _RETURN_KINDS[cls] = get_args(returns)[1]
    return cls


@functools.cache
def _kinds(record_class: Any) -> dict[str, Any]:
    """Return the kind of every field: a word, a record class that is nested, or a list of one that is pointed to."""
    found = {}
    for name, hint in get_type_hints(record_class, include_extras=True).items():
        kind = hint if hint in _RETURN_KINDS else get_args(hint)[1]
        found[name] = [kind] if kind in _RETURN_KINDS and hint is not kind else kind
    return found


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type)


def _is_array(kind: Any) -> bool:
    return isinstance(kind, list) or kind in ("numbers", "reals", "integers", "bytes")


# ------------------------------------------------------------------------------------- one declaration, seen from Numba


def _item_type(kind: Any, number: Any) -> Any:
    """Return the type of the elements of an array field."""
    if isinstance(kind, list):
        return _numba_type(kind[0], number)
    return {"numbers": number, "reals": types.float64, "integers": types.int64, "bytes": types.uint8}[kind]


def _field_type(kind: Any, number: Any) -> Any:
    if _is_array(kind):
        return types.CPointer(_item_type(kind, number))
    if _is_record(kind):
        return _numba_type(kind, number)
    return {"int": types.int64, "real": types.float64, "number": number}[kind]


@functools.cache
def _numba_type(record_class: Any, number: Any) -> Any:
    fields = [_field_type(kind, number) for kind in _kinds(record_class).values()]
    return types.BaseTuple.from_types(fields, record_class)


def _signature(record_class: type, number: Any) -> Any:
    returned = {"int": types.int64, "real": types.float64}[_RETURN_KINDS[record_class]]
    return returned(types.CPointer(_numba_type(record_class, number)))


# -------------------------------------------------------------------------------- ... and from Python, as a C structure


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
        for name, kind in _kinds(record_class).items():
            c_type: Any = ctypes.c_void_p
            converter: Any
            if isinstance(kind, list):
                converter = _pointer_converter(name, kind[0], dtype)
            elif _is_array(kind):
                converter = _array_converter(name, dtypes.get(kind))
            elif _is_record(kind):
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


# -------------------------------------------------------------------------------------------------------------- kernels

_FUNCTIONS: list[Callable[..., Any]] = [lambda at: 0]  # what an address stands for where nothing is compiled


class Kernel:
    """A function of one record that is compiled apart and called by its address.

    Parameters
    ----------
    function : callable
        Takes a pointer to its record.
    record_class : type
        The record.
    fastmath : bool or set of str
        What LLVM may do to its floating-point arithmetic.
    is_cached : bool
        Whether the compiled code is kept on disk.
    """

    def __init__(
        self, function: Callable[[Any], Any], record_class: type, fastmath: Any = False, is_cached: bool = True
    ) -> None:
        self.function = function
        self.record_class: Any = record_class
        self._fastmath, self._is_cached = fastmath, is_cached
        self._addresses: dict[np.dtype[Any], int] = {}
        returned: Any = {"int": ctypes.c_int64, "real": ctypes.c_double}[_RETURN_KINDS[record_class]]
        self._prototype = ctypes.CFUNCTYPE(returned, ctypes.c_void_p)
        self._callables: dict[np.dtype[Any], Any] = {}
        self.name, self.__doc__ = function.__name__, function.__doc__

    def address(self, dtype: np.dtype[Any]) -> int:
        """Return its address for a network's dtype; the first time it is compiled, or read from the cache."""
        if dtype not in self._addresses:
            if DISABLED:
                _FUNCTIONS.append(warn_of_nothing(self.function))
                self._addresses[dtype] = len(_FUNCTIONS) - 1
            else:
                signature = _signature(self.record_class, numba.from_dtype(dtype))
                self._addresses[dtype] = address_of_compiled(
                    self.function, signature, self._fastmath, is_cached=self._is_cached
                )
        return self._addresses[dtype]

    def callable_for(self, dtype: np.dtype[Any]) -> Callable[[Any], Any]:
        """Return the compiled code as a function of the address of a C structure. It releases Python's lock."""
        if dtype not in self._callables:
            self._callables[dtype] = self._prototype(self.address(dtype))
        return self._callables[dtype]

    def run(self, arguments: Any, dtype: np.dtype[Any]) -> Any:
        """Call the kernel with a record, once."""
        self._check(arguments)
        if DISABLED:
            return _FUNCTIONS[self.address(dtype)]((arguments,))
        structure = format_of(self.record_class, dtype).fill(arguments)
        return self.callable_for(dtype)(ctypes.addressof(structure))

    def _check(self, arguments: Any) -> None:
        if type(arguments) is not self.record_class:
            raise TypeError(f"{self.name}: expected a {self.record_class.__name__}, got {type(arguments)}")

    def bind(self, arguments: Any, dtype: np.dtype[Any]) -> "Bound":
        """Return the kernel with its record, to be called from Python."""
        return Bound(self, arguments, dtype)


def kernel(record_class: type, fastmath: Any = False) -> Callable[[Callable[[Any], Any]], Kernel]:
    """Make a function of one record a kernel that is called by its address."""
    return lambda function: Kernel(function, record_class, fastmath)


class _Place(ctypes.c_void_p):
    """The address of a structure, which keeps alive what it belongs to."""

    owner: Any


class Bound(Settable):
    """A kernel with its record, to be called from Python again and again.

    It keeps the arrays of its first record alive. Calling it releases Python's lock while the kernel runs.

    Attributes
    ----------
    run : callable
        Calls the kernel and returns what it returns: the same as calling the object, a little sooner.
    """

    def __init__(self, called: Kernel, arguments: Any, dtype: np.dtype[Any]) -> None:
        called._check(arguments)
        self.record = arguments
        self._kept: dict[str, Any] = {}
        if DISABLED:
            address = called.address(dtype)
            self.run: Callable[[], Any] = lambda: _FUNCTIONS[address]((self.record,))
            return
        self._format = format_of(called.record_class, dtype)
        self._structure = self._format.fill(arguments)
        place = _Place(ctypes.addressof(self._structure))
        place.owner = (self._structure, arguments, self._kept)  # `run` alone must keep the memory alive
        self.run = functools.partial(called.callable_for(dtype), place)

    def __call__(self) -> Any:
        """Call the kernel and return what it returns."""
        return self.run()

    def set(self, **fields: Any) -> None:
        """Change fields of the record, and keep the arrays alive."""
        for name, value in fields.items():
            self.setter(name)(value)
            self._kept[name] = value


if DISABLED:

    def call(address: int, arguments: Any) -> Any:
        """Call the kernel at an address with a record."""
        return _FUNCTIONS[address]((arguments,))

    def typed(pointer: Any, like: Any) -> Any:
        """Return an array of unknown dtype as the array that it is."""
        return pointer

else:

    def _number_of(arguments: Any) -> Any:
        """Return the network's dtype as the fields of a record have it, or None if none of them has it."""
        for kind, given in zip(_kinds(arguments.instance_class).values(), arguments.types, strict=True):
            found = None
            if kind == "numbers" and isinstance(given, types.Array | types.CPointer):
                found = given.dtype
            elif kind == "number":
                found = given
            elif isinstance(getattr(given, "dtype", given), types.BaseTuple):  # a record, or a pointer to one
                found = _number_of(getattr(given, "dtype", given))
            if found is not None:
                return found
        return None

    def _check(arguments: Any, number: Any) -> None:
        record_class = arguments.instance_class
        for (name, kind), given in zip(_kinds(record_class).items(), arguments.types, strict=True):
            expected = _field_type(kind, number)
            if _is_array(kind):
                is_contiguous = isinstance(given, types.Array) and given.layout in "CF"
                fits = given == expected or (is_contiguous and given.dtype == expected.dtype)
            elif _is_record(kind):
                fits = getattr(given, "instance_class", None) is kind
                if fits:
                    _check(given, number)
            else:
                fits = types.unliteral(given) == expected
            if not fits:
                raise TypingError(f"{record_class.__name__}.{name}: expected {expected}, got {given}")

    def _converted(context: Any, builder: Any, value: Any, given: Any, kind: Any, number: Any) -> Any:
        if _is_array(kind):
            return data_pointer(context, builder, given, value)
        if _is_record(kind):
            return _record_value(context, builder, value, given, number)
        return context.cast(builder, value, given, types.unliteral(given))

    def _record_value(context: Any, builder: Any, value: Any, given: Any, number: Any) -> Any:
        kinds = _kinds(given.instance_class).values()
        values = cgutils.unpack_tuple(builder, value)
        fields = [
            _converted(context, builder, field, its_type, kind, number)
            for field, its_type, kind in zip(values, given.types, kinds, strict=True)
        ]
        return context.make_tuple(builder, _numba_type(given.instance_class, number), fields)

    @intrinsic
    def call(_: Any, address: Any, arguments: Any) -> Any:
        """Call the kernel at an address with a record."""
        if getattr(arguments, "instance_class", None) not in _RETURN_KINDS:
            raise TypingError(f"call: expected a record, got {arguments}")
        if not isinstance(address, types.Integer):
            raise TypingError(f"call: expected an int64 as the address, got {address}")
        number = _number_of(arguments) or types.float64  # if no field has the network's dtype, any will do
        _check(arguments, number)
        signature = _signature(arguments.instance_class, number)

        def codegen(context: Any, builder: Any, caller_signature: Any, values: Any) -> Any:
            whole = _record_value(context, builder, values[1], arguments, number)
            place = cgutils.alloca_once(builder, whole.type)
            builder.store(whole, place)
            kind = ir.FunctionType(context.get_value_type(signature.return_type), [place.type])
            return builder.call(builder.inttoptr(values[0], kind.as_pointer()), [place])

        return signature.return_type(types.int64, arguments), codegen

    @intrinsic
    def typed(_: Any, pointer: Any, like: Any) -> Any:
        """Return a pointer to bytes as a pointer to numbers of the dtype of `like`, a pointer or an array."""
        kind = types.CPointer(like.dtype)  # of a NumberClass too

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.bitcast(values[0], context.get_value_type(kind))

        return kind(pointer, like), codegen
