"""The network behind an estimator: its layers in the engine's words, and `coefs_` as views of its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import numpy as np

from mbbp.activations import ACTIVATIONS, Activation
from mbbp.costs import Cost, get_cost
from mbbp.dropout import Dropout
from mbbp.engine import Engine
from mbbp.parameters import Array, parameter_count, parameter_views

THEIR_NAMES = {"logistic": "sigmoid"}  # their name, and ours
HIDDEN = ("identity", "logistic", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus")
OUTPUT = (*HIDDEN, "softmax", "exp")


def activation_of(given: str | Activation) -> Activation:
    """Return the engine's activation for a name of scikit-learn's or ours, or the given one."""
    return given if isinstance(given, Activation) else ACTIVATIONS[THEIR_NAMES.get(given, given)]


def hidden_activations(given: Any, n_hidden: int) -> list[str | Activation]:
    """Return one activation for each hidden layer, given one for each, or a single one.

    Raises
    ------
    ValueError
        If there are not as many as hidden layers, or one of them is unknown.
    """
    found = [given] * n_hidden if isinstance(given, str | Activation) else list(given)
    if len(found) != n_hidden:
        raise ValueError(f"activation: expected one, or one for each of {n_hidden} hidden layers, got {len(found)}")
    if any(isinstance(one, Activation) and one.name == "softmax" for one in found):
        raise ValueError("activation: expected softmax for the output layer only, got it for a hidden layer")
    for one in found:
        if not isinstance(one, Activation) and one not in HIDDEN:
            raise ValueError(f"activation: expected one of {', '.join(HIDDEN)} or an mbbp.Activation, got {one!r}")
    return found


class Model:
    """A network whose parameters are seen as scikit-learn's `coefs_` and `intercepts_`.

    A matrix W (n_out, n_in) of the engine lies in memory column by column. Its transpose is a `coefs_[i]` (n_in, n_out)
    in C order, so these are views, and a change of them changes the network.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the inputs first.
    dtype : dtype
        float32 or float64.
    activations : iterable of Activation
        One for each computing layer.
    cost : Cost
        The cost.
    dropout : Dropout, optional
        Which share of the neurons a step of training drops.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        dtype: Any,
        activations: Iterable[Activation],
        cost: Cost,
        dropout: Dropout | None = None,
    ) -> None:
        self._theta = np.zeros(parameter_count(sizes), dtype)
        self.engine = Engine(sizes, self._theta, list(activations), cost, dropout=dropout)
        weights, biases = parameter_views(self._theta, sizes)
        self.coefs = [W.T for W in weights]
        self.intercepts = [b.reshape(-1) for b in biases]

    @property
    def theta(self) -> Array:
        """All parameters as one vector, which may be written to."""
        return self._theta

    @property
    def is_weight(self) -> Array:
        """For each parameter 1.0 if it is a weight, and 0.0 if it is a bias."""
        parts = zip(self.coefs, self.intercepts, strict=True)
        return np.concatenate([np.repeat([1.0, 0.0], (coef.size, intercept.size)) for coef, intercept in parts])

    def take(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> None:
        """Take over parameters that are not the model's own views, such as those that a user has set."""
        for view, given in zip(self.views, chain(coefs, intercepts), strict=True):
            if given is not view:
                view[...] = given

    @property
    def views(self) -> tuple[Array, ...]:
        """All `coefs_`, then all `intercepts_`."""
        return (*self.coefs, *self.intercepts)

    def has(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> bool:
        """Return whether parameters of these shapes fit into the model."""
        given = [np.shape(one) for one in chain(coefs, intercepts)]
        return given == [view.shape for view in self.views]


def draw_parameters(model: Model, activations: Sequence[str | Activation], random_state: Any) -> None:
    """Draw initial parameters, the same numbers as scikit-learn's: weights, then biases, layer by layer.

    The bound is sqrt(6 / (n_in + n_out)) (Glorot and Bengio 2010), with 2 instead of 6 for the logistic function. The
    output layer has the bound of the last hidden layer's activation.
    """
    of_layers = [*activations, activations[-1] if activations else "relu"]
    for activation, coef, intercept in zip(of_layers, model.coefs, model.intercepts, strict=True):
        factor = 2.0 if activation_of(activation).name == "sigmoid" else 6.0
        bound = np.sqrt(factor / sum(coef.shape))
        coef[...] = random_state.uniform(-bound, bound, coef.shape)
        intercept[...] = random_state.uniform(-bound, bound, intercept.shape)


def sizes_of(coefs: Sequence[Any]) -> list[int]:
    """Return the sizes of the layers of some weights.

    Raises
    ------
    ValueError
        If the matrices do not fit together.
    """
    shapes = [np.shape(coef) for coef in coefs]
    if any(len(shape) != 2 for shape in shapes) or any(one[1] != two[0] for one, two in pairwise(shapes)):
        raise ValueError(f"coefs_: expected matrices that can be multiplied, got the shapes {shapes}")
    return [shapes[0][0], *(shape[1] for shape in shapes)]


def log_loss(name: str, dtype: Any) -> Cost:
    """Return a cost with logarithms that counts no probability as less than scikit-learn's log loss does."""
    return replace(get_cost(name), parameter=float(np.finfo(dtype).eps))


def cost_of(loss: str | Cost, output: Activation, costs: dict[str, str | Cost]) -> Cost:
    """Return the engine's cost for a loss and an output activation.

    Raises
    ------
    ValueError
        If the loss is not defined for the activation.
    """
    found = loss if isinstance(loss, Cost) else get_cost(costs[loss])
    needed = found.required_activation
    if needed is not None and (output.name != needed or output.is_custom):
        raise ValueError(f"out_activation: expected {needed} for the loss {found.name}, got {output.name}")
    return found
