"""What the file of a network holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from mbbp.activations import Activation
from mbbp.costs import Cost
from mbbp.dropout import Dropout
from mbbp.history import History
from mbbp.optimizer_state import OptimizerState
from mbbp.optimizers import Optimizer
from mbbp.parameters import Array
from mbbp.scaling import Scaling
from mbbp.schema import Schema
from mbbp.stopping import Best


class Structure(NamedTuple):
    """What a network computes: enough to use it."""

    sizes: tuple[int, ...]
    theta: Array
    activations: list[Activation]
    cost: Cost
    scaling: Scaling | str | None
    dropout: Dropout | None
    schema: Schema | None
    metadata: dict[str, str]
    trained_on_classes: bool | None


class Progress(NamedTuple):
    """How far its training is: enough to go on as if it had not stopped.

    Attributes
    ----------
    history : History
    optimizer_state : OptimizerState or None
    rng : Generator
    best : Best or None
        How far early stopping is, in a file that was written while a training ran.
    """

    history: History
    optimizer_state: OptimizerState | None
    rng: np.random.Generator
    best: Best | None


class Contents(NamedTuple):
    """What a file holds. Old files, and those that are only for use, have no progress."""

    structure: Structure
    progress: Progress | None


class Custom:
    """A user's own activations, costs and optimizers by name: code, which a file does not hold.

    Parameters
    ----------
    given : iterable of Activation, Cost, Optimizer, or subclass of Optimizer
        An optimizer may be given as an object or as its class; the file has its settings.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If two of a kind have the same name.
    """

    def __init__(self, given: Iterable[Any] = ()) -> None:
        expected = "custom: expected activations, costs and optimizers"
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"{expected}, got {given!r:.100}")
        self._found: dict[tuple[type, str], Any] = {}
        for one in given:
            kind = one if isinstance(one, type) else type(one)
            if isinstance(one, Activation | Cost):
                self._add(kind, one.name, one)
            elif issubclass(kind, Optimizer):
                self._add(Optimizer, kind.name, kind)
            else:
                raise TypeError(f"{expected}, got {one!r:.100}")

    def _add(self, kind: type, name: str, one: Any) -> None:
        if self._found.setdefault((kind, name), one) is not one:
            raise ValueError(f"custom: expected different names, got {name!r:.100} twice")

    def find(self, kind: type, name: Any) -> Any:
        """Return the activation, cost or class of optimizer with this name.

        Raises
        ------
        ValueError
            If it was not given.
        """
        if not isinstance(name, str) or (kind, name) not in self._found:
            what = kind.__name__.lower()
            article = "an" if what[0] in "ao" else "a"
            raise ValueError(
                f"the file needs {article} {what} {name!r:.100} of your own; pass it as custom=[...] to mbbp.load"
            )
        return self._found[kind, name]
