"""The examples of a training: checked, and copied where that pays. Several networks share what is the same for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_example_weights
from mbbp.engine import Engine
from mbbp.inputs import narrowed
from mbbp.kernels.examples import Examples, Scale
from mbbp.parameters import Array
from mbbp.ranks import Ranks
from mbbp.scaling import Scaling, learn


class Preparation:
    """Prepares examples for networks, and does nothing twice.

    Two networks get the same arrays if their checks are the same. So many networks can be trained on the same data,
    which are looked at once and copied once at most.
    """

    def __init__(self) -> None:
        self._done: dict[Any, Any] = {}
        self._kept: list[Any] = []  # what has a number in a key must not be freed: the number would be given again

    def _once(self, what: str, of: tuple[Any, ...], key: tuple[Any, ...], make: Any) -> Any:
        full = (what, *map(id, of), *key)
        if full not in self._done:
            self._done[full] = make()
            self._kept.extend(of)
        return self._done[full]

    def examples(
        self,
        engine: Engine,
        X: ArrayLike,
        y: ArrayLike,
        names: tuple[str, str] = ("X", "y"),
        example_weights: ArrayLike | None = None,
    ) -> Examples:
        """Return the checked examples as `Engine.examples` does; they have no scaling if it is not learnt yet."""
        is_learnt = engine.scaling_is_learnt
        scaling = engine.scaling if is_learnt else None
        key = (engine.sizes[0], engine.sizes[-1], engine.dtype, engine.is_regression, names, _key(scaling))
        found = self._once(
            "examples", (X, y, engine.cost), key, lambda: engine.examples(X, y, *names, is_scaled=is_learnt)
        )
        weights = as_example_weights("example_weights", example_weights, found.n, engine.dtype, may_be_zeros=True)
        return found._replace(weights=weights, scaling=scaling)

    def learn(self, inputs: Any, chosen: Array, ranks: Ranks | None = None) -> Scaling | None:
        """Return the scaling that gives each feature of the chosen examples of all ranks mean 0 and variance 1."""
        if ranks is not None:
            return learn(inputs, chosen, ranks)
        return self._once("scaling", (inputs,), (chosen.tobytes(),), lambda: learn(inputs, chosen))

    def narrowed(self, examples: Examples, dtype: np.dtype[Any]) -> Examples:
        """Return examples whose inputs are read fast; see `mbbp.inputs.narrowed`.

        The inputs are copied for the first scaling alone. With another one, they are read where they are, to the same
        bits: a copy for each of many scalings could take all the memory.
        """
        made = self._once("narrow", (examples.inputs,), (dtype,), lambda: (narrowed(examples, dtype), examples.scaling))
        copy, scaling = made
        if copy.inputs is examples.inputs or _key(scaling) != _key(examples.scaling):
            return examples
        return examples._replace(inputs=copy.inputs, scaling=copy.scaling)


def _key(scaling: Scale | None) -> Any:
    if scaling is None:
        return None
    return (None if scaling.mean is None else scaling.mean.tobytes(), scaling.factor.tobytes())
