"""Distributions: what the settings of the candidates of a search are drawn from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mbbp.tuning.describing import describe
from mbbp.validation import LARGEST, as_count, as_number, shown

MOST_LAYERS = 10_000  # as in a file of a network


class Distribution(ABC):
    """The base class of all distributions, also of custom ones: a subclass has a `sample`.

    The `repr` of a distribution must tell its settings: a search that goes on compares it. A dataclass has such a one.

    Examples
    --------
    >>> import numpy as np
    >>> from dataclasses import dataclass
    >>> from mbbp.tuning import Distribution
    >>> @dataclass(frozen=True)
    ... class Normal(Distribution):
    ...     mean: float
    ...     deviation: float
    ...
    ...     def sample(self, rng):
    ...         return rng.normal(self.mean, self.deviation)
    >>> Normal(5.0, 0.0).sample(np.random.default_rng(0))
    5.0
    """

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Any:
        """Return a value that is drawn with a generator of random numbers."""


@dataclass(frozen=True)
class _Uniform(Distribution):
    low: float
    high: float

    def __repr__(self) -> str:
        return f"uniform({self.low:.17g}, {self.high:.17g})"

    def sample(self, rng: np.random.Generator) -> float:
        """Return a number from `low` to `high`."""
        # rounding could give a number outside
        return min(max(self.low + rng.random() * (self.high - self.low), self.low), self.high)


@dataclass(frozen=True)
class _LogUniform(_Uniform):
    def __repr__(self) -> str:
        return f"log_{super().__repr__()}"

    def sample(self, rng: np.random.Generator) -> float:
        """Return a number from `low` to `high` whose logarithm is uniform."""
        low, high = math.log(self.low), math.log(self.high)
        return min(max(math.exp(low + rng.random() * (high - low)), self.low), self.high)


@dataclass(frozen=True)
class _Integers(Distribution):
    low: int
    high: int

    def __repr__(self) -> str:
        return f"integers({self.low}, {self.high})"

    def sample(self, rng: np.random.Generator) -> int:
        """Return a whole number from `low` to `high`."""
        return int(rng.integers(self.low, self.high, endpoint=True))


@dataclass(frozen=True)
class _LogIntegers(_Integers):
    def __repr__(self) -> str:
        return f"log_{super().__repr__()}"

    def sample(self, rng: np.random.Generator) -> int:
        """Return a whole number from `low` to `high`, small ones more often."""
        # the number k stands for the interval from k - 1/2 to k + 1/2, so that both ends have their share
        low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
        return min(max(round(math.exp(low + rng.random() * (high - low))), self.low), self.high)


@dataclass(frozen=True)
class _Choice(Distribution):
    options: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"choice({', '.join(map(describe, self.options))})"

    def sample(self, rng: np.random.Generator) -> Any:
        """Return one of the options; of an option that is a distribution, a value drawn from it."""
        chosen = self.options[int(rng.integers(len(self.options)))]
        return chosen.sample(rng) if isinstance(chosen, Distribution) else chosen


@dataclass(frozen=True)
class _Layers(Distribution):
    fewest: int
    most: int
    size: Distribution

    def __repr__(self) -> str:
        return f"layers({self.fewest}, {self.most}, {self.size!r})"

    def sample(self, rng: np.random.Generator) -> list[int]:
        """Return the sizes of from `fewest` to `most` layers."""
        return [self.size.sample(rng) for _ in range(int(rng.integers(self.fewest, self.most, endpoint=True)))]


@dataclass(frozen=True)
class _Built(Distribution):
    kind: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: dict[str, Any]

    def __repr__(self) -> str:
        named = [f"{key}={describe(value)}" for key, value in self.named.items()]
        return f"built({', '.join([describe(self.kind), *map(describe, self.arguments), *named])})"

    def sample(self, rng: np.random.Generator) -> Any:
        """Return what is made of drawn arguments."""

        def drawn(value: Any) -> Any:
            return value.sample(rng) if isinstance(value, Distribution) else value

        arguments = [drawn(value) for value in self.arguments]
        return self.kind(*arguments, **{key: drawn(value) for key, value in self.named.items()})


def uniform(low: float, high: float) -> Distribution:
    """Return a distribution of the numbers from `low` to `high`, each as likely.

    Parameters
    ----------
    low, high : float
        The bounds, low < high.

    Raises
    ------
    ValueError
        If a bound is not finite, or low is not below high.
    TypeError
        If a bound is no number.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> 0.5 <= mbbp.tuning.uniform(0.5, 0.9).sample(np.random.default_rng(0)) <= 0.9
    True
    """
    least, most = as_number("low", low, -math.inf), as_number("high", high, -math.inf)
    _check_order(least, most, low, high)
    if not math.isfinite(most - least):
        raise ValueError(f"high: expected a number whose distance to low float64 can hold, got {shown(high)}")
    return _Uniform(least, most)


def log_uniform(low: float, high: float) -> Distribution:
    """Return a distribution of the numbers from `low` to `high` whose logarithm is uniform.

    It suits what is chosen by its order of magnitude, such as a learning rate.

    Parameters
    ----------
    low, high : float
        The bounds, 0 < low < high.

    Raises
    ------
    ValueError
        If a bound is not finite or not above 0, or low is not below high.
    TypeError
        If a bound is no number.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> rate, rng = mbbp.tuning.log_uniform(0.001, 1.0), np.random.default_rng(0)
    >>> drawn = [rate.sample(rng) for _ in range(3000)]
    >>> 900 < sum(0.01 < one < 0.1 for one in drawn) < 1100  # a third of the orders of magnitude
    True
    """
    least, most = as_number("low", low, positive=True), as_number("high", high, positive=True)
    _check_order(least, most, low, high)
    return _LogUniform(least, most)


def integers(low: int, high: int) -> Distribution:
    """Return a distribution of the whole numbers from `low` to `high`, both included, each as likely.

    Parameters
    ----------
    low, high : int
        The bounds, low <= high.

    Raises
    ------
    ValueError
        If low is above high, or a bound has more than 63 bits.
    TypeError
        If a bound is no whole number.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> mbbp.tuning.integers(1, 3).sample(np.random.default_rng(0)) in (1, 2, 3)
    True
    """
    least, most = as_count("low", low, least=-LARGEST), as_count("high", high, least=-LARGEST)
    _check_order(least, most, low, high, may_be_equal=True)
    return _Integers(least, most)


def log_integers(low: int, high: int) -> Distribution:
    """Return a distribution of the whole numbers from `low` to `high`, whose logarithm is about uniform.

    It suits the size of a layer or of a mini-batch.

    Parameters
    ----------
    low, high : int
        The bounds, both included, 1 <= low <= high.

    Raises
    ------
    ValueError
        If a bound is below 1 or has more than 52 bits, or low is above high.
    TypeError
        If a bound is no whole number.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> 8 <= mbbp.tuning.log_integers(8, 64).sample(np.random.default_rng(0)) <= 64
    True
    """
    least, most = (as_count(name, value, most=2**52) for name, value in (("low", low), ("high", high)))
    _check_order(least, most, low, high, may_be_equal=True)
    return _LogIntegers(least, most)


def choice(*options: Any) -> Distribution:
    """Return a distribution of some values, each as likely.

    Parameters
    ----------
    *options
        The values. Of a value that is a distribution itself, a value of that is drawn.

    Raises
    ------
    ValueError
        If there is no value.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> mbbp.tuning.choice("tanh", "relu").sample(np.random.default_rng(0)) in ("tanh", "relu")
    True
    """
    if not options:
        raise ValueError("options: expected at least one value, got none")
    return _Choice(options)


def layers(fewest: int, most: int, size: Distribution | int) -> Distribution:
    """Return a distribution of the sizes of hidden layers, for the setting "hidden".

    Parameters
    ----------
    fewest, most : int
        The bounds of the number of layers, both included, 0 <= fewest <= most.
    size : Distribution or int
        The size of a layer, which is drawn for each.

    Raises
    ------
    ValueError
        If a bound is out of range.
    TypeError
        If a bound is no whole number, or `size` is neither a distribution nor a whole number.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> drawn = mbbp.tuning.layers(1, 2, mbbp.tuning.log_integers(8, 64)).sample(np.random.default_rng(0))
    >>> len(drawn) in (1, 2)
    True
    """
    least, greatest = (
        as_count(name, value, least=0, most=MOST_LAYERS) for name, value in (("fewest", fewest), ("most", most))
    )
    _check_order(least, greatest, fewest, most, ("fewest", "most"), may_be_equal=True)
    if not isinstance(size, Distribution):
        try:
            number = as_count("size", size)
        except TypeError:
            raise TypeError(f"size: expected a distribution or a whole number, got {shown(size)}") from None
        return _Layers(least, greatest, _Choice((number,)))
    return _Layers(least, greatest, size)


def built(kind: Callable[..., Any], *arguments: Any, **named: Any) -> Distribution:
    """Return a distribution of objects that are made of drawn arguments: optimizers, schedules.

    Parameters
    ----------
    kind : callable
        A class or a function, which makes the object.
    *arguments, **named
        Its arguments: values, or distributions.

    Raises
    ------
    TypeError
        If `kind` cannot be called.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> optimizer = mbbp.tuning.built(mbbp.Momentum, momentum=mbbp.tuning.uniform(0.8, 0.99))
    >>> 0.8 <= optimizer.sample(np.random.default_rng(0)).momentum <= 0.99
    True
    """
    if not callable(kind):
        raise TypeError(f"kind: expected a class or a function, got {shown(kind)}")
    return _Built(kind, arguments, named)


def _check_order(
    least: float, most: float, low: Any, high: Any, names: tuple[str, str] = ("low", "high"), may_be_equal: bool = False
) -> None:
    if least > most or (least == most and not may_be_equal):
        raise ValueError(
            f"{names[0]}: expected {'at most' if may_be_equal else 'less than'} {names[1]}, which is {shown(high)}, "
            f"got {shown(low)}"
        )
