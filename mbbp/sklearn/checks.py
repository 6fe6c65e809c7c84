"""Checks of parameters that scikit-learn's constraints of single parameters cannot tell."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring


def hidden_sizes(given: Any) -> list[int]:
    """Return the sizes of the hidden layers.

    Raises
    ------
    ValueError
        If one is not above 0.
    TypeError
        If one is not a whole number.
    """
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if any(isinstance(size, bool | np.bool_) or not hasattr(size, "__index__") for size in sizes):
        raise TypeError(f"hidden_layer_sizes: expected whole numbers, got {sizes}")
    return [operator.index(size) for size in sizes]


def check_new_parameters(mlp: Any, eval_set: Any) -> None:
    """Check the parameters that scikit-learn does not have, as far as they depend on each other.

    Raises
    ------
    ValueError
        If one is unknown, or does not go with the solver.
    """
    if mlp.scoring is not None:
        check_scoring(mlp, mlp.scoring)
    for callback in mlp.callbacks if isinstance(mlp.callbacks, list | tuple) else ():
        if not callable(callback):
            raise ValueError(f"callbacks: expected functions, got {callback!r}")
    if not mlp._is_stochastic:
        for name, is_used in (
            ("dropout", np.any(mlp.dropout)),
            ("clip_norm", mlp.clip_norm is not None),
            ("learning_rate", callable(mlp.learning_rate)),
        ):
            if is_used:
                raise ValueError(
                    f"{name}: expected its default for the solver {mlp.solver}, which does not use it, got "
                    f"{getattr(mlp, name)!r}"
                )
    if eval_set is not None and not (isinstance(eval_set, tuple | list) and len(eval_set) == 2):
        raise ValueError(f"eval_set: expected a pair (X, y), got {type(eval_set).__name__}")
