"""Writing and reading the file of a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mbbp.fileformat.contents import Contents, Custom
from mbbp.fileformat.progress import progress_from_file, progress_to_file
from mbbp.fileformat.structure import structure_from_file, structure_to_file
from mbbp.files import write_aside
from mbbp.npz import Npz, open_npz
from mbbp.parameters import Array

FORMAT = 3
FORMAT_OF_MANY = 4  # of a file that holds several networks
READABLE = (1, 2, 3)  # 1 has no scaling; 1 and 2 have a description as text, and neither training nor checksum
ENDINGS = (".npz", ".mbbp")
MOST_BYTES = 1 << 20
"""The longest description. What is longer would take long to build, and is hardly a network's."""
MOST_BRACKETS = 100_000  # every one may become an object, which takes some fifty times as much memory
DESCRIPTION, CHECKSUM = "header", "checksum"
ARRAYS = (
    *("theta", "scaling_mean", "scaling_factor", "target_scaling_mean", "target_scaling_factor"),
    *("history", "moments", "steps", "best_theta"),
)


Read = TypeVar("Read")


def check_ending(argument: str, path: str | Path) -> Path:
    """Return a path that ends in .npz or .mbbp.

    Raises
    ------
    ValueError
        If it does not.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{argument}: expected a name that ends in {' or '.join(ENDINGS)}, got {str(path)!r}")
    return path


def write(path: Path, contents: Contents) -> None:
    """Write a file. An old one at `path` is replaced when the new one is complete.

    Raises
    ------
    ValueError
        If a file cannot hold the contents.
    OSError
        If it cannot be written.
    """
    _write_members(path, _members(contents))


def write_many(path: Path, networks: Sequence[Contents]) -> None:
    """Write several networks to one file: those of each have its number before their names.

    Raises
    ------
    ValueError
        If a file cannot hold the contents.
    OSError
        If it cannot be written.
    """
    text = json.dumps({"format": FORMAT_OF_MANY, "networks": len(networks)}).encode()
    members = {DESCRIPTION: np.frombuffer(text, np.uint8)}
    for number, contents in enumerate(networks):
        members |= {f"{number}/{name}": array for name, array in _members(contents).items()}
    _write_members(path, members)


def _members(contents: Contents) -> dict[str, Array]:
    text, arrays = _parts(contents)
    members: dict[str, Array] = {DESCRIPTION: np.frombuffer(text, np.uint8), **arrays}
    members[CHECKSUM] = np.frombuffer(_digest(members), np.uint8)
    return members


def _write_members(path: Path, members: dict[str, Array]) -> None:
    def write_to(aside: Path) -> None:
        with aside.open("wb") as file:  # given a name, NumPy would change its ending
            np.savez(file, **members)  # type: ignore[arg-type]

    write_aside(path, write_to)


def check(contents: Contents) -> None:
    """Check that a file can hold the contents, before a training that would be lost otherwise.

    Raises
    ------
    ValueError
        If it cannot.
    """
    _parts(contents)


def _parts(contents: Contents) -> tuple[bytes, dict[str, Array]]:
    """Return the description and the arrays."""
    facts, arrays = structure_to_file(contents.structure)
    if contents.progress is not None:
        facts["training"], more = progress_to_file(contents.progress)
        arrays |= more
    text = json.dumps({"format": FORMAT, **facts}, ensure_ascii=False).encode(errors="surrogatepass")
    if len(text) > MOST_BYTES or text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
        raise ValueError(
            f"net: expected a description of at most {MOST_BYTES:,} bytes, got {len(text):,}; there are too many "
            "layers, names or texts to be saved"
        )
    return text, arrays


def read(path: str | Path, custom: Iterable[Any] = ()) -> Contents:
    """Read a file.

    Parameters
    ----------
    path : path
        The file.
    custom : iterable of Activation, Cost, Optimizer, or subclass of Optimizer
        The user's own ones that the file needs.

    Raises
    ------
    OSError
        If it does not exist or cannot be read.
    ValueError
        If it is damaged, or is no file of a network.
    TypeError
        If `custom` holds something else.
    """
    return _read("a network that mbbp.save wrote", path, READABLE, custom, _contents)


def read_many(path: str | Path, custom: Iterable[Any] = ()) -> list[Contents]:
    """Read a file of several networks. The parameters and the errors are those of `read`."""
    return _read("an ensemble that mbbp.Ensemble.save wrote", path, (FORMAT_OF_MANY,), custom, _all_contents)


def _read(
    expected: str,
    path: str | Path,
    formats: tuple[int, ...],
    custom: Iterable[Any],
    contents_of: Callable[[dict[str, Any], Array, Npz, Custom], Read],
) -> Read:
    own = Custom(custom)
    try:
        with open_npz(path, compressed=False) as file:  # so that no array is larger than the file
            facts, text = _description(file)
            is_known = facts.get("format") in formats
            contents = contents_of(facts, text, file, own) if is_known else None
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"path: expected {expected}, got {str(path)!r}, which is another or damaged file ({reason:.500})"
        ) from error
    if contents is None:
        raise ValueError(_other_format(facts.get("format"), formats, path))
    return contents


def _other_format(found: Any, formats: tuple[int, ...], path: str | Path) -> str:
    if found == FORMAT_OF_MANY:
        return f"path: expected the file of a network, got that of an ensemble in {str(path)!r}; use mbbp.Ensemble.load"
    if FORMAT_OF_MANY in formats and found in READABLE:
        return f"path: expected the file of an ensemble, got that of a network in {str(path)!r}; use mbbp.load"
    known = " or ".join(map(str, formats))
    return (
        f"path: expected a file of format {known}, got format {found!r:.100} in {str(path)!r}; "
        "this version of mbbp cannot read it"
    )


def _all_contents(facts: dict[str, Any], text: Array, file: Npz, custom: Custom) -> list[Contents]:
    n = facts.get("networks")
    if type(n) is not int or not 0 < n <= len(file.names):
        raise ValueError(f"networks: expected how many networks the file holds, got {n!r:.100}")
    parts = [file.part(f"{number}/") for number in range(n)]
    if sum(len(part.names) for part in parts) + 1 != len(file.names):
        raise ValueError(f"networks: expected the arrays of {n} networks, got others")
    if sum(file.header(name).nbytes for name in file.names) > file.length:  # several that lie upon each other
        raise ValueError("arrays: expected less than the file holds, got more")
    return [_contents(*_description(part), part, custom) for part in parts]


def _contents(facts: dict[str, Any], text: Array, file: Npz, custom: Custom) -> Contents:
    headers = {name: file.header(name) for name in ARRAYS if name in file.names}
    if sum(header.nbytes for header in headers.values()) > file.length:  # several that lie upon each other
        raise ValueError("arrays: expected less than the file holds, got more")
    arrays = {name: file.read(name) for name in headers}
    if facts["format"] >= 3:
        _check_digest({DESCRIPTION: text, **arrays}, file)
    structure = structure_from_file(facts, arrays, custom)
    training = facts.get("training")
    if training is None:
        return Contents(structure, None)
    if not isinstance(training, dict):
        raise ValueError(f"training: expected a JSON object, got {training!r:.100}")
    return Contents(structure, progress_from_file(training, arrays, structure.theta, custom))


def _description(file: Npz) -> tuple[dict[str, Any], Array]:
    found = file.header(DESCRIPTION)
    is_text = found.dtype.kind == "U" and found.shape == ()
    is_bytes = found.dtype == np.uint8 and len(found.shape) == 1
    if not (is_text or is_bytes) or found.nbytes > MOST_BYTES:
        raise ValueError(f"header: expected a text of at most {MOST_BYTES} bytes, got {found.dtype} {found.shape}")
    content = file.read(DESCRIPTION)
    text = str(content) if is_text else content.tobytes().decode(errors="surrogatepass")
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise ValueError("header: expected a JSON object, got one with too many parts")
    try:
        facts = json.loads(text)
    except RecursionError as error:
        raise ValueError("header: expected a JSON object, got one that is nested too deeply") from error
    if not isinstance(facts, dict):
        raise ValueError(f"header: expected a JSON object, got {facts!r:.100}")
    return facts, content


def _digest(members: Mapping[str, Array]) -> bytes:
    """Return the SHA-256 of all members: of their names, kinds, shapes and bytes."""
    found = hashlib.sha256()
    for name, array in members.items():
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.digest()


def _check_digest(members: dict[str, Array], file: Npz) -> None:
    if file.header(CHECKSUM).nbytes != hashlib.sha256().digest_size:
        raise ValueError("checksum: expected the 32 bytes of a SHA-256, got another number")
    order = [name for name in file.names if name in members]
    if file.read(CHECKSUM).tobytes() != _digest({name: members[name] for name in order}):
        raise ValueError("checksum: expected that of the contents, got another: a bit has changed since it was written")
