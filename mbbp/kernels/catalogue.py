"""All kernels that are the same for every network, for those who compile them beforehand."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from mbbp import kernels
from mbbp.kernels.examples import all_gather_kernels
from mbbp.kernels.lowlevel.kernel import Kernel


def all_kernels(dtype: np.dtype[Any]) -> Iterator[Kernel]:
    """Yield every kernel for networks of a dtype, in the order of the files."""
    for found in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        if ".lowlevel" not in found.name:
            module = importlib.import_module(found.name)
            for value in vars(module).values():
                if isinstance(value, Kernel) and value.function.__module__ == found.name:
                    yield value
    yield from all_gather_kernels(dtype)
