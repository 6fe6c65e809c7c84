"""The picture of a diagnosis: what it shows, and how it is saved."""

import sys
from itertools import pairwise

import pytest

import mbbp
from tests.networks import healthy

matplotlib = pytest.importorskip("matplotlib")


def test_the_picture_shows_the_measures():
    net, X, Y = healthy((8, 6, 3), "sigmoid")
    diagnosis = mbbp.diagnose(net, X, Y, low_below=1.0)
    shares, sizes = diagnosis.plot().axes
    bars = {container.get_label(): [bar.get_height() for bar in container] for container in shares.containers}
    assert bars == {
        "neurons saturated": [100 * row.saturated for row in diagnosis.layers],
        "inputs low": [100 * row.low_inputs for row in diagnosis.layers],
        "weights slow": [100 * row.slow_weights for row in diagnosis.layers],
    }
    lines = {line.get_label(): list(line.get_ydata()) for line in sizes.lines}
    assert lines == {
        "|dC/dW|": [row.weight_gradient for row in diagnosis.layers],
        "|dC/db|": [row.bias_gradient for row in diagnosis.layers],
        "mean |delta|": [row.error for row in diagnosis.layers],
        "|W|": [row.weights for row in diagnosis.layers],
    }
    assert sizes.get_yscale() == "log"
    assert [text.get_text() for text in sizes.get_xticklabels()] == ["2\nsigmoid\n6", "3\nsigmoid\n3"]


def boxes_in(figure):
    """Return where the names of the layers and the legends are drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    names = [[text.get_window_extent(renderer) for text in axes.get_xticklabels()] for axes in figure.axes]
    return names, [axes.get_legend().get_window_extent(renderer) for axes in figure.axes]


@pytest.mark.parametrize("n_hidden", [1, 5, 9])
def test_no_line_crosses_a_legend_and_no_name_another(n_hidden):
    net, X, Y = healthy((8, *[6] * n_hidden, 3), "leaky_relu", initializer="large")
    figure = mbbp.diagnose(net, X, Y).plot()
    names, (bars, lines) = boxes_in(figure)
    for row in names:
        assert not any(one.overlaps(other) for one, other in pairwise(row))
    assert not lines.overlaps(figure.axes[1].bbox)
    highest = figure.axes[0].transData.transform((0, 100))[1]
    assert bars.y0 > highest


def test_a_gradient_of_0_is_drawn_on_a_linear_scale():
    net, X, Y = healthy()
    net.layers[2].W = 0 * net.layers[2].W
    assert mbbp.diagnose(net, X, Y).plot().axes[1].get_yscale() == "linear"


def test_the_picture_is_written_to_a_file(tmp_path):
    diagnosis = mbbp.diagnose(*healthy())
    diagnosis.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with pytest.raises(ValueError, match=r"^path: expected a name ending in \.png or \.svg or \.pdf, got "):
        diagnosis.plot(tmp_path / "a")


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"^plot: needs matplotlib; pip install matplotlib$"):
        mbbp.diagnose(*healthy()).plot()
