"""Asking for memory before it is needed: the processor fetches a cache line, and the program does not wait for it."""

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import cgutils, ir, types
from mbbp.kernels.lowlevel.views import data_pointer

LINE_SIZE = 64  # bytes of a cache line; where it is 128, a line is asked for twice

if DISABLED:

    def prefetch(numbers, start):
        """Do nothing: plain Python has no such instruction."""

else:

    @intrinsic
    def prefetch(_, numbers, start):
        """Ask for the cache line of entry `start` of a pointer or a vector."""
        word = ir.IntType(32)
        to_read, into_all_caches, data = (ir.Constant(word, value) for value in (0, 3, 1))

        def codegen(context, builder, signature, arguments):
            place = builder.gep(data_pointer(context, builder, signature.args[0], arguments[0]), [arguments[1]])
            kind = ir.IntType(8).as_pointer()
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [kind, word, word, word]), "llvm.prefetch.p0"
            )
            builder.call(function, [builder.bitcast(place, kind), to_read, into_all_caches, data])
            return context.get_dummy_value()

        return types.void(numbers, types.int64), codegen
