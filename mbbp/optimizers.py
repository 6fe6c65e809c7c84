"""The optimizers by name: how a step follows from a gradient."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mbbp.kernels import codes, updates
from mbbp.parameters import Array
from mbbp.validation import as_number, refuse_unknown


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share.

    Parameters
    ----------
    weight_decay : float
        Decoupled decay: each step also takes the share learning_rate x weight_decay off every weight (not bias).
    """

    weight_decay: float = 0.0

    name: ClassVar[str]
    code: ClassVar[int]
    n_states: ClassVar[int]
    default_learning_rate: ClassVar[float]

    def __post_init__(self) -> None:
        as_number("weight_decay", self.weight_decay)

    def coefficients(self) -> tuple[float, float, float]:
        """Return momentum or beta_1, beta_2, and epsilon, as the kernels take them."""
        return 0.0, 0.0, 0.0

    def start(self, n_parameters: int, dtype: np.dtype[np.floating]) -> tuple[Array, Array]:
        """Return the state before the first step: zeros (n_states, n_parameters), and the count of steps (1,)."""
        return np.zeros((self.n_states, n_parameters), dtype), np.zeros(1, np.int64)

    def compiled(
        self, learning_rate: float, l2: float, clip_norm: float | None, state: Array, steps: Array
    ) -> updates.Optimizer:
        """Return the optimizer as the kernels see it."""
        # A setting may be given as an int, and the kernels would be compiled anew for that.
        first, second, epsilon = (float(number) for number in self.coefficients())
        limit = math.inf if clip_norm is None else float(clip_norm)
        rates = float(learning_rate), float(l2), float(self.weight_decay)
        return updates.Optimizer(self.code, first, second, epsilon, *rates, limit, state, steps)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: theta = theta - eta grad C.

    Parameters
    ----------
    weight_decay : float
        Decoupled decay of the weights.
    """

    name = "sgd"
    code = codes.SGD
    n_states = 0
    default_learning_rate = 0.1


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a velocity: v = mu v - eta grad C; theta = theta + v.

    Parameters
    ----------
    weight_decay : float
        Decoupled decay of the weights.
    momentum : float
        mu, from 0 to below 1.
    """

    momentum: float = 0.9

    name = "momentum"
    code = codes.MOMENTUM
    n_states = 1
    default_learning_rate = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("momentum", self.momentum, below=1.0)

    def coefficients(self) -> tuple[float, float, float]:
        """Return the momentum."""
        return self.momentum, 0.0, 0.0


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum that looks ahead: v = mu v - eta grad C; theta = theta + mu v - eta grad C.

    Parameters
    ----------
    weight_decay : float
        Decoupled decay of the weights.
    momentum : float
        mu, from 0 to below 1.
    """

    name = "nesterov"
    code = codes.NESTEROV


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): each parameter's step is scaled by running moments of its gradient.

    Parameters
    ----------
    weight_decay : float
        Decoupled decay of the weights.
    beta1, beta2 : float
        How much of the running moments is kept at each step, from 0 to below 1.
    epsilon : float
        Added to the root of the second moment, above 0.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    name = "adam"
    code = codes.ADAM
    n_states = 2
    default_learning_rate = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("beta1", self.beta1, below=1.0)
        as_number("beta2", self.beta2, below=1.0)
        as_number("epsilon", self.epsilon, positive=True)

    def coefficients(self) -> tuple[float, float, float]:
        """Return the betas and epsilon."""
        return self.beta1, self.beta2, self.epsilon


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    weight_decay : float
        Decoupled decay of the weights.
    beta1, beta2, epsilon : float
        As for Adam.
    """

    weight_decay: float = 0.01

    name = "adamw"


OPTIMIZERS: dict[str, Optimizer] = {one.name: one() for one in (SGD, Momentum, Nesterov, Adam, AdamW)}


def get_optimizer(optimizer: str | Optimizer, weight_decay: float | None = None) -> Optimizer:
    """Return the optimizer of this name, or the one given, with its weight decay set if one is given.

    Raises
    ------
    ValueError
        If no optimizer has this name, or the decay is out of range.
    TypeError
        If it is neither a name nor an Optimizer.
    """
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            refuse_unknown("optimizer", optimizer, OPTIMIZERS)
        optimizer = OPTIMIZERS[optimizer]
    elif not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: a name or an mbbp optimizer is wanted, got {optimizer!r}")
    return optimizer if weight_decay is None else replace(optimizer, weight_decay=weight_decay)
