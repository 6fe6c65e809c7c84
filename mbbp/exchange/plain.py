"""A network as plain arrays and names, from which every other format is written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.presets import undo_target_scaling
from mbbp.scaling import Scaling


class PlainLayer(NamedTuple):
    """One computing layer.

    Attributes
    ----------
    W : ndarray of shape (n_out, n_in), in C order
    b : ndarray of shape (n_out,)
    activation : str
        The name of a built-in activation.
    """

    W: Array
    b: Array
    activation: str


class Plain(NamedTuple):
    """A network as plain arrays and names. The arrays are copies.

    Attributes
    ----------
    sizes : tuple of int
    dtype : dtype
        float32 or float64: that of the weights, and of the computation.
    layers : tuple of PlainLayer
    mean, factor : ndarray of float64, shape (n_in,), or None
        Inputs are scaled as (x - mean) * factor. Both are None if they are not scaled; only the mean, if nothing is
        subtracted.
    cost : str
    threshold : float
        For a single output that means a class: an output above it means the label 1.
    is_classifier : bool
        Whether the outputs mean classes: there are names of classes, or the outputs are sigmoid or softmax, or the cost
        is for classes; but not if the network was trained on numbers.
    classes : tuple of str or None
        The name of each class.
    input_names, target_names : tuple of str or None
    metadata : dict
        Texts by name.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype[Any]
    layers: tuple[PlainLayer, ...]
    mean: Array | None
    factor: Array | None
    cost: str
    threshold: float
    is_classifier: bool
    classes: tuple[str, ...] | None
    input_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    metadata: dict[str, str]


def plain(net: Network, caller: str) -> Plain:
    """Return a network as plain arrays, with its outputs in the targets' own units.

    Parameters
    ----------
    net : Network
        Its activations must be built-in ones.
    caller : str
        The function that was called, for an error message.

    Raises
    ------
    TypeError
        If it is no network.
    ValueError
        If it has custom activations, its scaling has not been learnt yet, its parameters hold NaN or inf, or its
        outputs are scaled targets and not linear.
    RuntimeError
        If another thread is training the network.
    """
    net = _in_own_units(net, caller)
    custom = [layer.activation.name for layer in net.layers if layer.activation.is_custom]
    if custom:
        raise ValueError(f"net: expected built-in activations for {caller}, got custom ones: {', '.join(custom)}")
    if not net.engine.scaling_is_learnt:
        raise ValueError(f"net: expected a network whose scaling is learnt for {caller}, got one before its first fit")
    if not np.isfinite(net.theta).all():
        raise ValueError("net: expected finite parameters, got NaN or inf")
    scaling, n_in = net.engine.scaling, net.sizes[0]
    schema = net.schema
    mean = factor = None
    if scaling is not None:
        mean = None if scaling.mean is None else np.broadcast_to(scaling.mean, (n_in,)).copy()
        factor = np.broadcast_to(scaling.factor, (n_in,)).copy()
    classes = None if schema is None else schema.classes
    output, cost = net.layers[-1].activation.name, net.cost_function
    has_targets = schema is not None and schema.targets is not None
    means_numbers = classes is None and (has_targets or net.trained_on_classes is False)
    return Plain(
        sizes=net.sizes,
        dtype=net.dtype,
        layers=tuple(
            PlainLayer(one.W.copy(order="C"), one.b.reshape(-1).copy(), one.activation.name) for one in net.layers
        ),
        mean=mean,
        factor=factor,
        cost=cost.name,
        threshold=cost.threshold,
        is_classifier=not means_numbers
        and (classes is not None or output in ("sigmoid", "softmax") or cost.is_of_classes),
        classes=classes,
        input_names=None if schema is None else schema.input_names,
        target_names=None if schema is None else schema.targets,
        metadata=dict(net.metadata),
    )


def _in_own_units(net: Network, caller: str) -> Network:
    """Return the network, or a copy of it if its outputs are in scaled units, which then are no longer scaled."""
    if not isinstance(net, Network):
        raise TypeError(f"net: expected an mbbp.Network, got {net!r:.100}")
    net.engine.writer.check_readable(caller)
    scaling = None if net.schema is None else net.schema.target_scaling
    if scaling is None:
        return net
    output = net.layers[-1].activation.name
    if output != "identity":  # what is after it cannot be put into the weights
        raise ValueError(
            f"net: expected identity outputs for {caller}, because the schema has a target_scaling, got {output}"
        )
    return in_own_units(net, scaling)


def in_own_units(net: Network, scaling: Scaling) -> Network:
    """Return a copy of a network that was trained on scaled targets, whose outputs are in the targets' own units."""
    copied: Network = net.__copy__()
    undo_target_scaling(copied, scaling)
    if copied.schema is not None:
        copied.schema = copied.schema.with_targets_in_own_units()
    return copied
