"""Saving and loading a network: one .npz file. Loading it runs no code from the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mbbp.files import write_aside
from mbbp.network import Network
from mbbp.parameters import Array, parameter_count
from mbbp.validation import as_sizes

FORMAT = 1


def save(net: Network, path: str | Path) -> None:
    """Save a network to an .npz file.

    The file holds the sizes, the names of the activations and of the cost, and the parameters, but not the history and
    the state of the optimizer. An old file at `path` is replaced when the new one is complete.

    Parameters
    ----------
    net : Network
        Its activations and its cost must be built-in ones: a custom function is code, which the file cannot hold.
    path : path
        The file. Its name must end in .npz.

    Raises
    ------
    ValueError
        If the path does not end in .npz, the network has custom functions, or its parameters hold NaN or inf.
    OSError
        If the file cannot be written.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"path: expected a name that ends in .npz, got {str(path)!r}")
    names = [layer.activation.name for layer in net.layers]
    custom = [layer.activation.name for layer in net.layers if layer.activation.is_custom]
    custom += [net.cost_function.name] if net.cost_function.is_custom else []
    if custom:
        raise ValueError(f"net: expected built-in activations and costs, got custom ones: {', '.join(custom)}")
    if not np.isfinite(net.theta).all():
        raise ValueError("net: expected finite parameters, got NaN or inf")
    header = {"format": FORMAT, "sizes": net.sizes, "activation": names, "cost": net.cost_function.name}
    write_aside(path, lambda aside: np.savez(aside, header=np.array(json.dumps(header)), theta=net.theta))


def load(path: str | Path) -> Network:
    """Load a network that `save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Network
        Its outputs are the same to the bit. Its history is empty, and it has no state of an optimizer.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is damaged, or `save` did not write it.
    """
    damaged = f"path: expected a network that mbbp.save wrote, got {str(path)!r}, which is another or damaged file"
    with Path(path).open("rb") as opened:  # NumPy would leave a damaged file open
        try:
            with np.load(opened, allow_pickle=False) as file:
                header, theta = json.loads(str(file["header"])), file["theta"]
        except Exception as error:  # a damaged file can break every step of reading it, with OSError too
            raise ValueError(f"{damaged} ({error})") from error
    if not isinstance(header, dict):
        raise ValueError(f"{damaged} (its header is not a JSON object)")
    if header.get("format") != FORMAT:
        raise ValueError(
            f"path: expected a file of format {FORMAT}, got format {header.get('format')!r} in {str(path)!r}; "
            "this version of mbbp cannot read it"
        )
    try:
        return _build(header, theta)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{damaged} ({error})") from error


def _build(header: dict[str, Any], theta: Array) -> Network:
    sizes = as_sizes(header["sizes"])
    if theta.shape != (parameter_count(sizes),):  # checked before arrays of these sizes are allocated
        raise ValueError(f"theta: expected shape ({parameter_count(sizes)},) for sizes {sizes}, got {theta.shape}")
    net = Network(sizes, activation=header["activation"], cost=header["cost"], dtype=theta.dtype)
    if not np.isfinite(theta).all():
        raise ValueError("theta: expected finite parameters, got NaN or inf")
    net.theta = theta
    return net
