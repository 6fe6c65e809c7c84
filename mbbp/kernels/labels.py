"""The labels of examples: their two dtypes, and those that unit vectors stand for."""

from typing import NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.calls import typed
from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Bytes, Int, Numbers, record


@inlined
def label_at(labels, is_small, i):
    """Return a label: of uint8 if it `is_small`, else of int64."""
    if is_small:
        return np.int64(typed(labels, np.uint8)[i])
    return typed(labels, np.int64)[i]


@record
class Naming(NamedTuple):
    """Desired outputs, and where the labels that they stand for are written."""

    rows: Numbers  # (m, n_outputs)
    m: Int
    n_outputs: Int
    labels: Bytes  # (m,), of uint8 or int64
    has_small_labels: Int


@kernel(Naming)
def name_classes(at):
    """Write the labels, and return 1; or return 0 at the first row that is not a unit vector.

    Of a single output 0 and 1 are the labels themselves.
    """
    naming = at[0]
    n, rows = naming.n_outputs, naming.rows
    small, large = typed(naming.labels, np.uint8), typed(naming.labels, np.int64)
    for i in range(naming.m):
        label, ones, others = ZERO, ZERO, ZERO
        for j in range(n):
            y = rows[i * n + j]
            is_one = y == 1
            label += j * is_one
            ones += is_one
            others += (y != 0) & (not is_one)
        if n == 1:
            label, ones = ones, ZERO + 1
        if others or ones != 1:
            return 0
        if naming.has_small_labels:
            small[i] = label
        else:
            large[i] = label
    return 1
