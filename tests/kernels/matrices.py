"""How tests call the engine's own kernels: on matrices in either order of memory."""

import numba
import numpy as np
from hypothesis import strategies as st

from mbbp.kernels.gemm.blocking import multiply_add, panel_size
from mbbp.kernels.gemm.matrix import Matrix
from mbbp.kernels.gemm.products import Multiplier
from mbbp.kernels.gemm.sums import sum_columns
from mbbp.kernels.gemm.tile import lanes
from mbbp.kernels.layout import SPARE_ROWS
from mbbp.kernels.lowlevel.compiling import DISABLED
from mbbp.kernels.lowlevel.views import rest as rest_of
from tests.conftest import JIT

widths = st.integers(1, 40 if JIT else 9)
dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)

# Contiguous columns; contiguous rows; contiguous rows with other numbers in between, as a thread sees its examples.
ORDERS = ("columns", "rows", "rows of a share")
orders = st.sampled_from(ORDERS)
OTHERS = 3  # numbers between the rows of a share
BETWEEN = 1234.5  # what they are


class InMemory:
    """A matrix in memory, in one of the ORDERS.

    Attributes
    ----------
    vector : ndarray
        The memory.
    rs, cs : int
        The strides.
    view : ndarray of shape (n, m)
        The matrix.
    """

    def __init__(self, matrix, order):
        n, m = matrix.shape
        self.rs, self.cs = {"columns": (1, n), "rows": (m, 1), "rows of a share": (m + OTHERS, 1)}[order]
        self.vector = np.full(n * m if order != "rows of a share" else n * (m + OTHERS), BETWEEN, matrix.dtype)
        step = self.vector.itemsize
        self.view = np.lib.stride_tricks.as_strided(self.vector, (n, m), (self.rs * step, self.cs * step))
        self._matrix = matrix
        self.view[...] = matrix

    def take_back(self):
        """Copy the numbers to the matrix that they came from, and check that the others are as they were."""
        self._matrix[...] = self.view
        self.view[...] = BETWEEN
        assert (self.vector == BETWEEN).all()


def on_matrices(n_matrices, function):
    """Return a function of NumPy matrices, their orders, and the arguments that follow, from one of Matrix records."""
    compiled = function if DISABLED else numba.njit(function)

    def one(a, n, *rest):
        compiled(Matrix(rest_of(a, 0), *n), *rest)

    def three(a, b, c, n, k, m, *rest):
        compiled(Matrix(rest_of(a, 0), *n), Matrix(rest_of(b, 0), *k), Matrix(rest_of(c, 0), *m), *rest)

    run = {1: one, 3: three}[n_matrices]
    run = run if DISABLED else numba.njit(run)

    def call(*arguments, orders=None):
        given = orders or ["columns"] * n_matrices
        placed = [InMemory(*pair) for pair in zip(arguments[:n_matrices], given, strict=True)]
        shapes = [(*one.view.shape, one.rs, one.cs) for one in placed]
        run(*[one.vector for one in placed], *shapes, *arguments[n_matrices:])
        for one in placed:
            one.take_back()

    return call


def multiplier_for(dtype):
    """Return what the products need; its panel and scratch hold NaN, so that nobody reads what was not written."""
    dtype = np.dtype(dtype)
    return Multiplier(
        multiply_add=multiply_add.address(dtype),
        sum_columns=sum_columns.address(dtype),
        panel=np.full(panel_size(1000, 1000, dtype.itemsize), np.nan, dtype),
        scratch=np.full(1 << 14, np.nan, dtype),
        lanes=lanes(dtype),
    )


def run(kernel, record_class, order="columns", **fields):
    """Call a kernel on matrices that lie in memory in this order, and return what it returns."""
    if "parameter" in record_class._fields:
        fields = {"parameter": 0.0, "threshold": 0.5} | fields
    dtype = next(value.dtype for value in fields.values() if isinstance(value, np.ndarray))
    placed = {name: InMemory(value, order) for name, value in fields.items() if np.ndim(value) == 2}
    given = {**fields, **{name: one.vector for name, one in placed.items()}}
    if "rs" in record_class._fields:
        first = next(iter(placed.values()))
        given |= {"rs": first.rs, "cs": first.cs, "spare": np.full(SPARE_ROWS * fields["m"], np.nan, dtype)}
    result = kernel.bind(record_class(**given), dtype)()
    for one in placed.values():
        one.take_back()
    return result


def drawn(seed, dtype, n, m, count=1):
    """Return matrices of weighted inputs, some large."""
    rngs = [np.random.default_rng(seed + i) for i in range(count)]
    return [np.asfortranarray(3 * rng.standard_normal((n, m)).astype(dtype)) for rng in rngs]


def probabilities(seed, dtype, n, m):
    """Return a matrix whose columns add up to 1."""
    return np.asfortranarray(np.random.default_rng(seed).dirichlet(np.ones(n), m).T.astype(dtype))


def assert_close(result, exact, dtype, terms=1):
    """Assert that a result is right to a few roundings, of numbers as large as the largest one."""
    atol = 8 * terms * np.finfo(dtype).eps * max(1.0, np.abs(exact).max(initial=0))
    np.testing.assert_allclose(result, exact, rtol=0, atol=atol)
