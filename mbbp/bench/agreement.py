"""Whether an engine computes what the book's loop computes: asked before anything is timed."""

import math

import numpy as np

from mbbp.bench.cases import Case, Examples
from mbbp.bench.engines import BookLoop, Engine
from mbbp.parameters import Array

# How far an engine may end from the book's loop, relative to how far that moved. Rounding stays a hundred times below.
TOLERANCES = {"float64": 1e-9, "float32": 2e-3}
STEPS_COMPARED = 5
LARGE = 1e9  # floating-point operations: of such a step the book's loop takes seconds, and one is compared


class CrossEntropyBookLoop(BookLoop):
    """The book's loop for the cross-entropy cost, whose output error is a - y."""

    def output_error(self, z: Array, a: Array, y: Array) -> Array:
        """Return a - y."""
        return a - y


class Agreement:
    """The right answers of a case, to compare engines with.

    Parameters
    ----------
    case : Case
        The work.
    examples : Examples
        What it is done on.
    """

    def __init__(self, case: Case, examples: Examples) -> None:
        self.case, self.examples = case, examples
        m = case.batch_size
        self.steps = 1 if case.flops > LARGE else STEPS_COMPARED
        order = np.random.default_rng(0).permutation(examples.n)
        # An epoch shuffles as it likes. One mini-batch with all of its examples is the same in any order.
        self.order = np.arange(m) if case.what == "epoch" else order[: m * min(self.steps, examples.n // m)]
        self._right: dict[str, Array] = {}

    def difference(self, engine: Engine) -> float:
        """Return how far an engine ends from the book's loop after the same work from the same parameters.

        For training that is the largest difference of any parameter, relative to the largest change that the book's
        loop made to one; for a gradient or outputs the largest difference, relative to the largest entry.
        """
        if engine.cost not in self._right:
            loop = BookLoop if engine.cost == "quadratic" else CrossEntropyBookLoop
            self._right[engine.cost] = self._answer(loop(self.case, self.examples))
        right = self._right[engine.cost]
        given = self._answer(engine)
        if given.shape != right.shape:
            return math.inf
        difference = np.abs(given - right).max() / np.abs(right).max()
        return float(difference) if np.isfinite(difference) else math.inf

    def _answer(self, engine: Engine) -> Array:
        engine.reset(self.examples.theta)
        what, m = self.case.what, self.case.batch_size
        if what == "gradient":
            return engine.flat(engine.gradient(self.order[:m]))
        if what == "predict":
            return np.asarray(engine.predict(self.order[:m]), np.float64)
        if what == "epoch":
            for _ in range(self.steps):
                engine.epoch(self.order)
        else:
            engine.steps(self.order)
        return engine.theta() - self.examples.theta


def complaint(difference: float, dtype: str) -> str | None:
    """Return what is to be said against an engine of this difference, or None."""
    if difference <= TOLERANCES[dtype]:
        return None
    return f"computes something else: differs from the book's loop by {difference:.2g}"
