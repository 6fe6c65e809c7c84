"""Floating-point numbers made of their bits."""

import numpy as np

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import ir, types

MANTISSA_SINGLE, MANTISSA_DOUBLE = 23, 52  # bits

if DISABLED:

    def lowest_bits_as_exponent(t):
        """Return the number whose sign and exponent are the lowest bits of t, and whose mantissa is 1."""
        whole, mantissa = (np.int32, MANTISSA_SINGLE) if t.dtype == np.float32 else (np.int64, MANTISSA_DOUBLE)
        return (t.view(whole) << whole(mantissa)).view(t.dtype)

else:

    @intrinsic
    def lowest_bits_as_exponent(_, t):
        """Return the number whose sign and exponent are the lowest bits of t, and whose mantissa is 1."""
        bits, mantissa = (32, MANTISSA_SINGLE) if t == types.float32 else (64, MANTISSA_DOUBLE)

        def codegen(context, builder, signature, arguments):
            whole = ir.IntType(bits)
            shifted = builder.shl(builder.bitcast(arguments[0], whole), ir.Constant(whole, mantissa))
            return builder.bitcast(shifted, context.get_value_type(t))

        return t(t), codegen
