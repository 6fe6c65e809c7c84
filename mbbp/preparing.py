"""The examples of a training: checked, and copied where that pays. Several networks share what is the same for them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_example_weights, read_only
from mbbp.class_weights import weigh
from mbbp.engine import Engine
from mbbp.inputs import as_inputs, narrowed
from mbbp.kernels.examples import Examples, Scale
from mbbp.parameters import Array
from mbbp.ranks import Ranks
from mbbp.scaling import Scaling, learn
from mbbp.subsets import split
from mbbp.targets import as_targets


class Preparation:
    """Prepares examples for networks, and does nothing twice.

    Two networks get the same arrays if these are made of the same objects in the same way, whatever their costs are. So
    many networks can be trained on the same data, which are looked at once for each dtype and learnt scaling, and
    copied once at most. Nobody writes to these arrays: a training draws its order into an array of its own.
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
        """Return the checked examples as `Engine.examples` does; they have no scaling if it is not learnt yet.

        Weights may all be 0: which of the examples are trained on is not known here.
        """
        engine.writer.check_readable("examples")
        n_in, n_out, dtype, cost = engine.sizes[0], engine.sizes[-1], engine.dtype, engine.cost
        scaling = engine.scaling if engine.scaling_is_learnt else None
        inputs = self._once(
            "inputs", (X,), (n_in, dtype, names[0], _key(scaling)), lambda: as_inputs(names[0], X, n_in, dtype, scaling)
        )
        n, is_regression = inputs.shape[0], engine.is_regression and n_out == 1
        rows, labels = self._once(
            "targets",
            (y,),
            (n, n_out, dtype, names, is_regression),
            lambda: as_targets(names[1], y, n_out, n, dtype, names[0], is_regression=is_regression),
        )
        if len(rows):
            self._once("checked", (rows, cost), (names[1],), lambda: cost.check_targets(names[1], rows.T))
        weights = self._once(
            "example weights",
            (example_weights,),
            (n, dtype),
            lambda: as_example_weights("example_weights", example_weights, n, dtype, may_be_zeros=True),
        )
        return Examples(inputs, rows, labels, weights, scaling)

    def parts(
        self, n: int, subset: ArrayLike | None, validation_split: float | ArrayLike | None
    ) -> tuple[Array, Array | None]:
        """Return the numbers of the examples to train on, and of those that are held out; see `mbbp.subsets.split`."""
        # a fraction is often written for each network anew, so equal ones are the same; arrays are not compared
        fraction = validation_split if isinstance(validation_split, float) else None
        given = subset, None if fraction is not None else validation_split

        def make() -> tuple[Array, Array | None]:
            chosen, held_out = split(n, subset, validation_split)
            return read_only(chosen), None if held_out is None else read_only(held_out)

        return self._once("parts", given, (n, fraction), make)

    def weigh(self, factors: Array, labels: Array, weights: Array, dtype: np.dtype[Any]) -> Array:
        """Return the weights of examples, times the factors of their classes; see `mbbp.class_weights.weigh`."""
        return self._once(
            "class weights",
            (labels, weights),
            (factors.tobytes(), dtype),
            lambda: weigh(factors, labels, weights, dtype),
        )

    def learn(self, inputs: Any, chosen: Array, ranks: Ranks | None = None) -> Scaling | None:
        """Return the scaling that gives each feature of the chosen examples of all ranks mean 0 and variance 1."""
        if ranks is not None:
            return learn(inputs, chosen, ranks)
        # equal numbers in two arrays, as of the folds of two calls, give the same; the array itself is too large a key
        digest = hashlib.sha256(chosen.data).digest()
        return self._once("scaling", (inputs,), (digest,), lambda: learn(inputs, chosen))

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
