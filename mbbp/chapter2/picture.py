"""Draw the measures of a diagnosis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mbbp.chapter2.saturation import LayerDiagnosis
from mbbp.pictures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (
    ("saturated", "neurons saturated", "#d95f02"),
    ("low_inputs", "inputs low", "#1f77b4"),
    ("slow_weights", "weights slow", "#7f7f7f"),
)
LINES = (
    ("weight_gradient", "|dC/dW|", "#d62728", "-"),
    ("bias_gradient", "|dC/db|", "#9467bd", "-"),
    ("error", "mean |delta|", "#2ca02c", "-"),
    ("weights", "|W|", "#7f7f7f", "--"),
)

MOST_LETTERS = 50  # longer names of layers would overlap side by side, and are turned


def draw(rows: Sequence[LayerDiagnosis]) -> "Figure":
    """Draw the shares that make each layer learn slowly, and beside them the sizes of its gradient and weights.

    Parameters
    ----------
    rows : sequence of LayerDiagnosis
        The measures of layers 2 to L.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    figure = new_figure("plot", 11.2, 4.2)
    shares, sizes = figure.subplots(1, 2)
    width = 0.8 / len(SHARES)
    for place, (name, label, colour) in enumerate(SHARES):
        heights = [100 * getattr(row, name) for row in rows]
        at = [i + (place - (len(SHARES) - 1) / 2) * width for i in range(len(rows))]
        shares.bar(at, heights, width, color=colour, label=label)
    shares.set_ylim(0, 120)  # room for the legend
    shares.set_yticks(range(0, 101, 20))
    shares.set_ylabel("share, over the examples (%)")
    shares.set_title("what makes learning slow")
    for name, label, colour, line in LINES:
        values = [getattr(row, name) for row in rows]
        sizes.plot(range(len(rows)), values, color=colour, label=label, linestyle=line, marker="o", markersize=4)
    if all(getattr(row, name) > 0 for row in rows for name, *_ in LINES):
        sizes.set_yscale("log")
    sizes.set_title("gradient and weights")
    for axes in (shares, sizes):
        _name_layers(axes, rows)
    shares.legend(frameon=False, fontsize=9, loc="upper center", ncols=len(SHARES), columnspacing=1.2)
    # beside the panel: with many layers there is no room in it that no line crosses
    sizes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _name_layers(axes: Any, rows: Sequence[LayerDiagnosis]) -> None:
    is_crowded = len(rows) * max(len(row.activation) + 1 for row in rows) > MOST_LETTERS
    between = "  " if is_crowded else "\n"
    names = [between.join([str(row.l), row.activation, str(row.n_out)]) for row in rows]
    axes.set_xticks(range(len(rows)), names, rotation=90 if is_crowded else 0)
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("layer: number, activation, neurons")
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
