"""The progress bar of a training: shown on a terminal, and not where the output goes to a file or a pipe."""

import sys
from types import TracebackType
from typing import Any

from mbbp.history import Epoch


class Progress:
    """The progress bar of one training, which counts examples.

    Parameters
    ----------
    shown : bool or None
        Whether to show it; None shows it on a terminal only.
    epochs, n : int
        The number of epochs, and of examples in each.
    """

    def __init__(self, shown: bool | None, epochs: int, n: int) -> None:
        self._bar: Any = None
        self._epochs, self._epoch = epochs, 1
        if sys.stderr.isatty() if shown is None else shown:
            from tqdm import tqdm

            self._bar = tqdm(
                total=epochs * n,
                desc=f"epoch 1/{epochs}",
                bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} < {remaining}{postfix}",
                leave=False,
                dynamic_ncols=True,
                file=sys.stderr,
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, examples: int) -> None:
        """Add examples to those that are done."""
        if self._bar is not None:
            self._bar.update(examples)

    def end_epoch(self, row: Epoch) -> None:
        """Show the figures of the epoch that has ended."""
        if self._bar is None:
            return
        self._epoch += 1
        figures = [f"cost {row.training_cost:.4g}"]
        accuracy = row.validation_accuracy if row.validation_accuracy is not None else row.training_accuracy
        if accuracy is not None:
            figures.append(f"{'validation' if row.validation_accuracy is not None else 'training'} {accuracy:.2%}")
        self._bar.set_description_str(f"epoch {min(self._epoch, self._epochs)}/{self._epochs}", refresh=False)
        self._bar.set_postfix_str(", ".join(figures))
