"""IDX, the format of MNIST: a magic number, the dimensions, then the bytes."""

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
        The file, plain or gzip-compressed. Its first bytes tell which, not its name: browsers and mirrors
        are known to uncompress a file and leave it its ``.gz``.

    Returns
    -------
    ndarray of uint8
        In the shape the file announces: (60000, 28, 28) for MNIST's training images.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no IDX file of unsigned bytes, is shorter or longer than its header says, or is a gzip file
        that does not uncompress.

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
    """Return the bytes of a file, plain or gzip-compressed."""
    content = path.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: a corrupt gzip file: {error}") from error


def decode_idx(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Return the array in `content` as a read-only view; `path` is for the error messages."""
    magic = content[:4]
    if len(magic) < 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or magic[3] == 0:
        raise ValueError(
            f"{path}: wrong magic number: got 0x{magic.hex()}, wanted 0x000008 and the number of dimensions"
        )
    n_dims = magic[3]
    start = 4 + 4 * n_dims
    if len(content) < start:
        raise ValueError(f"{path}: truncated: got a header of {len(content)} bytes, wanted {start}")
    shape: tuple[Any, ...] = struct.unpack(f">{n_dims}I", content[4:start])
    got, wanted = len(content) - start, math.prod(shape)
    if got != wanted:
        fault = "truncated" if got < wanted else "trailing bytes"
        dims = " x ".join(map(str, shape))
        raise ValueError(f"{path}: {fault}: got {got} bytes of data, wanted {dims} = {wanted}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
