"""The results as plots."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mbbp.bench.growth import group
from mbbp.bench.results import CaseResult
from mbbp.pictures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {
    "per-example": "#7f7f7f",
    "per-example, float32": "#bcbd22",
    "numpy": "#1f77b4",
    "mbbp": "#d62728",
    "torch": "#ff7f0e",
    "torch, compiled": "#8c564b",
    "jax": "#2ca02c",
    "sklearn": "#9467bd",
}
AXES = {"width": "neurons in a hidden layer", "depth": "hidden layers", "batch": "examples in a mini-batch, m"}


def draw(results: Sequence[CaseResult]) -> "Figure":
    """Draw a panel for each network or sweep: the speed-up against the mini-batch size, or the time along the sweep.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If nothing was timed, or there is no speed-up because the loop over examples was not timed.
    """
    panels: dict[Any, list[CaseResult]] = {}
    left_out = []
    for one in results:
        if _can_be_drawn(one):
            panels.setdefault(_panel(one, results), []).append(one)
        else:
            left_out.append(one.case.name)
    if not panels:
        raise ValueError("--plot: expected at least one case in which the loop over examples was timed, got none")
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure("--plot", 7.2 * columns, 4.4 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, members in zip(grid, panels.values(), strict=False):
        _draw_panel(axes, members)
    for axes in grid[len(panels) :]:
        axes.remove()
    if left_out:
        note = f"not drawn, because the loop over examples was not timed: {'; '.join(left_out)}"
        figure.supxlabel(textwrap.fill(note, 90 * columns), fontsize=8, color="#555555")
    return figure


def _can_be_drawn(one: CaseResult) -> bool:
    """Return whether there is a time of a sweep, or a speed-up."""
    timed = [row for row in one.results if row.us]
    return bool(timed) if one.sweep is not None else any(math.isfinite(one.speedup(row)) for row in timed)


def _panel(one: CaseResult, results: Sequence[CaseResult]) -> Any:
    """Return a value that is the same for all cases of a panel."""
    if one.sweep is not None:
        return group(one)
    networks = {each.case.sizes for each in results}
    # many networks with only one or two mini-batch sizes each are drawn side by side in one panel
    return "networks" if 1 < len(networks) > len(results) / 2 else one.case.sizes


def _draw_panel(axes: Any, members: list[CaseResult]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    first = members[0]
    is_swept = first.sweep is not None
    has_names = len({one.case.sizes for one in members}) > 1 and not is_swept
    xs = {id(one): i if has_names else one.place or one.case.batch_size for i, one in enumerate(members)}
    for name in dict.fromkeys(row.implementation for one in members for row in one.results):
        timed = [(one, row) for one in members if (row := one.of(name)) is not None]
        if timed:
            axes.plot(
                [xs[id(one)] for one, _ in timed],
                [row.minimum if is_swept else one.speedup(row) for one, row in timed],
                color=COLOURS.get(name),
                label=name + ("" if timed[0][1].cost == "quadratic" else " (cross-entropy)"),
                linestyle="" if has_names else "-",
                marker="o",
                markersize=4 if name != "mbbp" else 6,
                linewidth=1.4 if name != "mbbp" else 2.2,
            )
    axes.set_yscale("log")
    what = first.case.what
    axes.set_ylabel(f"time for one {what}, fastest round" if is_swept else "speed-up over per-example")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(_duration if is_swept else _plain)
    axes.yaxis.set_minor_formatter(NullFormatter())
    if has_names:
        axes.set_xticks(range(len(members)), [one.case.name.replace(", m", "\nm") for one in members])
        axes.tick_params(axis="x", labelrotation=60, labelsize=8)
    else:
        axes.set_xscale("log")
        axes.set_xticks(list(xs.values()), [str(x) for x in xs.values()])
        axes.minorticks_off()
        axes.set_xlabel(AXES[first.sweep or "batch"])
    shape = f"{first.case.name} to {members[-1].case.name}" if is_swept else first.case.name.rsplit(", m", 1)[0]
    title = f"{what}, {first.case.dtype}" if has_names else f"{shape}\n{what}, {first.case.dtype}"
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _plain(value: float, position: int | None) -> str:
    """Return a tick of a log axis as a number without an exponent."""
    return f"{value:,.10g}"


def _duration(us: float, position: int | None) -> str:
    """Return a tick of a log axis in microseconds as a time with its unit."""
    units = (("s", 1e6), ("ms", 1e3), ("us", 1.0), ("ns", 1e-3))
    unit, size = next((one for one in units if us >= one[1]), units[-1])
    return f"{us / size:.4g} {unit}"
