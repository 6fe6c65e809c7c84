"""Saving and loading a network: one .npz file. Loading it runs no code from the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mbbp.costs import Cost, get_cost, with_parameter
from mbbp.dropout import MOST_SEED
from mbbp.files import write_aside
from mbbp.network import Network
from mbbp.npz import Npz, open_npz
from mbbp.parameters import parameter_count
from mbbp.scaling import STANDARDIZE, AnyScaling, Scaling
from mbbp.validation import as_count, as_sizes

FORMAT = 2
READABLE = (1, 2)  # format 1 has no scaling
ARRAYS = "arrays"  # the word for a scaling whose numbers are in the file
MOST_LETTERS = 1 << 18
"""The longest header: that of some 10,000 layers. What is longer would take long to build, and is hardly a network."""


def save(net: Network, path: str | Path) -> None:
    """Save a network to an .npz file.

    The file holds the sizes, the names of the activations and of the cost, the cost's parameter if it has one, the
    parameters of the network, the scaling of the inputs and the dropout, but not the history and the state of the
    optimizer. An old file at `path` is replaced when the new one is complete.

    Parameters
    ----------
    net : Network
        Its activations and its cost must be built-in ones: a custom function is code, which the file cannot hold.
    path : path
        The file. Its name must end in .npz.

    Raises
    ------
    ValueError
        If the path does not end in .npz, the network has custom functions or more than some 10,000 layers, or its
        parameters hold NaN or inf.
    OSError
        If the file cannot be written.
    TypeError
        If it is no network.
    RuntimeError
        If another thread is training the network.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net: expected an mbbp.Network, got {net!r:.100}")
    net.engine.writer.check_readable("save")
    if Path(path).suffix != ".npz":
        raise ValueError(f"path: expected a name that ends in .npz, got {str(path)!r}")
    names = [layer.activation.name for layer in net.layers]
    custom = [layer.activation.name for layer in net.layers if layer.activation.is_custom]
    custom += [net.cost_function.name] if net.cost_function.is_custom else []
    if custom:
        raise ValueError(f"net: expected built-in activations and costs, got custom ones: {', '.join(custom)}")
    if not np.isfinite(net.theta).all():
        raise ValueError("net: expected finite parameters, got NaN or inf")
    cost = net.cost_function
    scaling, arrays, dropout = net.scaling, {"theta": net.theta}, net.engine.dropout
    facts = {
        "format": FORMAT,
        "sizes": net.sizes,
        "activation": names,
        "cost": cost.name,
        "scaling": ARRAYS if isinstance(scaling, Scaling) else scaling,
    }
    if cost.parameter is not None:
        facts["cost_parameter"] = cost.parameter
    if dropout is not None:  # what was written before knows of none, and reads the rest
        facts |= {"dropout": dropout.rates, "dropout_seed": dropout.seed}
    header = json.dumps(facts)
    if isinstance(scaling, Scaling):
        arrays |= {
            "scaling_mean": np.zeros(1) if scaling.mean is None else scaling.mean,
            "scaling_factor": scaling.factor,
        }
    if len(header) > MOST_LETTERS:
        raise ValueError(f"net: expected fewer layers, got {len(names)}: too many to be saved")
    write_aside(path, lambda aside: np.savez(aside, header=np.array(header), **arrays))  # type: ignore[arg-type]


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
    try:
        with open_npz(path, compressed=False) as file:  # so that no array is larger than the file
            header = _read_header(file)
            is_known = header.get("format") in READABLE
            net = _build(header, file) if is_known else None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"path: expected a network that mbbp.save wrote, got {str(path)!r}, which is another or damaged file "
            f"({error!s:.500})"
        ) from error
    if net is None:
        known, found = " or ".join(map(str, READABLE)), f"{header.get('format')!r:.100}"
        raise ValueError(
            f"path: expected a file of format {known}, got format {found} in {str(path)!r}; "
            "this version of mbbp cannot read it"
        )
    return net


def _read_header(file: Npz) -> dict[str, Any]:
    found = file.header("header")
    if found.dtype.kind != "U" or found.shape != () or found.nbytes > 4 * MOST_LETTERS:
        raise ValueError(f"header: expected a text of at most {MOST_LETTERS} letters, got {found.dtype} {found.shape}")
    try:
        header = json.loads(str(file.read("header")))
    except RecursionError as error:
        raise ValueError("header: expected a JSON object, got one that is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError(f"header: expected a JSON object, got {header!r:.100}")
    return header


def _build(header: dict[str, Any], file: Npz) -> Network:
    sizes = as_sizes(header["sizes"])
    theta = file.read("theta")
    if theta.shape != (parameter_count(sizes),):  # checked before arrays of these sizes are allocated
        raise ValueError(f"theta: expected shape ({parameter_count(sizes)},) for sizes {sizes}, got {theta.shape}")
    net = Network(
        sizes,
        activation=header["activation"],
        cost=_read_cost(header["cost"], header.get("cost_parameter")),
        dtype=theta.dtype,
        scaling=_read_scaling(header.get("scaling"), file),
        dropout=header.get("dropout"),
    )
    if net.dropout is not None:
        net.engine.set_dropout_seed(as_count("dropout_seed", header["dropout_seed"], least=0, most=MOST_SEED))
    if not np.isfinite(theta).all():
        raise ValueError("theta: expected finite parameters, got NaN or inf")
    net.theta = theta
    return net


def _read_cost(name: Any, parameter: Any) -> Cost:
    cost = get_cost(name)
    if parameter is None and cost.parameter is None:
        return cost
    if type(parameter) is not float:  # `save` writes no other kind of number
        raise ValueError(f"cost_parameter: expected a number for the {cost.name} cost, got {parameter!r:.100}")
    return with_parameter(cost.name, parameter, "cost_parameter")


def _read_scaling(found: Any, file: Npz) -> AnyScaling | Scaling:
    if found == ARRAYS:
        return Scaling(file.read("scaling_mean"), file.read("scaling_factor"))
    if found not in (None, STANDARDIZE):
        raise ValueError(f"scaling: expected null, {STANDARDIZE!r} or {ARRAYS!r}, got {found!r:.100}")
    return None if found is None else STANDARDIZE
