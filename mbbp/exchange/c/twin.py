"""The NumPy twin of the C code: the same sums in the same order, for many examples at once. It needs no compiler."""

from __future__ import annotations

import numpy as np

from mbbp import reference
from mbbp.exchange.c.model import AT_ONCE, Layer, Model
from mbbp.parameters import Array

CHUNK = 1024  # examples at a time


def predict(model: Model, inputs: Array) -> Array:
    """Return what the C code predicts for inputs (m, n_in) of the model's dtype: outputs (m, n_out).

    Each sum has the same terms in the same order as in the C code, so that only the functions of libm differ, by some
    units in the last place. A compiler that fuses products and sums gives other last digits.
    """
    outputs = np.empty((len(inputs), model.plain.sizes[-1]), model.dtype)
    with np.errstate(all="ignore"):  # C does not warn either
        for start in range(0, len(inputs), CHUNK):
            a = _scaled(model, inputs[start : start + CHUNK].astype(model.dtype, copy=False))
            for layer in model.layers:
                z = _weighted_inputs(layer, a)
                a = getattr(reference, layer.activation)(z.T).T.astype(model.dtype, copy=False)
            outputs[start : start + CHUNK] = a
    return outputs


def classify(model: Model, outputs: Array) -> Array:
    """Return the label of each row of outputs (m, n_out), as the C code chooses it."""
    if outputs.shape[1] == 1:
        labels = (outputs[:, 0] > model.dtype.type(model.plain.threshold)).astype(np.int64)
    else:
        labels = outputs.argmax(axis=1)
    return np.where(np.isnan(outputs).any(axis=1), -1, labels)


def _scaled(model: Model, inputs: Array) -> Array:
    if model.mean is not None:
        inputs = inputs - model.mean
    return inputs if model.factor is None else inputs * model.factor


def _weighted_inputs(layer: Layer, a: Array) -> Array:
    n_in, w = len(layer.w), layer.w[:, : layer.b.size].astype(a.dtype, copy=False)
    z = np.empty((len(a), layer.b.size), a.dtype)
    z[...] = layer.b if layer.scale is None else 0

    def product(i: int) -> Array:
        return a[:, i, np.newaxis] * w[i]

    whole = n_in - n_in % AT_ONCE
    for i in range(0, whole, AT_ONCE):
        z += (product(i) + product(i + 1)) + (product(i + 2) + product(i + 3))
    for i in range(whole, n_in):
        z += product(i)
    return z if layer.scale is None else layer.b + layer.scale * z
