"""Modules of Numba and llvmlite that are imported when the first of their names is used.

Importing Numba takes longer than everything else together, and where the kernels come compiled nobody needs it.
"""

import importlib
from typing import Any


class _Later:
    """A module that is not imported yet."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


types: Any = _Later("numba.types")
errors: Any = _Later("numba.core.errors")
cgutils: Any = _Later("numba.core.cgutils")
arrayobj: Any = _Later("numba.np.arrayobj")
ir: Any = _Later("llvmlite.ir")
