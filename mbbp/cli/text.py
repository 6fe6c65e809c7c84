"""What the commands print: lines and tables of at most 80 columns."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mbbp
from mbbp.datasets import Dataset
from mbbp.tables import wrapped

_IMPORTED = time.perf_counter()


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


def seconds_in_all() -> tuple[float, str]:
    """Return the time since the program was started, and the words that say since when."""
    since_import = time.perf_counter() - _IMPORTED
    for started in _started():
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - started
        if seconds >= since_import:  # else the clocks do not agree, as in some containers
            return seconds, "since the start of the program"
    return since_import, "since the start, without the imports"


def _started() -> Iterator[float]:
    """Yield when this process was started, in seconds after the system's start, if the system says it as Linux does."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        try:
            fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            yield int(fields[19]) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return
