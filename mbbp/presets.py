"""Networks for tables, with settings that suit most of them: `classifier` and `regressor` build and train one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_columns, as_numeric_array
from mbbp.costs import Cost, get_cost
from mbbp.network import Network
from mbbp.optimizers import AdamW
from mbbp.parameters import Array
from mbbp.saving import save
from mbbp.scaling import STANDARDIZE, Scaling, learn
from mbbp.schedules import Cosine
from mbbp.schema import Schema
from mbbp.solvers import Solver, get_optimizer
from mbbp.structure import DropoutRates, Rng
from mbbp.targets import TEXT_HINT, as_labels
from mbbp.validation import as_count, as_dtype, shown

BATCH_SIZE, LEARNING_RATE = 32, 0.01
STEPS = 3000  # about so many; the number of epochs is from 20 to 200
MOST_CLASSES = 1_000_000


def classifier(
    X: ArrayLike,
    y: ArrayLike,
    *,
    hidden: Sequence[int] = (100,),
    epochs: int | None = None,
    dtype: Any = "float32",
    rng: Rng = None,
    dropout: DropoutRates = None,
    progress: bool | None = None,
    **training: Any,
) -> Network:
    """Build a network that tells classes apart, and train it.

    Each input is standardized. The hidden layers are relu, the outputs softmax, the optimizer is AdamW. The learning
    rate falls from 0.01 to 0 along a cosine. The weight decay is 300 / n for n examples, and at most 1.

    Parameters
    ----------
    X : array_like of shape (n_in, n)
        Training inputs, one example per column; for a table with one sample in each row pass ``rows.T``.
    y : array_like of shape (n,)
        Labels 0 to K-1; ``classes, y = numpy.unique(names, return_inverse=True)`` makes them of names.
    hidden : sequence of int
        The sizes of the hidden layers.
    epochs : int, optional
        The number of passes through the training set. By default about 3,000 steps of 32 examples, but 20 epochs or
        more and 200 or less.
    dtype : {"float32", "float64"}
        The dtype of the parameters and of all computations.
    rng : int or numpy.random.Generator, optional
        The source of the initial parameters and of the shuffles.
    dropout : float or sequence of float, optional
        As for `Network`: the probability that a step of training drops a hidden neuron.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal and in a notebook.
    **training
        Other arguments of `Network.fit`, such as ``class_weights="balanced"`` or ``validation_split=0.1`` with
        ``early_stopping=20``. They go before those that are chosen here.

    Returns
    -------
    Network
        Trained, with K outputs. `Network.classify` gives labels, `Network.feedforward` probabilities.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, holds NaN or inf, or is out of range, or if y has a single class.
    TypeError
        If an argument is of the wrong type.
    DivergedError
        If the cost or a parameter becomes NaN or inf.

    Examples
    --------
    >>> import mbbp
    >>> data = mbbp.datasets.load_digits()
    >>> net = mbbp.classifier(data.x_train, data.y_train, rng=0)
    >>> net.accuracy(data.x_test, data.y_test) > 0.95
    True
    """
    array = as_numeric_array("y", y, TEXT_HINT)
    if array.ndim != 1:
        hint = "; pass y.ravel()" if array.ndim == 2 and 1 in array.shape else ""
        raise ValueError(f"y: expected labels of shape (n,), got {array.shape}{hint}")
    if array.size and array.min() < 0:
        raise ValueError(f"y: expected labels from 0, got {array.min()}{TEXT_HINT}")
    labels = as_labels("y", array, MOST_CLASSES)
    n_classes = int(labels.max()) + 1
    if n_classes < 2:
        raise ValueError("y: expected labels of two classes or more, got only 0")
    absent = np.flatnonzero(np.bincount(labels) == 0)
    if absent.size:
        raise ValueError(
            f"y: expected examples of all labels from 0 to {n_classes - 1}, got none of {absent[0]}{TEXT_HINT}"
        )
    return _trained(X, labels, n_classes, "softmax", None, hidden, epochs, dtype, rng, dropout, progress, training)


def regressor(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    cost: str | Cost = "quadratic",
    hidden: Sequence[int] = (100,),
    epochs: int | None = None,
    dtype: Any = "float32",
    rng: Rng = None,
    dropout: DropoutRates = None,
    progress: bool | None = None,
    **training: Any,
) -> Network:
    """Build a network that predicts numbers, and train it.

    As `classifier`, with identity outputs and the quadratic cost, or another one for numbers. The targets are
    standardized too: the costs in `Network.history` are those of standardized targets. After the training, the last
    layer is scaled, so that the outputs are in the units of Y.

    Parameters
    ----------
    X : array_like of shape (n_in, n)
        Training inputs, one example per column; for a table with one sample in each row pass ``rows.T``.
    Y : array_like of shape (n,) or (n_out, n)
        Desired outputs.
    cost : str or Cost
        quadratic, huber, absolute, quantile, or a custom one. It is the cost of standardized targets, so the delta of
        `mbbp.costs.huber` counts standard deviations of a target. Poisson is not for such targets: build a `Network`.
    hidden, epochs, dtype, rng, dropout, progress, **training
        As for `classifier`.

    Returns
    -------
    Network
        Trained. `Network.feedforward` gives predictions of shape (n_out, m).

    Raises
    ------
    ValueError
        If an argument has the wrong shape, holds NaN or inf, or is out of range.
    TypeError
        If an argument is of the wrong type.
    DivergedError
        If the cost or a parameter becomes NaN or inf.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> X = np.random.default_rng(0).uniform(-2, 2, (2, 500))
    >>> y = 1000 + 50 * np.sin(X[0]) * X[1]
    >>> net = mbbp.regressor(X, y, rng=0)
    >>> float(abs(net.feedforward(X) - y).mean()) < 5
    True
    """
    chosen = get_cost(cost)
    if chosen.usual_activation not in (None, "identity") or chosen.is_of_classes:
        raise ValueError(f"cost: expected one for standardized numbers, such as quadratic or huber, got {chosen.name}")
    array = as_numeric_array("Y", Y)
    array = array.reshape(1, -1) if array.ndim == 1 else array
    if not array.size:
        raise ValueError(f"Y: expected at least one column and one row, got shape {array.shape}")
    if array.ndim == 2 and as_numeric_array("X", X).shape[1:] == (len(array),):
        raise ValueError(f"Y: expected shape (n_out, {len(array)}), got {array.shape}; for rows of samples pass Y.T")
    targets = as_columns("Y", array, len(array) if array.ndim else 1, np.dtype(np.float64))
    scaling = learn(targets.T, np.arange(targets.shape[1]))
    if scaling is None:
        raise ValueError("Y: expected numbers whose squares float64 can hold, to standardize them, got larger ones")
    check_targets_fit("Y", targets, scaling, as_dtype(dtype))
    scaled, n_out = scaling.apply(targets), len(targets)
    schema = Schema(target_scaling=scaling)  # for a checkpoint that is written while it is trained
    net = _trained(
        X, scaled, n_out, "identity", chosen, hidden, epochs, dtype, rng, dropout, progress, training, schema
    )
    undo_target_scaling(net, scaling)
    net.schema = None
    if training.get("checkpoint") is not None and net.history.has_ended:  # after Ctrl-C it is kept as it can go on
        save(net, training["checkpoint"])
    return net


def check_targets_fit(argument: str, targets: Array, scaling: Scaling, dtype: np.dtype[Any]) -> None:
    """Check that a dtype holds the differences between targets.

    In float32, numbers of about 1e9 lie 64 apart: outputs in such units cannot say less.

    Raises
    ------
    ValueError
        If the distance between two numbers of the dtype is more than a hundredth of the spread of a target.
    """
    with np.errstate(over="ignore"):
        largest = np.abs(targets).max(axis=1).astype(dtype)
    distance = np.spacing(largest).astype(np.float64) * scaling.factor
    if not (np.isfinite(largest).all() and (distance <= 0.01).all()):
        raise ValueError(
            f"{argument}: expected targets whose differences {dtype} can hold, got numbers up to {largest.max():g} "
            "that differ by much less; use dtype='float64', or subtract a constant"
        )


def undo_target_scaling(net: Network, scaling: Scaling) -> None:
    """Change the last layer, which is linear, so that the outputs are no longer scaled as the targets were.

    Parameters
    ----------
    net : Network
        With identity outputs, trained on scaled targets.
    scaling : Scaling
        How the targets were scaled.
    """
    last = net.layers[-1]
    last.W, last.b = last.W / scaling.factor.reshape(-1, 1), scaling.undo(last.b)


def _as_hidden(hidden: Sequence[int]) -> list[int]:
    try:
        return [as_count("hidden", size) for size in hidden]
    except TypeError:
        raise TypeError(f"hidden: expected the sizes of the hidden layers, got {shown(hidden)}") from None


def _trained(
    X: ArrayLike,
    targets: Any,
    n_out: int,
    output: str,
    cost: Cost | None,
    hidden: Sequence[int],
    epochs: int | None,
    dtype: Any,
    rng: Rng,
    dropout: DropoutRates,
    progress: bool | None,
    training: dict[str, Any],
    schema: Schema | None = None,
) -> Network:
    inputs, n = as_numeric_array("X", X), targets.shape[-1]
    if inputs.ndim != 2 or not len(inputs):
        raise ValueError(f"X: expected a matrix with one example per column, got shape {inputs.shape}")
    if inputs.shape[1] != n:
        hint = "; for rows of samples pass X.T" if inputs.shape[0] == n else ""
        of = "y" if output == "softmax" else "Y"
        raise ValueError(f"X: expected one column for each of the {n} examples in {of}, got shape {inputs.shape}{hint}")
    inner = _as_hidden(hidden)
    sizes = [inputs.shape[0], *inner, n_out]
    names = [*["relu"] * len(inner), output]
    net = Network(sizes, names, cost, dtype=dtype, initializer="he", rng=rng, scaling=STANDARDIZE, dropout=dropout)
    net.schema = schema
    if epochs is None:
        epochs = min(200, max(20, math.ceil(STEPS / math.ceil(n / BATCH_SIZE))))
    chosen: dict[str, Any] = {
        "batch_size": BATCH_SIZE,
        "optimizer": AdamW(weight_decay=min(1.0, 300 / n)),
        "learning_rate": Cosine(LEARNING_RATE, as_count("epochs", epochs)),
    }
    given = get_optimizer(training.get("optimizer", "adamw"), solvers=True)
    if isinstance(given, Solver) and given.takes_all_examples:
        del chosen["batch_size"]
    if isinstance(given, Solver) and not given.has_learning_rate:
        del chosen["learning_rate"]
    net.fit(inputs, targets, epochs=epochs, progress=progress, **(chosen | training))
    return net
