"""A base class for objects whose public attributes never change."""

from typing import Any


class Fixed:
    """The base of classes whose public attributes are set once, by the class itself.

    Kernels read memory by addresses that are found when an object is made. If a size or an array could be replaced
    later, they would read the wrong memory.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ and not name.startswith("_"):
            raise AttributeError(f"{type(self).__name__}.{name}: read-only; make a new {type(self).__name__} instead")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: cannot be deleted")
