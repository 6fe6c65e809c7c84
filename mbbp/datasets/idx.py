"""Read IDX, the file format of MNIST: a magic number, then the dimensions, then the data."""

from __future__ import annotations

import gzip
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
    path = Path(path)
    return decode_idx(uncompressed(path), path).copy()


def uncompressed(path: Path) -> bytes:
    """Return the content of a file that is plain or compressed by gzip.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a corrupt gzip file.
    """
    content = path.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: expected a valid gzip file, got a corrupt one; {error}") from error


def decode_idx(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Return the array in `content` as a read-only view. Error messages name `path`.

    Raises
    ------
    ValueError
        If `content` is not IDX of unsigned bytes, or if its length is not what its header says.
    """
    magic = content[:4]
    if len(magic) < 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or magic[3] == 0:
        raise ValueError(
            f"{path}: expected the magic number 0x000008 and a number of dimensions, got 0x{magic.hex()}; "
            "this is no IDX file of unsigned bytes"
        )
    n_dims = magic[3]
    start = 4 + 4 * n_dims
    if len(content) < start:
        raise ValueError(f"{path}: expected a header of {start} bytes, got {len(content)}; the file is truncated")
    shape: tuple[Any, ...] = struct.unpack(f">{n_dims}I", content[4:start])
    got, expected = len(content) - start, math.prod(shape)
    if got != expected:
        fault = "the file is truncated" if got < expected else "the file has extra bytes at its end"
        dims = " x ".join(map(str, shape))
        raise ValueError(f"{path}: expected {dims} = {expected} bytes of data, got {got}; {fault}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
