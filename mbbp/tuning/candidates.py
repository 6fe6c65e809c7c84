"""The candidates of a search: their settings, drawn from the space, and their networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_numeric_array
from mbbp.costs import get_cost
from mbbp.many.trainings import defaults
from mbbp.network import Network
from mbbp.optimizers import Optimizer
from mbbp.targets import TEXT_HINT
from mbbp.tuning.describing import describe
from mbbp.tuning.distributions import Distribution
from mbbp.validation import as_count, refuse_unknown, shown

Make = Callable[[dict[str, Any]], Network]
OF_THE_SEARCH = ("epochs", "rng", "progress", "checkpoint", "every", "comm", "average_every")
"""Arguments of `Network` and `fit` that the search sets itself."""
HELD_OUT = ("validation_data", "validation_split", "subset")
OF_A_FIT = tuple(name for name in defaults() if name not in OF_THE_SEARCH)
OF_A_NETWORK = tuple(name for name in inspect.signature(Network.__init__).parameters if name not in ("self", "rng"))
HIDDEN = "hidden"
OF_NUMBERS = ("huber", "absolute", "quantile", "poisson")  # costs whose targets name no classes


@dataclass(frozen=True)
class Candidate:
    """What is trained.

    Attributes
    ----------
    number : int
        From 0.
    settings : dict
        The value of each setting of the space.
    seed : int
        The `rng` of its network.
    """

    number: int
    settings: dict[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"candidate {self.number}, with {describe(self.settings)}"


class Space:
    """What candidates are drawn from.

    Parameters
    ----------
    space : mapping
        For each setting a distribution, or a value.
    common : mapping
        Further arguments of `Network` and `fit`, the same for all candidates.
    make : callable or None
        Returns the network of some settings.
    entropy : int
        The seed of the search.

    Attributes
    ----------
    given : dict
        The settings by name, in the order of their names.
    shared : dict
        The arguments of `fit` that are the same for all candidates.

    Raises
    ------
    ValueError
        If a name is unknown or given twice, the space is empty, or neither the layers nor `make` are given.
    TypeError
        If an argument is of the wrong type.
    """

    def __init__(self, space: Mapping[str, Any], common: Mapping[str, Any], make: Make | None, entropy: int) -> None:
        if not isinstance(space, Mapping):
            raise TypeError(f"space: expected a mapping from settings to distributions, got {shown(space)}")
        if make is not None and not callable(make):
            raise TypeError(f"make: expected a function that returns an mbbp.Network, got {shown(make)}")
        _check_names("space", space, make is not None)
        _check_names("search", common, False, () if make is None else (*OF_A_NETWORK, HIDDEN))
        if not any(isinstance(value, Distribution) for value in space.values()):
            raise ValueError("space: expected at least one distribution, got none")
        for name, value in [*space.items(), *common.items()]:
            if isinstance(value, Distribution) and (name in HELD_OUT or name not in space):
                what = "a value: it is the same for all candidates" if name in space else "a value; it belongs in space"
                raise ValueError(f"{name}: expected {what}, got {value!r}")
        for name in space:
            if name in common:
                raise ValueError(f"space: expected no {name}, which is given as an argument too, got one")
        layers = [name for name in ("sizes", HIDDEN) if name in space or name in common]
        if make is None and len(layers) != 1:
            got = "both" if layers else "neither"
            raise ValueError(f"space: expected the sizes of the hidden layers as hidden, or sizes, got {got}")
        self.given = {name: space[name] for name in sorted(space)}
        self._make, self._entropy = make, entropy
        fixed = {name: value for name, value in space.items() if not isinstance(value, Distribution)}
        self.shared = {name: value for name, value in {**common, **fixed}.items() if name in OF_A_FIT}
        self._of_all = dict(common)

    def draw(self, number: int) -> Candidate:
        """Return a candidate. It depends on the seed of the search and on its number alone."""
        of_settings, of_network = np.random.SeedSequence(self._entropy, spawn_key=(number,)).spawn(2)
        rng = np.random.default_rng(of_settings)
        settings = {
            name: value.sample(rng) if isinstance(value, Distribution) else value for name, value in self.given.items()
        }
        return Candidate(number, settings, int(of_network.generate_state(1, np.uint64)[0]))

    def training(self, candidate: Candidate) -> dict[str, Any]:
        """Return those arguments of `fit` that a candidate does not share with all others."""
        return {
            name: value for name, value in candidate.settings.items() if name in OF_A_FIT and name not in self.shared
        }

    def network(self, candidate: Candidate, X: ArrayLike, y: ArrayLike) -> Network:
        """Return the network of a candidate, before any training.

        Raises
        ------
        ValueError, TypeError
            As for `Network`, or if `make` returns something else than a new network.
        """
        try:
            return self._network(candidate, X, y)
        except (ValueError, TypeError) as error:
            error.add_note(f"This is an error of {candidate.name}.")
            raise

    def _network(self, candidate: Candidate, X: ArrayLike, y: ArrayLike) -> Network:
        if self._make is not None:
            net = self._make({**candidate.settings, "rng": candidate.seed})
            if not isinstance(net, Network):
                raise TypeError(f"make: expected a function that returns an mbbp.Network, got {shown(net)}")
            if len(net.history):
                raise ValueError("make: expected a function that returns a new network, got one that is trained")
            return net
        chosen = {**self._of_all, **candidate.settings}
        chosen = {name: value for name, value in chosen.items() if name in OF_A_NETWORK or name == HIDDEN}
        if HIDDEN in chosen:
            inner = _as_hidden(chosen.pop(HIDDEN))
            chosen["sizes"] = [_n_inputs(X), *inner, _n_outputs(y, chosen.get("cost"))]
        return Network(rng=candidate.seed, **chosen)


def custom_parts(net: Network, training: Mapping[str, Any]) -> list[Any]:
    """Return the user's own activations, cost and optimizer, which a file of the network does not hold."""
    parts: list[Any] = [layer.activation for layer in net.layers if layer.activation.is_custom]
    parts = list({id(one): one for one in parts}.values())
    parts += [net.cost_function] if net.cost_function.is_custom else []
    optimizer = training.get("optimizer")
    return [*parts, optimizer] if isinstance(optimizer, Optimizer) else parts


def _check_names(argument: str, given: Mapping[str, Any], any_name: bool, without: tuple[str, ...] = ()) -> None:
    known = [name for name in (*OF_A_FIT, *OF_A_NETWORK, HIDDEN) if name not in without]
    for name in given:
        if not isinstance(name, str):
            raise TypeError(f"{argument}: expected names of settings, got {shown(name)}")
        if name in OF_THE_SEARCH:
            raise ValueError(f"{argument}: expected no {name}, which the search sets for each candidate, got one")
        if not any_name and name not in known:
            refuse_unknown(argument, name, known)


def _as_hidden(hidden: Any) -> list[int]:
    if hasattr(hidden, "__index__"):
        return [as_count(HIDDEN, hidden)]
    try:
        return [as_count(HIDDEN, size) for size in hidden]
    except TypeError:
        raise TypeError(f"{HIDDEN}: expected the sizes of the hidden layers, got {shown(hidden)}") from None


def _n_inputs(X: ArrayLike) -> int:
    array = as_numeric_array("X", X)
    if array.ndim != 2 or not len(array):
        raise ValueError(f"X: expected a matrix with one example per column, got shape {array.shape}")
    return len(array)


def _n_outputs(y: ArrayLike, cost: Any) -> int:
    """Return the number of rows of desired outputs, or of classes that labels name."""
    array = as_numeric_array("y", y, TEXT_HINT)
    if not array.size or array.ndim not in (1, 2):
        raise ValueError(f"y: expected labels (n,) or desired outputs (n_L, n), got shape {array.shape}")
    if array.ndim == 2:
        return len(array)
    name = None if cost is None else get_cost(cost).name
    if name in OF_NUMBERS or not (np.isfinite(array).all() and (array == np.floor(array)).all() and array.min() >= 0):
        return 1
    most = float(array.max())
    if most >= 2 * array.size:
        raise ValueError(
            f"y: expected labels, got {most:g} among {array.size} of them; for numbers pass a matrix (1, n)"
        )
    return max(2, int(most) + 1)
