"""How the time grows along a sweep: with which power of the width, the depth or the mini-batch size."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mbbp.bench.results import CaseResult


def exponent(places: Sequence[float], times: Sequence[float]) -> float:
    """Return p of time ~ place^p, by a least-squares fit of the logarithms over the upper half of the places.

    The lower half is left out because in small networks fixed costs hide the growth. At least two points are used. With
    fewer the result is NaN.
    """
    points = sorted(zip(places, times, strict=True))
    upper = points[-max(2, math.ceil(len(points) / 2)) :]
    if len(upper) < 2 or upper[0][0] == upper[-1][0]:
        return math.nan
    x, y = np.log(np.array(upper).T)
    return float(np.polyfit(x, y, 1)[0])


def growths(results: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Return the exponent of every implementation along every sweep in the results.

    It is computed from the fastest rounds, because other work of the machine adds time that does not grow with the
    place.
    """
    sweeps: dict[tuple[Any, ...], list[CaseResult]] = {}
    for one in results:
        if one.place is not None:
            sweeps.setdefault(group(one), []).append(one)
    found = []
    for members in sweeps.values():
        exponents = {}
        for name in dict.fromkeys(result.implementation for one in members for result in one.results):
            timed = [(one.place, result.minimum) for one in members if (result := one.of(name)) is not None]
            if len(timed) > 1:
                exponents[name] = exponent([place or 0 for place, _ in timed], [us for _, us in timed])
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
    """Return a value that is the same for all cases of a sweep, and different for other sweeps."""
    sizes = one.case.sizes
    shape = {"width": (sizes[0], len(sizes), sizes[-1]), "depth": (sizes[0], sizes[1], sizes[-1])}
    return (one.sweep, shape.get(one.sweep or "", sizes), None if one.sweep == "batch" else one.case.batch_size)


def as_text(found: Sequence[dict[str, Any]]) -> str:
    """Return the exponents as lines to print."""
    lines = []
    for one in found:
        lines.append(f"growth from {one['from']} to {one['to']}, over the upper half of the range:")
        lines += [f"  {name:<22} time ~ {one['sweep']}^{p:.2f}" for name, p in one["exponents"].items()]
    return "\n".join(lines)
