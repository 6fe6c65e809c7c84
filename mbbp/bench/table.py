"""The results as tables: for a terminal, as Markdown, and as CSV."""

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from mbbp.bench.results import CaseResult, Result

HEADINGS = (
    "implementation",
    "median",
    "min",
    "spread",
    "examples/s",
    "speed-up",
    "GFLOP/s",
    "of roof",
    "bytes/step",
    "difference",
    "first call",
)
NOTES = """\
speed-up: over per-example, by the medians; spread: distance between the quartiles, as a share of the median
of roof: share of the best matrix product of the same dtype in this run; GFLOP/s: counts matrix products only
difference: of the parameters from those of the book's loop in float64 after the same steps, as a share of their change
first call: making it and calling it once, including compilation or reading from a cache; in no other column
bytes/step: peak memory of a step beyond the memory at its start; - if the library has another allocator"""
CROSS_ENTROPY_NOTE = (
    "* has no quadratic cost: trained with the cross-entropy, and compared with the book's loop for that cost"
)


def duration(us: float) -> str:
    """Return a time with three digits and its unit.

    Examples
    --------
    >>> duration(27.12), duration(1419.4), duration(2.5e6), duration(0.213)
    ('27.1 us', '1.42 ms', '2.50 s', '213 ns')
    """
    if math.isnan(us):
        return "-"
    for unit, size in (("s", 1e6), ("ms", 1e3), ("us", 1.0)):
        if us >= 0.9995 * size:
            return f"{digits(us / size)} {unit}"
    return f"{digits(us * 1e3)} ns"


def digits(value: float) -> str:
    """Return a number with three digits and without an exponent."""
    rounded = float(f"{value:.3g}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{rounded:,.{decimals}f}"


def cells(one: CaseResult, result: Result, roof: dict[str, float]) -> list[str]:
    """Return the cells of a row, under `HEADINGS`."""
    speedup, gflops = one.speedup(result), one.gflops(result)
    size = result.bytes_per_step
    return [
        _name(result),
        duration(result.median),
        duration(result.minimum),
        f"{result.spread:.1%}" if math.isfinite(result.spread) else "-",
        digits(one.examples_per_second(result)),
        "-" if math.isnan(speedup) else f"{digits(speedup)}x",
        digits(gflops),
        f"{gflops / roof[result.dtype]:.0%}" if roof.get(result.dtype) else "-",
        "-" if size is None else f"{size:,}",
        "-" if result.difference is None else f"{result.difference:.0e}" if result.difference else "0",
        duration((result.first_call_seconds or 0) * 1e6),
    ]


def _name(result: Result) -> str:
    return result.implementation + ("" if result.cost == "quadratic" else " *")


def header(machine: dict[str, Any]) -> str:
    """Return the description of the machine, as lines."""
    threads = machine["threads"]
    cores = machine["pinned_to"]
    pinned = f"pinned to core{'s' if cores and len(cores) > 1 else ''} {', '.join(map(str, cores))}" if cores else ""
    blas = machine["blas"]
    kernel = f", kernel {blas['kernel']}" if blas["kernel"] else ""
    return "\n".join(
        [
            f"{machine['processor']}, {machine['cores']} cores; {machine['system']}",
            f"Python {machine['python']}, {', '.join(f'{k} {v}' for k, v in machine['versions'].items())}",
            f"BLAS {blas['name']} {blas['version']}{kernel}",
            f"{threads} thread{'s' if threads > 1 else ''} for every implementation, "
            f"{pinned or 'NOT pinned: this system does not allow it'}; seed {machine['seed']}; {machine['date']}",
        ]
    )


def _roof_line(roof: dict[str, float]) -> str:
    return "roof: " + ", ".join(f"{gflops:.1f} GFLOP/s in {dtype}" for dtype, gflops in sorted(roof.items()))


def _title(one: CaseResult) -> str:
    return f"{one.case.name}   {one.case.what}, {one.case.dtype}, {one.case.flops:,} flops"


def _notes(results: Sequence[CaseResult]) -> list[str]:
    starred = any(row.cost != "quadratic" for one in results for row in one.results)
    return [CROSS_ENTROPY_NOTE] * starred + NOTES.split("\n")


def as_text(results: Sequence[CaseResult], machine: dict[str, Any], roof: dict[str, float]) -> str:
    """Return all tables, for a terminal."""
    tables = [[cells(one, row, roof) if row.us else [_name(row)] for row in one.results] for one in results]
    columns = [[row[i] for table in tables for row in table if i < len(row)] for i in range(len(HEADINGS))]
    widths = [max(map(len, [heading, *column])) for heading, column in zip(HEADINGS, columns, strict=True)]
    lines = [header(machine), _roof_line(roof)]
    for one, table in zip(results, tables, strict=True):
        lines += ["", _title(one), _aligned(HEADINGS, widths)]
        for row, result in zip(table, one.results, strict=True):
            lines.append(_aligned(row, widths) if result.us else f"{row[0]:<{widths[0]}}  {_why(result)}")
    return "\n".join([*lines, "", *_notes(results)])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([f"{row[0]:<{widths[0]}}"] + [f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)])


def _why(result: Result) -> str:
    return f"{'NOT TIMED: ' if result.is_wrong else ''}{result.refused or ''}"


def as_markdown(results: Sequence[CaseResult], machine: dict[str, Any], roof: dict[str, float]) -> str:
    """Return all tables, in Markdown."""
    lines = [f"{line}  " for line in [*header(machine).split("\n"), _roof_line(roof)]]
    for one in results:
        lines += ["", f"**{_title(one)}**", "", f"| {' | '.join(HEADINGS)} |"]
        lines.append(f"|{' --- |' + ' ---: |' * (len(HEADINGS) - 1)}")
        for row in one.results:
            found = cells(one, row, roof) if row.us else [_name(row), _why(row), *[""] * (len(HEADINGS) - 2)]
            lines.append(f"| {' | '.join(escaped(cell) for cell in found)} |")
    lines += ["", *(f"- {escaped(line)}" for line in _notes(results))]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a text in which Markdown finds no formatting."""
    return text.replace("|", "/").replace("*", "\\*").replace("<", "&lt;")


def as_csv(results: Sequence[CaseResult], roof: dict[str, float]) -> str:
    """Return a line for each implementation of each case, with the field names of the JSON."""
    rows = []
    for one in results:
        case = one.to_dict(roof)
        engines = case.pop("engines")
        case["sizes"] = "-".join(map(str, one.case.sizes))
        for engine in engines:
            engine["rounds"] = len(engine.pop("us"))
            rows.append(case | {"engine_dtype": engine.pop("dtype")} | engine)
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
