"""What a search returns: its candidates, the best one first, as a table, a DataFrame and a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mbbp.extras import load_extra
from mbbp.history import FORMATS
from mbbp.network import Network
from mbbp.pictures import as_picture_path, save_figure
from mbbp.tables import html_table, text_table
from mbbp.tuning.describing import describe
from mbbp.tuning.picture import draw
from mbbp.validation import as_count

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

SHOWN = 10  # candidates in a notebook and by print
LONGEST = 24  # letters of a setting in a table


@dataclass(frozen=True)
class CandidateResult:
    """A candidate of a search, and how it did.

    Attributes
    ----------
    number : int
        Its number, from 0.
    settings : dict
        The value of each setting of the space.
    seed : int
        The `rng` of its network: with it and the settings, `Network` and `fit` give the same network, to the bit. With
        halving and early stopping, this needs a call of `fit` for each rung.
    score : float or None
        The monitor of the epoch whose parameters its network has: the last one, or with early stopping the best one.
        None if it has diverged.
    rungs : int
        How many rungs it has finished.
    epochs : int
        How many epochs it was trained.
    diverged : bool
        Whether its training has diverged.
    scores : tuple of float or None
        The monitor after each epoch.
    """

    number: int
    settings: dict[str, Any]
    seed: int
    score: float | None
    rungs: int
    epochs: int
    diverged: bool
    scores: tuple[float | None, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What `search` returns. Its `repr` is one line; ``print`` and a notebook show the best candidates as a table.

    Attributes
    ----------
    candidates : tuple of CandidateResult
        Those that have finished a rung, the best first: those of a later rung before those of an earlier one, in a rung
        by their scores, and those that have diverged last.
    best_network : Network or None
        The network of the best candidate, trained; None if all have diverged, or if Ctrl-C has ended the search before
        the network that a file had lost was trained again.
    monitor : str
        The column of the history that is the score.
    rungs : tuple of int
        How many epochs a candidate has had at the end of each rung.
    was_interrupted : bool
        Whether Ctrl-C has ended the search, or the training of its best network.
    """

    candidates: tuple[CandidateResult, ...]
    best_network: Network | None
    monitor: str
    rungs: tuple[int, ...]
    was_interrupted: bool = False

    @property
    def best(self) -> dict[str, Any] | None:
        """The settings of the best candidate; None if all have diverged."""
        return None if self.best_network is None else self.candidates[0].settings

    @property
    def best_score(self) -> float | None:
        """The score of the best candidate; None if all have diverged."""
        return None if self.best_network is None else self.candidates[0].score

    @property
    def diverged(self) -> tuple[int, ...]:
        """The numbers of the candidates that have diverged."""
        return tuple(sorted(one.number for one in self.candidates if one.diverged))

    def __repr__(self) -> str:
        n = len(self.candidates)
        facts = [f"{n:,} candidate{'' if n == 1 else 's'}"]
        if self.best_score is not None:
            facts.append(f"the best {self.monitor.replace('_', ' ')} {_score(self.best_score, self.monitor)}")
        facts += [f"{len(self.diverged)} diverged"] if self.diverged else []
        facts += ["interrupted"] if self.was_interrupted else []
        return f"SearchResult({', '.join(facts)})"

    def __str__(self) -> str:
        return f"{self!r}\n\n{self.table(SHOWN)}"

    def _repr_html_(self) -> str:
        left = [f"and {len(self.candidates) - SHOWN:,} more"] if len(self.candidates) > SHOWN else []
        return html_table(*self._cells(SHOWN), repr(self), left)

    def table(self, most: int | None = None) -> str:
        """Return the candidates as a table of text, the best first.

        Parameters
        ----------
        most : int, optional
            At most so many candidates; by default all.

        Raises
        ------
        ValueError
            If `most` is below 1.
        TypeError
            If it is no whole number.
        """
        n = len(self.candidates) if most is None else as_count("most", most)
        lines = text_table(*self._cells(n))
        left = len(self.candidates) - n
        return "\n".join([*lines, f"and {left:,} more"] if left > 0 else lines)

    def _cells(self, most: int) -> tuple[list[str], list[list[str]]]:
        shown = self.candidates[:most]
        names = list(shown[0].settings) if shown else []
        rows = [
            [
                str(one.number),
                *(_setting(one.settings[name]) for name in names),
                str(one.rungs),
                f"{one.epochs:,}",
                "diverged" if one.diverged else _score(one.score, self.monitor),
            ]
            for one in shown
        ]
        return ["candidate", *names, "rungs", "epochs", self.monitor], rows

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame with one row per candidate, indexed by its number, the best first.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        rows = [
            {
                "candidate": one.number,
                **one.settings,
                "rungs": one.rungs,
                "epochs": one.epochs,
                "diverged": one.diverged,
                "score": one.score,
            }
            for one in self.candidates
        ]
        frame = load_extra("to_frame", "pandas").DataFrame(rows)
        return frame.set_index("candidate") if rows else frame

    def plot(self, path: str | Path | None = None) -> matplotlib.figure.Figure:
        """Plot the score against the epochs for each candidate, and against each setting.

        The best candidate is drawn in another colour. Vertical lines are the ends of the rungs.

        Parameters
        ----------
        path : path, optional
            The file to save the figure to. Its ending gives the format (.png, .svg or .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If no candidate has a score, if the path ends in none of .png, .svg and .pdf, or if its folder cannot be
            written to. This is checked before the figure is drawn.
        TypeError
            If the path is not a path.
        """
        scored = [one for one in self.candidates if one.score is not None]
        if not scored:
            raise ValueError("plot: expected a search with at least one candidate that has a score, got none")
        target = as_picture_path("path", path)
        settings = {name: [one.settings[name] for one in scored] for name in scored[0].settings}
        figure = draw([one.scores for one in scored], [one.score for one in scored], settings, self.rungs, self.monitor)
        if target is not None:
            save_figure(figure, target)
        return figure


def _score(score: float | None, monitor: str) -> str:
    return "-" if score is None else format(score, FORMATS[monitor])


def _setting(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    text = value if isinstance(value, str) else describe(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
