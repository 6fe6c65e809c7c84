"""What an objective needs beyond the mean cost: the sum of the example weights, and the squares of the parameters."""

from typing import NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.compiling import FAST
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, PointerTo, Real, record
from mbbp.kernels.lowlevel.views import part
from mbbp.kernels.propagation import Model


@record(returns=Real)
class MiniBatch(NamedTuple):
    """The mini-batch in the workspace."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    m: Int


@kernel(MiniBatch)
def sum_of_example_weights(at):
    """Return the sum of the example weights, or 1 if it is 0: then nothing is to be divided."""
    model, m = at[0].model[0], at[0].m
    weights, total = part(model.work, model.weights, m), 0.0
    for i in range(m):
        total += weights[i]
    return total if total > 0 else 1.0


@kernel(MiniBatch, fastmath=FAST)
def squared_norm_of_weights(at):
    """Return ||W||^2, summed over all layers in float64."""
    model, total = at[0].model[0], 0.0
    for index in range(model.n_layers):
        layer = model.layers[index]
        W = part(model.theta, layer.W, layer.n_out * layer.n_in)
        for i in range(W.size):
            value = np.float64(W[i])  # to Numba, float() leaves a float32 what it is
            total += value * value
    return total
