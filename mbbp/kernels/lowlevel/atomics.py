"""How threads tell each other where they are: numbers that are written and read in order, and a core given away."""

import os
import time

from mbbp.kernels.lowlevel.compiling import DISABLED, external, inlined, intrinsic
from mbbp.kernels.lowlevel.later import types

if DISABLED:

    def publish(pointer, i, value):
        """Write a number."""
        pointer[i] = value

    def look(pointer, i):
        """Read a number."""
        return pointer[i]

    def yield_core():
        """Let another thread run."""
        time.sleep(0)

else:

    @intrinsic
    def publish(_, pointer, i, value):
        """Write an int64 so that whoever sees it sees all that was written before it."""

        def codegen(context, builder, signature, arguments):
            builder.store_atomic(arguments[2], builder.gep(arguments[0], [arguments[1]]), "release", 8)
            return context.get_dummy_value()

        return types.void(types.CPointer(types.int64), types.int64, types.int64), codegen

    @intrinsic
    def look(_, pointer, i):
        """Read an int64. Later reads see all that was written before this number was published."""

        def codegen(context, builder, signature, arguments):
            return builder.load_atomic(builder.gep(arguments[0], [arguments[1]]), "acquire", 8)

        return types.int64(types.CPointer(types.int64), types.int64), codegen

    if hasattr(os, "sched_yield"):

        @external
        def sched_yield():
            """Let another thread run."""

        @inlined
        def yield_core():
            """Let another thread run."""
            return sched_yield()

    else:

        @inlined
        def yield_core():
            """Do nothing: this system cannot give a core away."""
            return 0
