"""The examples in memory, and how a mini-batch of them is gathered into the workspace."""

from typing import Any, NamedTuple

import numpy as np

from mbbp.kernels.lowlevel.compiling import ZERO, inlined
from mbbp.kernels.lowlevel.records import (
    Address,
    Bytes,
    Int,
    Integers,
    Numbers,
    Placed,
    call,
    kernel,
    record,
    typed,
)
from mbbp.kernels.lowlevel.views import part, rest

PIXEL = 1 / 255  # what one of a pixel's 255 steps stands for


@record
class Examples(NamedTuple):
    """Examples: of each array, one row an example, in C order."""

    inputs: Bytes  # (n, n_in), of a dtype that `gather_address` knows
    targets: Numbers  # (n, n_L); or (0, n_L) where they are the unit vectors of the labels
    labels: Integers  # (n,); or (0,) where the targets name no classes
    weights: Numbers  # (n,): the factor of each example's cost; or (0,) where every example counts alike

    @property
    def n(self) -> int:
        """How many examples there are."""
        return len(self.inputs)


@record
class Source(NamedTuple):
    """Examples, with what the kernels must know of them besides."""

    examples: Examples
    gather: Address  # of the kernel that copies the inputs
    has_targets: Int
    has_labels: Int


@record
class Rows(NamedTuple):
    """Some rows of the inputs, and where they are to be copied to, side by side."""

    inputs: Bytes
    order: Integers  # which rows
    n_in: Int
    out: Numbers
    start: Int  # the first entry of `order` that is meant, and its place in `out`
    stop: Int  # the one after the last


@inlined
def _copy_rows(rows, inputs):
    for i in range(rows.start, rows.stop):
        source, out = part(inputs, rows.order[i] * rows.n_in, rows.n_in), part(rows.out, i * rows.n_in, rows.n_in)
        for j in range(source.size):
            out[j] = source[j]


@kernel(Rows)
def _gather_numbers(at):
    """Copy inputs of the network's dtype."""
    rows = at[0]
    _copy_rows(rows, typed(rows.inputs, rows.out))
    return ZERO


@kernel(Rows)
def _gather_singles(at):
    """Copy inputs of float32 for a network in float64."""
    rows = at[0]
    _copy_rows(rows, typed(rows.inputs, np.float32))
    return ZERO


@kernel(Rows)
def _gather_pixels(at):
    """Copy pixels as the numbers that they stand for."""
    rows = at[0]
    n_in = rows.n_in
    for i in range(rows.start, rows.stop):
        source, out = part(rows.inputs, rows.order[i] * n_in, n_in), part(rows.out, i * n_in, n_in)
        number = out.dtype.type
        unit = number(PIXEL)
        for j in range(n_in):
            out[j] = number(source[j]) * unit
    return ZERO


def gather_address(inputs: np.dtype[Any], dtype: np.dtype[Any]) -> int:
    """Return the address of the kernel that gathers inputs of a dtype for a network of another one."""
    kernels = {"float32": _gather_singles, "uint8": _gather_pixels}
    return (_gather_numbers if inputs == dtype else kernels[inputs.name]).address(dtype)


def source_of(examples: Examples, dtype: np.dtype[Any]) -> Placed:
    """Return examples as the kernels of a network of this dtype take them."""
    flat = examples._replace(inputs=examples.inputs.reshape(-1), targets=examples.targets.reshape(-1))
    source = Source(
        examples=flat,
        gather=gather_address(examples.inputs.dtype, dtype),
        has_targets=int(len(examples.targets) > 0),
        has_labels=int(len(examples.labels) > 0),
    )
    return Placed(source, dtype)


@inlined
def gather_inputs(gather, inputs, order, model, start, stop):
    """Copy inputs to the beginning of the workspace: the rows that `order` names, from its entry `start` to `stop`."""
    rows = Rows(
        inputs=inputs,
        order=order,
        n_in=model.layers[0].n_in,
        out=model.work,
        start=start,
        stop=stop,
    )
    call(gather, rows)


@inlined
def gather_targets(source, order, model, start, stop):
    """Copy targets and weights to their places in the workspace."""
    examples = source.examples
    n = model.layers[model.n_layers - 1].n_out
    for i in range(start, stop):
        y = part(model.work, model.targets + i * n, n)
        row = order[i]
        if source.has_targets:
            target = part(examples.targets, row * n, n)
            for j in range(n):
                y[j] = target[j]
        elif n == 1:
            y[0] = examples.labels[row]
        else:
            for j in range(n):
                y[j] = 0
            y[examples.labels[row]] = 1
    if model.is_weighted:
        weights = rest(model.work, model.weights)
        for i in range(start, stop):
            weights[i] = examples.weights[order[i]]
