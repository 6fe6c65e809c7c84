"""The race of mbbp.sklearn's estimators against scikit-learn's: `fit` with the defaults, and `predict` of one row.

Both estimators draw the same random numbers, so they compute the same losses. This is checked in every pair of fits.
Times of a pair with other losses would mean nothing.
"""

from __future__ import annotations

import contextlib
import gc
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mbbp.bench.fit_data import Problem, Samples
from mbbp.bench.measure import Clock, Tell, silent
from mbbp.threads import at_most

BATCH_SIZES = (200, 32, 8)  # the first one is scikit-learn's "auto"
SEEDS = 3
TOLERANCE = 1e-6  # of the losses, relative to the largest one
SECONDS_PER_SEED, MOST_ROUNDS = 1.0, 5  # where fits are short, there are more rounds for each seed
TURNS, CALLS_PER_TURN = 25, 20  # of the predict of one row
THEIRS, OURS = "scikit-learn", "mbbp"

Estimators = dict[str, Callable[..., Any]]


def estimators(problem: Problem) -> Estimators:
    """Return both classes for a data set, by their names in tables."""
    import sklearn.neural_network

    import mbbp.sklearn

    name = "MLPRegressor" if problem.is_regression else "MLPClassifier"
    return {THEIRS: getattr(sklearn.neural_network, name), OURS: getattr(mbbp.sklearn, name)}


@dataclass
class FitResult:
    """The measurements of one data set with one mini-batch size.

    Attributes
    ----------
    problem : Problem
        The data set.
    batch_size : int
        The number of samples in a mini-batch.
    difference : float
        The largest difference between the losses of the two, relative to the largest loss.
    seconds : dict
        For each of the two, the fastest fit of each seed.
    scores : dict
        For each of the two, the accuracy or R2 on the held-out samples, for each seed.
    """

    problem: Problem
    batch_size: int
    difference: float = 0.0
    seconds: dict[str, list[float]] = field(default_factory=lambda: {THEIRS: [], OURS: []})
    scores: dict[str, list[float]] = field(default_factory=lambda: {THEIRS: [], OURS: []})

    @property
    def name(self) -> str:
        """The name in messages."""
        return f"{self.problem.name}, batch {self.batch_size}"

    @property
    def is_wrong(self) -> bool:
        """Whether the two differ, so that their times mean nothing."""
        return not self.difference <= TOLERANCE

    @property
    def ratio(self) -> float:
        """How many times as long scikit-learn takes: the median over the seeds."""
        return statistics.median(a / b for a, b in zip(self.seconds[THEIRS], self.seconds[OURS], strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as it is written to JSON, see `mbbp.bench.record.SCHEMA`."""
        return {
            "data": self.problem.name,
            "batch_size": self.batch_size,
            "epochs": self.problem.epochs,
            "difference": self.difference if math.isfinite(self.difference) else None,
            "is_wrong": self.is_wrong,
            "seconds": {name: [] if self.is_wrong else times for name, times in self.seconds.items()},
            "ratio": None if self.is_wrong else self.ratio,
            "scores": self.scores,
        }


@dataclass
class RowResult:
    """The least microseconds of a `predict` of one row, for each of the two."""

    problem: Problem
    us: dict[str, float]

    @property
    def ratio(self) -> float:
        """How many times as long scikit-learn takes."""
        return self.us[THEIRS] / self.us[OURS]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as it is written to JSON, see `mbbp.bench.record.SCHEMA`."""
        return {"data": self.problem.name, "us": self.us, "ratio": self.ratio}


@dataclass
class Race:
    """All measurements of a run, and for each data set that is left out, the reason."""

    fits: list[FitResult] = field(default_factory=list)
    rows: list[RowResult] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def is_wrong(self) -> bool:
        """Whether the two differ anywhere."""
        return any(one.is_wrong for one in self.fits)

    def to_dict(self) -> dict[str, Any]:
        """Return the run as it is written to JSON, see `mbbp.bench.record.SCHEMA`."""
        return {
            "fit": [one.to_dict() for one in self.fits],
            "predict_row": [one.to_dict() for one in self.rows],
            "left_out": self.left_out,
        }


def run_race(problems: Sequence[Problem], batch_sizes: Sequence[int], first_seed: int = 0, tell: Tell = silent) -> Race:
    """Let both estimators train on every data set, in turns.

    Parameters
    ----------
    problems : sequence of Problem
        The data sets. Those whose files are missing are left out.
    batch_sizes : sequence of int
        The mini-batch sizes.
    first_seed : int
        The ``random_state`` of the first of the `SEEDS` fits. Each further one has the next number.
    tell : callable
        Called with a message about each thing that is being done.
    """
    race = Race()
    seeds = range(first_seed, first_seed + SEEDS)
    for problem in problems:
        tell(f"{problem.name}: loading")
        try:
            samples = problem.load()
        except FileNotFoundError as error:
            race.left_out[problem.name] = str(error)
            continue
        kinds = estimators(problem)
        race.fits += [measure_fit(problem, samples, m, seeds, kinds, tell) for m in batch_sizes]
        tell(f"{problem.name}: predict of one row")
        race.rows.append(RowResult(problem, measure_row(samples, kinds)))
    return race


def measure_fit(
    problem: Problem,
    samples: Samples,
    batch_size: int,
    seeds: Sequence[int],
    kinds: Estimators,
    tell: Tell = silent,
    clock: Clock = time.perf_counter,
) -> FitResult:
    """Compare the losses of both estimators after one epoch, and if they agree, time whole fits in turns."""
    result = FitResult(problem, batch_size)
    with _alike():
        tell(f"{result.name}: checking")  # this compiles the kernels, too
        checked = {key: kind(batch_size=batch_size, max_iter=1, random_state=seeds[0]) for key, kind in kinds.items()}
        for one in checked.values():
            one.fit(samples.X, samples.y)
        result.difference = _difference(checked)
        for seed in seeds:
            if result.is_wrong:
                break
            _time_seed(result, samples, seed, kinds, tell, clock)
    return result


def _time_seed(result: FitResult, samples: Samples, seed: int, kinds: Estimators, tell: Tell, clock: Clock) -> None:
    """Fit both with one seed, for some rounds, and keep the fastest fit of each."""
    best = dict.fromkeys(kinds, math.inf)
    rounds, number = 1, 0
    fitted: dict[str, Any] = {}
    while number < rounds:
        # each round begins with another one of the two, so that none is always timed first
        for key in list(kinds)[:: -1 if (seed + number) % 2 else 1]:
            tell(f"{result.name}: random_state {seed}, round {number + 1}, {key}")
            one = kinds[key](batch_size=result.batch_size, max_iter=result.problem.epochs, random_state=seed)
            gc.collect(1)
            began = clock()
            one.fit(samples.X, samples.y)
            best[key] = min(best[key], clock() - began)
            fitted[key] = one
        result.difference = max(result.difference, _difference(fitted))
        if number == 0:
            rounds = max(1, min(MOST_ROUNDS, math.ceil(SECONDS_PER_SEED / max(best.values()))))
        number += 1
    for key, one in fitted.items():
        result.seconds[key].append(best[key])
        result.scores[key].append(float(one.score(samples.X_test, samples.y_test)))


def measure_row(
    samples: Samples, kinds: Estimators, clock: Clock = time.perf_counter, turns: int = TURNS
) -> dict[str, float]:
    """Return the least microseconds of a `predict` of one row, for each of the two.

    They take turns. A turn has several calls, because the first one finds the code of the other one in the caches.

    Raises
    ------
    ArithmeticError
        If their predictions differ.
    """
    row = samples.X_test[:1]
    best = dict.fromkeys(kinds, math.inf)
    with _alike():
        some = slice(1000)  # how good the predictions are does not matter here
        fitted = {
            key: kind(max_iter=1, random_state=0).fit(samples.X[some], samples.y[some]) for key, kind in kinds.items()
        }
        theirs, ours = (fitted[key].predict(row) for key in (THEIRS, OURS))
        if not np.allclose(theirs, ours, rtol=TOLERANCE):
            raise ArithmeticError(f"predict of one row: expected {theirs[0]} as by {THEIRS}, got {ours[0]}")
        for _ in range(turns):
            for key, one in fitted.items():
                for _ in range(CALLS_PER_TURN):
                    began = clock()
                    one.predict(row)
                    best[key] = min(best[key], clock() - began)
    return {key: seconds * 1e6 for key, seconds in best.items()}


def _difference(fitted: dict[str, Any]) -> float:
    """Return the largest difference between two loss curves, relative to the largest loss."""
    theirs, ours = (np.asarray(fitted[key].loss_curve_) for key in (THEIRS, OURS))
    if theirs.shape != ours.shape:
        return math.inf
    difference = np.abs(theirs - ours).max() / np.abs(theirs).max()
    return float(difference) if np.isfinite(difference) else math.inf


@contextlib.contextmanager
def _alike() -> Iterator[None]:
    """Give both one thread, and silence what both warn about: that so few epochs are not enough."""
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # NumPy's stray warning of an invalid value: see mbbp.bench.measure
    with at_most(1), threadpool_limits(1), warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
