"""A matrix product of any size, cut into tiles for the micro-kernel (see tile.py).

C = beta Start + A B is cut into groups of columns as wide as a tile, blocks of the sum so short that a block of B stays
in the nearest caches, and then tile by tile down the rows. All products of the engine come down to this one kernel.
"""

from typing import NamedTuple

from mbbp.kernels.gemm.tile import (
    HALF,
    HALF_VECTOR_BYTES,
    MASKS_ARE_CHEAP,
    NR_VECTORS,
    PARTIAL,
    tiles,
)
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.records import Int, Number, Numbers, kernel, record
from mbbp.kernels.lowlevel.vectors import VECTOR_BYTES, transpose
from mbbp.kernels.lowlevel.views import BOUNDLESS, part

KC = 256  # terms of the sum in a block: with fewer, C is read and written more often; 128 to 256 do equally well
PANEL = KC * NR_VECTORS * VECTOR_BYTES // 4  # numbers in a packed block of B
SMALL = 12  # multiply-adds a row: below it, preparing a tile takes longer than the tile saves


@record
class Product(NamedTuple):
    """C = beta Start + A B: where each matrix begins, and its strides in numbers.

    Number (i, k) of A is a[i rs_a + k cs_a], number (k, j) of B is b[k rs_b + j cs_b]. One stride of B is 1. Row i of
    Start begins at start[i rs_start], and row i of C, which is (n_rows, n_columns), at c[i rs_c]. With beta = 0 Start
    is not read.
    """

    a: Numbers
    rs_a: Int
    cs_a: Int
    b: Numbers
    rs_b: Int
    cs_b: Int
    start: Numbers
    rs_start: Int
    c: Numbers
    rs_c: Int
    n_rows: Int
    n_columns: Int
    depth: Int  # the terms of the sum
    beta: Number
    panel: Numbers  # room for PANEL numbers


@inlined
def _pack(b, b_at, rs_b, cs_b, depth, columns, panel, rs_panel):
    """Copy a block of B into the panel, row after row; transpose it where its columns are contiguous."""
    width = VECTOR_BYTES // panel.itemsize
    if cs_b == 1:
        for k in range(depth):
            for j in range(columns):
                panel[k * rs_panel + j] = b[b_at + k * rs_b + j]
    else:
        for j in range(0, columns, width):
            for k in range(0, depth, width):
                at = b_at + j * cs_b + k
                rows, across = min(width, columns - j), min(width, depth - k)
                transpose(b, at, cs_b, panel, k * rs_panel + j, rs_panel, rows, across)


@inlined
def _group_of_columns(left, width):
    """Return how many of the columns that are left go into the next group: none is left narrower than a vector."""
    most = NR_VECTORS * width
    if left <= most:
        return left
    return (left + 1) // 2 if left < most + width else most


@inlined
def _small_multiply_add(product, a, b, start, c):
    """C = beta Start + A B, number by number."""
    for i in range(product.n_rows):
        for j in range(product.n_columns):
            total = c.dtype.type(0)
            for k in range(product.depth):
                total += a[i * product.rs_a + k * product.cs_a] * b[k * product.rs_b + j * product.cs_b]
            if product.beta != 0:
                total += product.beta * start[i * product.rs_start + j]
            c[i * product.rs_c + j] = total


@kernel(Product)
def multiply_add(at):
    """C = beta Start + A B."""
    product = at[0]
    rs_a, cs_a, rs_b, cs_b = product.rs_a, product.cs_a, product.rs_b, product.cs_b
    rs_start, rs_c = product.rs_start, product.rs_c
    n_rows, n_columns, depth, beta = product.n_rows, product.n_columns, product.depth, product.beta
    a, b = part(product.a, ZERO, BOUNDLESS), part(product.b, ZERO, BOUNDLESS)
    start, c = part(product.start, ZERO, BOUNDLESS), part(product.c, ZERO, BOUNDLESS)
    panel = part(product.panel, ZERO, BOUNDLESS)
    if n_columns * depth <= SMALL:
        _small_multiply_add(product, a, b, start, c)
        return ZERO
    width, half = VECTOR_BYTES // c.itemsize, HALF_VECTOR_BYTES // c.itemsize
    packs = cs_b != 1 or (n_columns < width and not MASKS_ARE_CHEAP)
    column = ZERO
    while column < n_columns:
        columns = _group_of_columns(n_columns - column, width)
        for k in range(0, depth, KC):
            terms = min(KC, depth - k)
            A, B = (a, k * cs_a, rs_a, cs_a), (b, k * rs_b + column * cs_b, rs_b)
            if packs:
                rs_panel = (columns + width - 1) // width * width
                _pack(b, B[1], rs_b, cs_b, terms, columns, panel, rs_panel)
                B = (panel, ZERO, rs_panel)
            C = (c, column, rs_c)
            begin, factor = ((start, column, rs_start), beta) if k == 0 else (C, c.dtype.type(1))
            if columns <= half and half < width:
                tiles(HALF, A, B, begin, C, n_rows, terms, columns, factor)
            elif columns < width:
                tiles(PARTIAL, A, B, begin, C, n_rows, terms, columns, factor)
            elif columns == width:
                tiles(1, A, B, begin, C, n_rows, terms, columns, factor)
            elif columns <= 2 * width:
                tiles(2, A, B, begin, C, n_rows, terms, columns, factor)
            else:
                tiles(NR_VECTORS, A, B, begin, C, n_rows, terms, columns, factor)
        column += columns
    return ZERO
