"""Writing files so that nothing is ever lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


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
