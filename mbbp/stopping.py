"""When to stop before the last epoch."""

import math
from dataclasses import dataclass

from mbbp.history import History
from mbbp.parameters import Array
from mbbp.validation import as_count, as_number


@dataclass(frozen=True)
class EarlyStopping:
    """End the training when a figure of the history no longer improves.

    Parameters
    ----------
    monitor : str
        A column of the history. An accuracy improves upwards, everything else downwards.
    patience : int
        How many epochs in a row may bring no improvement.
    min_delta : float
        An improvement is a change by more than this.
    restore_best : bool
        Whether the network ends with the parameters of its best epoch.
    """

    monitor: str = "validation_cost"
    patience: int = 5
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        History.check_column("monitor", self.monitor)
        as_count("patience", self.patience)
        as_number("min_delta", self.min_delta)


def as_early_stopping(value: EarlyStopping | int | None, *, has_validation: bool) -> EarlyStopping | None:
    """Return when to stop early; a number is the patience on the validation cost, else on the training cost.

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
    """The best epoch so far, for early stopping."""

    spec: EarlyStopping
    gain: float = -math.inf
    waited: int = 0
    theta: Array | None = None

    def is_over(self, history: History, theta: Array) -> bool:
        """Look at the epoch that ended, with the parameters after it, and say whether the training is over."""
        gain = history[-1:].gains(self.spec.monitor)[0]
        if self.theta is None or gain > self.gain + self.spec.min_delta:
            self.gain, self.waited, self.theta = gain, 0, theta.copy()
        else:
            self.waited += 1
        return self.waited >= self.spec.patience

    def restore(self, theta: Array) -> None:
        """Set the parameters to those of the best epoch, if that was asked for."""
        if self.spec.restore_best and self.theta is not None:
            theta[:] = self.theta
