"""Draw networks and matrices in the notebooks, and set the style of all figures."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from mbbp.bench import table

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#1f77b4", "#d95f02", "#2ca02c", "#d62728", "#9467bd", "#7f7f7f"
SIGNED, LEVEL = "RdBu_r", "YlGnBu"  # colour maps: for values of both signs, and for values from 0 up
NEGATIVE, POSITIVE = "#2166ac", "#b2182b"


def use_style():
    """Set the style of every figure of a notebook."""
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.alpha": 0.3,
            "legend.frameon": False,
        }
    )


def duration(us):
    """Return a time in µs as a text with three digits: in ms from 1,000 µs on."""
    return table.duration(us).replace("us", "µs")


class Matrix(NamedTuple):
    """A matrix to draw as a heat map with its numbers in it.

    With the colour map SIGNED, the colours go from -`limit` to `limit`. With LEVEL, they go from 0 to `limit`. The
    default of `limit` is the largest entry. `numbers` is the format of the entries, or None to leave them out.
    """

    values: np.ndarray
    title: str = ""
    limit: float | None = None
    cmap: str = SIGNED
    numbers: str | None = "{:.2f}"


def equation(axes, *parts, fontsize=8.5, tall=None):
    """Draw a row of matrices and of strings between them. Return the upper left corner of each part.

    All entries are squares of the same size. `tall` is the height of the row in entries. The default is the height of
    the highest matrix.
    """
    tall = tall or max(np.shape(part.values)[0] for part in parts if isinstance(part, Matrix))
    corners, x = [], 0.0
    for part in parts:
        if isinstance(part, str):
            width = 0.9 if len(part) < 12 else 1.5
            corners.append((x, tall / 2))
            axes.text(x + width / 2, tall / 2, part, ha="center", va="center", fontsize=fontsize + 6)
            x += width
            continue
        values = np.asarray(part.values, float)
        n, m = values.shape
        top = (tall - n) / 2
        limit = part.limit or float(np.abs(values).max()) or 1.0
        low = -limit if part.cmap == SIGNED else 0.0
        image = axes.imshow(values, cmap=part.cmap, vmin=low, vmax=limit, extent=(x, x + m, top + n, top))
        axes.hlines(top + np.arange(n + 1), x, x + m, color="white", linewidth=1.5)
        axes.vlines(x + np.arange(m + 1), top, top + n, color="white", linewidth=1.5)
        for (j, k), value in np.ndenumerate(values if part.numbers else np.empty((0, 0))):
            ink = _ink(image.cmap(image.norm(value)))
            where = (x + k + 0.5, top + j + 0.5)
            axes.text(*where, part.numbers.format(value), ha="center", va="center", fontsize=fontsize, color=ink)
        axes.text(x + m / 2, top - 0.15, part.title, ha="center", va="bottom", fontsize=fontsize + 2.5)
        corners.append((x, top))
        x += m
    axes.set(xlim=(-0.1, x + 0.1), ylim=(tall + 0.15, -0.75), aspect="equal")
    axes.axis("off")
    return corners


def frame(axes, corner, first, size):
    """Draw a frame around entries of a matrix drawn by `equation`.

    `corner` is the corner of the matrix, `first` the first entry (row, column), and `size` the number of rows and
    columns.
    """
    where = (corner[0] + first[1], corner[1] + first[0])
    axes.add_patch(Rectangle(where, size[1], size[0], fill=False, edgecolor="black", linewidth=2.5, zorder=5))


def network(axes, sizes, edges=None, nodes=None, texts=None, limits=(None, None), cmap=SIGNED, thick=4.0, size=1000):
    """Draw a network with layer 1 on the left. Return the place of each neuron, with (layer, neuron) as the key.

    `edges[l]` holds a number for each weight into layer l, (n_l, n_{l-1}). The edge is red for a positive number and
    blue for a negative one, and a larger number gives a thicker edge. Edges without a number are grey. `nodes[l]` holds
    a number for each neuron of layer l, which gives its colour. `texts[l]` holds the text in each neuron. `limits` are
    the numbers for the thickest edge and for the strongest colour of a node. `size` is the size of the nodes.
    """
    edges, nodes, texts = edges or {}, nodes or {}, texts or {}
    places = {(l, j): (l - 1.0, (n - 1) / 2 - j) for l, n in enumerate(sizes, 1) for j in range(n)}
    edge_limit, node_limit = (
        given or max((float(np.abs(array).max()) for array in found.values()), default=0.0) or 1.0
        for given, found in zip(limits, (edges, nodes), strict=True)
    )
    for l, j in places:
        for k in range(sizes[l - 2] if l > 1 else 0):
            share = float(edges[l][j, k]) / edge_limit if l in edges else None
            colour = "#bbbbbb" if share is None else POSITIVE if share > 0 else NEGATIVE
            width, alpha = (1.0, 1.0) if share is None else (0.5 + thick * abs(share), min(1.0, 0.3 + 0.7 * abs(share)))
            line = zip(places[l - 1, k], places[l, j], strict=True)
            axes.plot(*line, color=colour, linewidth=width, alpha=alpha, zorder=1)
    low = -node_limit if cmap == SIGNED else 0.0
    for (l, j), place in places.items():
        face = (1.0, 1.0, 1.0, 1.0)
        if l in nodes:
            face = plt.get_cmap(cmap)((float(np.ravel(nodes[l])[j]) - low) / (node_limit - low))
        axes.scatter(*place, s=size, color=[face], edgecolors="#333333", linewidths=1.2, zorder=2)
        if l in texts:
            axes.text(*place, texts[l][j], ha="center", va="center", fontsize=8, zorder=3, color=_ink(face))
    axes.set(xlim=(-0.35, len(sizes) - 0.65), ylim=(-max(sizes) / 2 - 0.1, max(sizes) / 2 + 0.1))
    axes.axis("off")
    return places


def _ink(colour):
    """Return black or white, the one that is easier to read on the colour."""
    red, green, blue, _ = colour
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
