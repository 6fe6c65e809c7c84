"""Checks of the arguments of `mbbp.reference`, in NumPy alone: no line is shared with the checks of the engine."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from mbbp.parameters import Array

REAL, COMPLEX = "buif", "buifc"  # the kinds of dtypes
Function = TypeVar("Function", bound=Callable[..., Array])


@runtime_checkable
class NetworkLike(Protocol):
    """The part of a network that this module reads."""

    sizes: Any
    theta: Array

    @property
    def layers(self) -> Any:
        """The computing layers, each with an `activation`, whose NumPy twins are used."""

    @property
    def cost_function(self) -> Any:
        """The cost, whose NumPy twins are used."""

    @property
    def scaling(self) -> Any:
        """How inputs are scaled: None, or with a `mean` and a `factor`."""


def as_network(net: Any) -> Any:
    """Return a network. TypeError if it has not what this module reads."""
    if isinstance(net, type) or not isinstance(net, NetworkLike):
        raise TypeError(f"net: expected an mbbp.Network, got {net!r}")
    return net


def as_numbers(argument: str, value: ArrayLike, kinds: str = REAL) -> Array:
    """Return an array of numbers. Whole numbers and bools become float64, so that no difference can wrap around.

    Raises
    ------
    TypeError
        If it does not hold numbers of these kinds.
    ValueError
        If its rows have different lengths.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: expected rows of equal length, got rows of different lengths") from None
    if array.dtype.kind not in kinds:
        expected = "numbers" if kinds == COMPLEX else "real numbers"
        raise TypeError(f"{argument}: expected {expected}, got dtype {array.dtype}")
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def as_vector(argument: str, value: ArrayLike, n: int, what: str, kinds: str = REAL) -> Array:
    """Return a vector of n numbers, one for each of something. TypeError or ValueError if it is none."""
    vector = as_numbers(argument, value, kinds)
    if vector.shape != (n,):
        raise ValueError(f"{argument}: expected {n} numbers, one for each {what}, got shape {vector.shape}")
    return vector


def as_number(argument: str, value: Any) -> float:
    """Return a finite number. TypeError or ValueError if it is none."""
    number = as_numbers(argument, value)
    if number.ndim != 0 or not np.isfinite(number):
        raise ValueError(f"{argument}: expected a finite number, got {value!r}")
    return float(number)


def as_inputs(argument: str, net: NetworkLike, X: ArrayLike) -> Array:
    """Return inputs (n_in, m) in float64. TypeError or ValueError if they are none."""
    inputs, n_in = as_numbers(argument, X).astype(np.float64), net.sizes[0]
    shape = inputs.shape
    if len(shape) != 2 or shape[0] != n_in or shape[1] == 0:
        hint = f"; for a single example pass {argument}.reshape(-1, 1)" if len(shape) == 1 else ""
        raise ValueError(f"{argument}: expected shape ({n_in}, m) with one example per column, got {shape}{hint}")
    return inputs


def as_columns(argument: str, value: ArrayLike, n: int, m: int) -> Array:
    """Return a matrix (n, m) in float64: one column for each column of X. TypeError or ValueError if it is none."""
    columns = as_numbers(argument, value).astype(np.float64)
    if columns.shape != (n, m):
        raise ValueError(f"{argument}: expected shape ({n}, {m}), one column for each of X, got {columns.shape}")
    return columns


def as_directions(argument: str, net: NetworkLike, value: ArrayLike) -> Array:
    """Return directions (n_in, k) in float64, with k of at least 1. TypeError or ValueError if they are none."""
    directions, n_in = as_numbers(argument, value).astype(np.float64), net.sizes[0]
    shape = directions.shape
    if len(shape) != 2 or shape[0] != n_in or shape[1] == 0:
        raise ValueError(f"{argument}: expected shape ({n_in}, k) with one direction per column, got {shape}")
    return directions


def check_targets(argument: str, net: NetworkLike, Y: ArrayLike, m: int) -> None:
    """Check that targets are m labels, or have the shape (n_L, m). TypeError or ValueError if not."""
    shape = as_labels(argument, Y, net.sizes[-1]).shape
    if shape[-1] != m:
        of = argument.replace("Y", "X").replace("y", "x")
        raise ValueError(f"{argument}: expected one target for each of the {m} columns of {of}, got shape {shape}")


def as_labels(argument: str, Y: ArrayLike, n_outputs: int) -> Array:
    """Return labels (m,), or the matrix (n_outputs, m).

    Raises
    ------
    TypeError
        If it does not hold real numbers, or `n_outputs` is not a whole number.
    ValueError
        If the shape is another one, or a label is not a whole number from 0 to n_outputs - 1.
    """
    if isinstance(n_outputs, bool) or not isinstance(n_outputs, int | np.integer):
        raise TypeError(f"n_outputs: expected a whole number, got {n_outputs!r}")
    if not 1 <= n_outputs < 2**31:
        raise ValueError(f"n_outputs: expected 1 to {2**31 - 1}, got {n_outputs!r}")
    targets = as_numbers(argument, Y)
    if targets.ndim == 2 and targets.shape[0] == n_outputs:
        return targets
    if targets.ndim != 1:
        raise ValueError(f"{argument}: expected labels (m,), or shape ({n_outputs}, m), got shape {targets.shape}")
    largest = max(n_outputs - 1, 1)
    wrong = targets[~((targets >= 0) & (targets <= largest) & (targets == np.floor(targets)))]
    if wrong.size:
        raise ValueError(f"{argument}: expected labels from 0 to {largest}, got {wrong[0]}")
    return targets


def as_mini_batches(mini_batches: Iterable[Sequence[int]], n: int) -> list[Array]:
    """Return the column numbers of each mini-batch. TypeError or ValueError if they are none, or out of range."""
    expected = f"mini_batches: expected sequences of column numbers from 0 to {n - 1}"
    try:
        batches = [np.asarray(list(batch)) for batch in mini_batches]
    except (TypeError, ValueError):
        raise TypeError(f"{expected}, got {type(mini_batches).__name__}") from None
    for batch in batches:
        if batch.ndim != 1 or batch.dtype.kind not in "ui" or batch.min() < 0 or batch.max() >= n:
            raise ValueError(f"{expected}, got {batch.tolist()!r}")
    return batches


def of_arrays(function: Function, least_ndim: int = 0) -> Function:
    """Return the function with a check of its arguments: arrays of numbers, real or complex, and all of one shape.

    Those that are given by name only are single real numbers.
    """
    parameters = inspect.signature(function).parameters
    names = [name for name, one in parameters.items() if one.kind is not one.KEYWORD_ONLY]
    settings = parameters.keys() - names

    @functools.wraps(function)
    def checked(*arguments: ArrayLike, **named: ArrayLike) -> Array:
        numbers = {name: as_number(name, named.pop(name)) for name in settings & named.keys()}
        given = dict(zip(names, arguments, strict=False)) | named
        arrays = {name: as_numbers(name, value, COMPLEX) for name, value in given.items()}
        first = next(iter(arrays.values()), np.empty(0))
        for name, array in arrays.items():
            if array.ndim < least_ndim or (least_ndim and not array.shape[0]):
                raise ValueError(f"{name}: expected columns of at least one number, got shape {array.shape}")
            if array.shape != first.shape:
                raise ValueError(f"{name}: expected the shape of {names[0]}, {first.shape}, got {array.shape}")
        return function(**arrays, **numbers)

    return cast(Function, checked)


def of_columns(function: Function) -> Function:
    """Return a function that works down each column with a check of its arguments, as `of_arrays` does."""
    return of_arrays(function, least_ndim=1)
