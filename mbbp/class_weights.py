"""Factors for the classes, which multiply the example weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mbbp.arrays import as_example_weights
from mbbp.parameters import Array
from mbbp.validation import as_number

ClassWeights = Mapping[int, float] | Sequence[float] | str | None
BALANCED = "balanced"


def is_balanced(class_weights: ClassWeights) -> bool:
    """Return whether all classes are to have the same total weight."""
    return isinstance(class_weights, str) and class_weights == BALANCED


def balanced(counts: Array) -> list[float]:
    """Return the factors that give all classes the same total weight, for the number of examples of each class."""
    factors: Array = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return factors.tolist()


def as_factors(class_weights: ClassWeights, n_classes: int) -> Array:
    """Return a factor for each class, in float64.

    Raises
    ------
    ValueError
        If a label or a factor is out of range, or the number of factors is wrong.
    TypeError
        If a factor is no number.
    """
    if isinstance(class_weights, str):
        raise ValueError(f"class_weights: expected 'balanced' or a weight for each class, got {class_weights!r}")
    if isinstance(class_weights, Mapping):
        factors = np.ones(n_classes)
        for label, factor in class_weights.items():
            if label not in range(n_classes):
                raise ValueError(f"class_weights: expected labels from 0 to {n_classes - 1}, got {label!r}")
            factors[int(label)] = as_number(f"class_weights[{label}]", factor)
        return factors
    return as_example_weights("class_weights", class_weights, n_classes, np.dtype(np.float64))


def weigh(factors: Array, labels: Array, weights: Array, dtype: np.dtype[Any]) -> Array:
    """Return the factor of each example: its weight, if there are any, times the factor of its class.

    All of them may be 0: only some of the examples are trained on, and other ranks have more.

    Raises
    ------
    ValueError
        If one is too large for the dtype.
    """
    products = factors[labels] * (weights if weights.size else 1.0)
    return as_example_weights("class_weights", products, labels.size, dtype, may_be_zeros=True)
