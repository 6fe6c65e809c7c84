"""All kernels that are the same for every network, for those who compile them beforehand."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from mbbp.kernels import (
    activations,
    costs,
    elementwise,
    epoch,
    evaluation,
    examples,
    finite,
    labels,
    propagation,
    shuffling,
    updates,
)
from mbbp.kernels.gemm import blocking, sums
from mbbp.kernels.lowlevel.kernel import Kernel

_MODULES = (
    activations,
    costs,
    elementwise,
    epoch,
    evaluation,
    examples,
    finite,
    labels,
    propagation,
    shuffling,
    updates,
    blocking,
    sums,
)


def all_kernels(dtype: np.dtype[Any]) -> Iterator[Kernel]:
    """Yield every kernel for networks of a dtype, in the order of the files."""
    for module in _MODULES:
        for value in vars(module).values():
            if isinstance(value, Kernel) and value.function.__module__ == module.__name__:
                yield value
    yield from examples.all_gather_kernels(dtype)
