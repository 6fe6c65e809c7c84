"""How a network scales its inputs: not at all, by a factor, or to mean 0 and variance 1 by feature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_numeric_array, read_only
from mbbp.parameters import Array

STANDARDIZE: Final = "standardize"
NUMBERS_AT_ONCE = 1 << 14  # while a scaling is learnt: they stay in the nearest caches

AnyScaling = float | Literal["standardize"] | None  # what `Network` takes, besides a `Scaling`


@dataclass(frozen=True, eq=False)
class Scaling:
    """A scaling of inputs: the network computes with (x - mean) * factor.

    Parameters
    ----------
    mean : float or array_like of shape (n_in,)
        What is subtracted, one number for all features or one for each.
    factor : float or array_like of shape (n_in,)
        What the difference is multiplied by.

    Attributes
    ----------
    mean : ndarray of shape (n_in,), or None
        None if nothing is subtracted.
    factor : ndarray of shape (1,) or (n_in,)

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If an argument has another shape or holds NaN or inf, or if a factor is 0.

    Examples
    --------
    >>> import mbbp
    >>> X = [[0, 100, 200], [1, 1, 1]]  # two features, three examples
    >>> mbbp.Scaling.learn(X)
    Scaling(mean=[100, 1], factor=[0.0122474, 1])
    >>> mbbp.Scaling.learn(X).apply(X).round(3).tolist()
    [[-1.225, 0.0, 1.225], [0.0, 0.0, 0.0]]
    >>> mbbp.Scaling(factor=1 / 255)
    Scaling(factor=0.00392157)
    """

    mean: Any = 0.0
    factor: Any = 1.0

    def __post_init__(self) -> None:
        mean, factor = _as_vector("mean", self.mean), _as_vector("factor", self.factor)
        if not factor.all():
            raise ValueError("factor: expected numbers other than 0, got 0")
        if mean.size > 1 and factor.size > 1 and mean.size != factor.size:
            raise ValueError(f"factor: expected 1 or {mean.size} numbers, as many as means, got {factor.size}")
        object.__setattr__(self, "mean", read_only(mean) if mean.any() or mean.size > 1 else None)
        object.__setattr__(self, "factor", read_only(factor))

    @classmethod
    def learn(cls, X: ArrayLike) -> Scaling:
        """Return the scaling that gives each feature of X the mean 0 and the variance 1.

        A feature that is constant in X becomes 0.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.

        Returns
        -------
        Scaling

        Raises
        ------
        TypeError
            If X does not hold real numbers.
        ValueError
            If X is not a matrix with at least one row and one column, or holds NaN or inf.
        """
        array = as_numeric_array("X", X)
        if array.ndim != 2 or not array.size:
            raise ValueError(f"X: expected a matrix with one example per column, got shape {array.shape}")
        scaling = learn(array.T, np.arange(array.shape[1]))
        if scaling is None:
            raise ValueError("X: expected finite numbers, got NaN, inf, or numbers too large to square")
        return scaling

    def apply(self, X: ArrayLike) -> Array:
        """Return (X - mean) * factor, in float64, for X of shape (n_in, m).

        Raises
        ------
        TypeError
            If X does not hold real numbers.
        ValueError
            If X is not a matrix with as many rows as the scaling has features.
        """
        mean, factor = self._columns_for(X)
        scaled: Array = (as_numeric_array("X", X) - mean) * factor
        return scaled

    def undo(self, X: ArrayLike) -> Array:
        """Return X / factor + mean, in float64, for X of shape (n_in, m): what was scaled, as it was before.

        Raises
        ------
        TypeError
            If X does not hold real numbers.
        ValueError
            If X is not a matrix with as many rows as the scaling has features.
        """
        mean, factor = self._columns_for(X)
        unscaled: Array = as_numeric_array("X", X) / factor + mean
        return unscaled

    def _columns_for(self, X: ArrayLike) -> tuple[Array, Array]:
        shape, n = as_numeric_array("X", X).shape, self.n_features
        if len(shape) != 2 or n not in (1, shape[0]):
            raise ValueError(f"X: expected shape ({'n_in' if n == 1 else n}, m), got {shape}")
        mean = np.zeros(1) if self.mean is None else self.mean
        return mean.reshape(-1, 1), self.factor.reshape(-1, 1)

    @property
    def n_features(self) -> int:
        """For how many features there are numbers; 1 if they are for all features."""
        return max(self.factor.size, 1 if self.mean is None else self.mean.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scaling) and all(
            np.array_equal(np.asarray(a if a is not None else 0.0), np.asarray(b if b is not None else 0.0))
            for a, b in ((self.mean, other.mean), (self.factor, other.factor))
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return Scaling, (0.0 if self.mean is None else self.mean, self.factor)

    def __repr__(self) -> str:
        mean = "" if self.mean is None else f"mean={_text(self.mean)}, "
        return f"Scaling({mean}factor={_text(self.factor)})"


def _as_vector(argument: str, value: ArrayLike) -> Array:
    array = as_numeric_array(argument, value)
    if array.ndim > 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{argument}: expected one finite number, or one for each feature, got {value!r}")
    return array.astype(np.float64).reshape(-1)


def _text(vector: Array) -> str:
    shown = [f"{value:g}" for value in vector[:3]] + (["..."] if vector.size > 3 else [])
    return shown[0] if vector.size == 1 else f"[{', '.join(shown)}]"


class Shared(Protocol):
    """The processes that have the rows of one set of inputs together."""

    def total(self, values: Any) -> Any:
        """Return the sum of an array over all processes."""

    def first(self, value: Any) -> Any:
        """Return the value that the first process has."""


def learn(inputs: Array, chosen: Array, shared: Shared | None = None) -> Scaling | None:
    """Return the scaling to mean 0 and variance 1 over the chosen rows of inputs (n, n_in), or None if it overflows.

    With `shared`, the rows are those of all processes together.
    """
    n, n_in = chosen.size, inputs.shape[1]
    n_in_all = n if shared is None else int(shared.total(n))
    step = max(1, NUMBERS_AT_ONCE // n_in)
    takes_all = n == len(inputs) and np.array_equal(chosen, np.arange(n))
    starts = range(0, n, step)
    buffer = np.empty((min(step, n), n_in))

    def rows_from(start: int) -> Array:
        rows = buffer[: min(step, n - start)]
        rows[...] = inputs[start : start + step] if takes_all else inputs[chosen[start : start + step]]
        return rows

    first = inputs[chosen[0]].astype(np.float64)
    if shared is not None:
        first = shared.first(first)
    maybe_constant, total, squares = np.arange(n_in), np.zeros(n_in), np.zeros(n_in)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in starts:
            rows = rows_from(start)
            if maybe_constant.size:
                maybe_constant = maybe_constant[(rows[:, maybe_constant] == first[maybe_constant]).all(axis=0)]
            total += rows.sum(axis=0)
        is_constant = np.zeros(n_in, bool)
        is_constant[maybe_constant] = True
        if shared is not None:
            is_constant, total = shared.total(~is_constant) == 0, shared.total(total)
        # The mean of a constant feature is set to that constant. Else a rounding error would be left, and the division
        # by the standard deviation would make it as large as a real feature.
        mean = np.where(is_constant, first, total / n_in_all)
        for start in starts:
            rows = rows_from(start)
            rows -= mean
            squares += np.square(rows, out=rows).sum(axis=0)
        if shared is not None:
            squares = shared.total(squares)
        variance = squares / n_in_all
    if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        return None
    deviation = np.sqrt(variance)
    is_constant |= deviation == 0
    return Scaling(mean, 1 / np.where(is_constant, 1, deviation))


def get_scaling(argument: str, scaling: AnyScaling | Scaling, n_in: int) -> Scaling | str | None:
    """Return the scaling of a network with n_in inputs; "standardize" is learnt later, from the training data.

    Raises
    ------
    TypeError
        If it is neither None, a number, "standardize" nor a Scaling.
    ValueError
        If the word is another one, the number is 0, NaN or inf, or the Scaling is for another number of features.
    """
    expected = f"{argument}: expected None, a number, 'standardize' or an mbbp.Scaling, got"
    if isinstance(scaling, Scaling):
        if scaling.n_features not in (1, n_in):
            raise ValueError(f"{argument}: expected a Scaling of {n_in} features, got one of {scaling.n_features}")
        return scaling
    if isinstance(scaling, str):
        if scaling != STANDARDIZE:
            raise ValueError(f"{expected} {scaling!r}")
        return scaling
    if scaling is None:
        return None
    if isinstance(scaling, bool | np.bool_ | bytes):
        raise TypeError(f"{expected} {scaling!r}")
    try:
        factor = float(scaling)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{expected} {scaling!r}") from None
    if not math.isfinite(factor) or factor == 0:
        raise ValueError(f"{argument}: expected a finite number other than 0, got {scaling!r}")
    return None if factor == 1 else Scaling(factor=factor)


def check_representable(argument: str, scaling: Scaling | str | None, dtype: np.dtype[Any]) -> None:
    """Check that a network's dtype can hold the numbers of a scaling.

    Raises
    ------
    ValueError
        If a mean or a factor becomes inf, or a factor becomes 0.
    """
    if not isinstance(scaling, Scaling):
        return
    with np.errstate(over="ignore", under="ignore"):
        mean = np.zeros(1) if scaling.mean is None else scaling.mean.astype(dtype)
        factor = scaling.factor.astype(dtype)
    if not (np.isfinite(mean).all() and np.isfinite(factor).all() and factor.all()):
        raise ValueError(
            f"{argument}: expected means and factors that {dtype} can hold, got {scaling}; use dtype='float64'"
        )
