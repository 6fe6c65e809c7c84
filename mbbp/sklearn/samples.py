"""Samples as the kernels read them: rows in memory, dense or sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import _safe_indexing

from mbbp.kernels.examples import SparseRows
from mbbp.parameters import Array


def rows_of(X: Any) -> Any:
    """Return checked samples one after the other in memory: an array in C order, or a sparse one in the format CSR."""
    if not scipy.sparse.issparse(X):
        return np.ascontiguousarray(X)
    rows = X.tocsr()
    if not rows.has_canonical_format:  # a place may be given twice, then its value is the sum
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def as_read(rows: Any) -> Array | SparseRows:
    """Return the rows of `rows_of` as the kernels read them."""
    if scipy.sparse.issparse(rows):
        return SparseRows.of(rows.data, rows.indices, rows.indptr, rows.shape[1])
    return rows


def chosen(X: Any, rows: Any, numbers: Array) -> Any:
    """Return some of the samples as the user gave them, or of sparse ones, which may know no index, of the rows."""
    return rows[numbers] if scipy.sparse.issparse(X) else _safe_indexing(X, numbers)
