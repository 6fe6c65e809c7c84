"""What was measured, and the figures that follow from it."""

import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from mbbp.bench.cases import Case
from mbbp.bench.engines import BookLoop


@dataclass
class Result:
    """What was measured of one engine on one case.

    Attributes
    ----------
    engine, dtype, cost : str
        Who computed, in what, and for which cost.
    difference : float or None
        How far it ends from the book's loop in float64, see `mbbp.bench.agreement`; None where it could not be run.
    refused : str or None
        Why it was not timed.
    is_wrong : bool
        Whether that is because it computes something else.
    us : list of float
        Microseconds for one unit of work, one entry a round.
    first_call_seconds : float or None
        The first call, with whatever it compiled.
    bytes_per_step : int or None
        The most memory that a step held at once, beyond what it began with; None where the engine has an allocator of
        its own.
    """

    engine: str
    dtype: str
    cost: str
    difference: float | None = None
    refused: str | None = None
    is_wrong: bool = False
    us: list[float] = field(default_factory=list)
    first_call_seconds: float | None = None
    bytes_per_step: int | None = None

    @property
    def median(self) -> float:
        """The median of the rounds, in microseconds."""
        return statistics.median(self.us or [math.nan])

    @property
    def minimum(self) -> float:
        """The fastest round, in microseconds."""
        return min(self.us or [math.nan])

    @property
    def spread(self) -> float:
        """The distance between the quartiles, as a share of the median; inf for fewer than three rounds."""
        if len(self.us) < 3:
            return math.inf
        low, _, high = statistics.quantiles(self.us, n=4)
        return (high - low) / self.median

    @property
    def uncertainty(self) -> float:
        """How far the median may still be off, as a share of it: what more rounds make smaller."""
        # the standard error of a median is 1.25 sigma / sqrt(n), and 1.35 sigma lie between the quartiles
        return 0.93 * self.spread / math.sqrt(max(len(self.us), 1))


@dataclass
class CaseResult:
    """What was measured of all engines on one case, in one run."""

    case: Case
    results: list[Result]
    place: int | None = None  # along a sweep
    sweep: str | None = None

    def of(self, engine: str) -> Result | None:
        """Return the result of an engine, if it was timed."""
        return next((one for one in self.results if one.engine == engine and one.us), None)

    def speedup(self, result: Result) -> float:
        """Return how many times faster than the book's loop it is, by the medians; NaN where that was not timed."""
        book = self.of(BookLoop.name)
        return book.median / result.median if book is not None else math.nan

    def gflops(self, result: Result) -> float:
        """Return 1e9 floating-point operations per second, counted from the sizes."""
        return self.case.flops / result.median / 1e3

    def examples_per_second(self, result: Result) -> float:
        """Return examples per second."""
        return self.case.batch_size / result.median * 1e6

    def to_dict(self, roof: dict[str, float]) -> dict[str, Any]:
        """Return what goes into the JSON, given the best rate of each dtype; see `mbbp.bench.record.SCHEMA`."""
        rows = []
        for one in self.results:
            row = asdict(one)
            if one.us:
                speedup = self.speedup(one)
                row |= {
                    "us_median": one.median,
                    "us_min": one.minimum,
                    "spread": one.spread if math.isfinite(one.spread) else None,
                    "examples_per_second": self.examples_per_second(one),
                    "speedup": None if math.isnan(speedup) else speedup,
                    "gflops": self.gflops(one),
                    "share_of_roof": self.gflops(one) / roof[one.dtype] if one.dtype in roof else None,
                }
            # JSON has no infinity
            if one.difference is not None and not math.isfinite(one.difference):
                row["difference"] = None
            rows.append(row)
        return {
            "key": self.case.key,
            **asdict(self.case),
            "flops": self.case.flops,
            "sweep": self.sweep,
            "place": self.place,
            "engines": rows,
        }
