"""The measured times, and the figures that are computed from them."""

import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from mbbp.bench.cases import Case
from mbbp.bench.implementations import BookLoop


@dataclass
class Result:
    """The measurements of one implementation on one case.

    Attributes
    ----------
    implementation, dtype, cost : str
        The name of the implementation, its dtype, and the cost that it trains for.
    difference : float or None
        The difference from the book's loop in float64, see `mbbp.bench.agreement`; None if it could not be run.
    refused : str or None
        Why it was not timed.
    is_wrong : bool
        Whether it was not timed because its result is wrong.
    us : list of float
        Microseconds for one unit of work, one entry for each round.
    first_call_seconds : float or None
        The time of the first call, including compilation.
    bytes_per_step : int or None
        The peak memory of a step beyond the memory at its start; None if the library has another allocator than Python
        and NumPy.
    """

    implementation: str
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
        """The standard error of the median, as a share of the median. More rounds make it smaller."""
        # the standard error of a median is 1.25 sigma / sqrt(n), and the quartiles are 1.35 sigma apart
        return 0.93 * self.spread / math.sqrt(max(len(self.us), 1))


@dataclass
class CaseResult:
    """The measurements of all implementations on one case, in one run."""

    case: Case
    results: list[Result]
    place: int | None = None  # the width, depth or mini-batch size in a sweep
    sweep: str | None = None

    def of(self, implementation: str) -> Result | None:
        """Return the result of the implementation with this name, or None if it was not timed."""
        return next((one for one in self.results if one.implementation == implementation and one.us), None)

    def speedup(self, result: Result) -> float:
        """Return how many times as fast as the book's loop it is, by the medians; NaN if the loop was not timed."""
        book = self.of(BookLoop.name)
        return book.median / result.median if book is not None else math.nan

    def gflops(self, result: Result) -> float:
        """Return the rate in 1e9 floating-point operations per second, counted from the sizes."""
        return self.case.flops / result.median / 1e3

    def examples_per_second(self, result: Result) -> float:
        """Return examples per second."""
        return self.case.batch_size / result.median * 1e6

    def to_dict(self, roof: dict[str, float]) -> dict[str, Any]:
        """Return the case as it is written to JSON, given the best rate of each dtype; see `bench.record.SCHEMA`."""
        rows = []
        for one in self.results:
            # "engine" is the name that records have for an implementation; old records can be compared with new ones
            row = {"engine" if name == "implementation" else name: value for name, value in asdict(one).items()}
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
            # JSON cannot represent infinity
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
