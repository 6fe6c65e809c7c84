"""An implementation with a wrong result is refused before anything is timed."""

import numpy as np
import pytest

from mbbp.bench import measure as measuring
from mbbp.bench.cases import Case
from mbbp.bench.implementations import LEARNING_RATE, BookLoop, Mbbp, NumpyMatrices
from mbbp.bench.measure import measure_case

pytestmark = pytest.mark.usefixtures("quick")


class WrongSign(NumpyMatrices):
    """Steps uphill."""

    def reset(self, theta):
        super().reset(theta)
        self.rate = -abs(self.rate)


class ForgetsToDivide(NumpyMatrices):
    """Takes the sum where the mean is right."""

    def reset(self, theta):
        super().reset(theta)
        self.rate = np.dtype(self.dtype).type(LEARNING_RATE)


class StaleDelta(NumpyMatrices):
    """Uses the first layer's gradient of the mini-batch before."""

    before = None

    def reset(self, theta):
        super().reset(theta)
        self.before = None

    def _sums(self, columns):
        nabla_w, nabla_b = super()._sums(columns)
        stale = nabla_w[0] if self.before is None else self.before
        self.before = nabla_w[0]
        return [stale, *nabla_w[1:]], nabla_b


class SkipsAStep(Mbbp):
    """Leaves out the first step."""

    def steps(self, order):
        super().steps(order[self.case.batch_size :])


class NotANumber(NumpyMatrices):
    """Has a NaN in its parameters."""

    def steps(self, order):
        super().steps(order)
        self.weights[0][0, 0] = np.nan


@pytest.mark.parametrize("kind", [WrongSign, ForgetsToDivide, StaleDelta, SkipsAStep, NotANumber])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_broken_implementation_is_refused_before_anything_is_timed(kind, dtype):
    kind.name = "broken"
    found = measure_case(Case((4, 5, 3), 4, dtype), [BookLoop, kind], 0.0, 0)
    broken = found.results[1]
    assert broken.is_wrong
    assert broken.us == []
    assert found.of("broken") is None
    assert broken.difference > 0.01
    assert "wrong result: differs from the book's loop by" in broken.refused
    assert len(found.results[0].us) == measuring.LEAST_ROUNDS


@pytest.mark.parametrize("what", ["gradient", "predict", "epoch"])
def test_other_work_is_checked_too(what):
    class Broken(NumpyMatrices):
        name = "broken"

        def gradient(self, columns):
            nabla_w, nabla_b = super().gradient(columns)
            return [1.01 * nw for nw in nabla_w], nabla_b

        def predict(self, columns):
            return super().predict(columns[:-1])

        def epoch(self, order):
            self.steps(order)
            self.steps(order)

    assert measure_case(Case((4, 5, 3), 4, what=what), [BookLoop, Broken], 0.0, 0).results[1].is_wrong


def test_an_implementation_that_fails_does_not_end_the_comparison():
    class Failing(NumpyMatrices):
        name = "failing"

        def steps(self, order):
            raise RuntimeError("no\n   compiler")

    class Partial(NumpyMatrices):
        name = "partial"
        whats = ("predict",)

    class Missing(NumpyMatrices):
        name = "missing"

        @classmethod
        def missing(cls):
            return "not installed"

    found = measure_case(Case((2, 3, 1), 4), [BookLoop, Failing, Partial, Missing], 0.0, 0)
    assert [one.refused for one in found.results] == [
        None,
        "RuntimeError: no compiler",
        "does not support step",
        "not installed",
    ]
    assert not any(one.is_wrong for one in found.results)
