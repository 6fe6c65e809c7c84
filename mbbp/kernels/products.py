"""The three matrix products of backpropagation: forward, backward, and the weight gradient.

All matrices are (n, m) in Fortran order, so that in memory an example, or the weights of one input, is a row of
neighbouring neurons. Seen as rows, each product is C = keep C + rate A B, and is cut into tiles for the micro-kernel
(see tile.py): groups of columns as wide as a tile, blocks of the sum so short that a block of B stays in the L1 cache,
and then tile by tile down the rows.
"""

from mbbp.kernels.codes import ONE, ZERO
from mbbp.kernels.jit import compiled, compiled_fast, inlined
from mbbp.kernels.tile import MASKS_ARE_CHEAP, MOST_VECTORS, ROWS, VECTOR_BYTES, tile, transpose

DEPTH = 128  # terms of the sum in a block: 128 x 192 bytes of B are most of an L1 cache
PANEL = DEPTH * MOST_VECTORS * VECTOR_BYTES // 4  # numbers in a packed block of B


def _rows_of_tiles(vectors):
    """Return the function that goes down the rows of one group of columns, `vectors` vectors wide."""

    @compiled
    def rows_of_tiles(a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, n_rows, depth, columns, keep, rate):
        i = 0
        while i + ROWS <= n_rows:
            tile(ROWS, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, columns, keep, rate)
            i += ROWS
            a_at += ROWS * a_row
            c_at += ROWS * c_row
        while i + 4 <= n_rows:
            tile(4, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, columns, keep, rate)
            i += 4
            a_at += 4 * a_row
            c_at += 4 * c_row
        while i + 2 <= n_rows:
            tile(2, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, columns, keep, rate)
            i += 2
            a_at += 2 * a_row
            c_at += 2 * c_row
        if i < n_rows:
            tile(1, vectors, a, a_at, a_row, a_step, b, b_at, b_step, c, c_at, c_row, depth, columns, keep, rate)

    return rows_of_tiles


_rows_of_1, _rows_of_2, _rows_of_3 = _rows_of_tiles(1), _rows_of_tiles(2), _rows_of_tiles(min(3, MOST_VECTORS))


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
def _multiply_add(a, a_row, a_step, b, b_step, b_column, c, n_rows, n_columns, depth, keep, rate, panel):
    """C = keep C + rate A B, with C (n_rows, n_columns) row after row; all are vectors with steps through them."""
    width = VECTOR_BYTES // c.itemsize
    packs = b_column != 1 or (n_columns < width and not MASKS_ARE_CHEAP)
    column = ZERO
    while column < n_columns:
        columns = _group_of_columns(n_columns - column, width)
        for k in range(0, depth, DEPTH):
            terms = min(DEPTH, depth - k)
            kept = keep if k == 0 else c.dtype.type(1)
            source, source_at, source_step = b, k * b_step + column * b_column, b_step
            if packs:
                panel_step = (columns + width - 1) // width * width
                _pack(b, source_at, b_step, b_column, terms, columns, panel, panel_step)
                source, source_at, source_step = panel, ZERO, panel_step
            arguments = (a, k * a_step, a_row, a_step, source, source_at, source_step, c, column, n_columns)
            if columns <= width:
                _rows_of_1(*arguments, n_rows, terms, columns, kept, rate)
            elif columns <= 2 * width:
                _rows_of_2(*arguments, n_rows, terms, columns, kept, rate)
            else:
                _rows_of_3(*arguments, n_rows, terms, columns, kept, rate)
        column += columns


@inlined
def _flat(X):
    return X.T.reshape(X.size)


@inlined
def _clear(vector):
    for i in range(vector.size):
        vector[i] = vector.dtype.type(0)


@inlined
def affine(W, A, b, Z, panel):
    """Z = W A + b."""
    n_out, n_in = W.shape
    m = A.shape[1]
    for i in range(m):
        for j in range(n_out):
            Z[j, i] = b[j]
    one = Z.dtype.type(1)
    _multiply_add(_flat(A), n_in, ONE, _flat(W), n_out, ONE, _flat(Z), m, n_out, n_in, one, one, panel)


@inlined
def transposed_product(W, D, out, panel):
    """Out = W^T D: the errors of a layer, carried back through its weights."""
    n_out, n_in = W.shape
    m = D.shape[1]
    one = out.dtype.type(1)
    _clear(_flat(out))
    _multiply_add(_flat(D), n_out, ONE, _flat(W), ONE, n_out, _flat(out), m, n_in, n_out, one, one, panel)


@inlined
def add_outer_products(keep, G, rate, D, A, panel):
    """G = keep G + rate D A^T: the outer products delta a^T (BP4) of all examples at once.

    A factor of 0 starts from zeros, whatever stood in G.
    """
    n_out, n_in = G.shape
    m = D.shape[1]
    if keep == 0:
        _clear(_flat(G))
    _multiply_add(_flat(A), ONE, n_in, _flat(D), n_out, ONE, _flat(G), n_in, n_out, m, keep, rate, panel)


@compiled_fast
def add_columns(rate, D, g, panel):
    """Set g = g + rate D 1: the bias gradients (BP3) of all examples at once.

    They are summed in the panel first: added one by one to a bias, each would be rounded to the bias's last digit.
    """
    n, m = D.shape
    for start in range(0, n, panel.size):
        size = min(panel.size, n - start)
        for j in range(size):
            panel[j] = D[start + j, 0]
        for i in range(1, m):
            for j in range(size):
                panel[j] += D[start + j, i]
        for j in range(size):
            g[start + j] += rate * panel[j]
