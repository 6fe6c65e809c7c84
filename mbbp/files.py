"""Writing files so that an old file is never lost, and checking beforehand that a file can be written."""

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mbbp.extras import missing_extra

PICTURES = (".png", ".svg", ".pdf")


def write_aside(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a temporary file beside `path`, with the same ending, and rename it to `path` when it is complete.

    Until then an old file at `path` stays as it is.

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
    target = Path(path)
    aside = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        write(aside)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, as `write_aside` does.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to. An old file at `path` is unchanged.
    """
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def check_can_be_written(argument: str, path: Path, endings: Sequence[str]) -> None:
    """Check that a file can be written, before a long computation of what to write.

    Raises
    ------
    ValueError
        If its name has none of the endings, or its folder cannot be written to.
    ImportError
        If it is a picture, and matplotlib is not installed.
    """
    if path.suffix not in endings:
        raise ValueError(f"{argument}: expected a name ending in {' or '.join(endings)}, got {str(path)!r}")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{argument}: expected a folder that can be written to, got {str(path.parent)!r}")
    if endings == PICTURES and importlib.util.find_spec("matplotlib") is None:
        raise missing_extra(argument, "matplotlib")
