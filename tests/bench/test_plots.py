"""The plots."""

import numpy as np
import pytest

from mbbp.bench import plots
from mbbp.bench.cases import Case
from mbbp.bench.results import CaseResult, Result
from tests.bench.helpers import case_result, swept


def panels(results):
    pytest.importorskip("matplotlib")
    return plots.draw(results).axes


def test_the_picture_of_mini_batches():
    (axes,) = panels([case_result(m) for m in (1, 10, 100)])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlabel() == "examples in a mini-batch, m"
    assert axes.get_ylabel() == "speed-up over per-example"
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["per-example", "mbbp", "sklearn (cross-entropy)"]
    np.testing.assert_allclose(lines["mbbp"].get_xdata(), [1, 10, 100])
    np.testing.assert_allclose(lines["mbbp"].get_ydata(), [550 / 27.1] * 3)


@pytest.mark.parametrize(("over", "label"), plots.AXES.items())
def test_the_picture_of_a_sweep(over, label):
    results = swept(over)
    (axes,) = panels(results)
    assert axes.get_xlabel() == label
    assert "time for one step (us)" in axes.get_ylabel()
    assert axes.lines[1].get_xdata().tolist() == [one.place for one in results]
    assert axes.lines[1].get_ydata().tolist() == [one.results[1].minimum for one in results]


def test_the_picture_of_many_networks_and_of_several():
    (axes,) = panels([case_result(sizes=(n, 3, 2)) for n in (4, 5, 6)])
    assert axes.get_xticklabels()[0].get_text() == "[4, 3, 2]\nm = 10"
    several = panels([case_result(m, sizes=(n, 3, 2)) for n in (4, 5, 6, 7) for m in (1, 2)])
    assert [axes.get_title().split("\n")[0] for axes in several] == [f"[{n}, 3, 2]" for n in (4, 5, 6, 7)]


def test_there_is_no_picture_of_nothing():
    pytest.importorskip("matplotlib")
    nothing = CaseResult(Case((2, 3, 1), 4), [Result("torch", "float32", "quadratic", refused="not installed")])
    with pytest.raises(ValueError, match="--plot: expected at least one timed result, got none"):
        plots.draw([nothing])
