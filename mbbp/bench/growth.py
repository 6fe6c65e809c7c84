"""How the time grows along a sweep: as which power of the width, the depth or the size of the mini-batch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mbbp.bench.results import CaseResult


def exponent(places: Sequence[float], times: Sequence[float]) -> float:
    """Return p of time ~ place^p, by least squares of the logarithms over the upper half of the range.

    For small networks fixed costs hide the growth; the upper half of the points, at least two, is where it shows. NaN
    if there are fewer.
    """
    points = sorted(zip(places, times, strict=True))
    upper = points[-max(2, math.ceil(len(points) / 2)) :]
    if len(upper) < 2 or upper[0][0] == upper[-1][0]:
        return math.nan
    x, y = np.log(np.array(upper).T)
    return float(np.polyfit(x, y, 1)[0])


def growths(results: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Return the exponent of every engine along every sweep in the results.

    It is that of the fastest rounds: what else a machine does only ever adds time, and not in proportion.
    """
    sweeps: dict[tuple[Any, ...], list[CaseResult]] = {}
    for one in results:
        if one.place is not None:
            sweeps.setdefault(group(one), []).append(one)
    found = []
    for members in sweeps.values():
        exponents = {}
        for engine in dict.fromkeys(result.engine for one in members for result in one.results):
            timed = [(one.place, result.minimum) for one in members if (result := one.of(engine)) is not None]
            if len(timed) > 1:
                exponents[engine] = exponent([place or 0 for place, _ in timed], [us for _, us in timed])
        found.append(
            {
                "sweep": members[0].sweep,
                "from": members[0].case.key,
                "to": members[-1].case.key,
                "exponents": exponents,
            }
        )
    return found


def group(one: CaseResult) -> tuple[Any, ...]:
    """Return what cases of the same sweep have in common."""
    sizes = one.case.sizes
    shape = {"width": (sizes[0], len(sizes), sizes[-1]), "depth": (sizes[0], sizes[1], sizes[-1])}
    return (one.sweep, shape.get(one.sweep or "", sizes), None if one.sweep == "batch" else one.case.batch_size)


def as_text(found: Sequence[dict[str, Any]]) -> str:
    """Return the exponents as lines to print."""
    lines = []
    for one in found:
        lines.append(f"growth from {one['from']} to {one['to']}, over the upper half of the range:")
        lines += [f"  {engine:<22} time ~ {one['sweep']}^{p:.2f}" for engine, p in one["exponents"].items()]
    return "\n".join(lines)
