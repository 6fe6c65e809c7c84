"""The figures that are computed from measured times."""

import math

import numpy as np
import pytest

from mbbp.bench.results import CaseResult, Result
from tests.bench.helpers import case_result, result


def test_the_statistics_of_a_result():
    one = result("mbbp", [4.0, 1.0, 2.0, 3.0, 5.0])
    assert (one.median, one.minimum) == (3.0, 1.0)
    assert one.spread == pytest.approx((4.5 - 1.5) / 3)
    assert one.uncertainty == pytest.approx(0.93 / math.sqrt(5))
    assert result("mbbp", [1.0, 2.0]).spread == math.inf
    assert math.isnan(Result("x", "float32", "quadratic").median)
    assert math.isnan(Result("x", "float32", "quadratic").minimum)


def test_the_uncertainty_is_what_a_simulation_finds():
    rng = np.random.default_rng(0)
    off = [np.median(100 + rng.standard_normal(51)) - 100 for _ in range(2000)]
    stated = [result("x", list(100 + rng.standard_normal(51))).uncertainty * 100 for _ in range(200)]
    assert np.mean(stated) == pytest.approx(np.std(off), rel=0.15)


def test_the_figures_of_a_case():
    one = case_result()
    book, mbbp = one.results[:2]
    assert one.of("mbbp") is mbbp
    assert one.of("torch") is None
    assert one.speedup(mbbp) == pytest.approx(550 / 27.1)
    assert one.speedup(book) == 1.0
    assert one.gflops(mbbp) == pytest.approx(958_800 / 27.1 / 1e3)
    assert one.examples_per_second(mbbp) == pytest.approx(10 / 27.1e-6)
    assert math.isnan(CaseResult(one.case, [mbbp]).speedup(mbbp))
