"""The plots."""

import numpy as np
import pytest

from mbbp.bench import plots
from mbbp.bench.cases import Case
from mbbp.bench.results import CaseResult, Result
from tests.bench.helpers import case_result, result, swept


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
    assert axes.get_ylabel() == "time for one step, fastest round"
    ticks = axes.yaxis.get_major_formatter()
    assert [ticks(us, None) for us in (0.2, 1, 50, 1000, 20000, 5e6)] == [
        "200 ns",
        "1 us",
        "50 us",
        "1 ms",
        "20 ms",
        "5 s",
    ]
    assert axes.lines[1].get_xdata().tolist() == [one.place for one in results]
    assert axes.lines[1].get_ydata().tolist() == [one.results[1].minimum for one in results]


def test_the_picture_of_many_networks_and_of_several():
    (axes,) = panels([case_result(sizes=(n, 3, 2)) for n in (4, 5, 6)])
    assert axes.get_xticklabels()[0].get_text() == "[4, 3, 2]\nm = 10"
    several = panels([case_result(m, sizes=(n, 3, 2)) for n in (4, 5, 6, 7) for m in (1, 2)])
    assert [axes.get_title().split("\n")[0] for axes in several] == [f"[{n}, 3, 2]" for n in (4, 5, 6, 7)]


def test_a_case_without_the_loop_over_examples_is_named_and_has_no_empty_column():
    without = CaseResult(Case((9, 8, 7), 256), [result("mbbp", [30.0] * 3)])
    figure = plots.draw([case_result(sizes=(4, 3, 2)), case_result(sizes=(5, 3, 2)), without])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["[4, 3, 2]\nm = 10", "[5, 3, 2]\nm = 10"]
    note = figure.get_supxlabel()
    assert note == "not drawn, because the loop over examples was not timed: [9, 8, 7], m = 256"
    assert plots.draw([case_result()]).get_supxlabel() == ""


def test_there_is_no_picture_of_nothing():
    pytest.importorskip("matplotlib")
    nothing = CaseResult(Case((2, 3, 1), 4), [Result("torch", "float32", "quadratic", refused="not installed")])
    with pytest.raises(ValueError, match=r"^--plot: expected at least one case in which the loop .*, got none$"):
        plots.draw([nothing])
