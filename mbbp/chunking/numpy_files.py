"""Chunks from .npy and .npz files. They are read, not mapped: a map would count to the memory of the process."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from mbbp.arrays import NUMERIC_KINDS
from mbbp.chunking.parts import BLOCK_BYTES, ArrayRows, Block, Names, Part, Room, Rows, parts_of_rows
from mbbp.npz import Header, Npz, listed, open_npz
from mbbp.parameters import Array


class FileRows(NamedTuple):
    """The rows of an array that lies in a file as NumPy writes it, in C order."""

    name: str
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int  # of the file: where the numbers begin

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def straight_dtype(self) -> np.dtype[Any]:
        """The dtype of the file."""
        return self.dtype

    def read(self, start: int, stop: int, out: Array | None = None) -> Array:
        """Return the rows from `start` to before `stop`; in `out`, if it is given."""
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype) if out is None else out
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start + start * self.row_bytes)
            _read_all(self.name, file, rows)
        return rows


def _read_all(name: str, stream: Any, out: Array) -> None:
    """Fill an array with the next bytes of a stream."""
    rest = out.reshape(-1).view(np.uint8).data
    while rest:
        count = stream.readinto(rest)
        if not count:
            raise ValueError(f"{name}: expected {len(rest)} bytes more, got the end of the file")
        rest = rest[count:]


def npy_rows(argument: str, path: Path) -> Rows:
    """Return the rows of a .npy file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is not a .npy file of numbers, or is shorter than it says.
    """
    name = f"{argument} ({path.name})"
    with path.open("rb") as file:
        try:
            version = npy.read_magic(file)
            readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            if version not in readers:
                raise ValueError(f"version {version}")
            shape, is_fortran, dtype = readers[version](file)
        except (ValueError, EOFError, OverflowError) as error:
            raise ValueError(f"{argument}: expected a .npy file, got {str(path)!r}; {error}"[:400]) from None
        start, length = file.tell(), file.seek(0, 2)
    _check_array(name, shape, dtype)
    if length - start < math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}: expected the data of shape {shape} and dtype {dtype}, got {length - start} bytes")
    if is_fortran and len(shape) == 2:
        # the rows lie scattered, and a map gathers them
        mapped = np.memmap(path, dtype, "r", start, shape, "F")
        return ArrayRows(name, mapped)
    return FileRows(name, path, shape, dtype, start)


def _check_array(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if dtype.kind not in NUMERIC_KINDS:
        raise TypeError(f"{name}: expected real numbers, got dtype {dtype}")
    if len(shape) not in (1, 2):
        raise ValueError(f"{name}: expected a matrix or a vector, one example per row, got shape {shape}")


def npz_parts(path: Path, target: str, weights: str | None, chunk_bytes: int) -> list[Part]:
    """Return the parts of an .npz file: one if an array is compressed, since it can only be read from its beginning.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no .npz file, or lacks an array.
    """
    with open_npz(path) as npz:
        others = [name for name in npz.names if name not in (target, weights)]
        inputs = next((name for name in ("X", "x") if name in others), others[0] if len(others) == 1 else None)
        if inputs is None:
            raise ValueError(f"source ({path.name}): expected an array 'X' or 'x', got {listed(npz.names)}")
        for argument, name in (("target", target), ("weights", weights)):
            if name is not None and name not in npz.names:
                raise ValueError(
                    f"{argument}: expected the name of an array of {path.name}, which has {listed(npz.names)}, "
                    f"got {name!r}"
                )
        wanted = (("X", inputs), ("y", target), ("weights", weights))
        found = [_ArrayOfNpz.of(argument, path, npz, name) for argument, name in wanted if name is not None]
    if all(one.place is not None for one in found):
        rows: list[Rows] = [one.rows() for one in found]
        return parts_of_rows(rows[0], rows[1], rows[2] if len(rows) > 2 else None, chunk_bytes)
    return [_CompressedPart(path, found)]


class _ArrayOfNpz(NamedTuple):
    name: str  # for messages
    path: Path
    member: str
    header: Header
    place: int | None  # where the numbers begin in the file; None if they are compressed

    @classmethod
    def of(cls, argument: str, path: Path, npz: Npz, member: str) -> _ArrayOfNpz:
        header, name = npz.header(member), f"{argument} ({path.name}, {member!r})"
        _check_array(name, header.shape, header.dtype)
        if header.is_fortran and len(header.shape) == 2:
            raise ValueError(f"{name}: expected an array in C order, got Fortran order; numpy.ascontiguousarray helps")
        return cls(name, path, member, header, npz.place(member))

    def rows(self) -> FileRows:
        """Return the rows of an array that is not compressed."""
        assert self.place is not None
        return FileRows(self.name, self.path, self.header.shape, self.header.dtype, self.place)


class _CompressedPart(Part):
    """The examples of an .npz file with compressed arrays, which are unpacked block by block."""

    def __init__(self, path: Path, arrays: list[_ArrayOfNpz]) -> None:
        self._path, self._arrays = path, arrays
        self.n = arrays[0].header.shape[0]
        for one in arrays[1:]:
            if one.header.shape[0] != self.n:
                raise ValueError(f"{one.name}: expected {self.n} rows, as many as X has, got {one.header.shape[0]}")
        self.names = Names(*(one.name for one in arrays))
        width = arrays[0].header.nbytes // max(1, self.n)
        self._step = max(1, BLOCK_BYTES // max(1, width))

    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples."""
        assert self.n is not None
        with contextlib.ExitStack() as stack:
            npz = stack.enter_context(open_npz(self._path))
            streams = [stack.enter_context(npz.stream(one.member)) for one in self._arrays]
            for start in range(0, self.n, self._step):
                k = min(self._step, self.n - start)
                out = [np.empty((k, *one.header.shape[1:]), one.header.dtype) for one in self._arrays]
                for one, stream, rows in zip(self._arrays, streams, out, strict=True):
                    _read_all(one.name, stream, rows)
                yield Block(*out)
