"""The cache of compiled code on disk: Numba's, but no file in it is trusted, and no fault of it stops a computation.

A file that is damaged, old or unreadable is compiled anew and replaced. Where nothing can be written, the compiled code
stays in memory. A person is told of it by one line on standard error.
"""

import functools
import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from mbbp.files import write_aside
from mbbp.kernels.lowlevel.prebuilt import SOURCE

_HASH = hashlib.sha256
_LENGTH = _HASH().digest_size


_told: set[str] = set()


def _tell_once(what: str, why: object) -> None:
    """Print a line on standard error, the first time that this happens in the process."""
    if what not in _told:
        _told.add(what)
        print(f"mbbp: {what} ({why})", file=sys.stderr, flush=True)


def can_write() -> bool:
    """Return whether all that was compiled in this process could be kept on disk."""
    return _UNWRITABLE not in _told


_DAMAGED = "a file in the cache of compiled kernels is damaged; it is thrown away, and its kernel is compiled anew"
_UNREADABLE = "the cache of compiled kernels cannot be read; the kernels are compiled for this run"
_UNWRITABLE = (
    "compiled kernels cannot be kept on disk, so every run compiles them; "
    "set NUMBA_CACHE_DIR to a folder that can be written to"
)


class CheckedCache(FunctionCache):
    """Numba's cache of one function, with one file for each signature, checked by its SHA-256.

    Numba looks for a folder when a function is decorated, and raises an error if there is none. This class looks when
    the function is first needed. In Numba's own files nothing shows that a bit of machine code has changed, and running
    that code can end the process.

    A file holds the SHA-256 of what follows; then a stamp; then the pickled key and compiled code. The stamp is
    compared before anything is unpickled. It changes when Numba or the source of any kernel changes: compiled code
    contains the functions that it calls, and they stand in other files, which Numba's own stamp does not cover.

    Parameters
    ----------
    function : callable
        The Python function.
    """

    def __init__(self, function: Any) -> None:
        self._py_func = function
        self._name = repr(function)
        self._enabled = True

    @functools.cached_property
    def _folder(self) -> Path | None:
        """The folder that Numba chooses, or None if none can be written to."""
        try:
            self._impl = self._impl_class(self._py_func)
        except RuntimeError as error:  # "no locator available"
            _tell_once(_UNWRITABLE, error)
            return None
        stamp = (numba.__version__, self._impl.locator.get_source_stamp(), SOURCE)
        self._stamp = _HASH(repr(stamp).encode()).digest()
        return Path(self._impl.locator.get_cache_path())

    @property
    def cache_path(self) -> str | None:
        """The folder as Numba's statistics give it."""
        return None if self._folder is None else str(self._folder)

    def flush(self) -> None:
        """Do nothing: a file that does not fit is replaced when its kernel is compiled."""

    def _file(self, folder: Path, key: Any) -> Path:
        return folder / f"{self._impl.filename_base}.{_HASH(repr(key).encode()).hexdigest()[:16]}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None if it must be compiled."""
        target_context.refresh()
        if not self._enabled or self._folder is None:
            return None
        key = self._index_key(sig, target_context.codegen())
        file = self._file(self._folder, key)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _tell_once(_UNREADABLE, error)
            return None
        digest, stamp, data = content[:_LENGTH], content[_LENGTH : 2 * _LENGTH], content[2 * _LENGTH :]
        if _HASH(content[_LENGTH:]).digest() != digest:
            _tell_once(_DAMAGED, file)
            return None
        if stamp != self._stamp:
            return None
        try:
            written_for, reduced = pickle.loads(data)
            return self._impl.rebuild(target_context, reduced) if written_for == key else None
        except Exception as error:  # a pickle of other versions of libraries can raise anything
            _tell_once(_UNREADABLE, f"{file}: {error!r}")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled code for a signature, if that is possible."""
        if not self._enabled or self._folder is None or not self._impl.check_cachable(data):
            return
        key = self._index_key(sig, data.codegen)
        content = self._stamp + dumps((key, self._impl.reduce(data)))
        try:
            self._impl.locator.ensure_cache_path()
            write_aside(
                self._file(self._folder, key), lambda aside: aside.write_bytes(_HASH(content).digest() + content)
            )
        except OSError as error:
            _tell_once(_UNWRITABLE, error)
