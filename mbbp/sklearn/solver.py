"""The stochastic solvers: scikit-learn's sgd and adam, and those of mbbp, with their learning rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mbbp.kernels.updates import Step
from mbbp.optimizer_state import Rates
from mbbp.optimizers import AdamEpsilonHat, AdamW, Momentum, Nesterov, Optimizer, RMSprop
from mbbp.parameters import Array
from mbbp.schedules import get_schedule
from mbbp.validation import as_number

STOCHASTIC = ("sgd", "adam", "adamw", "rmsprop")
SMALLEST_RATE = 1e-6  # an adaptive learning rate below this ends the training


@dataclass(frozen=True)
class _Momentum(Momentum):
    def __post_init__(self) -> None:
        """Check nothing: scikit-learn has, and allows a momentum of 1."""


@dataclass(frozen=True)
class _Nesterov(Nesterov):
    def __post_init__(self) -> None:
        """Check nothing: scikit-learn has, and allows a momentum of 1."""


@dataclass(frozen=True)
class _Adam(AdamEpsilonHat):
    def __post_init__(self) -> None:
        """Check nothing: scikit-learn has, and allows a beta of 1."""


def optimizer_of(mlp: Any) -> Optimizer:
    """Return the optimizer for the parameters of an estimator."""
    if isinstance(mlp.solver, Optimizer):
        return mlp.solver
    if mlp.solver == "sgd":
        return (_Nesterov if mlp.nesterovs_momentum else _Momentum)(momentum=float(mlp.momentum))
    betas = {"beta1": float(mlp.beta_1), "beta2": float(mlp.beta_2), "epsilon": float(mlp.epsilon)}
    if mlp.solver == "adamw":
        return AdamW(weight_decay=float(mlp.alpha), **betas)
    if mlp.solver == "rmsprop":
        return RMSprop(rho=float(mlp.beta_2), epsilon=float(mlp.epsilon))
    return _Adam(**betas)


class Curves:
    """What a schedule reads of the training so far."""

    def __init__(self, mlp: Any) -> None:
        self._mlp = mlp

    def gains(self, monitor: str) -> list[float]:
        """Return a curve as numbers of which the largest is the best.

        Raises
        ------
        ValueError
            If a schedule asks for a score, and there is none.
        """
        if not monitor.startswith("validation"):
            return [-loss for loss in self._mlp.loss_curve_]
        if self._mlp.validation_scores_ is None:
            raise ValueError(f"learning_rate: expected early_stopping=True for the monitor {monitor}, got False")
        return list(self._mlp.validation_scores_)


class StochasticSolver:
    """An optimizer with its state and its learning rate, from one epoch to the next and one `partial_fit` to the next.

    Parameters
    ----------
    mlp : estimator
        Its parameters are those of the solver.
    theta : ndarray of shape (n_parameters,)
        The parameters to change.

    Attributes
    ----------
    learning_rate : float
        The learning rate of the next step.
    """

    def __init__(self, mlp: Any, theta: Array) -> None:
        self._optimizer = optimizer_of(mlp)
        self._optimizer.compile(theta.dtype)
        self._state = self._optimizer.start(theta.size, theta.dtype)
        self._initial, self._kind, self._power = float(mlp.learning_rate_init), mlp.learning_rate, mlp.power_t
        # as in scikit-learn, the learning rates that depend on the training are those of sgd
        if mlp.solver != "sgd" and not callable(self._kind):
            self._kind = "constant"
        self._clip_norm = math.inf if mlp.clip_norm is None else float(mlp.clip_norm)
        self.learning_rate = self._initial

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._state = self._state.copy()  # joblib may give memory that cannot be written to, copy.copy the same memory

    def fits(self, theta: Array) -> bool:
        """Return whether the state is one for these parameters."""
        return self._state.moments.shape[1] == theta.size and (
            self._optimizer.n_states == 0 or self._state.moments.dtype == theta.dtype
        )

    def begin_epoch(self, number: int, curves: Curves) -> None:
        """Set the learning rate of an epoch if a schedule decides about it.

        Raises
        ------
        ValueError
            If the schedule returns no number from 0.
        """
        if callable(self._kind):
            rate = get_schedule(self._kind)(number, curves)
            self.learning_rate = as_number(f"learning_rate of epoch {number}", rate)

    def step(self, theta: Array, gradient: Array) -> Step:
        """Return the record of a step for the kernels."""
        rates = Rates(self.learning_rate, clip_norm=self._clip_norm)
        # not the optimizer's own form of it, which may not store the gradient: L2 is added to it afterwards
        return Optimizer.step(self._optimizer, theta, gradient, self._state, rates)

    def end_epoch(self, t: int) -> None:
        """Set the learning rate after `t` samples."""
        if self._kind == "invscaling":
            self.learning_rate = self._initial / (t + 1) ** self._power

    def stops(self, message: str, verbose: bool) -> bool:
        """Return whether to stop, now that the training has not improved; if not, the learning rate becomes smaller."""
        if self._kind == "adaptive" and self.learning_rate > SMALLEST_RATE:
            self.learning_rate /= 5.0
            ending, is_over = f" Setting learning rate to {self.learning_rate:f}", False
        else:
            ending, is_over = " Learning rate too small. Stopping." if self._kind == "adaptive" else " Stopping.", True
        if verbose:
            print(message + ending)
        return is_over


def check_stochastic(mlp: Any) -> bool:
    """Return True, or say why there is no `partial_fit`.

    Raises
    ------
    AttributeError
        If the solver is L-BFGS.
    """
    if not mlp._is_stochastic:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {mlp.solver} is not stochastic."
        )
    return True
