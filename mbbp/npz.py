"""Reading .npz files that are not trusted: every size is checked before memory is taken, and no code is run.

`numpy.load` believes what a file says of its sizes, and raises whatever damaged bytes lead to. Here there is one error,
which names the file.
"""

import contextlib
import copy
import io
import math
import os
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_MOST_HEADER = 1 << 16  # bytes of a .npy header; NumPy writes 118 for an array of numbers
_MOST_TIMES = 1032  # deflate makes nothing smaller than by this factor
_CHUNK = 1 << 20
_LENGTHS_AT = 26  # bytes after the beginning of an entry of a zip archive
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # those that NumPy writes


class Header(NamedTuple):
    """What a file says of one of its arrays. It agrees with the length of the file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    start: int  # where the numbers begin

    @property
    def nbytes(self) -> int:
        """The bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


class Npz:
    """The arrays of an open .npz file, each read when it is asked for. See `open_npz`.

    Attributes
    ----------
    names : tuple of str
        The names of the arrays.
    length : int
        The bytes of the file.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, length: int, compressed: bool) -> None:
        self._path, self._archive, self._compressed = path, archive, compressed
        self.length = length
        self._set_members({info.filename.removesuffix(".npy"): info for info in archive.infolist()})

    def _set_members(self, members: dict[str, zipfile.ZipInfo]) -> None:
        self._members, self.names = members, tuple(members)

    def part(self, prefix: str) -> "Npz":
        """Return the arrays whose names begin with a prefix, without it."""
        found = copy.copy(self)
        found._set_members(
            {name.removeprefix(prefix): info for name, info in self._members.items() if name.startswith(prefix)}
        )
        return found

    def header(self, name: str) -> Header:
        """Return the dtype and the shape of an array, without reading its numbers.

        Raises
        ------
        ValueError
            If there is no such array, or what the file says of its size cannot be true.
        """
        where = f"{self._path}, {name!r}"
        member = self._member(where, name)
        with _one_error(f"{where}: expected an array that can be read"), self._archive.open(member) as stream:
            content = stream.read(_MOST_HEADER)
        if not content.startswith(npy.MAGIC_PREFIX):
            raise ValueError(f"{where}: expected an array in NumPy's .npy format, got other data")
        with _one_error(f"{where}: expected a valid header of an array"):
            beginning = io.BytesIO(content)
            version = npy.read_magic(beginning)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, is_fortran, dtype = read(beginning)
            header = Header(dtype, shape, is_fortran, beginning.tell())
        if dtype.hasobject or dtype.itemsize == 0:
            raise ValueError(f"{where}: expected an array of numbers or text, got dtype {dtype}")
        if min(shape, default=0) < 0 or header.start + header.nbytes != member.file_size:
            got = f"{member.file_size - header.start} bytes"
            raise ValueError(f"{where}: expected the data of shape {shape} and dtype {dtype}, got {got}"[:300])
        return header

    def read(self, name: str) -> NDArray[Any]:
        """Return an array.

        Raises
        ------
        ValueError
            If there is no such array, or it is damaged.
        """
        header = self.header(name)
        damaged = f"{self._path}, {name!r}: expected an array that can be read"
        with _one_error(damaged), self._archive.open(self._members[name]) as stream:
            stream.read(header.start)
            content = np.empty(header.nbytes, np.uint8)
            rest = content.data
            while rest:
                part = stream.read(min(len(rest), _CHUNK))  # at the end, it compares the checksum
                if not part:
                    raise EOFError("the data end early")
                rest[: len(part)] = part
                rest = rest[len(part) :]
            if header.dtype.kind == "U":
                letters = content.view(np.dtype(np.uint32).newbyteorder(header.dtype.byteorder))
                if letters.max(initial=0) > sys.maxunicode:  # NumPy would make a string of it, and Python would fail
                    raise ValueError(f"{int(letters.max()):#x} is no letter")
            return content.view(header.dtype).reshape(header.shape, order="F" if header.is_fortran else "C")

    def place(self, name: str) -> int | None:
        """Return where in the file the numbers of an array begin; None if they are compressed.

        Raises
        ------
        ValueError
            If there is no such array, or it is damaged.
        """
        start, member, file = self.header(name).start, self._members[name], self._archive.fp
        if member.compress_type != zipfile.ZIP_STORED or file is None:
            return None
        file.seek(member.header_offset + _LENGTHS_AT)
        lengths = file.read(4)  # of the name and of the extra field, which come before the data
        return member.header_offset + _LENGTHS_AT + 4 + sum(struct.unpack("<HH", lengths)) + start

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[IO[bytes]]:
        """Yield a stream of the numbers of an array.

        Raises
        ------
        ValueError
            If there is no such array, or it is damaged.
        """
        header = self.header(name)
        where = f"{self._path}, {name!r}: expected an array that can be read"
        with _one_error(where), self._archive.open(self._members[name]) as stream:
            stream.read(header.start)
            yield stream

    def _member(self, where: str, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise ValueError(f"{self._path}: expected an array {name!r}, got {listed(self.names)}")
        member = self._members[name]
        is_stored = member.compress_type == zipfile.ZIP_STORED
        if member.compress_type not in _METHODS or not (is_stored or self._compressed):
            expected = "deflated or uncompressed" if self._compressed else "uncompressed"
            raise ValueError(f"{where}: expected {expected} data, got method {member.compress_type} of zip")
        most = member.compress_size * (1 if is_stored else _MOST_TIMES)
        if member.compress_size > self.length or member.file_size > most:
            raise ValueError(
                f"{where}: expected {member.file_size} bytes, got {member.compress_size} bytes of zip in a file of "
                f"{self.length}, which cannot hold them"
            )
        return member


def listed(names: tuple[str, ...]) -> str:
    """Return the names of a file's arrays for an error message, or how many there are."""
    text = ", ".join(names) or "no array"
    return text if len(text) <= 300 else f"{len(names)} arrays with other names"


@contextlib.contextmanager
def open_npz(path: str | Path, *, compressed: bool = True) -> Iterator[Npz]:
    """Open an .npz file.

    Parameters
    ----------
    path : path
        The file.
    compressed : bool
        Whether its arrays may be compressed. If not, an array is never larger than the file.

    Yields
    ------
    Npz
        Its arrays.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be opened.
    ValueError
        If it is no .npz file, or a damaged one. The message begins with the path.
    """
    path = Path(path)
    with path.open("rb") as file:
        with _one_error(f"{path}: expected a valid .npz file"):
            is_zip = zipfile.is_zipfile(file)
        if not is_zip:
            raise ValueError(f"{path}: expected an .npz file (a zip archive of arrays), got another format")
        with _one_error(f"{path}: expected a valid .npz file"):
            archive = zipfile.ZipFile(file)
        with archive:
            yield Npz(path, archive, os.fstat(file.fileno()).st_size, compressed)


@contextlib.contextmanager
def _one_error(expected: str) -> Iterator[None]:
    """Make one kind of error of all that reading damaged bytes can raise."""
    try:
        yield
    except Exception as error:  # zipfile and NumPy's parser of headers raise a dozen kinds, MemoryError among them
        reason = f"{type(error).__name__}: {error}"[:300]
        raise ValueError(f"{expected}, got a damaged one; {reason}") from error
