"""One line on a terminal that shows what is being done. It is not shown where the output goes to a file or a pipe."""

import shutil
import sys
from types import TracebackType


class Status:
    """Call it with a message to show. The line is cleared at the end."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> "Status":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, message: str) -> None:
        """Show this message in place of the last one."""
        if self._shown:
            # a message longer than a line of the terminal would be wrapped, and could not be cleared
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{message[:width]}", end="", file=sys.stderr, flush=True)
