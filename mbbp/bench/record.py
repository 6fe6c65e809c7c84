"""The JSON record of a run: its description, writing it, and reading an earlier one."""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mbbp.bench.results import CaseResult
from mbbp.files import write_text

VERSION = 1

SCHEMA = """\
mbbp bench --json writes one object. The name of a time says its unit; null means that it was not measured.

schema          1: the version of this description; it changes when a field is removed or gets another meaning
machine         date (UTC), processor, cores, cores_allowed, pinned_to (cores, or null where pinning is not possible),
                threads, system, python, versions (of each package found), seed,
                blas: name, version, kernel (null without threadpoolctl), threads
settings        what, dtype, seconds, peers, sweep: the options of the command
roof_gflops     for each dtype, the best rate of a matrix product by NumPy's BLAS in the same run
cases           a list; for each case
  key           a name that no other case has: "step 784-30-10 m10 float32"
  sizes, batch_size, dtype, what
  n             the number of examples if they are more than the caches hold; else 0
  flops         floating-point operations of the matrix products in one unit of work: 2 for each multiply-add
  sweep, place  the kind of sweep and the width, depth or mini-batch size in it, or null
  engines       a list; for each implementation
    engine      its name; dtype, cost
    difference  the largest difference of its parameters from those of the book's loop after the same steps, relative to
                the largest change; null if not run or not finite
    refused     null, or why it was not timed; is_wrong: whether that is because of a wrong result
    us          microseconds for one unit of work, one number for each round
    us_median, us_min, spread (the distance between the quartiles, as a share of the median)
    examples_per_second, gflops, share_of_roof (of the same dtype)
    speedup     relative to the engine "per-example", by the medians
    first_call_seconds   making it and its first call, including compilation: in no other figure
    bytes_per_step       the peak memory of a step beyond the memory at its start, in NumPy and Python;
                         null for a library with another allocator
growth          a list, for each sweep: sweep, from, to, exponents: for each engine, p of time ~ place^p for the
                fastest rounds
cold            with --cold, instead of cases and growth: a list of engine, note, runs, import_seconds,
                first_training_seconds and process_seconds (each the smallest of the runs), or of engine and refused
fit             with --what fit, instead of cases and growth: a list of data, batch_size, epochs; difference (of the
                losses, relative to the largest one), is_wrong; and by the names of both estimators, for each seed:
                seconds (the fastest fit; empty if is_wrong) and scores (accuracy or R2); ratio: the median over seeds
predict_row     with --what fit: a list of data, us (the least microseconds of a call, by name) and ratio
left_out        with --what fit: for each data set that is not there, why
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


def make_fit_record(race: dict[str, Any], machine: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the record of a run of ``--what fit``, see `SCHEMA`."""
    return _head(machine, options) | race


def _head(machine: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    settings = {name: getattr(options, name) for name in ("what", "dtype", "seconds", "peers", "sweep")}
    return {"schema": VERSION, "machine": machine, "settings": settings}


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record. If that fails, an old file is unchanged."""
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def load_record(path: Path) -> dict[str, Any]:
    """Read a record that has cases in it.

    Raises
    ------
    ValueError
        If the file is not such a record, or has another version.
    OSError
        If the file cannot be read.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got another format ({error})") from None
    if not isinstance(record, dict) or "schema" not in record:
        raise ValueError(f"{path}: expected a record of mbbp bench, got other JSON")
    if record["schema"] != VERSION:
        raise ValueError(f"{path}: expected schema {VERSION}, got {record['schema']!r}")
    for name, option in (("cold", "--cold"), ("fit", "--what fit")):
        if name in record:
            raise ValueError(f"{path}: expected a record with cases, got one of mbbp bench {option}")
    try:
        speedups(record, "mbbp")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: expected a record of mbbp bench, got a damaged one ({type(error).__name__}: {error})"
        ) from None
    return record


def speedups(record: dict[str, Any], implementation: str) -> dict[str, float | None]:
    """Return an implementation's speed-up over the per-example loop for each case's key; None where it was not timed.

    Raises
    ------
    KeyError
        If a field of `SCHEMA` is missing.
    TypeError, AttributeError
        If a field has another type than in `SCHEMA`.
    """
    found: dict[str, float | None] = {}
    for case in record["cases"]:
        for row in case["engines"]:
            if row["engine"] == implementation:
                value = row.get("speedup")
                if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                    raise TypeError(f"speedup {value!r}")
                found[case["key"]] = value
    return found
