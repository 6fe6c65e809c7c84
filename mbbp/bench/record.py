"""The JSON of a run: what stands in it, writing it, and reading an earlier one."""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mbbp.bench.results import CaseResult
from mbbp.files import write_aside

VERSION = 1

SCHEMA = """\
mbbp bench --json writes one object. Times are in the unit that the name says; null is what was not measured.

schema          1: the version of this description; it changes when a field changes its meaning or goes
machine         date (UTC), processor, cores, cores_allowed, pinned_to (cores, or null where pinning is not possible),
                threads, system, python, versions (of each package found), seed,
                blas: name, version, kernel (null without threadpoolctl), threads
settings        what, dtype, seconds, peers, sweep: as asked for
roof_gflops     by dtype, the best rate of a matrix product by NumPy's BLAS in the same run
cases           a list; of each
  key           what tells the case from all others: "step 784-30-10 m10 float32"
  sizes, batch_size, dtype, what
  flops         of one unit of work, counted from the sizes: 2 for each multiply-add of a matrix product
  sweep, place  where along a sweep it stands, or null
  engines       a list; of each
    engine, dtype, cost
    difference  how far its parameters end from the book's loop after the same steps, relative to the largest change;
                null if not run or not finite
    refused     null, or why it was not timed; is_wrong: whether because it computes something else
    us          microseconds for one unit of work, a number a round
    us_median, us_min, spread (between the quartiles, as a share of the median)
    examples_per_second, gflops, share_of_roof (of the same dtype)
    speedup     over the engine "per-example", by the medians
    first_call_seconds   building and the first call, with what it compiles: in no other figure
    bytes_per_step       the most memory that a step holds at once beyond what it began with, in NumPy and Python;
                         null for engines with an allocator of their own
growth          a list, of each sweep: sweep, from, to, exponents: by engine, p of time ~ place^p for the fastest
                rounds
cold            with --cold, instead of cases and growth: a list of engine, note, runs, import_seconds and
                first_training_seconds (each the least of the runs), or of engine and refused
"""


def make_record(
    results: Sequence[CaseResult],
    machine: dict[str, Any],
    options: argparse.Namespace,
    roof: dict[str, float],
    growths: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return the record of a run, see `SCHEMA`."""
    return _head(machine, options) | {
        "roof_gflops": roof,
        "cases": [one.to_dict(roof) for one in results],
        "growth": growths,
    }


def make_cold_record(
    starts: list[dict[str, Any]], machine: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the record of a run of ``--cold``, see `SCHEMA`."""
    return _head(machine, options) | {"cold": starts}


def _head(machine: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    settings = {name: getattr(options, name) for name in ("what", "dtype", "seconds", "peers", "sweep")}
    return {"schema": VERSION, "machine": machine, "settings": settings}


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record, or leave what stood there."""
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    write_aside(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def load_record(path: Path) -> dict[str, Any]:
    """Read a record that has cases in it.

    Raises
    ------
    ValueError
        If the file is no such record, or one of another version.
    OSError
        If it cannot be read.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is no JSON: {error}") from None
    if not isinstance(record, dict) or "schema" not in record:
        raise ValueError(f"{path}: is no record of mbbp bench")
    if record["schema"] != VERSION:
        raise ValueError(f"{path}: has schema {record['schema']!r}, this version reads {VERSION}")
    if "cold" in record:
        raise ValueError(f"{path}: is a record of mbbp bench --cold, which cannot be compared")
    try:
        speedups(record, "mbbp")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: is a damaged record of mbbp bench ({type(error).__name__}: {error})") from None
    return record


def speedups(record: dict[str, Any], engine: str) -> dict[str, float | None]:
    """Return an engine's speed-up over the per-example loop by the key of the case; None where it was not timed.

    Raises
    ------
    KeyError, TypeError, AttributeError
        If the record is not as `SCHEMA` says.
    """
    found: dict[str, float | None] = {}
    for case in record["cases"]:
        for row in case["engines"]:
            if row["engine"] == engine:
                value = row.get("speedup")
                if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                    raise TypeError(f"speedup {value!r}")
                found[case["key"]] = value
    return found
