"""Writing files so that an old file is never lost, and checking beforehand that a file can be written."""

import contextlib
import importlib.util
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mbbp.extras import missing_extra

PICTURES = (".png", ".svg", ".pdf")


def write_aside(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a temporary file beside `path`, with the same ending, and rename it to `path` when it is complete.

    Until then an old file at `path` stays as it is. A reader of `path` gets the old file or the new one, no mixture,
    also if several processes write it at once, or the machine loses its power. The new file has the permissions of the
    old one. If `path` is a symbolic link, it stays one, and the file that it names is replaced.

    Parameters
    ----------
    path : path
        The file.
    write : callable
        Writes to the path that it is given.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to. An old file at `path` is unchanged.
    """
    given, target = Path(path), Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path: expected a folder that exists, got {str(given.parent)!r}")
    # The ending tells the writer which format to use. The rest is cut: a name of 256 bytes is refused.
    aside = target.with_name(f".{given.stem[:40]}.{secrets.token_hex(8)}.part{given.suffix}")
    try:
        write(aside)
        _sync(aside)
        if target.exists():
            aside.chmod(stat.S_IMODE(target.stat().st_mode))
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the file is complete, and not every system can do that for a folder
        _sync(target.parent)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, as `write_aside` does.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to. An old file at `path` is unchanged.
    """
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def as_path(argument: str, value: object, what: str = "a path") -> Path:
    """Return a path that was given to a reader of a file.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If no file can have this name.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{argument}: expected {what}, got {value!r:.100}")
    try:
        path = Path(value)
    except TypeError:  # a path of bytes
        raise TypeError(f"{argument}: expected {what}, got {value!r:.100}") from None
    try:
        is_possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise ValueError(f"{argument}: expected a name that a file can have, got {str(path)!r:.100}")
    return path


def check_can_be_written(argument: str, path: Path, endings: Sequence[str]) -> None:
    """Check that a file can be written, before a long computation of what to write.

    Raises
    ------
    ValueError
        If its name has none of the endings, it is a folder, or its folder cannot be written to.
    ImportError
        If it is a picture, and matplotlib is not installed.
    """
    if path.suffix not in endings:
        raise ValueError(f"{argument}: expected a name ending in {' or '.join(endings)}, got {str(path)!r}")
    if path.is_dir():
        raise ValueError(f"{argument}: expected a file, got the folder {str(path)!r}")
    folder = os.path.dirname(os.path.realpath(path))  # noqa: PTH120 -- of what a symbolic link names
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{argument}: expected a folder that can be written to, got {str(path.parent)!r}")
    if endings == PICTURES and importlib.util.find_spec("matplotlib") is None:
        raise missing_extra(argument, "matplotlib")
