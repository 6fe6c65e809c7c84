"""Writing files so that nothing is ever lost."""

import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PICTURES = (".png", ".svg", ".pdf")


def write_aside(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a file to the side, under the same ending, and rename it: the old one stands until the new one is whole.

    Parameters
    ----------
    path : path
        The file.
    write : callable
        Writes to the path that it is given.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to. What stood at `path` still stands.
    """
    target = Path(path)
    aside = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        write(aside)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def check_can_be_written(argument: str, path: Path, endings: Sequence[str]) -> None:
    """Check what would stop a file from being written, before there is anything to write.

    Raises
    ------
    ValueError
        If its name has none of the endings, or its folder cannot be written to.
    ImportError
        If it is a picture, and matplotlib is not installed.
    """
    if path.suffix not in endings:
        raise ValueError(f"{argument}: a name ending {' or '.join(endings)} is wanted, got {str(path)!r}")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"{argument}: cannot write to the folder {str(path.parent)!r}")
    if endings == PICTURES and importlib.util.find_spec("matplotlib") is None:
        raise ImportError(f"{argument}: needs matplotlib; pip install 'mbbp[plot]'")
