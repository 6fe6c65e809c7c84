"""The gate of the regression tests: ratios within one run, each with a floor.

Time is the processor's that this process got, not the wall clock's: where other processes share the core, a sample of
some milliseconds is never left alone, and all that is compared would count their time too.
"""

import time
from dataclasses import dataclass

from mbbp.bench.cases import Case
from mbbp.bench.implementations import BookLoop, Implementation, Mbbp, NumpyMatrices
from mbbp.bench.measure import Roof, measure_case

TRIES = 8


@dataclass(frozen=True)
class Floor:
    """What the engine must reach at one shape, in ratios of the fastest rounds.

    Attributes
    ----------
    sizes, batch_size
        The network and its mini-batches.
    over_book, over_numpy : float
        How many times as fast as the book's loop in float64, and as plain NumPy matrices.
    roof : float
        The share of the rate of NumPy's own matrix product in this run.
    """

    sizes: tuple[int, ...]
    batch_size: int
    over_book: float
    over_numpy: float
    roof: float

    @property
    def case(self) -> Case:
        """The case that is measured."""
        return Case(self.sizes, self.batch_size)


def ratios(floor: Floor, engine: type[Implementation] = Mbbp, seconds: float = 0.3) -> dict[str, float]:
    """Measure an engine at the shape of a floor, in turns with the book's loop and NumPy."""
    roof = Roof(["float32"], clock=time.process_time)
    roof.measure()
    measured = measure_case(floor.case, (BookLoop, NumpyMatrices, engine), seconds, seed=0, clock=time.process_time)
    roof.measure()
    book, numpy, ours = (measured.of(one.name) for one in (BookLoop, NumpyMatrices, engine))
    assert book is not None
    assert numpy is not None
    assert ours is not None, f"{engine.name} was not timed: {measured.results[-1].refused}"
    return {
        "over_book": book.minimum / ours.minimum,
        "over_numpy": numpy.minimum / ours.minimum,
        "roof": floor.case.flops / ours.minimum / 1e3 / roof.gflops["float32"],
    }


def shortfalls(floor: Floor, engine: type[Implementation] = Mbbp) -> list[str]:
    """Return which ratios stay under their floors, in words.

    What disturbs a timing on a busy machine passes, what makes the code slow stays: so a ratio fails only if it is
    under its floor in every one of several tries.
    """
    best: dict[str, float] = {}
    for _ in range(TRIES):
        for name, value in ratios(floor, engine).items():
            best[name] = max(value, best.get(name, 0.0))
        missed = [name for name, value in best.items() if value < getattr(floor, name)]
        if not missed:
            break
    return [
        f"{floor.case.name}: {name} {best[name]:.3g}, at least {getattr(floor, name):g} is wanted" for name in missed
    ]
