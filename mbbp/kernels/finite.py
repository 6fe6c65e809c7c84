"""Whether numbers are finite and labels in range, looked at in one pass."""

from typing import NamedTuple

from mbbp.kernels.lowlevel.compiling import ZERO, compiled_fast
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Integers, Numbers, record
from mbbp.kernels.lowlevel.views import part

ALL_FINE, NOT_FINITE, OUT_OF_RANGE = range(3)


@record
class Checked(NamedTuple):
    """Numbers and labels."""

    x: Numbers
    size: Int
    labels: Integers
    n_labels: Int
    n_classes: Int


@compiled_fast
def all_finite(x):
    """Say whether a vector holds no NaN and no inf."""
    zero = x.dtype.type(0)
    total = zero
    for i in range(x.size):
        total += x[i] * zero  # NaN * 0 and inf * 0 are NaN, and a sum keeps it: no branch, so it vectorises
    return total == zero


@kernel(Checked)
def check(at):
    """Return ALL_FINE, NOT_FINITE, or OUT_OF_RANGE for a label that is not from 0 to n_classes - 1."""
    checked = at[0]
    if not all_finite(part(checked.x, ZERO, checked.size)):
        return NOT_FINITE
    for i in range(checked.n_labels):
        if checked.labels[i] < 0 or checked.labels[i] >= checked.n_classes:
            return OUT_OF_RANGE
    return ALL_FINE
