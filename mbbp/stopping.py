"""Early stopping: when to stop before the last epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mbbp.history import History
from mbbp.parameters import Array
from mbbp.validation import as_count, as_flag, as_name, as_number


@dataclass(frozen=True)
class EarlyStopping:
    """End the training when a column of the history has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        The column of the history that must improve. An accuracy and `examples_per_second` improve when they rise, every
        other column when it falls.
    patience : int
        The number of epochs in a row without an improvement after which the training ends.
    min_delta : float
        Only a change by more than this counts as an improvement.
    restore_best : bool
        Whether the network gets the parameters of its best epoch when the training ends.

    Raises
    ------
    ValueError
        If there is no such column, or a number is out of range.
    TypeError
        If a number is of the wrong type.
    """

    monitor: str = "validation_cost"
    patience: int = 5
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        History.check_column("monitor", as_name("monitor", self.monitor))
        # a file holds the numbers of Python, not those of NumPy
        object.__setattr__(self, "patience", as_count("patience", self.patience))
        object.__setattr__(self, "min_delta", as_number("min_delta", self.min_delta))
        object.__setattr__(self, "restore_best", as_flag("restore_best", self.restore_best))


def as_early_stopping(value: EarlyStopping | int | None, *, has_validation: bool) -> EarlyStopping | None:
    """Return an EarlyStopping. A number is the patience on the validation cost or, without it, on the training cost.

    Raises
    ------
    TypeError
        If it is neither an EarlyStopping nor a whole number.
    ValueError
        If the number is below 1.
    """
    if value is None or isinstance(value, EarlyStopping):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"early_stopping: expected an mbbp.EarlyStopping or a number of epochs, got {value!r}")
    patience = as_count("early_stopping", value)
    return EarlyStopping("validation_cost" if has_validation else "training_cost", patience)


@dataclass
class Best:
    """The best epoch so far, and the number of epochs since then, for early stopping."""

    spec: EarlyStopping
    gain: float = -math.inf
    waited: int = 0
    theta: Array | None = None

    def is_over(self, history: History, theta: Array) -> bool:
        """Compare the epoch that has just ended with the best one; return whether the training is over."""
        gain = history[-1:].gains(self.spec.monitor)[0]
        if self.theta is None or gain > self.gain + self.spec.min_delta:
            self.gain, self.waited, self.theta = gain, 0, theta.copy()
        else:
            self.waited += 1
        return self.waited >= self.spec.patience

    def restore(self, theta: Array) -> None:
        """Set the parameters to those of the best epoch, if `restore_best` is true."""
        if self.spec.restore_best and self.theta is not None:
            theta[:] = self.theta
