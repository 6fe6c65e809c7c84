"""Draw a search: the score of each candidate against the epochs, and against each setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mbbp.pictures import new_figure
from mbbp.tuning.describing import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST, OTHERS = "#d95f02", "#1f77b4"
COLUMNS = 3
ORDERS_OF_MAGNITUDE = 30  # numbers that differ by more than this factor are shown on a logarithmic axis
LETTERS = 18  # of the name of a value on an axis
MOST_TICKS = 12


def draw(
    curves: Sequence[Sequence[float | None]],
    scores: Sequence[float | None],
    settings: Mapping[str, Sequence[Any]],
    rungs: Sequence[int],
    monitor: str,
) -> Figure:
    """Draw the candidates, of which the first one is the best.

    Parameters
    ----------
    curves : sequence of sequences of float or None
        For each candidate the monitor after each epoch.
    scores : sequence of float or None
        For each candidate its score.
    settings : mapping
        For each setting its value of each candidate.
    rungs : sequence of int
        The epochs at the ends of the rungs.
    monitor : str
        The name of the score.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    texts = {name: [describe(value) for value in values] for name, values in settings.items()}
    drawn = [name for name in settings if len(set(texts[name])) > 1]
    n_rows = math.ceil((1 + len(drawn)) / COLUMNS)
    n_columns = min(COLUMNS, 1 + len(drawn))
    figure = new_figure("plot", 4.4 * n_columns, 3.5 * n_rows)
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    label = monitor.replace("_", " ")
    all_scores = [score for score in scores if score is not None]
    finite = [one for curve in curves for one in curve if one is not None and math.isfinite(one)] + all_scores
    is_log = _spans_orders(finite)
    _draw_curves(panels[0], curves, rungs)
    for axes, name in zip(panels[1:], drawn, strict=False):
        _draw_setting(axes, name, settings[name], texts[name], scores)
    for axes in panels[len(drawn) + 1 :]:
        axes.set_visible(False)
    for axes in panels[: len(drawn) + 1]:
        if is_log:
            axes.set_yscale("log")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure


def _draw_curves(axes: Any, curves: Sequence[Sequence[float | None]], rungs: Sequence[int]) -> None:
    for place, curve in reversed(list(enumerate(curves))):  # the best one is drawn last, upon the others
        values = [math.nan if one is None else one for one in curve]
        colour, alpha, width = (BEST, 1.0, 2.0) if place == 0 else (OTHERS, 0.45, 1.0)
        axes.plot(range(1, len(values) + 1), values, color=colour, alpha=alpha, lw=width)
        axes.plot(len(values), values[-1], "o", color=colour, alpha=alpha, ms=3)
    axes.plot([], [], color=BEST, lw=2.0, label="the best candidate")
    if len(curves) > 1:
        axes.plot([], [], color=OTHERS, label="the others")
    for end in rungs[:-1]:
        axes.axvline(end, color="#7f7f7f", lw=1.0, ls="--")
    if len(rungs) > 1:
        axes.plot([], [], color="#7f7f7f", lw=1.0, ls="--", label="end of a rung")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if rungs[-1] == 1:  # the axis would be so short that no whole number but this one lies on it
        axes.set_xticks([1])
    axes.legend(frameon=False, fontsize=9)


def _draw_setting(
    axes: Any, name: str, values: Sequence[Any], texts: Sequence[str], scores: Sequence[float | None]
) -> None:
    heights = [math.nan if score is None else score for score in scores]
    is_number = all(isinstance(one, int | float | np.number) and not isinstance(one, bool) for one in values)
    if is_number:
        places: list[Any] = [float(one) for one in values]
        if _spans_orders(places):
            axes.set_xscale("log")
    else:
        of_text = dict(zip(texts, values, strict=True))
        names = sorted(of_text, key=lambda text: _order(of_text[text], text))
        places = [names.index(text) for text in texts]
        shown = [text.strip("'") for text in names]
        short = [text if len(text) <= LETTERS else text[: LETTERS - 1] + "…" for text in shown]
        step = math.ceil(len(names) / MOST_TICKS)  # more names would lie upon each other
        turned = sum(map(len, short[::step])) > 30
        axes.set_xticks(range(0, len(names), step), short[::step], rotation=90 if turned else 0, fontsize=8)
        axes.set_xlim(-0.6, len(names) - 0.4)
    axes.plot(places[1:], heights[1:], "o", color=OTHERS, alpha=0.5, ms=4)
    axes.plot(places[:1], heights[:1], "o", color=BEST, ms=7)
    axes.set_xlabel(name.replace("_", " "))


def _order(value: Any, text: str) -> tuple[Any, ...]:
    """Return a key by which names come before lists of numbers, and short lists before long ones."""
    if isinstance(value, list | tuple) and all(isinstance(one, int | float) for one in value):
        return 1, len(value), list(value), text
    return 0, 0, [], text


def _spans_orders(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > ORDERS_OF_MAGNITUDE
