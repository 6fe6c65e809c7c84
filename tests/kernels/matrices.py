"""How tests call the engine's own kernels: as the engine does, on writable matrices in Fortran order."""

import numba
import numpy as np
from hypothesis import strategies as st

from mbbp.kernels.gemm.blocking import PANEL, multiply_add
from mbbp.kernels.gemm.products import Multiplier
from tests.conftest import JIT

widths = st.integers(1, 40 if JIT else 9)
dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)


def on_columns(n_matrices, function):
    """Return a kernel whose first one to four arguments are matrices, for matrices of any order.

    They go in as their transposes: Numba takes a matrix of one row or column, which is in both orders, for C, and would
    compile anew for each mixture.
    """
    kernel = numba.njit(function)
    turned = {
        1: lambda A, *rest: kernel(A.T, *rest),
        2: lambda A, B, *rest: kernel(A.T, B.T, *rest),
        3: lambda A, B, C, *rest: kernel(A.T, B.T, C.T, *rest),
        4: lambda A, B, C, D, *rest: kernel(A.T, B.T, C.T, D.T, *rest),
    }
    run = numba.njit(turned[n_matrices])

    def call(*arguments):
        transposes = [np.array(matrix.T, order="C") for matrix in arguments[:n_matrices]]
        result = run(*transposes, *arguments[n_matrices:])
        for matrix, transpose in zip(arguments[:n_matrices], transposes, strict=True):
            matrix[...] = transpose.T
        return result

    return call


def multiplier_for(dtype):
    """Return what the products need; its panel holds NaN, so that nobody reads what was not written."""
    return Multiplier(multiply_add.address(np.dtype(dtype)), np.full(PANEL, np.nan, dtype))


def run(kernel, record_class, **fields):
    """Call a kernel; matrices have to be in Fortran order, and go in as the vectors that they are in memory."""
    dtype = next(value.dtype for value in fields.values() if isinstance(value, np.ndarray))
    flat = {name: value.T.reshape(-1) if np.ndim(value) == 2 else value for name, value in fields.items()}
    for name, value in flat.items():
        if np.size(value) and np.ndim(value):
            assert np.shares_memory(value, fields[name]), f"{name}: expected Fortran order"
    return kernel.bind(record_class(**flat), dtype)()


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
