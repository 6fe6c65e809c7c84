"""The update of the parameters by a gradient that was computed elsewhere, such as on several machines."""

import math
from typing import NamedTuple

from mbbp.kernels.lowlevel.calls import call
from mbbp.kernels.lowlevel.compiling import ZERO
from mbbp.kernels.lowlevel.denormals import set_back, take_denormals_as_zero
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Address, Integers, Numbers, PointerTo, Reals, record
from mbbp.kernels.lowlevel.views import part
from mbbp.kernels.propagation import Model
from mbbp.kernels.updates import Step, Vector, update_parameters


@record
class GivenGradient(NamedTuple):
    """A step of training whose target holds the mean gradient."""

    model: PointerTo(Model)  # type: ignore[valid-type]
    step: Step
    flag: Numbers  # (1,): 0, or NaN if the step must not be taken
    norm: Address  # of the kernel that measures a gradient
    length: Reals  # (1,): receives what it measures
    steps: Integers  # (1,): receives how many steps were taken


@kernel(GivenGradient)
def update(at):
    """Take the step; return 1, or 0 if it must not be taken."""
    g, register = at[0], take_denormals_as_zero()
    model, step = g.model[0], g.step
    last = model.layers[model.n_layers - 1]
    size = last.b + last.n_out
    is_taken = ZERO
    if g.flag[0] == 0:
        is_taken = ZERO + 1
        step.steps[0] += 1
        g.steps[0] = step.steps[0]
        if step.measures_norm or step.clip_norm < math.inf:
            length = call(g.norm, Vector(x=step.target, n=size))
            g.length[0] = length
            if length > step.clip_norm:
                gradient = part(step.target, ZERO, size)
                factor = gradient.dtype.type(step.clip_norm / length)
                for i in range(size):
                    gradient[i] *= factor
        update_parameters(step, model, step.l2, ZERO, size)
    set_back(register)
    return is_taken
