"""Networks on disk: one .npz file, read without running anything that stands in it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS
from mbbp.files import write_aside
from mbbp.network import Network

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
        If the path does not end .npz, or the network has functions of the user's own.
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
    try:
        with np.load(path, allow_pickle=False) as file:
            header: dict[str, Any] = json.loads(str(file["header"]))
            theta = file["theta"]
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"path: {str(path)!r} is damaged, or no network that mbbp.save wrote ({error})") from error
    if header.get("format") != FORMAT:
        raise ValueError(f"path: {str(path)!r} has format {header.get('format')!r}, {FORMAT} is wanted")
    known = set(header["activation"]) <= set(ACTIVATIONS) and header["cost"] in COSTS
    if not known or not np.isfinite(theta).all():
        raise ValueError(f"path: {str(path)!r} names an unknown function, or holds NaN or inf")
    net = Network(header["sizes"], activation=header["activation"], cost=header["cost"], dtype=theta.dtype)
    net.theta = theta
    return net
