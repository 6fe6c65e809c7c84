"""What a compiled function can raise, and whether it calls Python: read from its LLVM code.

A kernel that is called by its address has no way to report an error: Numba would write it to stderr, return 0 and go
on. And it runs without Python's lock, so a `print` can wait for ever. So a user's function that can do either is
refused. LLVM's code tells it best: it includes all functions that are called, and no code that is never reached.
"""

import pickle
import re
from pathlib import Path

# Numba stores each error that can be raised as a pickled (class, arguments, place) in a constant. LLVM prints most
# bytes as characters, a backslash as two of them, and the rest as a backslash and two digits.
_CONSTANTS = re.compile(r'^@"?\.const\.pickledata\.[0-9a-f]+"? =', re.MULTILINE)
_ERRORS = re.compile(
    r'^@"?\.const\.pickledata\.[0-9a-f]+"? = [^\n]*? c"((?:[^"\\]|\\\\|\\[0-9A-Fa-f]{2})*)"', re.MULTILINE
)
_BYTE = re.compile(rb"\\(\\|[0-9A-Fa-f]{2})")
_CALLS_PYTHON = "missing Environment"
_UNREADABLE = "one that can raise an error"


class CanFailError(Exception):
    """A function was compiled that can raise an error, or calls Python."""


def check_cannot_fail(llvm: str) -> None:
    """Check that compiled code neither raises an error nor calls Python.

    What Numba raises if there is no memory left is allowed, and so are the errors of its own array functions.

    Parameters
    ----------
    llvm : str
        The optimised code, with all that it calls.

    Raises
    ------
    CanFailError
        If it can do either. The message says what.
    """
    texts = _ERRORS.findall(llvm)
    faults = {_fault(_BYTE.sub(_byte, text.encode("latin-1"))) for text in texts} - {""}
    if len(texts) != len(_CONSTANTS.findall(llvm)):  # one is not printed in the way that we know
        faults.add(_UNREADABLE)
    if faults:
        raise CanFailError("; ".join(sorted(faults)))


def _byte(written: re.Match[bytes]) -> bytes:
    return b"\\" if written[1] == b"\\" else bytes([int(written[1], 16)])


def _fault(pickled: bytes) -> str:
    import numba

    try:
        kind, arguments, place = pickle.loads(pickled)  # Numba pickled it in this process
    except Exception:  # a user's own class of errors can fail in any way
        return _UNREADABLE
    if arguments and _CALLS_PYTHON in str(arguments[0]):
        return "one that prints, or calls Python in another way"
    if place is None:  # written out by Numba, as for an index
        if issubclass(kind, MemoryError | NotImplementedError):
            return ""
        return f"one that can raise {kind.__name__} ({arguments[0] if arguments else ''})"
    name, path, line = place
    if Path(path).is_relative_to(Path(numba.__file__).parent / "np"):
        return ""
    return f"one that can raise {kind.__name__} in line {line} of {Path(path).name}, in {name}"
