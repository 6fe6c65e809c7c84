"""Networks in files of the format safetensors, which PyTorch, JAX and many others read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mbbp.costs import Cost
from mbbp.exchange.describe import as_text, describe, read_cost, read_description, read_schema
from mbbp.exchange.plain import PlainLayer, plain
from mbbp.exchange.rebuild import Parts, rebuild
from mbbp.extras import load_extra
from mbbp.fileformat.structure import MOST_LAYERS
from mbbp.files import as_path, write_aside
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.validation import as_sizes

KEY = "mbbp"  # of the description in the file's metadata
MEAN, FACTOR = "scaling.mean", "scaling.factor"


def to_safetensors(net: Network, path: str | Path) -> None:
    """Write a network to a file of the format safetensors, which PyTorch, JAX and many others read.

    Parameters
    ----------
    net : Network
        Its activations and its cost must be built-in ones.
    path : path
        The file. An old file at `path` is replaced when the new one is complete.

    Raises
    ------
    ValueError
        If the network has custom functions, its scaling has not been learnt yet, its parameters hold NaN or inf,
        or its schema and metadata are longer than 4 million letters.
    OSError
        If the file cannot be written.
    TypeError
        If it is no network.
    RuntimeError
        If another thread is training the network.
    ImportError
        If safetensors is not installed.

    Notes
    -----
    Layer i, from 0, has the tensors ``layers.i.weight`` of shape (n_out, n_in) and ``layers.i.bias`` of shape (n_out,),
    in the dtype of the network: what a `torch.nn.Linear` has. If inputs are scaled, ``scaling.factor`` and perhaps
    ``scaling.mean`` of shape (n_in,) are there in float64: the network computes with (x - mean) * factor. Outputs are
    in the targets' own units.

    The metadata of the file has one text in JSON, with the name ``mbbp``: the sizes, the activations, the cost, the
    dropout, the schema and the metadata of the network. The history and the state of the optimizer are not kept.
    """
    parts = plain(net, "to_safetensors")
    cost: Cost = net.cost_function
    if cost.is_custom:
        raise ValueError(f"net: expected a built-in cost for to_safetensors, got a custom one: {cost.name}")
    if len(parts.layers) > MOST_LAYERS:
        raise ValueError(f"net: expected at most {MOST_LAYERS:,} layers for to_safetensors, got {len(parts.layers):,}")
    library = load_extra("to_safetensors", "safetensors.numpy")
    tensors: dict[str, Array] = {}
    for i, layer in enumerate(parts.layers):
        tensors |= {f"layers.{i}.weight": layer.W, f"layers.{i}.bias": layer.b}
    tensors |= {name: one for name, one in ((MEAN, parts.mean), (FACTOR, parts.factor)) if one is not None}
    metadata = {KEY: as_text("to_safetensors", describe(net, parts))}
    write_aside(path, lambda aside: aside.write_bytes(library.save(tensors, metadata)))


def from_safetensors(path: str | Path) -> Network:
    """Read a network that `to_safetensors` wrote. Reading runs no code from the file.

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
        If the file is damaged, or `to_safetensors` did not write it.
    TypeError
        If `path` is no path.
    ImportError
        If safetensors is not installed.

    Notes
    -----
    Reading takes three times as much memory as the file has bytes, the network among them (measured: 2.9 times for a
    file of 40 MB).
    """
    library = load_extra("from_safetensors", "safetensors")
    path = as_path("path", path)
    with path.open("rb"):  # so that a file that is missing is an OSError, whatever the library makes of it
        pass
    try:
        with library.safe_open(str(path), framework="numpy") as file:
            parts = _read(file)
        return rebuild("the file", parts)  # when the file is closed, which takes as much memory as the network
    except (library.SafetensorError, KeyError, TypeError, ValueError, OverflowError, MemoryError, OSError) as error:
        raise ValueError(
            f"path: expected a network that mbbp.to_safetensors wrote, got {str(path)!r}, which is another or damaged "
            f"file ({error!s:.500})"
        ) from error


def _read(file: Any) -> Parts:
    """Return what is in a file. The library has compared what its header says with the length of the file."""
    facts = read_description((file.metadata() or {}).get(KEY))
    sizes = as_sizes(facts["sizes"])
    if len(sizes) - 1 > MOST_LAYERS:
        raise ValueError(f"sizes: expected at most {MOST_LAYERS:,} layers, got {len(sizes) - 1:,}")
    names, n_layers = facts.get("activations"), len(sizes) - 1
    if not isinstance(names, list) or len(names) != n_layers:
        raise ValueError(f"activations: expected {n_layers} names, got {names!r:.100}")
    code = {"float32": "F32", "float64": "F64"}.get(str(facts.get("dtype")))
    if code is None:
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {facts.get('dtype')!r:.100}")
    expected: dict[str, tuple[str, list[int]]] = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        expected |= {f"layers.{i}.weight": (code, [n_out, n_in]), f"layers.{i}.bias": (code, [n_out])}
    found = set(file.keys())
    expected |= {name: ("F64", [sizes[0]]) for name in (MEAN, FACTOR) if name in found}
    if MEAN in found and FACTOR not in found:
        raise ValueError(f"tensors: expected {FACTOR} beside {MEAN}, got none")
    if found != expected.keys():
        wrong = sorted(found ^ expected.keys())[:3]
        raise ValueError(f"tensors: expected those of sizes {list(sizes)!s:.100}, got a difference in {wrong!s:.200}")
    for name, (dtype, shape) in expected.items():  # all of them, before memory is taken for one
        part = file.get_slice(name)
        if (part.get_dtype(), list(part.get_shape())) != (dtype, shape):
            got = f"{part.get_dtype()} {list(part.get_shape())}"
            raise ValueError(f"{name}: expected {dtype} {shape}, got {got:.200}")
    layers = [
        PlainLayer(file.get_tensor(f"layers.{i}.weight"), file.get_tensor(f"layers.{i}.bias"), name)
        for i, name in enumerate(names)
    ]
    mean, factor = (np.array(file.get_tensor(name)) if name in found else None for name in (MEAN, FACTOR))
    rates, seed = facts.get("dropout"), facts.get("dropout_seed")
    return Parts(layers, mean, factor, rates, seed, read_cost(facts), read_schema(facts), facts["metadata"])
