"""Floating-point numbers made of their bits."""

import numpy as np

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import ir, types

MANTISSA_SINGLE, MANTISSA_DOUBLE = 23, 52  # bits
MAGIC = 0x5FE6EB50C7B537A9  # C. Lomont, Fast inverse square root, 2003

if DISABLED:

    def lowest_bits_as_exponent(t):
        """Return the number whose sign and exponent are the lowest bits of t, and whose mantissa is 1."""
        whole, mantissa = (np.int32, MANTISSA_SINGLE) if t.dtype == np.float32 else (np.int64, MANTISSA_DOUBLE)
        return (t.view(whole) << whole(mantissa)).view(t.dtype)

    def rough_inverse_square_root(t):
        """Return 1 / sqrt(t) for a normal float64 t above 0, with a relative error of at most 3.5 %."""
        return (np.int64(MAGIC) - (np.float64(t).view(np.int64) >> np.int64(1))).view(np.float64)

    def exponent_and_mantissa(t):
        """Return the exponent, and the mantissa from 1 to 2, of a normal number above 0, as numbers of its type."""
        mantissa, exponent = np.frexp(t)
        return t.dtype.type(exponent - 1), t.dtype.type(2) * mantissa

else:

    @intrinsic
    def exponent_and_mantissa(_, t):
        """Return the exponent, and the mantissa from 1 to 2, of a normal number above 0, as numbers of its type."""
        bits, mantissa = (32, MANTISSA_SINGLE) if t == types.float32 else (64, MANTISSA_DOUBLE)
        bias = (1 << (bits - mantissa - 2)) - 1

        def codegen(context, builder, signature, arguments):
            whole, number = ir.IntType(bits), context.get_value_type(t)
            all_bits = builder.bitcast(arguments[0], whole)
            shifted = builder.lshr(all_bits, ir.Constant(whole, mantissa))
            exponent = builder.sitofp(builder.sub(shifted, ir.Constant(whole, bias)), number)
            kept = builder.and_(all_bits, ir.Constant(whole, (1 << mantissa) - 1))
            one = ir.Constant(whole, bias << mantissa)
            parts = [exponent, builder.bitcast(builder.or_(kept, one), number)]
            return context.make_tuple(builder, signature.return_type, parts)

        return types.UniTuple(t, 2)(t), codegen

    @intrinsic
    def lowest_bits_as_exponent(_, t):
        """Return the number whose sign and exponent are the lowest bits of t, and whose mantissa is 1."""
        bits, mantissa = (32, MANTISSA_SINGLE) if t == types.float32 else (64, MANTISSA_DOUBLE)

        def codegen(context, builder, signature, arguments):
            whole = ir.IntType(bits)
            shifted = builder.shl(builder.bitcast(arguments[0], whole), ir.Constant(whole, mantissa))
            return builder.bitcast(shifted, context.get_value_type(t))

        return t(t), codegen

    @intrinsic
    def rough_inverse_square_root(_, t):
        """Return 1 / sqrt(t) for a normal float64 t above 0, with a relative error of at most 3.5 %."""

        def codegen(context, builder, signature, arguments):
            whole = ir.IntType(64)
            half = builder.ashr(builder.bitcast(arguments[0], whole), ir.Constant(whole, 1))
            return builder.bitcast(builder.sub(ir.Constant(whole, MAGIC), half), context.get_value_type(t))

        return types.float64(types.float64), codegen
