"""What a step of training depends on besides the optimizer: what it remembers, and the rates of the step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mbbp.arrays import as_writeable
from mbbp.parameters import Array

INT64 = np.dtype(np.int64)


@dataclass(frozen=True)
class OptimizerState:
    """The state of an optimizer after its steps so far.

    Attributes
    ----------
    optimizer : Optimizer
        The optimizer that the state belongs to.
    moments : ndarray of shape (n_states, n_parameters)
        Velocities, or running moments of the gradient.
    steps : ndarray of int64, shape (1,)
        The number of steps so far.
    """

    optimizer: Any
    moments: Array
    steps: Array

    def writeable(self) -> OptimizerState:
        """Return the same state in memory that the kernels may write to."""
        return OptimizerState(self.optimizer, as_writeable(self.moments), as_writeable(self.steps))

    def copy(self) -> OptimizerState:
        """Return the same state in memory of its own, such as to come back to it later."""
        return OptimizerState(self.optimizer, self.moments.copy(), self.steps.copy())

    def check_fits(self, theta: Array) -> None:
        """Check that it is a state for these parameters.

        Raises
        ------
        ValueError
            If it belongs to a network with other sizes or another dtype, or to memory that the kernels cannot use.
        TypeError
            If it does not hold arrays.
        """
        for name, array, shape, dtype in (
            ("moments", self.moments, (self.optimizer.n_states, theta.size), theta.dtype),
            ("steps", self.steps, (1,), INT64),
        ):
            if not isinstance(array, np.ndarray):
                raise TypeError(f"optimizer_state: expected {name} to be an array, got {array!r:.100}")
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(
                    f"optimizer_state: expected {name} of shape {shape} and dtype {dtype}, "
                    f"got {array.shape} and {array.dtype}; set it to None to begin afresh"
                )
            if not array.flags.carray:
                raise ValueError(
                    f"optimizer_state: expected {name} to be writeable, aligned and in C order, got other memory"
                )


class Rates(NamedTuple):
    """The numbers that a step depends on besides the optimizer's settings.

    Attributes
    ----------
    learning_rate : float
        The book's eta.
    l2 : float
        lambda / n, for n training examples: l2 * W is added to the gradient of each weight matrix W.
    clip_norm : float
        The largest Euclidean norm of a gradient. Inf if there is no limit.
    measures_norm : bool
        Whether the step measures the norm of the gradient.
    """

    learning_rate: float
    l2: float = 0.0
    clip_norm: float = math.inf
    measures_norm: bool = False

    @property
    def needs_gradient(self) -> bool:
        """Whether the step must store the whole gradient."""
        return self.measures_norm or self.clip_norm < math.inf
