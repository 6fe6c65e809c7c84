"""Calls of kernels from compiled code, and the Numba types of their records.

Everything that crosses an address is a record, so if a field is missing or has another name or type, compiling the
caller fails.
"""

import functools
from collections.abc import Callable
from typing import Any

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import cgutils, errors, ir, types
from mbbp.kernels.lowlevel.records import RETURN_KINDS, is_array, is_record, kinds_of
from mbbp.kernels.lowlevel.views import data_pointer

PLAIN: list[Callable[..., Any]] = [lambda at: 0]  # what an address stands for with the JIT disabled: its index


def _item_type(kind: Any, number: Any) -> Any:
    """Return the type of the elements of an array field."""
    if isinstance(kind, list):
        return numba_type(kind[0], number)
    return {"numbers": number, "reals": types.float64, "integers": types.int64, "bytes": types.uint8}[kind]


def _field_type(kind: Any, number: Any) -> Any:
    if is_array(kind):
        return types.CPointer(_item_type(kind, number))
    if is_record(kind):
        return numba_type(kind, number)
    return {"int": types.int64, "real": types.float64, "number": number}[kind]


@functools.cache
def numba_type(record_class: Any, number: Any) -> Any:
    """Return the Numba type of a record in networks whose numbers have a type."""
    fields = [_field_type(kind, number) for kind in kinds_of(record_class).values()]
    return types.BaseTuple.from_types(fields, record_class)


def signature_of(record_class: type, number: Any) -> Any:
    """Return the signature of the kernels that take a record."""
    returned = {"int": types.int64, "real": types.float64}[RETURN_KINDS[record_class]]
    return returned(types.CPointer(numba_type(record_class, number)))


if DISABLED:

    def call(address: int, arguments: Any) -> Any:
        """Call the kernel at an address with a record."""
        return PLAIN[address]((arguments,))

    def typed(pointer: Any, like: Any) -> Any:
        """Return an array of unknown dtype as the array that it is."""
        return pointer

else:

    def _number_of(arguments: Any) -> Any:
        """Return the network's dtype as the fields of a record have it, or None if none of them has it."""
        for kind, given in zip(kinds_of(arguments.instance_class).values(), arguments.types, strict=True):
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
        for (name, kind), given in zip(kinds_of(record_class).items(), arguments.types, strict=True):
            expected = _field_type(kind, number)
            if is_array(kind):
                is_contiguous = isinstance(given, types.Array) and given.layout in "CF"
                fits = given == expected or (is_contiguous and given.dtype == expected.dtype)
            elif is_record(kind):
                fits = getattr(given, "instance_class", None) is kind
                if fits:
                    _check(given, number)
            else:
                fits = types.unliteral(given) == expected
            if not fits:
                raise errors.TypingError(f"{record_class.__name__}.{name}: expected {expected}, got {given}")

    def _converted(context: Any, builder: Any, value: Any, given: Any, kind: Any, number: Any) -> Any:
        if is_array(kind):
            return data_pointer(context, builder, given, value)
        if is_record(kind):
            return _record_value(context, builder, value, given, number)
        return context.cast(builder, value, given, types.unliteral(given))

    def _record_value(context: Any, builder: Any, value: Any, given: Any, number: Any) -> Any:
        kinds = kinds_of(given.instance_class).values()
        values = cgutils.unpack_tuple(builder, value)
        fields = [
            _converted(context, builder, field, its_type, kind, number)
            for field, its_type, kind in zip(values, given.types, kinds, strict=True)
        ]
        return context.make_tuple(builder, numba_type(given.instance_class, number), fields)

    @intrinsic
    def call(_: Any, address: Any, arguments: Any) -> Any:
        """Call the kernel at an address with a record."""
        if getattr(arguments, "instance_class", None) not in RETURN_KINDS:
            raise errors.TypingError(f"call: expected a record, got {arguments}")
        if not isinstance(address, types.Integer):
            raise errors.TypingError(f"call: expected an int64 as the address, got {address}")
        number = _number_of(arguments) or types.float64  # if no field has the network's dtype, any will do
        _check(arguments, number)
        signature = signature_of(arguments.instance_class, number)

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
