"""Arrays made of an address and a shape.

Numba's own views cost: a reshape is a call into the C library, and references are counted, by atomic additions, for
every view. Some hundred of both in one step through a network of two layers take as long as the whole step of a tiny
network. Here a view is an address and its sizes. It owns nothing: whoever called the kernel keeps the memory alive.
"""

from mbbp.kernels.lowlevel.compiling import DISABLED, intrinsic
from mbbp.kernels.lowlevel.later import arrayobj, cgutils, ir, types

BOUNDLESS = 1 << 40  # the length of a vector of which only the address is known


def _view(context, builder, kind, data, shape):
    """Return an array of this type, contiguous from an address on, that owns nothing."""
    array = context.make_array(kind)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides, step = [], ir.Constant(ir.IntType(64), size)
    for n in shape if kind.layout == "F" else reversed(shape):
        strides.append(step)
        step = builder.mul(step, n)
    arrayobj.populate_array(
        array,
        data=builder.bitcast(data, array.data.type),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides if kind.layout == "F" else strides[::-1]),
        itemsize=ir.Constant(ir.IntType(64), size),
        meminfo=None,
    )
    return array._getvalue()


def data_pointer(context, builder, kind, value):
    """Return the address of the first number of an array, or a pointer as it is."""
    return context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value


if DISABLED:

    def rest(numbers, start):
        """Return the numbers from `start` on, however many there are."""
        return numbers[start:]

    def part(numbers, start, n):
        """Return n numbers from `start` on, as a vector."""
        return numbers[start : start + n]

    def matrix(numbers, start, n, m):
        """Return the numbers from `start` on as an (n, m) matrix in Fortran order."""
        return numbers.reshape(-1)[start : start + n * m].reshape(m, n).T

    def flat(X):
        """Return the numbers of a matrix in memory's order."""
        return X.T.reshape(X.size)

else:

    def _shaped(numbers, *sizes):
        kind = types.Array(numbers.dtype, len(sizes) - 1, "C" if len(sizes) == 2 else "F")

        def codegen(context, builder, signature, arguments):
            data = data_pointer(context, builder, signature.args[0], arguments[0])
            start, *shape = arguments[1:]
            return _view(context, builder, kind, builder.gep(data, [start]), shape)

        return kind(numbers, *[types.int64] * len(sizes)), codegen

    @intrinsic
    def rest(_, numbers, start):
        """Return a pointer to the numbers from `start` on; `numbers` is a pointer or a vector."""

        def codegen(context, builder, signature, arguments):
            return builder.gep(data_pointer(context, builder, signature.args[0], arguments[0]), [arguments[1]])

        return types.CPointer(numbers.dtype)(numbers, types.int64), codegen

    @intrinsic
    def part(_, numbers, start, n):
        """Return n numbers from `start` on, as a vector; `numbers` is a pointer or a vector."""
        return _shaped(numbers, start, n)

    @intrinsic
    def matrix(_, numbers, start, n, m):
        """Return the numbers from `start` on as an (n, m) matrix in Fortran order."""
        return _shaped(numbers, start, n, m)

    @intrinsic
    def flat(_, X):
        """Return the numbers of a matrix in Fortran order in memory's order."""
        kind = types.Array(X.dtype, 1, "C")

        def codegen(context, builder, signature, arguments):
            whole = context.make_array(signature.args[0])(context, builder, arguments[0])
            n, m = cgutils.unpack_tuple(builder, whole.shape)
            return _view(context, builder, kind, whole.data, [builder.mul(n, m)])

        return kind(X), codegen
