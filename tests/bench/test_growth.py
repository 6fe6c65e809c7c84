"""How the time grows along a sweep."""

import math

import pytest

from mbbp.bench import growth
from mbbp.bench.cases import Case
from tests.bench.helpers import case_result, swept


def test_the_exponent_is_that_of_the_upper_half():
    places = [1, 2, 4, 8, 16, 32]
    assert growth.exponent(places, [5.0 * x**1.7 for x in places]) == pytest.approx(1.7)
    with_fixed_costs = [100.0 if x < 8 else 3.0 * x**2 for x in places]
    assert growth.exponent(places, with_fixed_costs) == pytest.approx(2.0)
    assert growth.exponent(places[::-1], with_fixed_costs[::-1]) == pytest.approx(2.0)
    assert growth.exponent([1, 10], [1.0, 100.0]) == pytest.approx(2.0)
    assert math.isnan(growth.exponent([3], [1.0]))
    assert math.isnan(growth.exponent([3, 3], [1.0, 2.0]))


@pytest.mark.parametrize("over", ["width", "depth", "batch"])
def test_the_growth_of_every_implementation_is_that_of_its_fastest_rounds(over):
    found = growth.growths(swept(over))
    assert [one["sweep"] for one in found] == [over]
    exponents = found[0]["exponents"]
    assert exponents["mbbp"] == pytest.approx(1.5)
    assert exponents["cubic"] == pytest.approx(3)
    assert exponents["per-example"] < 0.6
    assert "torch" not in exponents
    assert f"  mbbp                   time ~ {over}^1.50" in growth.as_text(found)
    assert growth.growths([case_result()]) == []


def test_sweeps_of_several_networks_stay_apart():
    other = swept()
    for one in other:
        one.case = Case((50, *one.case.sizes[1:]), 10)
    assert [one["from"] for one in growth.growths(swept() + other)] == [
        "step 20-8-5 m10 float32",
        "step 50-8-5 m10 float32",
    ]
