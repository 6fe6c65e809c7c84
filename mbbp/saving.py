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
        Its activations and cost must be built-in ones: a function of your own is code, which a file of numbers cannot
        hold.
    path : path
        The file, ending .npz.

    Raises
    ------
    ValueError
        If the path does not end .npz, the network has functions of the user's own, or its parameters NaN or inf.
    OSError
        If the file cannot be written.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"path: a name ending .npz is wanted, got {str(path)!r}")
    names = [layer.activation.name for layer in net.layers]
    own = [layer.activation.name for layer in net.layers if layer.activation.own is not None]
    own += [net.cost_function.name] if net.cost_function.own is not None else []
    if own:
        raise ValueError(f"net: only built-in activations and costs can be saved, it has its own {', '.join(own)}")
    if not np.isfinite(net.theta).all():
        raise ValueError("net: its parameters hold NaN or inf")
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
    wanted = f"path: {str(path)!r} is damaged, or no network that mbbp.save wrote"
    try:
        # NumPy would leave a damaged file open.
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            header, theta = json.loads(str(file["header"])), file["theta"]
    except OSError:
        raise
    except Exception as error:  # a damaged file can break every step of reading it
        raise ValueError(f"{wanted} ({error})") from error
    if not isinstance(header, dict):
        raise ValueError(f"{wanted} (its header is no table)")
    if header.get("format") != FORMAT:
        raise ValueError(f"path: {str(path)!r} has format {header.get('format')!r}, {FORMAT} is wanted")
    try:
        return _build(header, theta)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{wanted} ({error})") from error


def _build(header: dict[str, Any], theta: Array) -> Network:
    sizes = as_sizes(header["sizes"])
    if theta.shape != (parameter_count(sizes),):  # before anything of these sizes is made
        raise ValueError(f"sizes {sizes} want {parameter_count(sizes)} parameters, it has shape {theta.shape}")
    net = Network(sizes, activation=header["activation"], cost=header["cost"], dtype=theta.dtype)
    if not np.isfinite(theta).all():
        raise ValueError("its parameters hold NaN or inf")
    net.theta = theta
    return net
