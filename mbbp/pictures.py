"""Figures of matplotlib: made without pyplot, shown by notebooks without a magic word, and written to files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mbbp.extras import load_extra
from mbbp.files import PICTURES, check_can_be_written, write_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_DPI = 150


def new_figure(argument: str, width: float, height: float) -> Figure:
    """Return an empty figure.

    Parameters
    ----------
    argument : str
        What the user called or gave, with which the message of an error begins.
    width, height : float
        Its size, in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    load_extra(argument, "matplotlib.figure")
    from mbbp.figure import NotebookFigure

    return NotebookFigure(figsize=(width, height), layout="constrained")


def as_picture_path(argument: str, path: str | os.PathLike[str] | None) -> Path | None:
    """Return the path of a picture, after a check that it can be written. None stays None.

    It is called before the figure is drawn.

    Raises
    ------
    TypeError
        If it is not a path.
    ValueError
        If its name ends in none of .png, .svg and .pdf, or its folder cannot be written to.
    ImportError
        If matplotlib is not installed.
    """
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument}: expected a path, got {path!r}")
    check_can_be_written(argument, Path(path), PICTURES)
    return Path(path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file. The ending of the path gives the format.

    Raises
    ------
    OSError
        If the file cannot be written. An old file is then unchanged.
    """
    write_aside(path, lambda aside: figure.savefig(aside, dpi=PICTURE_DPI))
