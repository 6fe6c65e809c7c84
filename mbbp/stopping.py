"""When to stop before the last epoch."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mbbp.history import History
from mbbp.parameters import Array
from mbbp.validation import as_count, as_number

if TYPE_CHECKING:
    from mbbp.network import Network


@dataclass(frozen=True)
class EarlyStopping:
    """End the training when a figure of the history no longer improves.

    Parameters
    ----------
    monitor : str
        A column of the history. An accuracy improves upwards, everything else downwards.
    patience : int
        How many epochs without improvement are waited for.
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
    """Return the rule for an early stop; a number is the patience on the validation cost, else on the training cost.

    Raises
    ------
    TypeError
        If it is neither a rule nor a whole number.
    ValueError
        If the number is below 1.
    """
    if value is None or isinstance(value, EarlyStopping):
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"early_stopping: an mbbp.EarlyStopping or a number of epochs is wanted, got {value!r}")
    patience = as_count("early_stopping", value)
    return EarlyStopping("validation_cost" if has_validation else "training_cost", patience)


@dataclass
class Best:
    """The best epoch so far, for early stopping."""

    rule: EarlyStopping
    gain: float = -math.inf
    waited: int = 0
    theta: Array | None = None

    def is_over(self, net: "Network") -> bool:
        """Look at the epoch that ended, and say whether the training is over."""
        gain = net.history[-1:].gains(self.rule.monitor)[0]
        if self.theta is None or gain > self.gain + self.rule.min_delta:
            self.gain, self.waited, self.theta = gain, 0, net.theta.copy()
        else:
            self.waited += 1
        return self.waited >= self.rule.patience

    def restore(self, net: "Network") -> None:
        """Give the network the parameters of its best epoch, if the rule says so."""
        if self.rule.restore_best and self.theta is not None:
            net.theta[:] = self.theta
