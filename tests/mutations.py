"""Damaged files for the tests of readers: bytes of a sound file, changed in the ways in which files get damaged."""

from pathlib import Path

import numpy as np

FEW, MANY = 300, 100_000
"""How many damaged files a reader must withstand: in the default run, and in the nightly run."""

WORDS = (
    *b"0 1 9 - . , : [ ] { } ( ) ' \" \\ e E # \t \n \r \0 \xff".split(b" "),
    *(b"NaN", b"Infinity", b"null", b"true", b"1e400", b"1e300", b"1.5", b"-1", b"0x10", b"9" * 30, b"9" * 5000),
    *(b"[" * 3000, b"{" * 300, b"(" * 300, b"'O'", b"'<U9999999'", b"'<f8'", b"'>f4'", b'"1.5"', b"", b"\xed\xa0\x80"),
    *(bytes(4), bytes(8), b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(1000)),
)
"""What breaks readers when it stands where something else belongs: for text, for Python and for counts of bytes."""


def _place(content, rng):
    """Return a short range in the content; every second one is near its beginning or end, where headers stand."""
    n = len(content)
    if rng.random() < 0.5:
        start = int(rng.integers(n + 1))
    else:
        start = int(min(n, rng.integers(300)))
        start = n - start if rng.random() < 0.5 else start
    return start, min(n, start + int(2 ** rng.uniform(0, 6)))


def flip(content, rng):
    at = int(rng.integers(len(content)))
    return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]


def replace(content, rng):
    start, stop = _place(content, rng)
    return content[:start] + rng.bytes(stop - start) + content[stop:]


def zero(content, rng):
    start, stop = _place(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def truncate(content, rng):
    return content[: _place(content, rng)[0]]


def remove(content, rng):
    start, stop = _place(content, rng)
    return content[:start] + content[stop:]


def repeat(content, rng):
    start, stop = _place(content, rng)
    return content[:stop] + content[start:stop] * int(rng.integers(1, 4)) + content[stop:]


def swap(content, rng):
    (a, b), (c, d) = sorted((_place(content, rng), _place(content, rng)))
    c, d = max(b, c), max(b, c, d)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def insert(content, rng):
    start, stop = _place(content, rng)
    word = WORDS[rng.integers(len(WORDS))]
    return content[:start] + word + content[start if rng.random() < 0.5 else stop :]


KINDS = (flip, replace, zero, truncate, remove, repeat, swap, insert)


def mutations(content, n, seed=0):
    """Yield n damaged versions of a file's content. Most have one fault, and some have several."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        damaged = content
        while True:
            damaged = KINDS[rng.integers(len(KINDS))](damaged or content, rng)
            if rng.random() < 0.7:
                break
        yield damaged


def unclear_errors(read, path, contents, is_sound=lambda result: True):
    """Read each content as a file, and return what was wrong with the reader, with the content.

    A reader may return a result that is sound, or refuse the file by a ValueError of less than 2,000 characters that
    names it.
    """
    path, faults = Path(path), []
    for content in contents:
        path.write_bytes(content)
        try:
            result = read(path)
        except ValueError as error:
            message = str(error)
            if str(path) not in message or len(message) > 2000 or type(error) is not ValueError:
                faults.append((repr(error)[:300], content))
        except BaseException as error:  # whatever it is, it must not get out
            if isinstance(error, KeyboardInterrupt):
                raise
            faults.append((repr(error)[:300], content))
        else:
            if not is_sound(result):
                faults.append((f"accepted as {result!r:.300}", content))
    return faults
