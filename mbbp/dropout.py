"""Dropout as the caller asks for it, checked."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from mbbp.validation import as_number, shown

MOST_SEED = 2**32 - 1


class Dropout(NamedTuple):
    """Which share of the neurons each step of training drops.

    The masks depend on how many steps the state of the optimizer has counted. So a training that goes on with this
    state meets new masks, and a new trainer, or a `fit` with another optimizer, the same ones again.

    Attributes
    ----------
    rates : tuple of float
        For each computing layer, the probability that an input of it is dropped: first the inputs of the network, then
        the neurons of each hidden layer.
    seed : int
        The masks depend on it, 32 bits.
    """

    rates: tuple[float, ...]
    seed: int


def as_rates(argument: str, value: Any, n_layers: int) -> tuple[float, ...] | None:
    """Return a probability for the inputs of each of the computing layers, given a number, a sequence or None.

    A single number is for all hidden layers, and 0 for the inputs of the network.

    Raises
    ------
    ValueError
        If there are more or fewer numbers than layers, or one is not from 0 to below 1.
    TypeError
        If it is no number and no sequence of numbers.

    Examples
    --------
    >>> as_rates("dropout", 0.5, 3)
    (0.0, 0.5, 0.5)
    """
    if value is None:
        return None
    expected = f"a number, or {n_layers} numbers: for the inputs and for each hidden layer"
    if isinstance(value, str | bytes):
        raise TypeError(f"{argument}: expected {expected}, got {shown(value)}")
    if not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return (0.0, *[as_number(argument, value, below=1.0)] * (n_layers - 1))
    rates = tuple(as_number(f"{argument}[{index}]", rate, below=1.0) for index, rate in enumerate(value))
    if len(rates) != n_layers:
        raise ValueError(f"{argument}: expected {expected}, got {len(rates)} numbers")
    return rates


def draw_seed(rng: np.random.Generator) -> int:
    """Return a seed for the masks. The generator stays as it is: a network has the same weights without dropout."""
    words = copy.deepcopy(rng).integers(1 << 32, size=4)
    return int(np.random.SeedSequence(words.tolist()).generate_state(1)[0])
