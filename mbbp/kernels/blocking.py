"""A matrix product of any size, cut into tiles for the micro-kernel (see tile.py).

C = keep Start + A B is cut into groups of columns as wide as a tile, blocks of the sum so short that a block of B stays
in the nearest caches, and then tile by tile down the rows.

All products of the engine come down to this one function, which is called by its address (see linking.py).
"""

import functools
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from mbbp.kernels.codes import ZERO
from mbbp.kernels.jit import DISABLED, inlined
from mbbp.kernels.linking import BOUNDLESS, address_of, call
from mbbp.kernels.tile import HALF_VECTOR_BYTES, MASKS_ARE_CHEAP, MOST_VECTORS, VECTOR_BYTES, tiles, transpose

DEPTH = 256  # terms of the sum in a block: with fewer, C is passed over more often; 128 to 256 are level in float32
PANEL = DEPTH * MOST_VECTORS * VECTOR_BYTES // 4  # numbers in a packed block of B
SMALL = 12  # multiply-adds a row: below it, what a tile takes to set up is more than what it saves


class Multiplier(NamedTuple):
    """What a product needs besides its matrices."""

    address: int  # of the compiled function, see `multiplier_address`
    panel: NDArray[Any]  # room for PANEL numbers


@inlined
def _pack(b, b_at, b_step, b_column, depth, columns, panel, panel_step):
    """Copy a block of B into the panel, row after row; turn it where its columns are what lies together in memory."""
    width = VECTOR_BYTES // panel.itemsize
    if b_column == 1:
        for k in range(depth):
            for j in range(columns):
                panel[k * panel_step + j] = b[b_at + k * b_step + j]
    else:
        for j in range(0, columns, width):
            for k in range(0, depth, width):
                at = b_at + j * b_column + k
                rows, across = min(width, columns - j), min(width, depth - k)
                transpose(b, at, b_column, panel, k * panel_step + j, panel_step, rows, across)


@inlined
def _group_of_columns(left, width):
    """Return how many of the columns that are left go into the next group: none is left narrower than a vector."""
    most = MOST_VECTORS * width
    if left <= most:
        return left
    return (left + 1) // 2 if left < most + width else most


@inlined
def _small_multiply_add(a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep):
    """C = keep Start + A B, number by number."""
    for i in range(n_rows):
        for j in range(n_columns):
            total = c.dtype.type(0)
            for k in range(depth):
                total += a[i * a_row + k * a_step] * b[k * b_step + j * b_column]
            c[i * n_columns + j] = total if keep == 0 else total + keep * start[i * start_row + j]


@inlined
def _multiply_add(a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep, panel):
    """C = keep Start + A B, with C (n_rows, n_columns) row after row; all are vectors with steps through them."""
    if n_columns * depth <= SMALL:
        _small_multiply_add(a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep)
        return
    width, half = VECTOR_BYTES // c.itemsize, HALF_VECTOR_BYTES // c.itemsize
    packs = b_column != 1 or (n_columns < width and not MASKS_ARE_CHEAP)
    column = ZERO
    while column < n_columns:
        columns = _group_of_columns(n_columns - column, width)
        for k in range(0, depth, DEPTH):
            terms = min(DEPTH, depth - k)
            A, B = (a, k * a_step, a_row, a_step), (b, k * b_step + column * b_column, b_step)
            if packs:
                panel_step = (columns + width - 1) // width * width
                _pack(b, B[1], b_step, b_column, terms, columns, panel, panel_step)
                B = (panel, ZERO, panel_step)
            C = (c, column, n_columns)
            begin, kept = ((start, column, start_row), keep) if k == 0 else (C, c.dtype.type(1))
            if columns <= half:
                tiles(0, A, B, begin, C, n_rows, terms, columns, kept)
            elif columns <= width:
                tiles(1, A, B, begin, C, n_rows, terms, columns, kept)
            elif columns <= 2 * width:
                tiles(2, A, B, begin, C, n_rows, terms, columns, kept)
            else:
                tiles(MOST_VECTORS, A, B, begin, C, n_rows, terms, columns, kept)
        column += columns


def _on_pointers(a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep, panel):
    A, B, S = numba.carray(a, BOUNDLESS), numba.carray(b, BOUNDLESS), numba.carray(start, BOUNDLESS)
    C, P = numba.carray(c, BOUNDLESS), numba.carray(panel, BOUNDLESS)
    _multiply_add(A, a_row, a_step, B, b_step, b_column, S, start_row, C, n_rows, n_columns, depth, keep, P)


@functools.cache
def multiplier_address(dtype: np.dtype[Any]) -> int:
    """Return the address of the product for a dtype, compiling it if it has not been."""
    return address_of(_on_pointers, "XiiXiiXiXiiixX", dtype)


if DISABLED:

    def multiply_add(multiplier, *arguments):
        """C = keep Start + A B."""
        _multiply_add(*arguments, multiplier.panel)

else:

    @inlined
    def multiply_add(
        multiplier, a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep
    ):
        """C = keep Start + A B, with C (n_rows, n_columns) row after row; all are vectors with steps through them.

        Number (i, k) of A is a[i a_row + k a_step], number (k, j) of B is b[k b_step + j b_column], and row i of Start
        begins at start[i start_row]. With keep = 0 it does not count what stands in Start.
        """
        A, B = (a, a_row, a_step), (b, b_step, b_column)
        call(multiplier.address, A + B + (start, start_row, c, n_rows, n_columns, depth, keep, multiplier.panel))
