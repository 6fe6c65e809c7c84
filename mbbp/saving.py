"""Networks on disk: one .npz file, read without running anything that stands in it."""

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
    """Write a network (sizes, names and parameters) to an .npz file; what stood there stays until the new one is whole.

    Parameters
    ----------
    net : Network
        Its activations and cost must be built-in ones: a custom function is code, which a file of numbers cannot hold.
    path : path
        The file, ending .npz.

    Raises
    ------
    ValueError
        If the path does not end .npz, the network has custom functions, or its parameters hold NaN or inf.
    OSError
        If the file cannot be written.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"path: expected a name ending .npz, got {str(path)!r}")
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
    """Read a network that `save` wrote.

    Returns
    -------
    Network
        With the same outputs to the bit. Its history and optimizer start afresh.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or holds no network.
    """
    damaged = f"path: {str(path)!r} is damaged, or no network that mbbp.save wrote"
    try:
        # NumPy would leave a damaged file open.
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            header, theta = json.loads(str(file["header"])), file["theta"]
    except OSError:
        raise
    except Exception as error:  # a damaged file can break every step of reading it
        raise ValueError(f"{damaged} ({error})") from error
    if not isinstance(header, dict):
        raise ValueError(f"{damaged} (its header is no table)")
    if header.get("format") != FORMAT:
        raise ValueError(
            f"path: {str(path)!r} has a format that this version cannot read: "
            f"expected {FORMAT}, got {header.get('format')!r}"
        )
    try:
        return _build(header, theta)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{damaged} ({error})") from error


def _build(header: dict[str, Any], theta: Array) -> Network:
    sizes = as_sizes(header["sizes"])
    if theta.shape != (parameter_count(sizes),):  # before anything of these sizes is made
        raise ValueError(f"theta: expected shape ({parameter_count(sizes)},) for sizes {sizes}, got {theta.shape}")
    net = Network(sizes, activation=header["activation"], cost=header["cost"], dtype=theta.dtype)
    if not np.isfinite(theta).all():
        raise ValueError("its parameters hold NaN or inf")
    net.theta = theta
    return net
