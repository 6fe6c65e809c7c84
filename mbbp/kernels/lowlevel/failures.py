"""What a compiled function can raise, and whether it calls Python: read from its LLVM code.

A kernel that is called by its address has no way to report an error: Numba would write it to stderr, return 0 and go
on. And it runs without Python's lock, so a `print` can wait for ever. So a user's function that can do either is
refused. LLVM's code tells it best: it includes all functions that are called, and no code that is never reached.
"""

import pickle
import re
from pathlib import Path

import numba

# Numba stores each error that can be raised as a pickled (class, arguments, place) in a constant.
_ERRORS = re.compile(r'@"?\.const\.pickledata\.[0-9a-f]+"? = [^\n]*? c"((?:[^"\\]|\\[0-9A-Fa-f]{2})*)"')
_BYTE = re.compile(rb"\\([0-9A-Fa-f]{2})")
_NUMBAS_ARRAYS = Path(numba.__file__).parent / "np"
_CALLS_PYTHON = "missing Environment"


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
    found = {
        _fault(_BYTE.sub(lambda m: bytes([int(m[1], 16)]), text.encode("latin-1"))) for text in _ERRORS.findall(llvm)
    }
    faults = sorted(found - {""})
    if faults:
        raise CanFailError("; ".join(faults))


def _fault(pickled: bytes) -> str:
    try:
        kind, arguments, place = pickle.loads(pickled)  # Numba pickled it in this process
    except Exception:  # a user's own class of errors can fail in any way
        return "one that can raise an error"
    if arguments and _CALLS_PYTHON in str(arguments[0]):
        return "one that prints, or calls Python in another way"
    if issubclass(kind, MemoryError | NotImplementedError):
        return ""
    if place is None:  # written out by Numba, as for an index
        return f"one that can raise {kind.__name__} ({arguments[0] if arguments else ''})"
    name, path, line = place
    if Path(path).is_relative_to(_NUMBAS_ARRAYS):
        return ""
    return f"one that can raise {kind.__name__} in line {line} of {Path(path).name}, in {name}"
