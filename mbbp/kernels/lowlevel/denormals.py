"""Numbers below the least normal one, with which a processor computes some 30 times slower.

A state of an optimizer whose gradients have become 0, such as those of a relu that is never active any more, decays to
such numbers in some hundred steps of float32, or thousands of float64, and stays there. While a kernel trains, its
thread takes them as 0. Two bits of the control register MXCSR say so: 15 for results, 6 for operands.
"""

import platform

import numpy as np

from mbbp.kernels.lowlevel.compiling import DISABLED, inlined, intrinsic
from mbbp.kernels.lowlevel.later import cgutils, ir, types

HAS_MXCSR = platform.machine().lower() in ("x86_64", "amd64")
AS_ZERO = 1 << 15 | 1 << 6

if DISABLED or not HAS_MXCSR:

    @inlined
    def take_denormals_as_zero():
        """Do nothing: here the processor has another register, or none is needed."""
        return np.int64(0)

    @inlined
    def set_back(register):
        """Do nothing."""
        return register

else:

    def _call(builder, name, place):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
        builder.call(function, [builder.bitcast(place, ir.IntType(8).as_pointer())])

    @intrinsic
    def take_denormals_as_zero(_):
        """Set the two bits in the register of this thread, and return what it held before."""

        def codegen(context, builder, signature, arguments):
            word = ir.IntType(32)
            place = cgutils.alloca_once(builder, word)
            _call(builder, "stmxcsr", place)
            before = builder.load(place)
            builder.store(builder.or_(before, ir.Constant(word, AS_ZERO)), place)
            _call(builder, "ldmxcsr", place)
            return builder.zext(before, ir.IntType(64))

        return types.int64(), codegen

    @intrinsic
    def set_back(_, register):
        """Set the register of this thread to what it held before."""

        def codegen(context, builder, signature, arguments):
            word = ir.IntType(32)
            place = cgutils.alloca_once(builder, word)
            builder.store(builder.trunc(arguments[0], word), place)
            _call(builder, "ldmxcsr", place)
            return arguments[0]

        return types.int64(types.int64), codegen
