"""Kernels that were compiled when the package was built.

Beside the source of the kernels may lie a folder with a shared library for each level of processor, and an index (see
`mbbp/building/libraries.py`). The library of this processor's level is used if it was made from just this source, and
none of its bytes has changed. Otherwise all kernels are compiled here, and a person at a terminal is told why, once.
Loading a library takes a millisecond and needs no Numba. With the environment variable MBBP_JIT=1 the libraries are
left alone, and everything is compiled for just this processor.
"""

import ctypes
import functools
import hashlib
import json
import os
import sys
from pathlib import Path

from mbbp.kernels.lowlevel import processor

FOLDER = Path(__file__).parents[1] / "libraries"
INDEX = "index.json"


def file_of(level: str) -> str:
    """Return the name of the library of a level."""
    return f"{level}.so"


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source_hash() -> str:
    """Return what changes whenever the source of any kernel does."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCE = _source_hash()  # of what is imported, so it must not be taken later


class _UnfitError(Exception):
    """The libraries that came with the package cannot be used. The message says why."""


def address(symbol: str) -> int | None:
    """Return the address of a kernel that came with the package, or None if it must be compiled."""
    library, reason = _library()
    if library is None or not hasattr(library, symbol):
        if FOLDER.is_dir() and not _is_set_aside():
            _tell(reason or f"{symbol} is not among the installed kernels")
        return None
    return ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value


def why_not() -> str | None:
    """Return why the kernels are compiled here, or None if those that came with the package are used."""
    return _library()[1]


def _is_set_aside() -> bool:
    return os.environ.get("MBBP_JIT", "0") not in ("", "0")


@functools.cache
def _tell(reason: str) -> None:
    if sys.stderr.isatty():
        print(f"mbbp: {reason}; kernels are compiled for this machine", file=sys.stderr, flush=True)


@functools.cache
def _library() -> tuple[ctypes.CDLL | None, str | None]:
    """Return the library, or None and why not."""
    if _is_set_aside():
        return None, "MBBP_JIT is set"
    if not FOLDER.is_dir():
        return None, "mbbp was installed without compiled kernels"
    try:
        return _checked_library(), None
    except _UnfitError as reason:
        return None, str(reason)


def _checked_library() -> ctypes.CDLL:
    try:
        index = json.loads((FOLDER / INDEX).read_text(encoding="utf-8"))
        source, hashes = index["source"], dict(index["libraries"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _UnfitError(f"the index of the installed kernels cannot be read ({error!r})") from None
    if source != SOURCE:
        raise _UnfitError("the installed kernels were made from another source")
    level = processor.level()
    if level is None or level not in hashes:
        wanted = level or "the processor that Numba's settings describe"
        raise _UnfitError(f"the installed kernels are for {', '.join(hashes)}, not for {wanted}")
    path = FOLDER / file_of(level)
    try:
        if hash_of(path) != hashes[level]:
            raise _UnfitError(f"the installed kernels are damaged ({path})")
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise _UnfitError(f"the installed kernels cannot be loaded ({error})") from None
