"""Find what makes a network learn slowly in the measures of its layers, and say what to try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mbbp.activations import Activation
from mbbp.chapter2.algorithm import Backpropagation
from mbbp.chapter2.saturation import LayerDiagnosis, saturated, slope
from mbbp.costs import Cost
from mbbp.parameters import Array
from mbbp.tables import wrapped

# The limits for a finding. For the digits, a new network with up to two hidden layers stays within all of them, whether
# sigmoid with the default initializer or tanh with glorot.
SATURATED_SHARE = 0.25
STUCK_SHARE = 0.1
LOW_SHARE = 0.9
WRONG_SHARE = 0.05
WRONG_BY = 0.5
LARGE_INPUTS = 3.0
VANISHING = 1 / 100
EXPLODING = 30.0
LONG_GRADIENT = 10.0
SWITCHES = ("relu",)  # sigma'(z) = 0 for some examples is normal for these; only for all examples it is a finding

SIZES = slice(LayerDiagnosis._fields.index("input_size"), None)

BETTER_COST = {
    "sigmoid": "the cross_entropy cost, whose output error a - y has no factor sigma'(z)",
    "softmax": "the log_likelihood cost, whose output error a - y has no factor sigma'(z)",
}
OTHER_OUTPUTS = "sigmoid outputs with the cross_entropy cost for classes, identity outputs for numbers"


class Finding(NamedTuple):
    """Something that makes a network learn slowly.

    Attributes
    ----------
    kind : str
        One of: large inputs, low inputs, saturated, dead, saturated outputs, vanishing, exploding, not finite.
    layers : tuple of int
        The numbers of the layers in which it was found, 2 to L.
    what : str
        What was found.
    advice : str
        What to try.
    """

    kind: str
    layers: tuple[int, ...]
    what: str
    advice: str

    @property
    def place(self) -> str:
        """The kind and the layers, in words."""
        return f"{self.kind}, layer{'s' if len(self.layers) > 1 else ''} {', '.join(map(str, self.layers))}"

    def __str__(self) -> str:
        found = wrapped(f"{self.place}: {self.what}", later_indent="   ")
        return f"{found}\n{wrapped(f'try {self.advice}', indent='   ')}"


def find(
    layers: Sequence[LayerDiagnosis],
    passed: Backpropagation,
    y: Array,
    output: Activation,
    cost: Cost,
    saturated_below: float,
) -> list[Finding]:
    """Return the findings, in the order of the passes: first the inputs, last the gradients.

    Parameters
    ----------
    layers : sequence of LayerDiagnosis
        The measures of layers 2 to L.
    passed : Backpropagation
        The results of backpropagation from which they were computed.
    y : ndarray of shape (n_L, m)
        The desired outputs.
    output : Activation
        The activation function of the output layer.
    cost : Cost
        The cost of the network.
    saturated_below : float
        A neuron counts as saturated if |sigma'(z)| is below this threshold.

    Returns
    -------
    list of Finding
        Empty if nothing was found. If a number is not finite, this is the only finding.
    """
    broken = [row for row in layers if not np.isfinite(row[SIZES]).all()]
    if broken:
        return [_not_finite(broken)]
    m = passed.a[1].shape[1]
    return [
        *_large_inputs(layers[0]),
        *_low_inputs(layers),
        *_saturated(layers[:-1]),
        *_dead(layers, m),
        *_saturated_outputs(passed, y, output, cost, saturated_below),
        *_vanishing(layers),
        *_exploding(layers),
    ]


def _finding(kind: str, rows: Sequence[LayerDiagnosis], what: str, advice: str) -> Finding:
    return Finding(kind, tuple(row.l for row in rows), what, advice)


def _most(shares: Sequence[float]) -> str:
    return f"{'up to ' if len(shares) > 1 else ''}{max(shares):.0%}"


def _not_finite(rows: Sequence[LayerDiagnosis]) -> Finding:
    return _finding(
        "not finite",
        rows,
        "the activations, the gradient or the parameters hold NaN or inf",
        "a smaller learning rate, clip_norm, smaller initial weights, inputs scaled to 0 ... 1",
    )


def _large_inputs(first: LayerDiagnosis) -> Iterator[Finding]:
    if first.input_size > LARGE_INPUTS:
        yield _finding(
            "large inputs",
            [first],
            f"the root mean square of the inputs is {first.input_size:.3g}, and it should be about 1",
            "inputs scaled to 0 ... 1, or to mean 0 and variance 1 (scaling='standardize')",
        )


def _low_inputs(layers: Sequence[LayerDiagnosis]) -> Iterator[Finding]:
    rows = [row for row in layers if row.low_inputs >= LOW_SHARE]
    if rows:
        yield _finding(
            "low inputs",
            rows,
            f"{_most([row.low_inputs for row in rows])} of the inputs of a layer are near 0, and so is the gradient "
            "dC/dw = a_in delta_out of their weights",
            "inputs scaled to mean 0 and variance 1"
            if rows[0].l == 2
            else f"larger initial weights for layer {rows[0].l - 1}, or another activation there",
        )


def _saturated(hidden: Sequence[LayerDiagnosis]) -> Iterator[Finding]:
    rows = [row for row in hidden if row.activation not in SWITCHES and row.saturated >= SATURATED_SHARE]
    if rows:
        yield _finding(
            "saturated",
            rows,
            f"{_most([row.saturated for row in rows])} of the neurons, over the examples, have a sigma'(z) near 0, "
            "which is a factor of their error delta",
            "smaller initial weights (the default or the glorot initializer), scaled inputs, L2 regularization, relu",
        )


def _dead(layers: Sequence[LayerDiagnosis], m: int) -> Iterator[Finding]:
    rows = [row for row in layers if row.activation in SWITCHES and row.stuck >= STUCK_SHARE * row.n_out]
    if rows:
        yield _finding(
            "dead",
            rows,
            f"{', '.join(f'{row.stuck} of {row.n_out}' for row in rows)} neurons are off for all {m:,} examples, so "
            "their weights get no gradient",
            "leaky_relu; the he initializer, whose biases are 0; a smaller learning rate",
        )


def _saturated_outputs(
    passed: Backpropagation, y: Array, output: Activation, cost: Cost, below: float
) -> Iterator[Finding]:
    if cost.required_activation is not None:  # the cost cancels sigma'(z^L)
        return
    L = max(passed.z)
    stuck = saturated(slope(output, passed.z[L], passed.a[L]), below) & (np.abs(passed.a[L] - y) > WRONG_BY)
    share = float(stuck.any(axis=0).mean())
    if share >= WRONG_SHARE:
        yield Finding(
            "saturated outputs",
            (L,),
            f"{share:.0%} of the examples have an output that is saturated and wrong by more than {WRONG_BY:g}; with "
            f"the {cost.name} cost its error has the factor sigma'(z), so the outputs that are most wrong learn least",
            f"{BETTER_COST.get(output.name, OTHER_OUTPUTS)}; smaller initial weights",
        )


def _vanishing(layers: Sequence[LayerDiagnosis]) -> Iterator[Finding]:
    last = layers[-1]
    rows = [row for row in layers[:-1] if row.error < VANISHING * last.error]
    if rows:
        least = min(row.error for row in rows)
        share = f"1/{last.error / least:,.0f}" if least > 0 else "nothing"
        yield _finding(
            "vanishing",
            rows,
            f"the mean |delta| falls to {least:.1e}, {share} of the output layer's {last.error:.1e}, so the first "
            "layers hardly learn",
            "relu with the he initializer, or tanh with glorot, in the hidden layers; fewer layers",
        )


def _exploding(layers: Sequence[LayerDiagnosis]) -> Iterator[Finding]:
    last = layers[-1]
    grown = [row for row in layers[:-1] if row.error > EXPLODING * last.error > 0]
    long = [row for row in layers if row.weight_gradient > LONG_GRADIENT * row.weights > 0]
    what = []
    if grown:
        most = max(row.error for row in grown)
        what.append(f"the mean |delta| grows to {most:.1e}, {most / last.error:,.0f} times the output layer's")
    if long:
        most = max(row.weight_gradient / row.weights for row in long)
        what.append(f"|dC/dW| is up to {most:,.0f} times as long as |W|")
    if what:
        yield _finding(
            "exploding",
            [row for row in layers if row in grown or row in long],
            "; ".join(what),
            "smaller initial weights (he for relu, glorot for tanh), clip_norm, a smaller learning rate, inputs and "
            "targets scaled to about 1",
        )
