"""The optimizers, built-in and custom: how a step changes the parameters, given the gradient.

To add an optimizer, write a class with an `update`, as `Adagrad` does. The other optimizers have kernels in
`mbbp.kernels.updates`, whose compiled code is cached on disk. For SGD and Momentum, the backward pass does the update
if it can.
"""

from __future__ import annotations

import contextlib
import functools
import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from mbbp.custom import compile_all
from mbbp.kernels import updates
from mbbp.kernels.lowlevel.kernel import Kernel
from mbbp.optimizer_state import OptimizerState, Rates
from mbbp.parameters import Array
from mbbp.validation import as_number


@dataclass(frozen=True)
class Optimizer:
    """The base class of all optimizers, also of custom ones.

    A subclass is a frozen dataclass. Its fields are its settings, which are numbers. It has a static method `update`,
    which computes the change of one parameter. Numba compiles it, and the loop over the parameters is vectorised:

        update(gradient, *states, *coefficients) -> change of the parameter, *new states

    Without states, it returns only the change. The coefficients are the learning rate and the settings. If `update`
    needs other numbers, which are the same for all parameters, the subclass also has a static method that computes them
    once per step. The first step has the number 1:

        coefficients(learning_rate, step, *settings) -> tuple of numbers

    The gradient already contains the L2 term. Decoupled weight decay is applied in addition to the change.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay: each step also subtracts learning_rate * weight_decay * W from each weight matrix W.

    Attributes
    ----------
    name : str
        Its name in tables.
    n_states : int
        The number of states of each parameter: 0, 1 or 2. They start at zero.
    default_learning_rate : float
        The learning rate if the user gives none.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import math, mbbp
    >>> @dataclass(frozen=True)
    ... class Sign(mbbp.Optimizer):
    ...     momentum: float = 0.9
    ...     name, n_states, default_learning_rate = "sign", 1, 0.001
    ...
    ...     @staticmethod
    ...     def update(gradient, mean, learning_rate, momentum):
    ...         mean = momentum * mean + (1.0 - momentum) * gradient
    ...         return -learning_rate * math.copysign(1.0, mean), mean
    >>> data = mbbp.datasets.load_digits()
    >>> net = mbbp.Network([64, 10], scaling=data.scaling, rng=0)
    >>> history = net.fit(data.x_train, data.y_train, epochs=3, optimizer=Sign())
    """

    weight_decay: float = 0.0

    name: ClassVar[str] = ""
    n_states: ClassVar[int] = 0
    default_learning_rate: ClassVar[float] = 0.01
    _written_out: ClassVar[Kernel | None] = None  # its kernel in mbbp.kernels.updates, if there is one

    def __post_init__(self) -> None:
        as_number("weight_decay", self.weight_decay)
        kind: Any = type(self)
        for field in fields(kind):  # so that it equals the optimizer that a file gives back
            value = getattr(self, field.name)
            if not isinstance(value, int | float):
                with contextlib.suppress(TypeError, ValueError):  # the checks of the subclass tell what is wrong
                    object.__setattr__(self, field.name, as_number(field.name, value, least=-math.inf))

    @staticmethod
    def update(*numbers: Any) -> Any:
        """Return the change of one parameter and its new states."""
        raise TypeError("optimizer: expected a subclass of mbbp.Optimizer with an update function")

    @staticmethod
    def coefficients(learning_rate, step, *settings):  # type: ignore[no-untyped-def]
        """Return what `update` takes after the states."""
        return (learning_rate, *settings)

    @property
    def settings(self) -> Array:
        """The settings in the order of the fields, without the weight decay."""
        kind: Any = type(self)
        names = _setting_names(kind)
        try:
            return np.array([float(getattr(self, name)) for name in names], np.float64)
        except (TypeError, ValueError):
            given = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
            raise TypeError(f"optimizer: expected numbers as the settings of {self.name!r}, got {given}") from None

    def start(self, n_parameters: int, dtype: np.dtype[np.floating]) -> OptimizerState:
        """Return the state before the first step: all zeros."""
        return OptimizerState(self, np.zeros((self.n_states, n_parameters), dtype), np.zeros(1, np.int64))

    def kernel(self) -> Kernel:
        """Return the kernel that updates the parameters from the gradient."""
        if self._written_out is not None and not self._has_custom_update:
            return self._written_out
        kind: Any = type(self)
        return _custom_kernel(kind, self.settings.size)

    @property
    def _has_custom_update(self) -> bool:
        return type(self).update is not Optimizer.update

    def compile(self, dtype: np.dtype[Any]) -> None:
        """Compile its kernel, so that a fault in a custom `update` is found before anything has changed.

        Raises
        ------
        TypeError
            If there is no `update`, or Numba cannot compile it.
        ValueError
            If `n_states` is not 0, 1 or 2.
        """
        has_custom_coefficients = type(self).coefficients is not Optimizer.coefficients
        if not self._has_custom_update and (self._written_out is None or has_custom_coefficients):
            raise TypeError(f"optimizer: expected a class with an update function, got {type(self).__name__}")
        names = ", ".join(["a gradient", f"{self.n_states} states", "the coefficients"])
        kernel = self.kernel()  # and its settings are checked
        if self._has_custom_update:
            compile_all(f"optimizer {self.name!r}", [("update", kernel)], names, dtype)

    def step(self, theta: Array, gradient: Array, state: OptimizerState, rates: Rates) -> updates.Step:
        """Return the record of a step for the kernels.

        Parameters
        ----------
        theta, gradient : ndarray of shape (n_parameters,)
            The parameters, and memory for their gradient.
        state : OptimizerState
            The state, which the step changes.
        rates : Rates
            The learning rate and the other numbers of the step.
        """
        return self._step(theta, state, rates, target=gradient, kernel=self.kernel(), is_gradient=True)

    def _step(
        self,
        theta: Array,
        state: OptimizerState,
        rates: Rates,
        *,
        target: Array,
        kernel: Kernel | None,
        beta: float = 0.0,
        beta_of_biases: float = 0.0,
        alpha: float = 1.0,
        is_gradient: bool = False,
    ) -> updates.Step:
        state.check_fits(theta)
        if target.shape != theta.shape:
            raise ValueError(f"gradient: expected shape {theta.shape}, got {target.shape}")
        return updates.Step(
            target=target,
            is_gradient=int(is_gradient),
            beta=beta,
            beta_of_biases=beta_of_biases,
            alpha=alpha,
            update=kernel.address(theta.dtype) if kernel is not None else 0,
            state=state.moments.reshape(-1),
            settings=self.settings,
            steps=state.steps,
            learning_rate=float(rates.learning_rate),
            l2=float(rates.l2),
            weight_decay=float(self.weight_decay),
            clip_norm=float(rates.clip_norm),
            measures_norm=int(rates.measures_norm),
        )


@functools.cache
def _setting_names(kind: Any) -> list[str]:
    return [one.name for one in fields(kind) if one.name != "weight_decay"]


@functools.cache
def _custom_kernel(kind: type[Optimizer], n_settings: int) -> Kernel:
    return updates.custom(kind.update, kind.coefficients, kind.n_states, n_settings)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: theta = theta - eta grad C.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    """

    name = "sgd"
    default_learning_rate = 0.1
    _written_out = updates.sgd

    def step(self, theta: Array, gradient: Array, state: OptimizerState, rates: Rates) -> updates.Step:
        """Return the record of a step for the kernels. If it can, the backward pass changes the parameters itself."""
        shrinkage = rates.learning_rate * (rates.l2 + self.weight_decay)
        if self._has_custom_update or rates.needs_gradient or not _is_representable(shrinkage, theta.dtype):
            return super().step(theta, gradient, state, rates)
        return self._step(
            theta,
            state,
            rates,
            target=theta,
            kernel=None,
            beta=1.0 - shrinkage,
            beta_of_biases=1.0,
            alpha=-rates.learning_rate,
        )


def _is_representable(shrinkage: float, dtype: np.dtype[Any]) -> bool:
    """Return whether the factor 1 - shrinkage, rounded to a dtype, holds the shrinkage to 1 percent.

    In float32, 1 - 1e-9 is rounded to 1. Weights that are multiplied by it would never decay.
    """
    return bool(abs(1.0 - float(dtype.type(1.0 - shrinkage)) - shrinkage) <= 0.01 * shrinkage)


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a velocity (the book's ch. 3): v = mu v - eta grad C; theta = theta + v.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    momentum : float
        mu, at least 0 and below 1.

    Notes
    -----
    As in the book, the velocity contains the learning rate. So if the learning rate falls, the velocity still contains
    earlier steps with larger learning rates. PyTorch multiplies the velocity by the learning rate of the current step
    instead.
    """

    momentum: float = 0.9

    name = "momentum"
    n_states = 1
    default_learning_rate = 0.02
    _written_out = updates.momentum

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("momentum", self.momentum, below=1.0)

    def step(self, theta: Array, gradient: Array, state: OptimizerState, rates: Rates) -> updates.Step:
        """Return the record of a step for the kernels. If it can, the backward pass changes the velocities itself."""
        if self._has_custom_update or rates.needs_gradient or rates.l2 != 0:
            return super().step(theta, gradient, state, rates)
        return self._step(
            theta,
            state,
            rates,
            target=state.moments.reshape(-1),
            kernel=updates.move,
            beta=self.momentum,
            beta_of_biases=self.momentum,
            alpha=-rates.learning_rate,
        )


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Nesterov's accelerated gradient: v = mu v - eta grad C; theta = theta + mu v - eta grad C.

    The form is that of Bengio, Boulanger-Lewandowski and Pascanu 2013, *Advances in optimizing recurrent networks*.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    momentum : float
        mu, at least 0 and below 1.
    """

    name = "nesterov"
    _written_out = updates.nesterov

    def step(self, theta: Array, gradient: Array, state: OptimizerState, rates: Rates) -> updates.Step:
        """Return the record of a step for the kernels."""
        return Optimizer.step(self, theta, gradient, state, rates)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): the step of each parameter is scaled by running moments of its gradient.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    beta1, beta2 : float
        The decay rates of the first and the second moment, at least 0 and below 1.
    epsilon : float
        A number above 0, which is added to the square root of the second moment.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    name = "adam"
    n_states = 2
    default_learning_rate = 0.001
    _written_out = updates.adam

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("beta1", self.beta1, below=1.0)
        as_number("beta2", self.beta2, below=1.0)
        as_number("epsilon", self.epsilon, positive=True)


@dataclass(frozen=True)
class AdamEpsilonHat(Adam):
    """Adam as scikit-learn and TensorFlow have it: epsilon is added before the bias of the second moment is corrected.

    Kingma and Ba 2015, the end of section 2, call this epsilon with a hat. After t steps it acts as an epsilon that is
    larger by 1 / sqrt(1 - beta2^t).

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    beta1, beta2, epsilon : float
        As for Adam.
    """

    name = "adam_epsilon_hat"
    _written_out = updates.adam_epsilon_hat


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    beta1, beta2, epsilon : float
        As for Adam.
    """

    weight_decay: float = 0.01

    name = "adamw"


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): the gradient, divided by the square root of the running mean of its square.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    rho : float
        The decay rate of the running mean, at least 0 and below 1.
    epsilon : float
        A number above 0, which is added to the square root.
    """

    rho: float = 0.99
    epsilon: float = 1e-8

    name = "rmsprop"
    n_states = 1
    default_learning_rate = 0.001
    _written_out = updates.rmsprop

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("rho", self.rho, below=1.0)
        as_number("epsilon", self.epsilon, positive=True)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer 2011): the gradient, divided by the square root of the sum of its squares.

    Parameters
    ----------
    weight_decay : float
        Decoupled weight decay; see `Optimizer`.
    epsilon : float
        A number above 0, which is added to the square root.
    """

    epsilon: float = 1e-10

    name = "adagrad"
    n_states = 1
    default_learning_rate = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        as_number("epsilon", self.epsilon, positive=True)

    @staticmethod
    def update(gradient, total, learning_rate, epsilon):  # type: ignore[no-untyped-def]
        """Return the change of one parameter, and the new sum of the squares of its gradient."""
        total = total + gradient * gradient
        return -learning_rate * gradient / (math.sqrt(total) + epsilon), total
