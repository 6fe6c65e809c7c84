"""The folder of a search: what was asked, a line for each candidate at the end of a rung, and the networks."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mbbp import fileformat
from mbbp.files import as_path, write_text
from mbbp.network import Network
from mbbp.tuning.standings import Record
from mbbp.version import VERSION

ASKED, RECORDS, NETWORKS = "search.json", "records.txt", "networks"
FORMAT = 1
DIGITS = 16  # of the checksum of a line
SHOWN = 80  # letters of what differs


class Folder:
    """The folder of a search. A process that is killed at any moment leaves one that the next call goes on with.

    Parameters
    ----------
    path : path
        The folder. It is made by `lock`.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it is a file, or a folder of something else, or it is damaged; or if it cannot be made or written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = as_path("file", path).absolute()
        self.asked: dict[str, Any] | None = None
        self._file: BinaryIO | None = None
        parent = self.path if self.path.is_dir() else self.path.parent
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"file: expected a folder, got the file {str(path)!r}")
        if not os.access(parent, os.W_OK):
            raise ValueError(f"file: expected a folder that can be written to, got {str(path)!r}")
        if (self.path / ASKED).exists():
            self.asked = self._read_asked()
        elif self.path.is_dir():  # the part of a file that was being written begins with a dot
            others = sorted(
                one.name for one in self.path.iterdir() if not one.name.startswith(".") and not _is_new(one)
            )
            if others:
                raise ValueError(
                    f"file: expected a new folder or that of a search, got {str(path)!r}, which holds {others[0]!r}"
                )

    def _read_asked(self) -> dict[str, Any]:
        try:
            whole = json.loads((self.path / ASKED).read_text(encoding="utf-8"))
            asked: dict[str, Any] = whole["asked"]
            if whole["checksum"] != _checksum(_canonical(asked)):
                raise ValueError("another checksum than its own")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"file: expected the folder of a search, got {str(self.path)!r}, whose {ASKED} is damaged ({error})"
            ) from error
        if asked.get("format") != FORMAT:
            raise ValueError(
                f"file: expected a search of format {FORMAT}, got {asked.get('format')!r:.100} in {str(self.path)!r}"
            )
        return asked

    def check_asked(self, asked: Mapping[str, Any], may_grow: bool) -> None:
        """Check that a search that goes on is asked for the same as it was begun with.

        Parameters
        ----------
        asked : mapping
            What it is asked for now.
        may_grow : bool
            Whether there may be more candidates than before.

        Raises
        ------
        ValueError
            If something differs. The message names it.
        """
        if self.asked is None:
            return
        before, now = _flat(self.asked), _flat(asked)
        if may_grow and before.get("n_candidates", 0) <= now["n_candidates"]:
            before["n_candidates"] = now["n_candidates"]
        differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if differing:
            told = "; ".join(_difference(name, before.get(name), now.get(name)) for name in differing[:5])
            raise ValueError(
                f"file: expected a new folder or the same search as in {str(self.path)!r}, got another one: {told}"
            )

    def lock(self) -> None:
        """Make the folder if it is missing, keep all other processes out, and read again what was asked for.

        Another process may have begun a search here since this object was made. So only what is read now may be
        compared and overwritten.

        Raises
        ------
        ValueError
            If another process runs the search, or what was asked for is damaged.
        OSError
            If it cannot be written.
        """
        self.path.mkdir(exist_ok=True)
        file = (self.path / RECORDS).open("ab+")
        try:
            _lock(file, self.path)
            self.asked = self._read_asked() if (self.path / ASKED).exists() else None
        except BaseException:
            file.close()
            raise
        self._file = file

    def records(self) -> list[Record]:
        """Return the records that are there. A torn last line is removed.

        Raises
        ------
        ValueError
            If a line is damaged.
        OSError
            If it cannot be written.
        """
        assert self._file is not None
        self._file.seek(0)
        records, end = _read_records(self._file.read(), self.path)
        self._file.truncate(end)
        return records

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Write what is asked for, in a locked folder.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        assert self._file is not None
        whole = {"format": FORMAT, **asked}
        if whole != self.asked:
            stored = {"asked": whole, "checksum": _checksum(_canonical(whole)), "version": VERSION}
            write_text(self.path / ASKED, json.dumps(stored, indent=1) + "\n")
            self.asked = whole
        (self.path / NETWORKS).mkdir(exist_ok=True)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, record: Record) -> None:
        """Append a line, and wait until it is on the disk."""
        assert self._file is not None
        text = json.dumps(dataclasses.asdict(record), ensure_ascii=False)
        self._file.write(f"{_checksum(text)[:DIGITS]} {text}\n".encode(errors="surrogatepass"))
        self._file.flush()
        os.fsync(self._file.fileno())

    def save(self, number: int, rung: int, net: Network) -> None:
        """Save a network, as it is at the end of a rung."""
        fileformat.write(self._path_of(number, rung), net._contents())

    def load(self, number: int, rung: int, custom: list[Any]) -> Network | None:
        """Return a network as it was at the end of a rung; None if its file is missing or damaged."""
        try:
            return Network._of(fileformat.read(self._path_of(number, rung), custom))
        except (OSError, ValueError):
            return None  # it can be trained again

    def keep(self, needed: set[tuple[int, int]]) -> None:
        """Remove all networks but these."""
        kept = {self._path_of(*one).name for one in needed}
        for path in (self.path / NETWORKS).iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def remove(self, number: int, rung: int) -> None:
        """Remove a network, if it is there."""
        self._path_of(number, rung).unlink(missing_ok=True)

    def _path_of(self, number: int, rung: int) -> Path:
        return self.path / NETWORKS / f"{number}-{rung}.mbbp"


def _is_new(path: Path) -> bool:
    """Return whether it is what `Folder.lock` makes in a new folder, before anything is asked for."""
    return path.name == RECORDS and path.is_file() and path.stat().st_size == 0


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _difference(name: str, before: Any, now: Any) -> str:
    """Return what differs, with long texts cut around the first place where they do."""
    one, other = str(before), str(now)
    places = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    start = max(0, next(places, min(len(one), len(other))) - SHOWN // 2)
    return f"{name} was {_cut(one, start)}, is {_cut(other, start)}"


def _cut(text: str, start: int) -> str:
    if len(text) <= SHOWN:
        return text
    return f"{'...' if start else ''}{text[start : start + SHOWN]}{'...' if start + SHOWN < len(text) else ''}"


def _flat(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts in one mapping, without the number of the format."""
    flat: dict[str, Any] = {}
    for name, value in asked.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}[{key!r}]": one for key, one in value.items()}
        elif name != "format":
            flat[name] = value
    return flat


def _lock(file: BinaryIO, path: Path) -> None:
    """Make sure that no other process writes, where the system can say so."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"file: expected a search that is not running, got {str(path)!r}, which is") from None
    except OSError:
        return  # not every file system has locks


def _read_records(content: bytes, path: Path) -> tuple[list[Record], int]:
    """Return the records, and where the last whole line ends."""
    lines, records, end = content.split(b"\n"), [], 0
    for number, line in enumerate(lines):
        record = _record(line)
        if record is None:
            # the last line may be torn, and one more part may be what a disk had not written when the power failed
            if any(_record(later) is not None for later in lines[number + 1 :]):
                raise ValueError(
                    f"file: expected records that mbbp.search wrote, got {str(path)!r}, whose {RECORDS} is damaged in "
                    f"line {number + 1}"
                )
            break
        if number == len(lines) - 1:
            break  # without the end of its line, the next one would be written behind it
        records.append(record)
        end += len(line) + 1
    return records, end


def _record(line: bytes) -> Record | None:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        checksum, _, text = line.decode(errors="surrogatepass").partition(" ")
        if checksum == _checksum(text)[:DIGITS]:
            facts = json.loads(text)
            return Record(**{**facts, "values": tuple(facts["values"])})
    return None
