"""How tests call the engine's own kernels: as the engine does, on writable matrices in Fortran order."""

import numba
import numpy as np
from hypothesis import strategies as st

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
