"""Saving and loading a network: one file. Loading it runs no code from the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mbbp import fileformat
from mbbp.network import Network
from mbbp.validation import as_flag


def save(net: Network, path: str | Path, *, training: bool = True) -> None:
    """Save a network to a file.

    The file holds the sizes, the activations, the cost, the parameters, the scaling of the inputs, the dropout, the
    schema and the metadata. With `training`, it also holds what a further training needs: the history, the state of the
    optimizer and that of the generator. Then `fit`, `save`, `load` and a further `fit` give the same numbers, to the
    bit, as if the training had not stopped. An old file at `path` is replaced when the new one is complete.

    Parameters
    ----------
    net : Network
        Of custom activations, costs and optimizers the file holds only the names and the settings.
    path : path
        The file. Its name must end in .npz or .mbbp; the content is the same.
    training : bool
        Whether the file holds what a further training needs. Without it, the file of a network that was trained by Adam
        has a third of the size.

    Raises
    ------
    ValueError
        If the path has another ending, the network has more than some 10,000 layers, its parameters hold NaN or inf, or
        its generator is none of NumPy's.
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
    with_training = as_flag("training", training)
    fileformat.write(fileformat.check_ending("path", path), net._contents(with_training=with_training))


def load(path: str | Path, *, custom: Iterable[Any] = ()) -> Network:
    """Load a network that `save` wrote, or a checkpoint of `Network.fit`.

    Parameters
    ----------
    path : path
        The file.
    custom : iterable of Activation, Cost, Optimizer, or subclass of Optimizer
        The user's own activations, costs and optimizers that the network had. They are found by their names. That they
        compute the same is not checked.

    Returns
    -------
    Network
        Its outputs are the same to the bit. A file without training data, such as those of older versions, gives a
        network with an empty history, and with no state of an optimizer.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is damaged, `save` did not write it, or it needs a custom part that was not given.
    TypeError
        If `custom` holds something else.
    """
    return Network._of(fileformat.read(path, custom))
