"""Floating-point numbers made of their bits."""

import math

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mbbp.kernels.lowlevel.compiling import DISABLED

if DISABLED:

    def power_of_two(n):
        """Return 2^n for a whole number n in the range of normal exponents."""
        return type(n)(math.ldexp(1.0, 0 if n != n else int(n)))

else:

    @intrinsic
    def power_of_two(_, n):
        """Return 2^n for a whole number n in the range of normal exponents, by writing its exponent bits."""
        bits, bias, mantissa = (32, 127, 23) if n == types.float32 else (64, 1023, 52)

        def codegen(context, builder, signature, arguments):
            whole = ir.IntType(bits)
            biased = builder.add(builder.fptosi(arguments[0], whole), ir.Constant(whole, bias))
            return builder.bitcast(builder.shl(biased, ir.Constant(whole, mantissa)), context.get_value_type(n))

        return n(n), codegen
