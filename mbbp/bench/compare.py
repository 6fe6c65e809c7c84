"""Comparing a run with an earlier one.

Times of different runs cannot be compared, because machines and their load differ. What is compared is the speed-up of
this library over the per-example loop: within a run, both are measured in turns.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from mbbp.bench.record import speedups

NAME = "mbbp"


@dataclass
class Comparison:
    """The result of a comparison.

    Attributes
    ----------
    fail_below : float
        The smallest allowed ratio of the new speed-up to the old one.
    ratios : dict
        For the key of each case: the ratio of the new speed-up to the old one, the old one, and the new one.
    not_timed : list of str
        The keys of cases that the old run timed and this one did not.
    only_old, only_new : list of str
        The keys of cases that are in one of the runs only.
    """

    fail_below: float
    ratios: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    not_timed: list[str] = field(default_factory=list)
    only_old: list[str] = field(default_factory=list)
    only_new: list[str] = field(default_factory=list)

    @property
    def regressed(self) -> list[str]:
        """The keys of the cases with a ratio below `fail_below`, or without a time in this run."""
        return self.not_timed + [key for key, (ratio, _, _) in self.ratios.items() if ratio < self.fail_below]

    def as_text(self) -> str:
        """Return the comparison as lines to print."""
        lines = ["speed-up of mbbp over per-example, each within its run (times are not compared):"]
        for key, (ratio, old, new) in self.ratios.items():
            verdict = "REGRESSED" if ratio < self.fail_below else ""
            lines.append(f"  {key:<34} {old:8.1f}x -> {new:8.1f}x  {ratio:6.0%}  {verdict}".rstrip())
        lines += [f"  {key:<34} REGRESSED: timed in the old run, not timed in this one" for key in self.not_timed]
        lines += [f"  {key:<34} only in the old run" for key in self.only_old]
        lines += [f"  {key:<34} only in this run" for key in self.only_new]
        n = len(self.regressed)
        named = f": {', '.join(self.regressed)}" if n else ""
        total = len(self.ratios) + len(self.not_timed)
        lines.append(f"{n} of {total} cases have less than {self.fail_below:.0%} of the old speed-up{named}")
        return "\n".join(lines)


def check_in_common(old: dict[str, Any], keys: Collection[str]) -> None:
    """Check before the measurements that the old record has a time for at least one of these cases.

    Raises
    ------
    ValueError
        If it has none. Then nothing could be compared, and the comparison would always pass.
    """
    if not any(speedup and key in keys for key, speedup in speedups(old, NAME).items()):
        raise ValueError(
            "--compare: expected a run that timed one of these cases, got one that timed none of them; "
            "use the same --sizes, --batch-size, --dtype and --what"
        )


def compare(old: dict[str, Any], new: dict[str, Any], fail_below: float) -> Comparison:
    """Compare the speed-ups of two records."""
    before, now = speedups(old, NAME), speedups(new, NAME)
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
