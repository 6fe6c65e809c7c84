"""Tuples of numbers, for the functions of custom optimizers."""

from typing import Any

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import cgutils, errors, ir, types

if DISABLED:

    def reals_of(reals: Any, n: int) -> tuple[float, ...]:
        """Return the first n numbers as a tuple."""
        return tuple(reals[:n])

    def numbers_of(values: Any, like: Any) -> tuple[Any, ...]:
        """Return the numbers of a tuple in the dtype of an array."""
        return tuple(like.dtype.type(value) for value in values)

else:

    @intrinsic
    def reals_of(_: Any, reals: Any, n: Any) -> Any:
        """Return the first n numbers as a tuple; n is a constant."""
        if not isinstance(n, types.IntegerLiteral):
            raise errors.RequireLiteralValue("n: expected a constant")
        count = n.literal_value

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            places = [builder.gep(values[0], [ir.Constant(ir.IntType(64), i)]) for i in range(count)]
            return context.make_tuple(builder, signature.return_type, [builder.load(place) for place in places])

        return types.UniTuple(types.float64, count)(reals, n), codegen

    @intrinsic
    def numbers_of(_: Any, values: Any, like: Any) -> Any:
        """Return the numbers of a tuple in the dtype of an array."""
        kinds = list(values)

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            given = cgutils.unpack_tuple(builder, arguments[0], len(kinds))
            cast = [context.cast(builder, one, kind, like.dtype) for one, kind in zip(given, kinds, strict=True)]
            return context.make_tuple(builder, signature.return_type, cast)

        return types.UniTuple(like.dtype, len(kinds))(values, like), codegen
