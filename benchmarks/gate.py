"""The measurement for the regression tests: ratios of times within one run, and the floor of each ratio.

The times are the processor time of this process, not wall-clock time. If other processes run on the same core, they
interrupt every sample of some milliseconds, and wall-clock time would include theirs.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mbbp.bench import fit, fit_data
from mbbp.bench.cases import Case
from mbbp.bench.implementations import BookLoop, Implementation, Mbbp, NumpyMatrices
from mbbp.bench.measure import Roof, measure_case

TRIES = 8
HOPELESS = 0.5  # of the floor


@dataclass(frozen=True)
class Floor:
    """The least ratios that the engine must reach for one network, each between the fastest rounds.

    Attributes
    ----------
    sizes : tuple of int
        The number of neurons in each layer.
    batch_size : int
        The number of examples in a mini-batch.
    over_book, over_numpy : float
        How many times as fast the engine must be as the book's loop in float64, and as plain NumPy matrices.
    roof : float
        The engine's floating-point operations per second, divided by those of NumPy's matrix product in this run.
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
    """Measure an engine with the network of a floor, in turns with the book's loop and NumPy."""
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
    """Return a message for each ratio of an engine that is below its floor; see `missed_in_all_tries`."""
    floors = {name: getattr(floor, name) for name in ("over_book", "over_numpy", "roof")}
    return missed_in_all_tries(floor.case.name, floors, lambda: ratios(floor, engine))


def missed_in_all_tries(title: str, floors: dict[str, float], measure: Callable[[], dict[str, float]]) -> list[str]:
    """Return a message for each ratio that is below its floor.

    Other processes disturb some of the tries, slow code disturbs all of them. So a ratio fails only if it is below its
    floor in each of TRIES tries. If the better of two tries is below half the floor, there are no more tries: the floor
    is about two thirds of what a good engine reaches, or less, and noise does not make it three times as slow twice.
    """
    best: dict[str, float] = {}
    for number in range(1, TRIES + 1):
        for name, value in measure().items():
            best[name] = max(value, best.get(name, 0.0))
        missed = [name for name, value in best.items() if value < floors[name]]
        is_hopeless = any(best[name] < HOPELESS * floors[name] for name in missed)
        if not missed or (is_hopeless and number > 1):
            break
    return [f"{title}: expected {name} of at least {floors[name]:g}, got {best[name]:.3g}" for name in missed]


DIGITS = fit_data.Problem("digits", 4, lru_cache(fit_data.digits))


def fit_ratio(ours: type, batch_size: int) -> dict[str, float]:
    """Measure how many times as long as an estimator of ours scikit-learn's takes for a fit to the digits."""
    kinds = fit.estimators(DIGITS) | {fit.OURS: ours}
    result = fit.measure_fit(DIGITS, DIGITS.load(), batch_size, [0], kinds, clock=time.process_time)
    assert not result.is_wrong, f"it was not timed: its losses differ by {result.difference:.2g}"
    return {"fit": result.ratio}


def row_ratio(ours: type) -> dict[str, float]:
    """Measure how many times as long as an estimator of ours scikit-learn's takes to predict one row."""
    kinds = fit.estimators(DIGITS) | {fit.OURS: ours}
    us = fit.measure_row(DIGITS.load(), kinds, clock=time.process_time)
    return {"predict": us[fit.THEIRS] / us[fit.OURS]}
