"""The history of a training: one row for each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from mbbp.extras import load_extra
from mbbp.pictures import as_picture_path, new_figure, save_figure
from mbbp.tables import html_table
from mbbp.validation import as_name, refuse_unknown

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas


SHOWN_FIRST, SHOWN_LAST = 3, 5  # of a long history, a notebook shows the first and the last epochs
FORMATS = {
    "epoch": ",",
    "training_cost": ".6g",
    "training_accuracy": ".2%",
    "validation_cost": ".6g",
    "validation_accuracy": ".2%",
    "learning_rate": ".4g",
    "gradient_norm": ".3g",
    "seconds": ".3g",
    "examples_per_second": ",.0f",
    "damping": ".3g",
    "effective_parameters": ".1f",
    "prior_precision": ".3g",
    "noise_precision": ".3g",
    "epsilon": ".3f",
    "delta": ".1g",
}


class Epoch(NamedTuple):
    """The row of one epoch. A value that was not measured is None.

    Attributes
    ----------
    epoch : int
        The number of the epoch. The first one is 1.
    training_cost : float
        The mean cost of the training examples, without the L2 term. The cost of a mini-batch is that before its step;
        where one step is for all examples, as in lbfgs, it is that after the step.
    training_accuracy : float or None
        The fraction of the training examples that was classified correctly, also before each step. None for regression.
    validation_cost, validation_accuracy : float or None
        The mean cost and the fraction classified correctly of the validation data, after the epoch.
    learning_rate : float or None
        The learning rate of the epoch. None for a method that has none.
    gradient_norm : float
        The Euclidean norm of the gradient of the epoch's last mini-batch, before any clipping.
    seconds : float
        The time of the training in this epoch, in seconds, without validation and callbacks.
    examples_per_second : float
        The number of training examples divided by `seconds`.
    damping : float or None
        Of levenberg_marquardt: what the next step begins with, for the mean over the examples.
    effective_parameters, prior_precision, noise_precision : float or None
        Of levenberg_marquardt with `bayesian`: how many parameters the data determine; the precision alpha of the prior
        of the parameters, and beta of the noise of the targets.
    epsilon, delta : float or None
        Of dp_sgd: the privacy that is spent so far.
    """

    epoch: int
    training_cost: float
    training_accuracy: float | None
    validation_cost: float | None
    validation_accuracy: float | None
    learning_rate: float | None
    gradient_norm: float
    seconds: float
    examples_per_second: float
    damping: float | None = None
    effective_parameters: float | None = None
    prior_precision: float | None = None
    noise_precision: float | None = None
    epsilon: float | None = None
    delta: float | None = None


class History(Sequence[Epoch]):
    """The rows of all epochs of a network's training, in order.

    It is a sequence of `Epoch`. The name of a column gives the list of its values: ``history["training_cost"]``.

    Attributes
    ----------
    was_interrupted : bool
        Whether Ctrl-C ended the last training before its last epoch.
    has_ended : bool
        Whether the last training has come to its end: by its last epoch, by early stopping or by `StopTraining`. False
        in a checkpoint from before.

    Examples
    --------
    >>> import mbbp
    >>> data = mbbp.datasets.load_digits()
    >>> net = mbbp.Network([64, 30, 10], scaling=data.scaling, rng=0)
    >>> history = net.fit(data.x_train, data.y_train, epochs=2, learning_rate=3.0)
    >>> history["epoch"]
    [1, 2]
    >>> len(history), history[-1].epoch
    (2, 2)
    """

    def __init__(self, rows: Sequence[Epoch] = ()) -> None:
        self._rows = list(rows)
        self.was_interrupted, self.has_ended = False, False

    def append(self, row: Epoch) -> None:
        """Add the row of the next epoch."""
        self._rows.append(row)

    def _replace(self, rows: Sequence[Epoch]) -> None:
        """Set the rows to others."""
        self._rows[:] = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self._rows)

    @overload
    def __getitem__(self, key: int) -> Epoch: ...
    @overload
    def __getitem__(self, key: slice) -> History: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: int | slice | str) -> Epoch | History | list[Any]:
        if isinstance(key, str):
            self.check_column("history", key)
            return [getattr(row, key) for row in self._rows]
        if isinstance(key, slice):
            return History(self._rows[key])
        return self._rows[key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not self._rows:
            return "History(no epoch)"
        last = self._rows[-1]
        names = ("training_cost", "training_accuracy", "validation_cost", "validation_accuracy")
        figures = [f"{_words(name)} {_cell(last, name)}" for name in names if getattr(last, name) is not None]
        return f"History({len(self):,} epoch{'s' if len(self) > 1 else ''}; the last: {', '.join(figures)})"

    def _repr_html_(self) -> str | None:
        """Return the first and the last epochs as a table, for a notebook, without columns that were not measured."""
        if not self._rows:
            return None  # the notebook then shows the line of text
        names = [name for name in Epoch._fields if any(getattr(row, name) is not None for row in self._rows)]
        lines = [[_cell(row, name) for name in names] for row in self._rows]
        if len(lines) > SHOWN_FIRST + SHOWN_LAST + 1:
            lines[SHOWN_FIRST:-SHOWN_LAST] = [["…"] * len(names)]
        return html_table([_words(name) for name in names], lines, repr(self))

    @staticmethod
    def check_column(argument: str, name: str) -> None:
        """Check that there is a column with this name.

        Raises
        ------
        ValueError
            If there is none. The message lists the columns.
        """
        if not isinstance(name, str) or name not in Epoch._fields:
            refuse_unknown(argument, name, Epoch._fields)

    def gains(self, monitor: str) -> list[float]:
        """Return a column as numbers of which the largest is the best, one for each epoch; -inf if not measured.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        self.check_column("monitor", monitor)
        sign = sign_of_gain(monitor)
        return [-math.inf if value is None else sign * value for value in self[monitor]]

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the columns by name, each as a list with one value per epoch, as JSON can store them."""
        return {name: self[name] for name in Epoch._fields}

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame with one row per epoch, indexed by the number of the epoch.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return load_extra("to_frame", "pandas").DataFrame(self.to_dict()).set_index("epoch")

    def plot(self, path: str | Path | None = None, *, validation: str = "validation") -> matplotlib.figure.Figure:
        """Plot the cost and, for classification, the accuracy against the epochs.

        Parameters
        ----------
        path : path, optional
            The file to save the figure to. Its ending gives the format (.png, .svg or .pdf).
        validation : str
            What the legend calls the validation data.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the history has no epoch, if the path ends in none of .png, .svg and .pdf, or if its folder cannot be
            written to. This is checked before the figure is drawn.
        TypeError
            If the path is not a path.
        """
        if not self._rows:
            raise ValueError("plot: expected a history with at least one epoch, got none")
        target, validation = as_picture_path("path", path), as_name("validation", validation)
        panels = [
            panel
            for panel in ("cost", "accuracy")
            if self._rows[-1][Epoch._fields.index(f"training_{panel}")] is not None
        ]
        figure = new_figure("plot", 5.2 * len(panels), 3.8)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for part, colour in (("training", "#1f77b4"), ("validation", "#d95f02")):
                values = self[f"{part}_{panel}"]
                if any(value is not None for value in values):
                    axes.plot(
                        self["epoch"],
                        [math.nan if value is None else value for value in values],
                        color=colour,
                        label=validation if part == "validation" else part,
                        marker="o" if len(self) < 40 else "",
                        markersize=3.5,
                    )
            if panel == "cost" and all(value > 0 for value in self["training_cost"]):
                axes.set_yscale("log")
            axes.set_xlabel("epoch")
            axes.set_ylabel(f"{panel} (fraction right)" if panel == "accuracy" else panel)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if len(self) == 1:  # the axis would be so short that no whole number but this one lies on it
                axes.set_xticks(self["epoch"])
            axes.grid(alpha=0.3, which="both" if panel == "cost" else "major")
            axes.legend(frameon=False)
        if target is not None:
            save_figure(figure, target)
        return figure


def sign_of_gain(monitor: str) -> float:
    """Return 1 for a column whose largest value is the best, -1 for one whose smallest value is."""
    return 1.0 if monitor.endswith(("accuracy", "examples_per_second")) else -1.0


def _words(name: str) -> str:
    return name.replace("_per_", "/").replace("_", " ")


def _cell(row: Epoch, name: str) -> str:
    value = getattr(row, name)
    return "-" if value is None else format(value, FORMATS[name])
