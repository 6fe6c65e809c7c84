"""Names, strings and numbers as C writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from mbbp.parameters import Array
from mbbp.validation import as_name, shown

LONGEST_NAME = 40  # with what is put behind it, it stays below the 63 letters that C compares
LONGEST_STRING = 4095  # bytes: C99 promises no more
WIDTH = 100  # of a line of numbers

KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class co_await co_return co_yield compl
concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export false friend mutable
namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires
static_assert static_cast template this thread_local throw true try typeid typename typeof typeof_unqual using virtual
wchar_t xor xor_eq
"""  # of C, and then of newer C and of C++


def as_c_name(argument: str, value: object) -> str:
    """Return a name with which all names of a header can begin.

    Raises
    ------
    TypeError
        If it is no str.
    ValueError
        If it is no C identifier that begins with a letter, is a keyword of C or C++, or is too long.
    """
    name = as_name(argument, value)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII):
        raise ValueError(f"{argument}: expected a C identifier that begins with a letter, got {shown(name)}")
    if name in KEYWORDS.split():
        raise ValueError(f"{argument}: expected no keyword of C or C++, got {name!r}")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{argument}: expected at most {LONGEST_NAME} letters, got {len(name)}")
    return name


def literal(text: str) -> str:
    """Return a text as a C string: its bytes in UTF-8, in ASCII alone.

    It is safe in a comment as well. Escaped are quotes, backslashes, all that is not printable ASCII, question marks,
    which begin trigraphs, and the slash of what would begin or end a comment.
    """
    escaped = []
    for place, byte in enumerate(data := text.encode("utf-8", "surrogatepass")):
        beside = data[place - 1 : place] + data[place + 1 : place + 2] if place else data[1:2]
        is_plain = 32 <= byte < 127 and byte not in b'"\\?' and not (byte == ord("/") and set(beside) & set(b"*/"))
        escaped.append(chr(byte) if is_plain else f"\\{byte:03o}")
    return f'"{"".join(escaped)}"'


def check_strings(what: str, texts: Sequence[str]) -> None:
    """Check that C can hold names as strings.

    Raises
    ------
    ValueError
        If a name holds the letter of code 0, which ends a string, or is very long.
    """
    for text in texts:
        if "\0" in text:
            raise ValueError(f"net: expected {what} without the letter of code 0, got {shown(text)}")
        if len(literal(text)) > LONGEST_STRING:
            raise ValueError(f"net: expected {what} of at most {LONGEST_STRING} bytes in C, got {shown(text)}")


def numbers(array: Array) -> list[str]:
    """Return numbers as C constants of their type, each exactly: the shortest decimals that give the same number."""
    texts = array.astype(str).ravel().tolist()
    return [f"{text}f" for text in texts] if array.dtype == np.float32 else texts


def number(value: float, dtype: np.dtype[np.floating]) -> str:
    """Return one number as a C constant of a dtype."""
    return numbers(np.array([value], dtype))[0]


def array_lines(declaration: str, array: Array) -> Iterator[str]:
    """Yield the lines of a constant array."""
    yield f"static const {declaration}[{array.size}] = {{"
    line = "   "
    for text in numbers(array):
        if len(line) + len(text) + 2 > WIDTH:
            yield line
            line = "   "
        line += f" {text},"
    yield line
    yield "};"


def wrapped(texts: Sequence[str], width: int) -> Iterator[str]:
    """Yield lines of texts, with a comma between two texts. A text is never cut."""
    line = ""
    for place, text in enumerate(texts):
        end = "," if place + 1 < len(texts) else ""
        if line and len(line) + len(text) + 2 > width:
            yield line
            line = ""
        line += f"{' ' if line else ''}{text}{end}"
    if line:
        yield line
