"""The matrix products of backpropagation: forward, backward, and the gradients of weights and biases.

All matrices are (n, m) in Fortran order, so that in memory an example, or the weights of one input, is a row of
neighbouring neurons. Seen as rows, each product is C = keep Start + A B, and is cut into tiles for the micro-kernel
(see tile.py): groups of columns as wide as a tile, blocks of the sum so short that a block of B stays in the L1 cache,
and then tile by tile down the rows.
"""

from mbbp.kernels.codes import ONE, ZERO
from mbbp.kernels.jit import compiled, inlined
from mbbp.kernels.tile import HALF_VECTOR_BYTES, MASKS_ARE_CHEAP, MOST_VECTORS, ROWS, VECTOR_BYTES, tile, transpose
from mbbp.kernels.views import flat

DEPTH = 128  # terms of the sum in a block: 128 x 192 bytes of B are most of an L1 cache
PANEL = DEPTH * MOST_VECTORS * VECTOR_BYTES // 4  # numbers in a packed block of B
SMALL = 48  # multiply-adds: below it, what a tile takes to set up is more than what it saves


def _rows_of_tiles(vectors):
    """Return the function that goes down the rows of one group of columns, `vectors` vectors wide."""

    @compiled
    def rows_of_tiles(A, B, start, C, n_rows, depth, columns, keep):
        a, a_at, a_row, a_step = A
        s, s_at, s_row = start
        c, c_at, c_row = C
        i = 0
        while i + ROWS <= n_rows:
            A, start, C = (
                (a, a_at + i * a_row, a_row, a_step),
                (s, s_at + i * s_row, s_row),
                (c, c_at + i * c_row, c_row),
            )
            tile(ROWS, vectors, A, B, start, C, depth, columns, keep)
            i += ROWS
        while i + 4 <= n_rows:
            A, start, C = (
                (a, a_at + i * a_row, a_row, a_step),
                (s, s_at + i * s_row, s_row),
                (c, c_at + i * c_row, c_row),
            )
            tile(4, vectors, A, B, start, C, depth, columns, keep)
            i += 4
        while i + 2 <= n_rows:
            A, start, C = (
                (a, a_at + i * a_row, a_row, a_step),
                (s, s_at + i * s_row, s_row),
                (c, c_at + i * c_row, c_row),
            )
            tile(2, vectors, A, B, start, C, depth, columns, keep)
            i += 2
        if i < n_rows:
            A, start, C = (
                (a, a_at + i * a_row, a_row, a_step),
                (s, s_at + i * s_row, s_row),
                (c, c_at + i * c_row, c_row),
            )
            tile(1, vectors, A, B, start, C, depth, columns, keep)

    return rows_of_tiles


_rows_of_half, _rows_of_1, _rows_of_2 = _rows_of_tiles(0), _rows_of_tiles(1), _rows_of_tiles(2)
_rows_of_3 = _rows_of_tiles(min(3, MOST_VECTORS))


@compiled
def _pack(b, b_at, b_step, b_column, depth, columns, panel, panel_step):
    """Copy a block of B into the panel, row after row; turn it where its columns are what lies together in memory."""
    width = VECTOR_BYTES // panel.itemsize
    if b_column == 1:
        for k in range(depth):
            for j in range(columns):
                panel[k * panel_step + j] = b[b_at + k * b_step + j]
        return
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


@compiled
def _small_multiply_add(a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep):
    """C = keep Start + A B, number by number."""
    for i in range(n_rows):
        for j in range(n_columns):
            total = c.dtype.type(0)
            for k in range(depth):
                total += a[i * a_row + k * a_step] * b[k * b_step + j * b_column]
            c[i * n_columns + j] = total if keep == 0 else total + keep * start[i * start_row + j]


@compiled
def _multiply_add(a, a_row, a_step, b, b_step, b_column, start, start_row, c, n_rows, n_columns, depth, keep, panel):
    """C = keep Start + A B, with C (n_rows, n_columns) row after row; all are vectors with steps through them."""
    if n_rows * n_columns * depth <= SMALL:
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
                _rows_of_half(A, B, begin, C, n_rows, terms, columns, kept)
            elif columns <= width:
                _rows_of_1(A, B, begin, C, n_rows, terms, columns, kept)
            elif columns <= 2 * width:
                _rows_of_2(A, B, begin, C, n_rows, terms, columns, kept)
            else:
                _rows_of_3(A, B, begin, C, n_rows, terms, columns, kept)
        column += columns


@inlined
def affine(W, A, b, Z, panel):
    """Z = W A + b."""
    n_out, n_in = W.shape
    m = A.shape[1]
    one = Z.dtype.type(1)
    _multiply_add(flat(A), n_in, ONE, flat(W), n_out, ONE, b, ZERO, flat(Z), m, n_out, n_in, one, panel)


@inlined
def transposed_product(W, D, out, panel):
    """Out = W^T D: the errors of a layer, carried back through its weights."""
    n_out, n_in = W.shape
    m = D.shape[1]
    zero, o = out.dtype.type(0), flat(out)
    _multiply_add(flat(D), n_out, ONE, flat(W), ONE, n_out, o, n_in, o, m, n_in, n_out, zero, panel)


@inlined
def add_outer_products(keep, G, D, A, panel):
    """G = keep G + D A^T: the outer products delta a^T (BP4) of all examples at once.

    A factor of 0 starts from zeros, whatever stood in G.
    """
    n_out, n_in = G.shape
    m = D.shape[1]
    g = flat(G)
    if n_out == 1:  # then G is a row of inputs in memory, as wide as one could wish
        _multiply_add(flat(D), ONE, ONE, flat(A), n_in, ONE, g, n_in, g, ONE, n_in, m, keep, panel)
        return
    _multiply_add(flat(A), ONE, n_in, flat(D), n_out, ONE, g, n_out, g, n_in, n_out, m, keep, panel)


@inlined
def add_columns(keep, g, D, ones, panel):
    """G = keep g + D 1: the bias gradients (BP3) of all examples at once, summed before they are added.

    `ones` begins with a 1.
    """
    n_out, m = D.shape
    _multiply_add(ones, ZERO, ZERO, flat(D), n_out, ONE, g, n_out, g, ONE, n_out, m, keep, panel)
