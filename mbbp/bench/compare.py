"""Comparing a run with an earlier one.

Seconds cannot be compared: machines differ, and so does their load. The speed-up of this library over the per-example
loop, both measured in turns in one run, can.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from mbbp.bench.record import speedups

ENGINE = "mbbp"


@dataclass
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    fail_below : float
        The share of the old speed-up to be kept.
    ratios : dict
        By the case's key, the new speed-up over the old one, and both.
    not_timed : list of str
        Cases that the old run timed, and this one refused to.
    only_old, only_new : list of str
        Cases that only one of the runs has.
    """

    fail_below: float
    ratios: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    not_timed: list[str] = field(default_factory=list)
    only_old: list[str] = field(default_factory=list)
    only_new: list[str] = field(default_factory=list)

    @property
    def regressed(self) -> list[str]:
        """The cases that kept too little of their speed-up."""
        return self.not_timed + [key for key, (ratio, _, _) in self.ratios.items() if ratio < self.fail_below]

    def as_text(self) -> str:
        """Return the comparison as lines to print."""
        lines = ["speed-up of mbbp over per-example, each within its own run (seconds are not compared):"]
        for key, (ratio, old, new) in self.ratios.items():
            verdict = "REGRESSED" if ratio < self.fail_below else ""
            lines.append(f"  {key:<34} {old:8.1f}x -> {new:8.1f}x  {ratio:6.0%}  {verdict}".rstrip())
        lines += [f"  {key:<34} REGRESSED: it was timed, and now is not" for key in self.not_timed]
        lines += [f"  {key:<34} only in the old run" for key in self.only_old]
        lines += [f"  {key:<34} only in this run" for key in self.only_new]
        n = len(self.regressed)
        named = f": {', '.join(self.regressed)}" if n else ""
        lines.append(f"{n} of {len(self.ratios) + len(self.not_timed)} kept less than {self.fail_below:.0%}{named}")
        return "\n".join(lines)


def check_in_common(old: dict[str, Any], keys: Collection[str]) -> None:
    """Check, before they are measured, that the old record has timed one of these cases.

    Raises
    ------
    ValueError
        If it has not: nothing would be compared, and that would pass.
    """
    if not any(speedup and key in keys for key, speedup in speedups(old, ENGINE).items()):
        raise ValueError("--compare: the old run timed none of these cases; give it the same --sizes, --batch-size ...")


def compare(old: dict[str, Any], new: dict[str, Any], fail_below: float) -> Comparison:
    """Compare the speed-ups of two records."""
    before, now = speedups(old, ENGINE), speedups(new, ENGINE)
    found = Comparison(fail_below)
    for key in dict.fromkeys([*now, *before]):
        was, is_ = before.get(key), now.get(key)
        if key not in now:
            found.only_old.append(key)
        elif was is None:
            found.only_new.append(key)
        elif is_ is None:
            found.not_timed.append(key)
        else:
            found.ratios[key] = (is_ / was, was, is_)
    return found
