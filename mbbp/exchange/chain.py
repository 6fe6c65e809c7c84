"""A model of another program as a chain of simple steps, and the network that computes the same.

Every reader of a format says what it finds, step by step: a linear map, a function, a shift, a factor, dropout. What
the steps mean together is decided here, once: which of them scale the inputs, and which belong to a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from mbbp.exchange.plain import PlainLayer
from mbbp.exchange.rebuild import Parts
from mbbp.parameters import Array

SCALE_FREE = ("relu", "leaky_relu", "identity")
"""Functions with f(c z) = c f(z) for c >= 0: dropout before one of them is the same as dropout after it."""


@dataclass(frozen=True)
class Linear:
    """The map x -> W x + b, with W of shape (n_out, n_in) and b of shape (n_out,)."""

    where: str
    W: Array
    b: Array


@dataclass(frozen=True)
class Function:
    """An activation of mbbp, by name."""

    where: str
    name: str


@dataclass(frozen=True)
class Shift:
    """The map x -> x + times v, with one number v or one for each feature.

    `times` is apart, so that a file which names the same numbers a thousand times takes no more memory than once.
    """

    where: str
    v: Array
    times: float = 1.0

    def numbers(self) -> Array:
        """Return what is added."""
        return self.v * self.times


@dataclass(frozen=True)
class Factor:
    """The map x -> x v, with one number v or one for each feature; or x / v."""

    where: str
    v: Array
    divides: bool = False

    def numbers(self) -> Array:
        """Return what is multiplied by."""
        return 1 / self.v if self.divides else self.v


@dataclass(frozen=True)
class Drop:
    """Dropout with a probability."""

    where: str
    rate: float


Step = Linear | Function | Shift | Factor | Drop


MOST_CHANGES = 16
"""How many shifts and factors one layer may take: each of them goes over all its weights."""


def refuse(argument: str, where: str, why: str) -> NoReturn:
    """Raise the error for a part of a model that cannot be converted.

    Raises
    ------
    ValueError
        Always; it names the part and says why.
    """
    raise ValueError(
        f"{argument}: expected a multilayer perceptron that mbbp can compute, got {where:.200}: {why:.600}"
    )


@dataclass
class _Assembly:
    """The layers so far. The last one is open until its function is known."""

    argument: str
    layers: list[PlainLayer] = field(default_factory=list)
    rates: list[float] = field(default_factory=lambda: [0.0])
    mean: Array = field(default_factory=lambda: np.zeros(1))
    factor: Array = field(default_factory=lambda: np.ones(1))
    open: Linear | None = None
    dropped: Drop | None = None  # after an open layer
    changes: int = 0  # shifts and factors since the last linear map

    def linear(self, step: Linear) -> None:
        if self.open is not None:
            self.close("identity", step.where)
        expected = len(self.layers[-1].W) if self.layers else None
        n_in = step.W.shape[1]
        if expected is not None and n_in != expected:
            refuse(self.argument, step.where, f"it takes {n_in} inputs, and the layer before has {expected} outputs")
        if not self.layers and max(self.mean.size, self.factor.size) not in (1, n_in):
            n = max(self.mean.size, self.factor.size)
            refuse(self.argument, step.where, f"it takes {n_in} inputs, and the scaling before has {n}")
        if 0 in step.W.shape:
            refuse(self.argument, step.where, f"its weights have the shape {step.W.shape}")
        self.open, self.changes = step, 0

    def close(self, name: str, where: str) -> None:
        """End the open layer with a function."""
        assert self.open is not None
        if self.dropped is not None and name not in SCALE_FREE:
            refuse(self.argument, self.dropped.where, f"dropout before {name} is not dropout of a layer's outputs")
        self.layers.append(PlainLayer(self.open.W, self.open.b, name))
        self.rates.append(0.0 if self.dropped is None else self.dropped.rate)
        self.open = self.dropped = None

    def function(self, step: Function) -> None:
        if self.open is None:
            before = "before the first layer" if not self.layers else f"after {self.layers[-1].activation}"
            refuse(self.argument, step.where, f"{step.name} {before}; a layer has weights, and then one activation")
        if self.layers and self.layers[-1].activation == "softmax":
            refuse(self.argument, step.where, "softmax is for the output layer alone")
        self.close(step.name, step.where)

    def shift(self, step: Shift) -> None:
        if self.open is not None:
            self._check_size(step.where, step.v)
            W, b = self.open.W, self.open.b
            self.open = Linear(self.open.where, W, (b + step.numbers()).astype(W.dtype))
        elif self.layers:
            refuse(self.argument, step.where, "it shifts the outputs of an activation")
        else:
            self._check_features(step.where, step.v)
            self.mean = self.mean - step.numbers() / self.factor

    def scale(self, step: Factor) -> None:
        if self.open is not None:
            self._check_size(step.where, step.v)
            W, b = self.open.W, self.open.b
            v = np.broadcast_to(step.numbers(), b.shape)
            self.open = Linear(self.open.where, (W * v[:, np.newaxis]).astype(W.dtype), (b * v).astype(W.dtype))
        elif self.layers:
            refuse(self.argument, step.where, "it scales the outputs of an activation")
        else:
            self._check_features(step.where, step.v)
            if not step.v.all():
                refuse(self.argument, step.where, "it multiplies or divides an input by 0")
            self.factor = self.factor * step.numbers()

    def drop(self, step: Drop) -> None:
        if not 0 <= step.rate < 1:
            refuse(self.argument, step.where, f"its probability is {step.rate!r}, and mbbp takes 0 to below 1")
        if self.open is not None and step.rate:
            both = step.rate if self.dropped is None else 1 - (1 - step.rate) * (1 - self.dropped.rate)
            self.dropped = Drop(step.where, both)
        elif step.rate:
            self.rates[-1] = 1 - (1 - self.rates[-1]) * (1 - step.rate) if self.rates[-1] else step.rate

    def _count(self, where: str) -> None:
        self.changes += 1
        if self.changes > MOST_CHANGES:
            refuse(self.argument, where, f"it is one of more than {MOST_CHANGES} shifts and factors in a row")

    def _check_size(self, where: str, v: Array) -> None:
        assert self.open is not None
        self._count(where)
        if v.size not in (1, self.open.b.size):
            refuse(self.argument, where, f"it has {v.size} numbers for {self.open.b.size} neurons")

    def _check_features(self, where: str, v: Array) -> None:
        self._count(where)
        if not np.isfinite(v).all():
            refuse(self.argument, where, "it holds NaN or inf")
        sizes = {1, self.mean.size, self.factor.size, v.size}
        if len(sizes) > 2:
            refuse(self.argument, where, f"it has {v.size} numbers for {max(self.mean.size, self.factor.size)} inputs")


def assemble(argument: str, steps: Iterable[Step]) -> Parts:
    """Return the parts of the network that computes what the steps compute, one after the other.

    Linear maps in a row become layers with the activation identity. Shifts and factors before the first layer become
    the scaling of the inputs; those directly after a linear map become a part of it.

    Raises
    ------
    ValueError
        If there is no such network; the message names the step.
    """
    made = _Assembly(argument)
    actions: dict[type, Callable[[Any], None]] = {
        Linear: made.linear,
        Function: made.function,
        Shift: made.shift,
        Factor: made.scale,
        Drop: made.drop,
    }
    with np.errstate(all="ignore"):  # what overflows is refused as NaN or inf
        for step in steps:
            actions[type(step)](step)
    if made.open is not None:
        made.close("identity", made.open.where)
    if not made.layers:
        raise ValueError(f"{argument}: expected a model with at least one layer of weights, got one without")
    if made.rates[-1]:
        raise ValueError(
            f"{argument}: expected no dropout after the output layer, got a probability of {made.rates[-1]}"
        )
    rates = tuple(made.rates[:-1])
    return Parts(made.layers, made.mean, made.factor, rates if any(rates) else None)


def as_layer(argument: str, where: str, W: Any, b: Any) -> Linear:
    """Return a linear map of arrays W (n_out, n_in) and b (n_out,), or b None for zeros.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the numbers are neither float32 nor float64.
    """
    W = np.asarray(W)
    if W.ndim != 2:
        refuse(argument, where, f"its weights have the shape {W.shape}")
    b = np.zeros(len(W), W.dtype) if b is None else np.asarray(b)
    if W.dtype not in (np.float32, np.float64) or b.dtype != W.dtype:
        refuse(argument, where, f"its numbers are {W.dtype} and {b.dtype}, and mbbp computes in float32 or float64")
    if b.shape != (len(W),):
        refuse(argument, where, f"its biases have the shape {b.shape}, and its weights {W.shape}")
    return Linear(where, W, b)
