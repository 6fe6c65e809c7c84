"""The JSON file of the book's network2.py, for which every neuron is a sigmoid."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mbbp.exchange.plain import plain
from mbbp.files import as_path, write_text
from mbbp.network import Network
from mbbp.nielsen.saved import read_saved
from mbbp.validation import as_dtype

COSTS = {"quadratic": "QuadraticCost", "cross_entropy": "CrossEntropyCost"}  # our names, and the book's


def to_json(net: Network, path: str | Path) -> None:
    """Write a network as the JSON file of the book's ``network2.py``, which its ``load`` and ours read.

    The file holds sizes, weights, biases and the name of the cost. A scaling of the inputs is put into the first layer:
    W (x - mean) factor + b is (W factor) x + (b - W factor mean). So the outputs are equal to rounding.

    Parameters
    ----------
    net : Network
        All activations must be sigmoid, and the cost quadratic or cross_entropy: the book has no others.
    path : path
        The file. Its name must end in .json. An old file is replaced when the new one is complete.

    Raises
    ------
    ValueError
        If the book has no such network, the path has another ending, or a parameter is NaN or inf.
    TypeError
        If it is no network.
    OSError
        If the file cannot be written.
    RuntimeError
        If another thread is training the network.
    """
    found = plain(net, "to_json")
    others = sorted({layer.activation for layer in found.layers} - {"sigmoid"})
    if others:
        raise ValueError(f"net: expected sigmoid neurons, as in the book, got {', '.join(others)}")
    if found.cost not in COSTS:
        raise ValueError(f"net: expected the cost {' or '.join(COSTS)}, as in the book, got {found.cost}")
    if Path(path).suffix != ".json":
        raise ValueError(f"path: expected a name that ends in .json, got {str(path)!r}")
    weights = [layer.W.astype(np.float64) for layer in found.layers]
    biases = [layer.b.astype(np.float64) for layer in found.layers]
    if found.factor is not None:
        weights[0] *= found.factor
        if found.mean is not None:
            biases[0] -= weights[0] @ found.mean
    if not all(np.isfinite(one).all() for one in (*weights, *biases)):
        raise ValueError("net: expected parameters that float64 can hold with the scaling, got larger ones")
    facts = {
        "sizes": list(found.sizes),
        "weights": [W.tolist() for W in weights],
        "biases": [b.reshape(-1, 1).tolist() for b in biases],
        "cost": COSTS[found.cost],
    }
    write_text(path, json.dumps(facts))


def from_json(path: str | Path, *, dtype: object = "float64") -> Network:
    """Return the network of a JSON file that the book's ``network2.py`` wrote, or ours.

    Parameters
    ----------
    path : path
        The file.
    dtype : {"float32", "float64"}
        The dtype of the network.

    Returns
    -------
    Network

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not hold a network or one of more than 10,000 layers, its cost is none of the book's, or a parameter
        is no finite number.
    TypeError
        If `path` is no path.
    """
    path = as_path("path", path)
    saved = read_saved(path, as_dtype(dtype), "path")
    names = {theirs: ours for ours, theirs in COSTS.items()}
    if saved.cost not in names:
        raise ValueError(f"path: expected the cost {' or '.join(names)} in {str(path)!r}, got {saved.cost!r:.100}")
    net = Network(saved.sizes, "sigmoid", names[saved.cost], dtype)
    for layer, W, b in zip(net.layers, saved.weights, saved.biases, strict=True):
        layer.W, layer.b = W, b
    return net
