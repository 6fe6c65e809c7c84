"""What every source of chunks is made into: parts, each of which is read block by block from its beginning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from mbbp.arrays import as_numeric_array
from mbbp.parameters import Array

BLOCK_BYTES = 1 << 20  # about how much is read at once: it is still in a cache when it is copied into a pool
STRAIGHT_BYTES = 1 << 22  # about how much is read straight into a pool

# Given a number of rows, it returns the free rows of a pool (k, n_in), as many or fewer, where the next ones belong.
Room = Callable[[int], Array]


class Block(NamedTuple):
    """Some examples as a source gives them: of each array, one row an example."""

    X: Array  # (k, n_in)
    y: Array  # (k,) or (k, n_L)
    weights: Array | None = None  # (k,)


class Names(NamedTuple):
    """How error messages call the places that the three arrays come from, such as the name of a file."""

    X: str
    y: str
    weights: str = ""


class Part(ABC):
    """Examples that are read in one go, from the first one to the last. A training shuffles the order of the parts.

    Attributes
    ----------
    names : Names
        For error messages.
    first : int
        The number that messages give the first example: its row in the file.
    n : int or None
        How many examples there are; None if only reading tells.
    """

    names: Names
    first: int = 0
    n: int | None = None

    @abstractmethod
    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples. Nobody changes the arrays later.

        A part that can read inputs straight into other memory may take `room` for each block, and yield that as X.
        """


class Rows(Protocol):
    """A matrix or a vector of which some rows can be read."""

    @property
    def name(self) -> str: ...  # noqa: D102 -- for error messages

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def row_bytes(self) -> int: ...  # noqa: D102

    @property
    def straight_dtype(self) -> np.dtype[Any] | None:
        """The dtype of rows that can be read straight into other memory; None if they cannot."""

    def read(self, start: int, stop: int, out: Array | None = None) -> Array:
        """Return the rows from `start` to before `stop`; in `out`, if it is given, and of `straight_dtype`."""


class ArrayRows:
    """The rows of what can be sliced: an array in memory, a memory map, a data set of h5py or zarr."""

    def __init__(self, argument: str, array: Any) -> None:
        if len(array.shape) not in (1, 2):
            raise ValueError(f"{argument}: expected a matrix or a vector, one example per row, got shape {array.shape}")
        self.name, self.shape, self._array = argument, tuple(array.shape), array
        self.row_bytes = array.dtype.itemsize * (self.shape[1] if len(self.shape) > 1 else 1)

    @property
    def straight_dtype(self) -> None:
        """None: to slice may mean to compute."""

    def read(self, start: int, stop: int, out: Array | None = None) -> Array:
        """Return the rows from `start` to before `stop`."""
        return as_numeric_array(self.name, self._array[start:stop])


class RowsPart(Part):
    """Consecutive rows of a matrix of inputs, and of what belongs to them."""

    def __init__(self, X: Rows, y: Rows, weights: Rows | None, first: int, n: int) -> None:
        self._rows, self.first, self.n = (X, y, weights), first, n
        self.names = Names(X.name, y.name, "" if weights is None else weights.name)
        self._step = max(1, BLOCK_BYTES // max(1, X.row_bytes))

    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples."""
        X, y, weights = self._rows
        assert self.n is not None
        start, end = self.first, self.first + self.n
        goes_straight = room is not None and X.straight_dtype is not None
        step = max(1, STRAIGHT_BYTES // max(1, X.row_bytes)) if goes_straight else self._step
        while start < end:
            n, out = min(step, end - start), None
            if goes_straight:
                assert room is not None
                out = room(n)
                out, n = (out, len(out)) if out.dtype == X.straight_dtype else (None, n)
            stop = start + n
            yield Block(
                X.read(start, stop, out), y.read(start, stop), None if weights is None else weights.read(start, stop)
            )
            start = stop


def parts_of_rows(X: Rows, y: Rows, weights: Rows | None, chunk_bytes: int) -> list[Part]:
    """Return the rows in parts of about so many bytes.

    Raises
    ------
    ValueError
        If X is no matrix, it is empty, or the numbers of rows differ.
    """
    if len(X.shape) != 2:
        raise ValueError(f"{X.name}: expected a matrix (n, n_in) with one example per row, got shape {X.shape}")
    n = X.shape[0]
    if not n:
        raise ValueError(f"{X.name}: expected at least one row, got none")
    for other in (y, weights):
        if other is not None and other.shape[0] != n:
            raise ValueError(f"{other.name}: expected {n} rows, as many as {X.name} has, got {other.shape[0]}")
    step = max(1, chunk_bytes // max(1, sum(one.row_bytes for one in (X, y, weights) if one is not None)))
    return [RowsPart(X, y, weights, first, min(step, n - first)) for first in range(0, n, step)]


def check_same_number(argument: str, given: Sequence[Any], n: int) -> None:
    """Check that there is a second file for each of the first ones.

    Raises
    ------
    ValueError
        If not.
    """
    if len(given) != n:
        raise ValueError(f"{argument}: expected {n} files, one for each file of source, got {len(given)}")
