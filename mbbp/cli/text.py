"""What the commands print: lines and tables of at most 80 columns."""

import sys
import time

import mbbp
from mbbp.datasets import Dataset
from mbbp.tables import wrapped


def complain(message: str) -> None:
    """Print an error or a warning: in one line, as programs read it, but on a terminal with lines broken at words."""
    line = " ".join(message.split())
    print(wrapped(line) if sys.stderr.isatty() else line, file=sys.stderr)


def described(data: Dataset, net: mbbp.Network) -> str:
    """Return the lines that describe a data set and a network, at the head of a report."""
    lines = [wrapped(str(data)), *(wrapped(note, "  ") for note in data.notes), wrapped(str(net))]
    return "\n".join(lines)


def columns(widths: list[int], cells: list[str]) -> str:
    """Return a line of a table, with each cell at the right of its column."""
    return "".join(f"{cell:>{width}}" for width, cell in zip(widths, cells, strict=True))


def seconds_in_all() -> float:
    """Return the time since mbbp was imported, its imports included."""
    return time.perf_counter() - mbbp.BEGAN
