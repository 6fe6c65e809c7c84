"""What is lost by the precision of a header: in the weights, and in the outputs of given examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from mbbp.exchange.c import twin
from mbbp.exchange.c.model import Model
from mbbp.inputs import as_inputs
from mbbp.network import Network
from mbbp.targets import as_targets


def weight_error(model: Model) -> float:
    """Return the largest change of a weight, as a part of the largest weight of its neuron."""
    worst = 0.0
    for layer, exact in zip(model.layers, model.plain.layers, strict=True):
        W = exact.W.astype(np.float64)
        largest = abs(W).max(axis=1)
        change = abs(layer.weights.T - W).max(axis=1)
        worst = max(worst, float((change / np.where(largest == 0, 1, largest)).max()))
    return worst


def measured(net: Network, model: Model, X: ArrayLike, y: ArrayLike | None) -> Iterator[str]:
    """Yield lines that compare the outputs with those of mbbp, and the accuracies or errors if there are targets.

    Raises
    ------
    ValueError
        If X or y has the wrong shape, or holds NaN, inf or a label that is out of range.
    TypeError
        If X or y does not hold real numbers.
    """
    scaling = None if net.schema is None else net.schema.target_scaling
    rows = as_inputs("X", X, net.sizes[0], net.dtype, net.engine.scaling)
    # not the copy that was made for the header: what its rounding costs belongs to the difference
    given = net.feedforward(rows.T).astype(np.float64)
    before = (given if scaling is None else scaling.undo(given)).T
    with np.errstate(over="ignore"):
        outputs = twin.predict(model, rows.astype(model.dtype))
    after = outputs.astype(np.float64)
    with np.errstate(all="ignore"):
        difference = np.where(before == after, 0.0, abs(after - before))
    yield f"Outputs of {len(rows):,} examples, compared with those of mbbp: the difference is"
    yield f"{difference.max():.2g} at most and {difference.mean():.2g} on average."
    if model.plain.is_classifier:
        changed = int((twin.classify(model, before) != twin.classify(model, outputs)).sum())
        yield f"The label is another one for {changed:,} of them."
    if y is None:
        return
    n_out, exact = net.sizes[-1], np.dtype(np.float64)
    targets = as_targets("y", y, n_out, len(rows), exact, "X", is_regression=not model.plain.is_classifier)
    if targets.labels.size and model.plain.is_classifier:
        ours, theirs = (float((twin.classify(model, one) == targets.labels).mean()) for one in (before, outputs))
        yield f"Accuracy on them: {ours:.2%} in mbbp, {theirs:.2%} here."
    elif targets.rows.size:
        with np.errstate(all="ignore"):
            ours, theirs = (float(np.sqrt(np.square(one - targets.rows).mean())) for one in (before, after))
        yield f"Root of the mean squared error on them: {ours:.6g} in mbbp, {theirs:.6g} here."
