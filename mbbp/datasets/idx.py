"""Read IDX, the file format of MNIST: a magic number, then the dimensions, then the data."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_MOST_DIMENSIONS = 32  # NumPy 1 has no more
_MOST_TIMES = 1032  # gzip makes nothing smaller than by this factor
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Parameters
    ----------
    path : path-like
        The file, plain or compressed by gzip. The first bytes decide which it is, not the name: some browsers and
        mirrors uncompress a file but keep the ending ``.gz``.

    Returns
    -------
    ndarray of uint8
        An array of the shape that is in the file's header: (60000, 28, 28) for the training images of MNIST.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not an IDX file of unsigned bytes, if its length is not what its header says, or if it is a
        corrupt gzip file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "labels-idx1-ubyte")
    >>> path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    11
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    >>> folder.cleanup()
    """
    array, _ = read_idx_and_hash(Path(path))
    return array


def read_idx_and_hash(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Read an IDX file as `read_idx` does. Return the array, and the SHA-256 of the uncompressed content.

    Raises
    ------
    FileNotFoundError, ValueError
        In the same cases as `read_idx`.
    """
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        is_compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if not is_compressed:
            return _decode(file, path, length, is_compressed=False)
        try:
            with gzip.open(file) as content:
                return _decode(content, path, length, is_compressed=True)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: expected a valid gzip file, got a corrupt one; {error}") from error


def _decode(file: Any, path: Path, length: int, *, is_compressed: bool) -> tuple[NDArray[np.uint8], str]:
    """Return the array and the hash. What is read is what the header says, if a file of this length can hold it."""
    magic = _read(file, 4)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or magic[3] == 0:
        raise ValueError(
            f"{path}: expected the magic number 0x000008 and a number of dimensions, got 0x{magic.hex()}; "
            "this is no IDX file of unsigned bytes"
        )
    n_dims = magic[3]
    dimensions = _read(file, 4 * n_dims)
    start = 4 + 4 * n_dims
    if len(dimensions) < 4 * n_dims:
        raise ValueError(
            f"{path}: expected a header of {start} bytes, got {4 + len(dimensions)}; the file is truncated"
        )
    if n_dims > _MOST_DIMENSIONS:
        raise ValueError(f"{path}: expected at most {_MOST_DIMENSIONS} dimensions, got {n_dims}")
    shape: tuple[int, ...] = struct.unpack(f">{n_dims}I", dimensions)
    expected = math.prod(shape)
    data = f"{path}: expected {' x '.join(map(str, shape))} = {expected} bytes of data, got"
    truncated, extra = "the file is truncated", "the file has extra bytes at its end"
    if not is_compressed and start + expected != length:
        raise ValueError(f"{data} {length - start}; {truncated if start + expected > length else extra}")
    if is_compressed and expected > _MOST_TIMES * length:
        raise ValueError(f"{data} at most {_MOST_TIMES * length}, because the file has {length}; {truncated}")
    content, got = np.empty(expected, np.uint8), 0
    while got < expected:
        n = file.readinto(content[got : got + _CHUNK].data)
        if n == 0:
            raise ValueError(f"{data} {got}; {truncated}")
        got += n
    if file.read(1):  # at the end of the data, gzip compares its checksum
        raise ValueError(f"{data} more; {extra}")
    digest = hashlib.sha256(magic + dimensions)
    digest.update(content.data)
    try:
        return content.reshape(shape), digest.hexdigest()
    except ValueError as error:  # 0 x 4294967295 x 4294967295 x 4294967295, for example
        raise ValueError(f"{path}: expected dimensions of an array, got {shape}; {error}") from error


def _read(file: Any, n: int) -> bytes:
    """Read n bytes, or all that are left: gzip may return less at once."""
    content = b""
    while len(content) < n and (part := file.read(n - len(content))):
        content += part
    return content
