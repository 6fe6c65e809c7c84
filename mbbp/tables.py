"""Tables and lines of text: for a terminal, and as HTML for a notebook."""

import html
import shutil
import textwrap
from collections.abc import Iterable, Sequence

WIDEST = 120


def text_width() -> int:
    """Return how many characters fit into a line: as many as the terminal has, but at most 120.

    It is 80 where the output does not go to a terminal. The environment variable COLUMNS overrides both.
    """
    return min(shutil.get_terminal_size(fallback=(80, 24)).columns, WIDEST)


def wrapped(text: str, indent: str = "", later_indent: str | None = None) -> str:
    """Return a text in lines that fit into the terminal. No word is broken.

    Parameters
    ----------
    text : str
        The text, in one line.
    indent, later_indent : str
        What the first line begins with, and what each later line begins with; by default the same.
    """
    return textwrap.fill(
        text,
        max(text_width(), 20),
        initial_indent=indent,
        subsequent_indent=indent if later_indent is None else later_indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def text_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table. The first column is aligned on the left, all others on the right.

    Examples
    --------
    >>> print(*text_table(["layer", "neurons"], [["first", "30"], ["last", "5"]]), sep=chr(10))
    layer  neurons
    first       30
    last         5
    """
    table = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join([f"{row[0]:<{widths[0]}}"] + [f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)]).rstrip()
        for row in table
    ]


def html_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", notes: Iterable[str] = ()
) -> str:
    """Return a table as HTML, with a title above it and notes below it. All texts are escaped.

    Examples
    --------
    >>> html_table(["a"], [["<1"]], "all")
    '<div><p>all</p><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;1</td></tr></tbody></table></div>'
    """

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return (
        "<div>"
        + (f"<p>{html.escape(title)}</p>" if title else "")
        + f"<table><thead>{row(headings, 'th')}</thead><tbody>{''.join(row(cells, 'td') for cells in rows)}</tbody>"
        + "</table>"
        + "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        + "</div>"
    )
