"""What a network consists of: sizes, layers, parameters and history; how it is copied, pickled and shown."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from mbbp import fileformat
from mbbp.activations import ANY, Activation, layer_activations
from mbbp.arrays import as_writeable, copy_into
from mbbp.costs import Cost, get_cost
from mbbp.differentiation import Differentiation
from mbbp.dropout import Dropout, as_rates, draw_seed
from mbbp.engine import Engine
from mbbp.fixed import Fixed
from mbbp.history import History
from mbbp.initializers import Initializer, get_initializer
from mbbp.layers import Layer
from mbbp.optimizer_state import OptimizerState
from mbbp.parameters import Array, parameter_count, parameter_views
from mbbp.scaling import STANDARDIZE, AnyScaling, Scaling, check_representable, get_scaling
from mbbp.schema import Schema
from mbbp.stopping import Best
from mbbp.summary import network_html
from mbbp.validation import as_dtype, as_generator, as_metadata, as_sizes

DropoutRates = float | Sequence[float] | None
Rng = int | np.random.Generator | None
MADE_BY_BUILD = ("layers", "_engine", "_differentiation")


class Structure(Fixed):
    """The parts of a network. `Network` says what they are, and has the methods that use them."""

    def _set_up(
        self,
        sizes: Iterable[int],
        activation: str | Activation | Sequence[str | Activation],
        cost: str | Cost | None,
        dtype: Any,
        initializer: str | Initializer,
        rng: Rng,
        scaling: AnyScaling | Scaling,
        dropout: DropoutRates,
    ) -> None:
        self.sizes = as_sizes(sizes)
        self.dtype = as_dtype(dtype)
        named = None if cost is None else get_cost(cost)
        output = None if named is None else named.usual_activation or ANY
        activations = layer_activations(activation, len(self.sizes) - 1, output)
        default = "log_likelihood" if activations[-1].name == "softmax" else "quadratic"
        self.cost_function = named or get_cost(default)
        self.cost_function.check_fits(activations[-1])
        draw = get_initializer(initializer)
        self._rng = as_generator("rng", rng)
        self.history = History()
        self._optimizer_state: OptimizerState | None = None
        self._schema: Schema | None = None
        self._metadata: dict[str, str] = {}
        self._unfinished: Best | None = None
        self._knew_classes: bool | None = None
        theta = np.empty(parameter_count(self.sizes), self.dtype)
        found = get_scaling("scaling", scaling, self.sizes[0])
        check_representable("scaling", found, self.dtype)
        rates = as_rates("dropout", dropout, len(activations))
        # drawn only where it is needed, and from a copy of the generator
        self._build(activations, theta, found, None if rates is None else Dropout(rates, draw_seed(self._rng)))
        for layer in self.layers:
            layer.W, layer.b = draw(self.rng, layer.n_in, layer.n_out)

    def _build(
        self, activations: list[Activation], theta: Array, scaling: Scaling | str | None, dropout: Dropout | None
    ) -> None:
        weights, biases = parameter_views(theta, self.sizes)
        self.layers = tuple(Layer(f, W, b) for f, W, b in zip(activations, weights, biases, strict=True))
        self._engine = Engine(self.sizes, theta, activations, self.cost_function, scaling, dropout)
        self._differentiation = Differentiation(self._engine)

    def __getstate__(self) -> dict[str, Any]:
        self._engine.writer.check_readable("copy")
        kept = {name: value for name, value in self.__dict__.items() if name not in MADE_BY_BUILD}
        activations = [layer.activation for layer in self.layers]
        parts = {"_activations": activations, "_theta": self._engine.theta, "_scaling": self.scaling}
        return kept | parts | {"_dropout": self._engine.dropout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        activations, theta, scaling = (state.pop(name) for name in ("_activations", "_theta", "_scaling"))
        dropout = state.pop("_dropout", None)  # older pickles have none
        in_older_pickles: dict[str, Any] = {
            "_schema": None,
            "_metadata": {},
            "_unfinished": None,
            "_knew_classes": None,
        }
        self.__dict__.update(in_older_pickles | state)
        # pickle and joblib may give memory that cannot be written to, and the kernels would write to it all the same
        if self._optimizer_state is not None:
            self._optimizer_state = self._optimizer_state.writeable()
        self._build(activations, as_writeable(theta), scaling, dropout)

    def _contents(self, *, with_training: bool = True, best: Best | None = None) -> fileformat.Contents:
        """Return what a file of the network holds; `best` is how far early stopping is while a training runs."""
        activations = [layer.activation for layer in self.layers]
        structure = fileformat.Structure(
            self.sizes,
            self._engine.theta,
            activations,
            self.cost_function,
            self.scaling,
            self._engine.dropout,
            self._schema,
            self._metadata,
            self.trained_on_classes,
        )
        if not with_training:
            return fileformat.Contents(structure, None)
        kept = self._unfinished if best is None else best
        return fileformat.Contents(structure, fileformat.Progress(self.history, self._optimizer_state, self._rng, kept))

    @classmethod
    def _of(cls, contents: fileformat.Contents) -> Self:
        """Return the network that a file holds."""
        structure, progress = contents
        net = cls.__new__(cls)
        net.__setstate__(
            {
                "sizes": structure.sizes,
                "dtype": structure.theta.dtype,
                "cost_function": structure.cost,
                "history": History() if progress is None else progress.history,
                "_rng": np.random.default_rng() if progress is None else progress.rng,
                "_optimizer_state": None if progress is None else progress.optimizer_state,
                "_unfinished": None if progress is None else progress.best,
                "_schema": structure.schema,
                "_metadata": structure.metadata,
                "_knew_classes": structure.trained_on_classes,
                "_activations": structure.activations,
                "_theta": structure.theta,
                "_scaling": structure.scaling,
                "_dropout": structure.dropout,
            }
        )
        return net

    def __copy__(self) -> Any:
        return copy.deepcopy(self)  # two networks with the same parameters would train each other

    def __repr__(self) -> str:
        names = [layer.activation.name for layer in self.layers]
        activation = names[0] if len(set(names)) == 1 else names
        cost = self.cost_function
        shown = repr(cost.name) if cost.parameter is None else str(cost)
        scaling = "" if self.scaling is None else f", scaling={self.scaling!r}"
        dropout = "" if self.dropout is None else f", dropout={self.dropout}"
        return (
            f"Network({list(self.sizes)}, activation={activation!r}, cost={shown}, "
            f"dtype={self.dtype.name!r}{scaling}{dropout}): {self.theta.size:,} parameters"
        )

    def _repr_html_(self) -> str:
        """Return a table of the layers, which a notebook shows."""
        facts = [f"cost {self.cost_function}", f"dtype {self.dtype.name}"]
        facts += [] if self.scaling is None else [f"scaling {self.scaling}"]
        facts += [] if self.dropout is None else [f"dropout {self.dropout}"]
        return network_html(self.sizes, [layer.activation.name for layer in self.layers], *facts)

    @property
    def engine(self) -> Engine:
        """The compiled side of the network, for programs that have a custom training loop."""
        return self._engine

    @property
    def scaling(self) -> Scaling | str | None:
        """How inputs are scaled; the word "standardize" before the scaling is learnt by `fit`."""
        return self._engine.scaling if self._engine.scaling_is_learnt else STANDARDIZE

    @property
    def dropout(self) -> tuple[float, ...] | None:
        """The probability that a step of training drops a neuron: of the inputs, and of each hidden layer."""
        return None if self._engine.dropout is None else self._engine.dropout.rates

    @property
    def rng(self) -> np.random.Generator:
        """The source of the shuffles. It may be set to a seed or a generator."""
        return self._rng

    @rng.setter
    def rng(self, value: Rng) -> None:
        self._rng = as_generator("rng", value)

    @property
    def schema(self) -> Schema | None:
        """What the inputs and the outputs stand for: columns of a table, names of classes. It may be set."""
        return self._schema

    @schema.setter
    def schema(self, value: Schema | None) -> None:
        if value is not None:
            if not isinstance(value, Schema):
                raise TypeError(f"schema: expected an mbbp.Schema or None, got {value!r:.100}")
            value.check_fits("schema", self.sizes[0], self.sizes[-1])
        self._schema = value

    @property
    def metadata(self) -> Mapping[str, str]:
        """Texts by name, of any meaning, which are saved with the network. It may be set to a new mapping."""
        return MappingProxyType(self._metadata)

    @metadata.setter
    def metadata(self, value: Mapping[str, str]) -> None:
        self._metadata = as_metadata("metadata", value)

    @property
    def trained_on_classes(self) -> bool | None:
        """Whether the targets of the last training named classes; None if there was no training."""
        return self.history[-1].training_accuracy is not None if len(self.history) else self._knew_classes

    @property
    def optimizer_state(self) -> OptimizerState | None:
        """The state of the optimizer after the last step of `fit`; None to begin afresh.

        Training changes it; `copy` keeps it for later. Assigning to it copies the state.
        """
        return self._optimizer_state

    @optimizer_state.setter
    def optimizer_state(self, value: OptimizerState | None) -> None:
        self._engine.writer.check_not_fitting("optimizer_state")
        if value is not None:
            if not isinstance(value, OptimizerState):
                raise TypeError(f"optimizer_state: expected an OptimizerState of a network or None, got {value!r}")
            value.check_fits(self.theta)
            value = value.copy()
        self._optimizer_state = value

    def _keep_state(self, state: OptimizerState | None) -> None:
        """Set the state that a training works with, without a copy."""
        self._optimizer_state = state

    def _take_unfinished(self) -> Best | None:
        """Return how far early stopping was in the checkpoint that the network was loaded from, once."""
        found, self._unfinished = self._unfinished, None
        return found

    def _become(self, trained: Self) -> None:
        """Take over everything that a training of a copy has changed."""
        self._engine.theta[...] = trained._engine.theta
        if not self._engine.scaling_is_learnt:
            self._engine.set_scaling(trained.scaling)
        for row in trained.history[len(self.history) :]:
            self.history.append(row)
        self.history.was_interrupted, self.history.has_ended = (
            trained.history.was_interrupted,
            trained.history.has_ended,
        )
        self._rng.bit_generator.state = trained._rng.bit_generator.state
        self._optimizer_state, self._unfinished = trained._optimizer_state, trained._unfinished

    def _write(self, path: Path, best: Best | None) -> None:
        """Write a checkpoint while a training runs."""
        fileformat.write(path, self._contents(best=best))

    @property
    def theta(self) -> Array:
        """All weights and biases as one vector. Assigning to it copies the values into the network."""
        return self._engine.theta

    @theta.setter
    def theta(self, value: ArrayLike) -> None:
        self._engine.writer.check_readable("theta")
        copy_into("theta", self._engine.theta, value)
