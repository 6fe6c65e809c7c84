"""Chunks from a caller's own code, and from Dask arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mbbp.arrays import as_numeric_array
from mbbp.chunking.parts import ArrayRows, Block, Names, Part, Room, Rows, RowsPart, parts_of_rows
from mbbp.targets import TEXT_HINT
from mbbp.validation import shown


class _Stream(Part):
    """Pairs that a function or an iterable gives one after the other: a single part, since their order is theirs."""

    def __init__(self, begin: Callable[[], Iterable[Any]]) -> None:
        self._begin = begin
        self.names = Names("X (source)", "y (source)", "weights (source)")

    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples."""
        pairs = self._begin()
        if not isinstance(pairs, Iterable):
            raise TypeError(f"source: expected a function that returns an iterable of pairs (X, y), got {shown(pairs)}")
        for pair in pairs:
            yield _as_block(pair, self.names)


class _Item(Part):
    """A pair that a sequence gives by its number."""

    def __init__(self, source: Sequence[Any], number: int) -> None:
        self._source, self._number = source, number
        self.names = Names(*(f"{name} (source[{number}])" for name in ("X", "y", "weights")))

    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples."""
        yield _as_block(self._source[self._number], self.names)


def _as_block(pair: Any, names: Names) -> Block:
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        raise TypeError(f"source: expected pairs (X, y) or triples (X, y, weights), got {shown(pair)}")
    weights = None if len(pair) == 2 or pair[2] is None else as_numeric_array(names.weights, pair[2])
    return Block(as_numeric_array(names.X, pair[0]), as_numeric_array(names.y, pair[1], TEXT_HINT), weights)


def parts_of_pairs(source: Any) -> list[Part]:
    """Return the parts of a function, an iterable or a sequence that gives pairs (X, y).

    Raises
    ------
    TypeError
        If it is none of them, or can be gone through only once.
    ValueError
        If it is an empty sequence.
    """
    if callable(source) and not isinstance(source, type):
        return [_Stream(source)]
    if hasattr(source, "__len__") and hasattr(source, "__getitem__") and not isinstance(source, dict | str | bytes):
        if not len(source):
            raise ValueError(f"source: expected at least one pair (X, y), got {shown(source)}")
        return [_Item(source, number) for number in range(len(source))]
    if isinstance(source, Iterator):
        raise TypeError(
            "source: expected what can be gone through again and again, once for each epoch, got an iterator; "
            "pass the function that makes it"
        )
    if not isinstance(source, Iterable) or isinstance(source, type | str | bytes | dict | set | frozenset):
        raise TypeError(
            "source: expected a path or paths, an array, a Dask array or frame, or what gives pairs (X, y), "
            f"got {shown(source)}"
        )
    return [_Stream(lambda: source)]


def dask_array_parts(X: Any, y: Any, weights: Any, chunk_bytes: int) -> list[Part]:
    """Return a part for each chunk of rows of a Dask array.

    Raises
    ------
    ValueError
        If its chunks have unknown sizes, or the shapes do not fit.
    """
    rows: list[Rows] = []
    for argument, one in (("X (source)", X), ("y", y), ("weights", weights)):
        if one is not None:
            if any(math.isnan(size) for size in one.shape):
                raise ValueError(f"{argument}: expected chunks of known sizes, got others; call compute_chunk_sizes()")
            if hasattr(one, "compute"):
                rows.append(_DaskRows(argument, one))
            else:
                rows.append(one if hasattr(one, "row_bytes") else ArrayRows(argument, one))
    of_weights = rows[2] if len(rows) > 2 else None
    parts_of_rows(rows[0], rows[1], of_weights, chunk_bytes)  # for its checks
    first, parts = 0, list[Part]()
    for n in X.chunks[0]:
        if n:
            parts.append(_WholePart(rows[0], rows[1], of_weights, first, n))
        first += n
    return parts


class _DaskRows(ArrayRows):
    """The rows of a Dask array."""

    def read(self, start: int, stop: int, out: Any = None) -> Any:
        """Return the rows from `start` to before `stop`."""
        return as_numeric_array(self.name, self._array[start:stop].compute())


class _WholePart(RowsPart):
    """Rows that are computed together: to compute a chunk of Dask piece by piece would repeat the work."""

    def __init__(self, X: Rows, y: Rows, weights: Rows | None, first: int, n: int) -> None:
        super().__init__(X, y, weights, first, n)
        self._step = n
