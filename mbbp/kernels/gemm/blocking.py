"""A matrix product of any size, cut into tiles for the micro-kernel (see tile.py).

C = beta Start + A B is cut into blocks of the sum, so short that a block of B stays in the nearest caches; each of them
into groups of columns as wide as a tile, and then tile by tile down the rows. All products of the engine come down to
this one kernel.

A tile reads a few neighbouring numbers of each row of B. If the rows are long, these lie far apart: each in a page of
its own, and if the distance is a power of two, all in one set of the nearest cache, where they push each other out. So,
if enough rows of A will use it, the block of B is first copied into slivers: the numbers that the tiles of one group of
columns read, one after the other (Goto and van de Geijn 2008). A is copied too if its columns are contiguous, not its
rows: some rows at a time. With 1024 x 1024 weights and 256 examples this made the forward product 1.8 times as fast,
and the weight gradient, with the tile of C asked for ahead, 1.8 times (AMD Zen 3, float32).
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
from mbbp.kernels.lowlevel.compiling import ONE, ZERO, inlined, shared
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Number, Numbers, record
from mbbp.kernels.lowlevel.vectors import VECTOR_BYTES, copy_vector, transpose
from mbbp.kernels.lowlevel.views import BOUNDLESS, part

KC = 256  # at most so many terms of the sum in a block: with fewer, C is read and written more often
PANEL = KC * NR_VECTORS * VECTOR_BYTES // 4  # numbers in a packed block of B, for one group of columns
SLIVERS = 32  # of a block of B that are made at a time: more would not stay in the second cache
# of a product for which slivers are made: in smaller ones they take more than they save
LEAST_ROWS, LEAST_COLUMNS = 32, 96
ROWS = 96  # of A that are copied at a time
ROWS_AT_ONCE = 8  # of B that are cut into slivers together: the processor reads ahead in so many at a time
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
    panel: Numbers  # room for as many numbers as `panel_size` says


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


@shared
def _sliver_count(n_columns, sliver):
    """Return how many slivers so many columns may need: the last two share what is left."""
    return (n_columns + sliver - 1) // sliver + 1


def panel_size(n_columns, depth, itemsize):
    """Return how many numbers the panel must hold for products of at most these sizes."""
    if n_columns < LEAST_COLUMNS:
        return PANEL
    sliver = NR_VECTORS * VECTOR_BYTES // itemsize
    slivers = min(SLIVERS + 2, _sliver_count(n_columns, sliver))
    return max(PANEL, (slivers * sliver + ROWS) * min(depth, KC))


@inlined
def _cut_into_slivers(b, b_at, rs_b, terms, n_columns, width, panel):
    """Copy rows of B into slivers: for each group of columns, its numbers row after row."""
    sliver = NR_VECTORS * width
    for first in range(0, terms, ROWS_AT_ONCE):
        last = min(first + ROWS_AT_ONCE, terms)
        column, begin = ZERO, ZERO
        while column < n_columns:
            columns = _group_of_columns(n_columns - column, width)
            for k in range(first, last):
                for j in range(0, columns, width):
                    at = min(j, columns - width)
                    copy_vector(b, b_at + k * rs_b + column + at, panel, begin + k * sliver + at)
            column += columns
            begin += terms * sliver


@inlined
def _copy_rows(a, a_at, cs_a, terms, rows, width, panel, n_columns):
    """Copy rows of A, whose columns are contiguous, behind the slivers, column after column; return where they are."""
    begin = _sliver_count(n_columns, NR_VECTORS * width) * NR_VECTORS * width * terms
    for k in range(terms):
        for i in range(0, rows, width):
            at = min(i, rows - width)
            copy_vector(a, a_at + k * cs_a + at, panel, begin + k * ROWS + at)
    return begin


@kernel(Product, fastmath={"contract"})  # so that a small product has the bits of a tile
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
    has_slivers = cs_b == 1 and n_rows >= LEAST_ROWS and n_columns >= LEAST_COLUMNS
    packs = cs_b != 1 or (n_columns < width and not MASKS_ARE_CHEAP)
    most = SLIVERS * NR_VECTORS * width
    copies_a = has_slivers and rs_a == 1 and n_rows >= width
    rows_at_once = ROWS if copies_a else max(n_rows, 1)  # a thread may have no rows
    blocks = (depth + KC - 1) // KC
    block = (depth + blocks - 1) // max(blocks, 1)  # a last one of a few terms would take nearly as long as a whole one
    first = ZERO
    while first < n_columns:
        # all that is left, if it is little more: no group of columns must be narrower than a vector
        end = n_columns if not has_slivers or n_columns - first < most + width else first + most
        for k in range(0, depth, block):
            terms = min(block, depth - k)
            if has_slivers:
                _cut_into_slivers(b, k * rs_b + first, rs_b, terms, end - first, width, panel)
            for row in range(0, n_rows, rows_at_once):
                rows = min(rows_at_once, n_rows - row)
                A = (a, row * rs_a + k * cs_a, rs_a, cs_a)
                if copies_a and rows >= width:
                    A = (panel, _copy_rows(a, A[1], cs_a, terms, rows, width, panel, end - first), ONE, ROWS)
                column, sliver = first, ZERO
                while column < end:
                    columns = _group_of_columns(end - column, width)
                    B = (b, k * rs_b + column * cs_b, rs_b)
                    if has_slivers:
                        B = (panel, sliver, NR_VECTORS * width)
                        sliver += terms * NR_VECTORS * width
                    elif packs:
                        rs_panel = (columns + width - 1) // width * width
                        _pack(b, B[1], rs_b, cs_b, terms, columns, panel, rs_panel)
                        B = (panel, ZERO, rs_panel)
                    C = (c, row * rs_c + column, rs_c)
                    begin, factor = C, c.dtype.type(1)
                    if k == 0:
                        begin, factor = (start, row * rs_start + column, rs_start), beta
                    if columns <= half and half < width:
                        tiles(HALF, A, B, begin, C, rows, terms, columns, factor)
                    elif columns < width:
                        tiles(PARTIAL, A, B, begin, C, rows, terms, columns, factor)
                    elif columns == width:
                        tiles(1, A, B, begin, C, rows, terms, columns, factor)
                    elif columns <= 2 * width:
                        tiles(2, A, B, begin, C, rows, terms, columns, factor)
                    else:
                        tiles(NR_VECTORS, A, B, begin, C, rows, terms, columns, factor)
                    column += columns
        first = end
    return ZERO
