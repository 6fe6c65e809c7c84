"""One line on a terminal that says what is going on; nothing where the output is piped."""

import shutil
import sys
from types import TracebackType


class Status:
    """Call it with what is going on; the line is gone at the end."""

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
        """Show this instead of what is shown."""
        if self._shown:
            # a line that is broken in two could not be cleared
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{message[:width]}", end="", file=sys.stderr, flush=True)
