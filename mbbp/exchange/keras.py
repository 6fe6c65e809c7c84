"""Networks from Keras models, whatever backend they run on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mbbp.exchange.chain import Drop, Factor, Function, Shift, Step, as_layer, assemble, refuse
from mbbp.exchange.rebuild import rebuild
from mbbp.extras import load_extra
from mbbp.network import Network

ACTIVATIONS = {
    "linear": "identity",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "silu": "silu",
    "elu": "elu",
    "softplus": "softplus",
    "softmax": "softmax",
    "exponential": "exp",
}
"""Keras' functions by name, and ours. Its gelu and leaky_relu are others by default: see `_function`."""


def from_keras(model: Any) -> Network:
    """Return the network that a Keras model computes.

    Parameters
    ----------
    model : keras.Model
        A Sequential, or a functional model that is a chain: of Dense, Activation, ReLU, LeakyReLU (0.01), ELU, Softmax,
        Dropout, Flatten, Normalization and Rescaling. Inputs with several axes need a Flatten before the first Dense.

    Returns
    -------
    Network
        Its examples are columns: where the model takes x, it takes x.T. The weights are copied. Normalization and
        Rescaling become the scaling of the network, and Dropout its dropout. The cost is the usual one of the output
        activation: log_likelihood for softmax, cross_entropy for sigmoid, poisson for exp, else quadratic.

    Raises
    ------
    ValueError
        If the model is not built yet, is no chain, or a layer cannot be converted: the message names the layer, and
        says why.
    TypeError
        If it is no keras.Model.
    ImportError
        If Keras is not installed.

    Notes
    -----
    The outputs are those of ``model.predict`` up to rounding. Keras' function gelu is the one with erf unless
    ``approximate=True``, and that of the name "leaky_relu" has the slope 0.2, which mbbp has not: it is refused.
    """
    keras = load_extra("from_keras", "keras")
    if not isinstance(model, keras.Model):
        raise TypeError(f"model: expected a keras.Model, got {model!r:.100}")
    kind = type(model)
    is_functional = (
        kind.__name__ == "Functional" and kind.__module__.partition(".")[0] == "keras"
    )  # it has no public name
    if kind is not keras.Sequential and not is_functional:
        where = f"{model.name} ({kind.__name__})"
        refuse("model", where, "it is neither a keras.Sequential nor what keras.Model(inputs, outputs) makes")
    if not model.built or (not is_functional and not model.layers):
        raise ValueError("model: expected a model that is built, got one that knows no shapes yet; give it an Input")
    if getattr(model, "inputs", None) is None:
        refuse("model", f"{model.name} ({kind.__name__})", "a layer of its own does not tell the shape of its outputs")
    if is_functional:
        _check_chain(keras, model)
    _check_layers(keras, model)
    _check_shapes(keras, model)
    return rebuild("model", assemble("model", _steps(keras, model)))


def _check_chain(keras: Any, model: Any) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        refuse("model", model.name, f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs, not one each")
    tensor = model.inputs[0]
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        try:
            given = layer.input
        except (AttributeError, ValueError):  # Keras raises them for a layer that is used more than once
            given = None
        if given is not tensor:
            refuse("model", f"{layer.name} ({type(layer).__name__})", "the layers are no chain here")
        tensor = layer.output
    if tensor is not model.outputs[0]:
        refuse("model", model.name, "its output is not that of its last layer")


def _check_layers(keras: Any, model: Any) -> None:
    """Check that all layers compute what their classes do, in the dtype of the weights.

    Raises
    ------
    ValueError
        If one does not, or the inputs are rounded to something that is neither float32 nor float64.
    """
    every = [model, *_within(keras, model)]
    dtypes = (layer.kernel.dtype for layer in every if type(layer) is keras.layers.Dense and layer.built)
    expected = next((keras.backend.standardize_dtype(one) for one in dtypes), None)
    for layer in every:
        where = f"{layer.name} ({type(layer).__name__})"
        if "call" in vars(layer):
            refuse("model", where, "its call is its own, not that of its class")
        for one in getattr(layer, "inputs", ()) if type(layer) in (type(model), keras.Sequential) else ():
            given = keras.backend.standardize_dtype(one.dtype)
            if given not in ("float32", "float64"):
                refuse("model", where, f"it takes inputs as {given}, and mbbp takes float32 or float64")
        allowed = ("float32", "float64") if layer is model or expected is None else (expected,)
        computed = str(layer.compute_dtype)
        if computed not in allowed and type(layer) is not keras.layers.InputLayer:
            refuse("model", where, f"it computes in {computed}, and mbbp in {' or '.join(allowed)}, as the weights are")


def _check_shapes(keras: Any, model: Any) -> None:
    """Check that every Dense takes one axis of features, and what is before a Flatten is the same after it.

    Raises
    ------
    ValueError
        If it is not so.
    """
    layers = keras.layers
    shape: tuple[int | None, ...] = tuple(model.inputs[0].shape[1:])
    for layer in _within(keras, model):
        kind, where = type(layer), f"{layer.name} ({type(layer).__name__})"
        if kind is layers.Flatten:
            shape = (None if None in shape else math.prod(shape),)  # type: ignore[arg-type]
        elif kind is layers.Dense:
            if len(shape) != 1:
                why = (
                    f"it takes inputs of the shape {(None, *shape)}, and mbbp (None, features); put a Flatten before it"
                )
                refuse("model", where, why)
            shape = (layer.units,)
        elif kind is layers.Rescaling:
            _check_numbers(where, shape, layer.scale, layer.offset)
        elif kind is layers.Normalization and getattr(layer, "mean", None) is not None:
            _check_numbers(where, shape, *(keras.ops.convert_to_numpy(one) for one in (layer.mean, layer.variance)))


def _check_numbers(where: str, shape: tuple[int | None, ...], *numbers: Any) -> None:
    """Check that numbers are one, or one for each feature in the order in which Flatten puts them.

    Raises
    ------
    ValueError
        If they are not.
    """
    one_example = (1, *(1 if n is None else n for n in shape))
    for given in map(np.shape, numbers):
        n = math.prod(given)
        fits = len(given) <= len(one_example) and (n == 1 or (None not in shape and n == math.prod(one_example)))
        if not fits or any(a not in (1, b) for a, b in zip(given[::-1], one_example[::-1], strict=False)):
            why = f"its numbers have the shape {given} for inputs of the shape {(None, *shape)}"
            refuse("model", where, f"{why}; mbbp takes one number, or one for each feature")


def _within(keras: Any, model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if type(layer) is keras.Sequential:
            yield from _within(keras, layer)


def _steps(keras: Any, model: Any) -> Iterator[Step]:
    layers = keras.layers
    for layer in model.layers:
        kind, where = type(layer), f"{layer.name} ({type(layer).__name__})"
        if kind is layers.Dense:
            yield from _dense(keras, layer, where)
        elif kind is layers.Activation:
            yield from _function(keras, layer.activation, where)
        elif kind is layers.ReLU:
            if layer.max_value is not None or layer.threshold or layer.negative_slope not in (0, 0.01):
                refuse("model", where, "mbbp has relu without a largest value and threshold, with the slope 0 or 0.01")
            yield Function(where, "leaky_relu" if layer.negative_slope else "relu")
        elif kind is layers.LeakyReLU:
            if layer.negative_slope != 0.01:
                refuse("model", where, f"its negative_slope is {layer.negative_slope!r}, and mbbp has 0.01")
            yield Function(where, "leaky_relu")
        elif kind is layers.ELU:
            if layer.alpha != 1:
                refuse("model", where, f"its alpha is {layer.alpha!r}, and mbbp has 1")
            yield Function(where, "elu")
        elif kind is layers.Softmax:
            if layer.axis not in (-1, 1):
                refuse("model", where, f"its axis is {layer.axis!r}, and mbbp has -1")
            yield Function(where, "softmax")
        elif kind is layers.Dropout:
            yield Drop(where, float(layer.rate))
        elif kind is layers.Normalization:
            yield from _normalization(keras, layer, where)
        elif kind is layers.Rescaling:
            # scale x + offset; mbbp subtracts first
            scale, offset = (np.asarray(one, np.float64).reshape(-1) for one in (layer.scale, layer.offset))
            if not scale.all():
                refuse("model", where, "its scale is 0")
            yield Shift(where, offset / scale)
            yield Factor(where, scale)
        elif kind is keras.Sequential:
            yield from _steps(keras, layer)
        elif kind not in (layers.InputLayer, layers.Flatten, layers.Identity):
            refuse("model", where, "mbbp has no such layer")


def _dense(keras: Any, layer: Any, where: str) -> Iterator[Step]:
    weights = [np.asarray(one) for one in layer.get_weights()]
    if not weights or getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
        refuse("model", where, "its weights are not there, or not plain numbers")
    yield as_layer("model", where, weights[0].T, weights[1] if layer.use_bias else None)
    if layer.activation is not keras.activations.linear:  # so that an Activation may follow
        yield from _function(keras, layer.activation, where)


def _function(keras: Any, function: Any, where: str) -> Iterator[Step]:
    found = [ours for theirs, ours in ACTIVATIONS.items() if function is getattr(keras.activations, theirs)]
    if function is keras.activations.gelu:
        if inspect.signature(function).parameters["approximate"].default:
            refuse("model", where, "its gelu is the approximate one")
        yield Function(where, "gelu")
    elif found:
        yield Function(where, found[0])
    elif function is keras.activations.leaky_relu:
        refuse("model", where, "its leaky_relu has the slope 0.2, and mbbp has 0.01")
    else:
        name = getattr(function, "__name__", type(function).__name__)
        ours = f"a function of one's own named {name!r:.100}" if name in ACTIVATIONS else f"{name!r:.100}"
        refuse("model", where, f"its activation is {ours}, which mbbp does not have")


def _normalization(keras: Any, layer: Any, where: str) -> Iterator[Step]:
    if getattr(layer, "mean", None) is None or layer.invert:
        refuse("model", where, "it is not built yet, or inverts")
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(one), np.float64).reshape(-1) for one in (layer.mean, layer.variance)
    )
    yield Shift(where, -mean)
    yield Factor(where, 1 / np.maximum(np.sqrt(variance), keras.backend.epsilon()))
