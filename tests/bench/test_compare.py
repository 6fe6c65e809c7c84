"""The comparison with an earlier run."""

import copy

import pytest

from mbbp.bench.compare import check_in_common, compare
from tests.bench.helpers import case_result, made


def test_a_regression_is_named_and_an_improvement_is_none():
    old = made([case_result(m=1), case_result(m=10), case_result(m=32)])
    new = made([case_result(m=1, us=30.0), case_result(m=10, us=40.0), case_result(m=32, us=10.0)])
    found = compare(old, new, 0.8)
    assert found.regressed == ["step 784-30-10 m10 float32"]
    assert found.ratios["step 784-30-10 m32 float32"][0] == pytest.approx(2.71)
    text = found.as_text()
    assert "step 784-30-10 m10 float32             20.3x ->     13.8x     68%  REGRESSED" in text
    assert text.endswith("1 of 3 cases have less than 80% of the old speed-up: step 784-30-10 m10 float32")
    assert compare(old, new, 0.6).regressed == []


def test_seconds_are_not_compared():
    slower_machine = copy.deepcopy(case_result())
    for one in slower_machine.results:
        one.us = [3 * us for us in one.us]
    assert compare(made(), made([slower_machine]), 0.99).regressed == []


def test_cases_of_one_side_only_are_said_and_pass():
    found = compare(made([case_result(m=1), case_result(m=10)]), made([case_result(m=10), case_result(m=32)]), 0.8)
    assert (found.only_old, found.only_new) == (["step 784-30-10 m1 float32"], ["step 784-30-10 m32 float32"])
    assert found.regressed == []
    assert "step 784-30-10 m1 float32          only in the old run" in found.as_text()
    assert "step 784-30-10 m32 float32         only in this run" in found.as_text()


def test_what_was_timed_and_now_is_not_has_regressed():
    new = case_result()
    new.results[1].us = []
    found = compare(made(), made([new]), 0.8)
    assert found.regressed == ["step 784-30-10 m10 float32"]
    assert "REGRESSED: timed in the old run, not timed in this one" in found.as_text()
    back = compare(made([new]), made(), 0.8)
    assert (back.only_new, back.regressed) == (["step 784-30-10 m10 float32"], [])


def test_with_nothing_in_common_nothing_can_pass():
    check_in_common(made(), ["step 784-30-10 m10 float32", "other"])
    with pytest.raises(
        ValueError, match="--compare: expected a run that timed one of these cases, got one that timed none"
    ):
        check_in_common(made(), ["other"])
