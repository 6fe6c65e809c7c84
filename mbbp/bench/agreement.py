"""Whether an implementation computes the same as the book's loop. This is checked before anything is timed."""

from __future__ import annotations

import math

import numpy as np

from mbbp.bench.cases import Case, CaseData
from mbbp.bench.implementations import BookLoop, Implementation
from mbbp.parameters import Array

# The largest allowed difference from the book's loop, relative to its largest change. Rounding alone causes less than a
# hundredth of that.
TOLERANCES = {"float64": 1e-9, "float32": 2e-3}
STEPS_COMPARED = 5
LARGE = 1e9  # floating-point operations: the book's loop takes seconds for such a step, so only one step is compared


class CrossEntropyBookLoop(BookLoop):
    """The book's loop for the cross-entropy cost, whose output error is a - y."""

    def output_error(self, z: Array, a: Array, y: Array) -> Array:
        """Return a - y."""
        return a - y


class Agreement:
    """The right results of a case, to compare implementations with.

    Parameters
    ----------
    case : Case
        The work.
    data : CaseData
        The data to do it on.
    """

    def __init__(self, case: Case, data: CaseData) -> None:
        self.case, self.data = case, data
        m = case.batch_size
        self.steps = 1 if case.flops > LARGE else STEPS_COMPARED
        order = np.random.default_rng(0).permutation(data.n)
        # Each implementation shuffles an epoch in its own way. If all examples are in one mini-batch, their order does
        # not matter.
        self.order = np.arange(m) if case.what == "epoch" else order[: m * min(self.steps, data.n // m)]
        self._right: dict[str, Array] = {}

    def difference(self, implementation: Implementation) -> float:
        """Return how far an implementation is from the book's loop, after the same work from the same parameters.

        For training, this is the largest difference of any parameter, relative to the largest change of a parameter
        by the book's loop. For a gradient or outputs, it is the largest difference, relative to the largest entry.
        """
        cost = implementation.cost
        if cost not in self._right:
            loop = BookLoop if cost == "quadratic" else CrossEntropyBookLoop
            self._right[cost] = self._result(loop(self.case, self.data))
        right = self._right[cost]
        given = self._result(implementation)
        if given.shape != right.shape:
            return math.inf
        difference = np.abs(given - right).max() / np.abs(right).max()
        return float(difference) if np.isfinite(difference) else math.inf

    def _result(self, implementation: Implementation) -> Array:
        implementation.reset(self.data.theta)
        what, m = self.case.what, self.case.batch_size
        if what == "gradient":
            return implementation.flat(implementation.gradient(self.order[:m]))
        if what == "predict":
            return np.asarray(implementation.predict(self.order[:m]), np.float64)
        if what == "epoch":
            for _ in range(self.steps):
                implementation.epoch(self.order)
        else:
            implementation.steps(self.order)
        return implementation.theta() - self.data.theta


def reason_to_refuse(difference: float, dtype: str) -> str | None:
    """Return why an implementation with this difference is not timed, or None if the difference is small enough."""
    if difference <= TOLERANCES[dtype]:
        return None
    return f"wrong result: differs from the book's loop by {difference:.2g}"
