"""Views of the engine's vectors, made of nothing but numbers.

Numba's own views cost: a reshape is a call into the C library, and references are counted, by atomic additions, for
every view. Some hundred of both in one step through a network of two layers are as long as the whole step of a tiny
network. Here a view is an address and two sizes, and what a kernel borrows from its caller, who keeps it alive, is not
counted.
"""

import ctypes

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from mbbp.kernels.jit import DISABLED


def _view(context, builder, kind, data, shape):
    """Return an array of this type, contiguous from an address on, that owns nothing."""
    array = context.make_array(kind)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    strides, step = [], ir.Constant(ir.IntType(64), size)
    for n in shape if kind.layout == "F" else reversed(shape):
        strides.append(step)
        step = builder.mul(step, n)
    populate_array(
        array,
        data=builder.bitcast(data, array.data.type),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides if kind.layout == "F" else strides[::-1]),
        itemsize=ir.Constant(ir.IntType(64), size),
        meminfo=None,
    )
    return array._getvalue()


def _of(array, n_dimensions, layout):
    return types.Array(array.dtype, n_dimensions, layout, readonly=not array.mutable)


if DISABLED:

    def borrowed(array):
        """Return the array."""
        return array

    def part(vector, start, n):
        """Return n numbers of a vector from `start` on."""
        return vector[start : start + n]

    def matrix(vector, start, n, m):
        """Return an (n, m) view of a vector from `start` on."""
        return vector[start : start + n * m].reshape(m, n).T

    def flat(X):
        """Return the numbers of a matrix in memory's order."""
        return X.T.reshape(X.size)

    def vector_at(address, n, like):
        """Return the n numbers at an address, of the dtype of another vector."""
        room = (ctypes.c_char * int(n * like.itemsize)).from_address(int(address))
        return np.frombuffer(room, like.dtype)

    def rows_as_columns(rows, first, m):
        """Return m rows of a matrix in C order, from the first one on, as columns; nobody may write to them."""
        return rows[first : first + m].T

else:

    @intrinsic
    def borrowed(_, array):
        """Return the same array, whose views are not counted; it must not outlive its owner."""

        def codegen(context, builder, signature, arguments):
            view = context.make_array(signature.args[0])(context, builder, arguments[0])
            view.meminfo = cgutils.get_null_value(view.meminfo.type)
            view.parent = cgutils.get_null_value(view.parent.type)
            return view._getvalue()

        return array(array), codegen

    def _shaped(_, vector, *sizes):
        kind = _of(vector, len(sizes) - 1, "C" if len(sizes) == 2 else "F")

        def codegen(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            start, *shape = arguments[1:]
            return _view(context, builder, signature.return_type, builder.gep(data, [start]), shape)

        return kind(vector, *[types.int64] * len(sizes)), codegen

    @intrinsic
    def part(_, vector, start, n):
        """Return n numbers of a vector from `start` on."""
        return _shaped(_, vector, start, n)

    @intrinsic
    def matrix(_, vector, start, n, m):
        """Return an (n, m) view of a vector from `start` on."""
        return _shaped(_, vector, start, n, m)

    @intrinsic
    def flat(_, X):
        """Return the numbers of a matrix in Fortran order in memory's order."""
        kind = _of(X, 1, "C")

        def codegen(context, builder, signature, arguments):
            matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
            n, m = cgutils.unpack_tuple(builder, matrix.shape)
            return _view(context, builder, kind, matrix.data, [builder.mul(n, m)])

        return kind(X), codegen

    @intrinsic
    def vector_at(_, address, n, like):
        """Return the n numbers at an address, of the dtype of another vector."""
        kind = _of(like, 1, "C")

        def codegen(context, builder, signature, arguments):
            data = builder.inttoptr(arguments[0], context.get_data_type(kind.dtype).as_pointer())
            return _view(context, builder, kind, data, [arguments[1]])

        return kind(types.int64, types.int64, like), codegen

    @intrinsic
    def rows_as_columns(_, rows, first, m):
        """Return m rows of a matrix in C order, from the first one on, as columns; nobody may write to them.

        To Numba they are writable, whether or not the matrix is, so that nothing is compiled twice.
        """
        kind = types.Array(rows.dtype, 2, "F")

        def codegen(context, builder, signature, arguments):
            matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
            n = builder.extract_value(matrix.shape, 1)
            start = builder.gep(matrix.data, [builder.mul(arguments[1], n)])
            return _view(context, builder, kind, start, [n, arguments[2]])

        return kind(rows, types.int64, types.int64), codegen
