"""A network from plain arrays and names: the way back from every other format."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mbbp.activations import ACTIVATIONS
from mbbp.costs import Cost
from mbbp.exchange.plain import PlainLayer
from mbbp.fileformat.structure import MOST_LAYERS
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.scaling import Scaling
from mbbp.schema import Schema

USUAL_COSTS = {"softmax": "log_likelihood", "sigmoid": "cross_entropy", "exp": "poisson"}
"""The cost of a network whose format tells none, by its output activation; quadratic for all others."""


class Parts(NamedTuple):
    """What a network is made from.

    Attributes
    ----------
    layers : sequence of PlainLayer
    mean, factor : ndarray of shape (n_in,) or (1,), or None
        Inputs are scaled as (x - mean) * factor.
    rates : tuple of float or None
        The dropout rates of the inputs and of each hidden layer.
    seed : int or None
        The seed of the dropout; None for a new one.
    cost : str, Cost or None
        None for the usual one of the output activation.
    schema : Schema or None
    metadata : dict
    """

    layers: Sequence[PlainLayer]
    mean: Array | None = None
    factor: Array | None = None
    rates: tuple[float, ...] | None = None
    seed: int | None = None
    cost: str | Cost | None = None
    schema: Schema | None = None
    metadata: dict[str, str] | None = None


def rebuild(argument: str, parts: Parts) -> Network:
    """Return a network of these parts.

    Parameters
    ----------
    argument : str
        What the parts were read from, with which an error message begins.
    parts : Parts

    Raises
    ------
    ValueError
        If they do not fit together, or hold NaN or inf.
    """
    try:
        _check(parts.layers)
        return _build(parts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}: {error}") from error


def _check(layers: Sequence[PlainLayer]) -> None:
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise ValueError(f"expected from 1 to {MOST_LAYERS:,} layers, got {len(layers):,}")
    for number, (one, two) in enumerate(pairwise(layers), 2):
        if len(one.W) != two.W.shape[1]:
            raise ValueError(f"expected layer {number} for {len(one.W)} inputs, got one for {two.W.shape[1]}")
    for number, layer in enumerate(layers, 1):
        if layer.activation not in ACTIVATIONS:
            raise ValueError(f"expected an activation of mbbp in layer {number}, got {layer.activation!r:.100}")
        if layer.activation == "softmax" and number < len(layers):
            raise ValueError(f"expected softmax in the output layer alone, got it in layer {number}")
        if layer.W.dtype != layers[0].W.dtype or layer.W.dtype not in (np.float32, np.float64):
            expected = "float32 or float64, the same in all layers"
            raise ValueError(f"expected {expected}, got {layers[0].W.dtype} in layer 1 and {layer.W.dtype} in {number}")
        if not (np.isfinite(layer.W).all() and np.isfinite(layer.b).all()):
            raise ValueError(f"expected finite weights and biases in layer {number}, got NaN or inf")


def _build(parts: Parts) -> Network:
    layers = parts.layers
    given = iter(layers)

    def draw(rng: Any, n_in: int, n_out: int) -> tuple[Array, Array]:
        layer = next(given)
        return layer.W, layer.b.reshape(-1, 1)

    net = Network(
        [layers[0].W.shape[1], *(len(layer.W) for layer in layers)],
        [layer.activation for layer in layers],
        USUAL_COSTS.get(layers[-1].activation, "quadratic") if parts.cost is None else parts.cost,
        dtype=layers[0].W.dtype,
        initializer=draw,
        scaling=as_scaling(parts.mean, parts.factor),
        dropout=parts.rates,
    )
    if net.dropout is not None and parts.seed is not None:
        net.engine.set_dropout_seed(parts.seed)
    net.schema = parts.schema
    net.metadata = parts.metadata or {}
    return net


def as_scaling(mean: Array | None, factor: Array | None) -> Scaling | None:
    """Return the scaling (x - mean) * factor, or None if it changes nothing.

    A factor that is the same for all features becomes a single number, which is faster.

    Raises
    ------
    ValueError
        If a factor is 0, or a number is NaN or inf.
    """
    has_mean = mean is not None and bool(np.any(mean))
    if factor is None:
        factor = np.ones(1)
    is_one = bool((factor == 1).all())
    if not has_mean and is_one:
        return None
    if not has_mean and bool((factor == factor[0]).all()):
        factor = factor[:1]
    return Scaling(mean if has_mean else 0.0, factor)


def names_of(columns: Any) -> list[str] | None:
    """Return the names of the columns of a table, as scikit-learn keeps them, or None."""
    return None if columns is None else [str(one) for one in columns]
