"""The progress bar of a training: shown on a terminal and in a notebook, not where output goes to a file or a pipe."""

import importlib.util
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from mbbp.history import Epoch

NOTEBOOK_DELAY = 0.5  # seconds; a bar leaves a trace in the file of a notebook, and a short training needs none


def is_notebook() -> bool:
    """Return whether the output goes to a notebook: Jupyter's, VS Code's, Colab's."""
    streams = sys.modules.get("ipykernel.iostream")
    return streams is not None and isinstance(sys.stderr, streams.OutStream)


class TrainingBar(Protocol):
    """What a training needs of a progress bar. `Progress` is one."""

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def advance(self, examples: int) -> None:
        """Add examples to those that are done."""

    def note(self, text: str) -> None:
        """Show a text behind the bar."""

    def end_epoch(self, row: Epoch) -> None:
        """Show the figures of the epoch that has ended."""


class Bar:
    """A progress bar that counts examples.

    In a notebook it is a widget, or a bar of characters if ipywidgets is not installed, and it is shown only for
    trainings of more than half a second.

    Parameters
    ----------
    shown : bool or None
        Whether to show it; None shows it on a terminal and in a notebook.
    total : int
        The number of examples, counted in each epoch.
    description : str
        The text before the bar.
    """

    def __init__(self, shown: bool | None, total: int, description: str) -> None:
        self._bar: Any = None
        in_notebook = is_notebook()
        if not (in_notebook or sys.stderr.isatty() if shown is None else shown):
            return
        if in_notebook and importlib.util.find_spec("ipywidgets") is not None:
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm  # tqdm.auto would warn in a notebook without ipywidgets
        self._bar = tqdm(
            total=total,
            desc=description,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}{postfix}",
            leave=False,
            dynamic_ncols=True,
            delay=NOTEBOOK_DELAY if in_notebook else 0,
            file=sys.stdout if in_notebook else sys.stderr,  # a notebook shows stderr in red, as it shows errors
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            # a notebook takes a bar that has not reached its total for a failure, and would leave it there in red
            self._bar.total = self._bar.n
            self._bar.close()

    def advance(self, examples: int) -> None:
        """Add examples to those that are done."""
        if self._bar is not None:
            self._bar.update(examples)

    def show(self, description: str, figures: Sequence[str]) -> None:
        """Show another text before the bar, and figures behind it."""
        if self._bar is not None:
            self._bar.set_description_str(description, refresh=False)
            self.note(", ".join(figures))

    def note(self, text: str) -> None:
        """Show a text behind the bar."""
        if self._bar is not None:
            # with a delay, the next `advance` shows it: a bar that is shown from here would not be cleared at the end
            self._bar.set_postfix_str(text, refresh=not self._bar.delay)


class Progress(Bar):
    """The progress bar of one training.

    Parameters
    ----------
    shown : bool or None
        Whether to show it; None shows it on a terminal and in a notebook.
    epochs, n : int
        The number of epochs, and of examples in each.
    """

    def __init__(self, shown: bool | None, epochs: int, n: int) -> None:
        super().__init__(shown, epochs * n, f"epoch 1/{epochs}")
        self._epochs, self._epoch = epochs, 1

    def end_epoch(self, row: Epoch) -> None:
        """Show the figures of the epoch that has ended."""
        figures = [f"cost {row.training_cost:.4g}"]
        accuracy = row.validation_accuracy if row.validation_accuracy is not None else row.training_accuracy
        if accuracy is not None:
            figures.append(f"{'validation' if row.validation_accuracy is not None else 'training'} {accuracy:.2%}")
        self.tell(figures)

    def tell(self, figures: Sequence[str]) -> None:
        """Show these figures of the epoch that has ended."""
        self._epoch += 1
        self.show(f"epoch {min(self._epoch, self._epochs)}/{self._epochs}", figures)
