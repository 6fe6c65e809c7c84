"""The results of the race between the estimators as tables: for a terminal, and as Markdown."""

import statistics
from collections.abc import Sequence
from typing import Any

from mbbp.bench.fit import OURS, SEEDS, THEIRS, TOLERANCE, FitResult, Race, RowResult
from mbbp.bench.table import digits, duration, escaped, header
from mbbp.tables import text_table

TITLE = "fit: one hidden layer of 100 neurons and Adam, as is scikit-learn's default; float64"
ROW_TITLE = "predict of one row"
HEADINGS = ("data", "batch", "epochs", THEIRS, OURS, "ratio", f"score, {THEIRS}", f"score, {OURS}")
ROW_HEADINGS = ("data", THEIRS, OURS, "ratio")
NOTES = (
    f"times of a fit: the median over {SEEDS} seeds, of each seed the fastest fit; ratio: the median over the seeds",
    "score: accuracy or R2 on held-out samples after these epochs, the mean over the seeds",
    f"both compute the same: their losses agree to {TOLERANCE:g} in every fit that is timed",
    "times of predict: the least of some hundred calls",
)


def _cells(one: FitResult) -> list[str]:
    name = [one.problem.name, str(one.batch_size), str(one.problem.epochs)]
    if one.is_wrong:
        return [*name, *["-"] * (len(HEADINGS) - len(name))]
    times = [duration(statistics.median(one.seconds[key]) * 1e6) for key in (THEIRS, OURS)]
    scores = [f"{statistics.mean(one.scores[key]):.4f}" for key in (THEIRS, OURS)]
    return [*name, *times, f"{digits(one.ratio)}x", *scores]


def _row_cells(one: RowResult) -> list[str]:
    return [one.problem.name, duration(one.us[THEIRS]), duration(one.us[OURS]), f"{digits(one.ratio)}x"]


def _remarks(race: Race) -> list[str]:
    """Return a line for everything that was not timed."""
    wrong = [
        f"{one.name}: NOT TIMED: wrong result: the losses differ by {one.difference:.2g}"
        for one in race.fits
        if one.is_wrong
    ]
    return wrong + [f"{name}: left out: {reason}" for name, reason in race.left_out.items()]


def _tables(race: Race) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Return the title, the headings and the rows of each table that has rows."""
    tables: list[tuple[str, Sequence[str], list[list[str]]]] = [
        (TITLE, HEADINGS, [_cells(one) for one in race.fits]),
        (ROW_TITLE, ROW_HEADINGS, [_row_cells(one) for one in race.rows]),
    ]
    return [one for one in tables if one[2]]


def as_text(race: Race, machine: dict[str, Any]) -> str:
    """Return both tables, for a terminal."""
    lines = [header(machine)]
    for title, headings, rows in _tables(race):
        lines += ["", title, *text_table(headings, rows)]
    return "\n".join([*lines, "", *_remarks(race), *NOTES])


def as_markdown(race: Race, machine: dict[str, Any]) -> str:
    """Return both tables, in Markdown."""
    lines = [f"{line}  " for line in header(machine).split("\n")]
    for title, headings, rows in _tables(race):
        lines += [
            "",
            f"**{title}**",
            "",
            f"| {' | '.join(headings)} |",
            f"|{' --- |' + ' ---: |' * (len(headings) - 1)}",
        ]
        lines += [f"| {' | '.join(map(escaped, row))} |" for row in rows]
    lines += ["", *(f"- {escaped(line)}" for line in [*_remarks(race), *NOTES])]
    return "\n".join(lines) + "\n"
