"""Going on with a training of ``mbbp train``: what a checkpoint keeps of its settings and its data."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mbbp
from mbbp.datasets import Dataset

ENTRY = "mbbp train"  # in the metadata of the network
WITH_RESUME = ("--resume", "--checkpoint", "--every", "--epochs", "--threads", "--plot", "--json", "--save")
"""The options that may be given with --resume."""

SETTINGS = (
    *("data", "target", "drop", "categorical", "missing", "regression", "test_fraction", "delimiter", "header"),
    *("scaling", "sizes", "activation", "cost", "initializer", "dtype", "batch_size", "seed", "dropout"),
    *("epochs", "learning_rate", "optimizer", "l2", "clip_norm", "validation", "early_stopping"),
)
"""The options that a checkpoint keeps. Those that name files to write are not among them: they are given again."""


class Resumed(NamedTuple):
    """A training that goes on."""

    net: mbbp.Network
    examples: str  # the digest of its examples
    has_ended: bool

    def check_same(self, data: Dataset) -> None:
        """Check that the data are those of the checkpoint.

        Raises
        ------
        ValueError
            If they are not.
        """
        if _digest(data) != self.examples:
            raise ValueError(f"--resume: expected the data of the checkpoint, got others; {data.name} has changed")


def take_up(options: argparse.Namespace) -> Resumed:
    """Load the checkpoint of --resume, and give the options its settings.

    Raises
    ------
    ValueError
        If ``mbbp train`` did not write the checkpoint, or an option was given that the checkpoint has itself.
    OSError
        If it cannot be read.
    """
    path: Path = options.resume
    given = [word.partition("=")[0] for word in options.words if word.startswith("--")]
    for word in given:
        if not any(option.startswith(word) for option in WITH_RESUME):
            raise ValueError(
                f"{word}: expected only {', '.join(WITH_RESUME[1:])} with --resume, got {word}; the checkpoint has its "
                "own"
            )
    net = mbbp.load(path)
    try:
        kept = json.loads(net.metadata[ENTRY])
        settings = {name: kept["settings"][name] for name in SETTINGS}
        examples, has_ended = str(kept["examples"]), bool(kept.get("has_ended"))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(f"--resume: expected a checkpoint of mbbp train, got {str(path)!r}, which is none") from None
    for name, value in settings.items():
        if not (name == "epochs" and any("--epochs".startswith(word) for word in given)):
            setattr(options, name, value)
    if options.checkpoint is None:
        options.checkpoint = path
    is_longer = options.epochs != settings["epochs"]
    return Resumed(net, examples, has_ended and not is_longer)


def keep_settings(net: mbbp.Network, options: argparse.Namespace, data: Dataset) -> None:
    """Set the entry of the network's metadata from which its training can go on."""
    settings = {name: getattr(options, name) for name in SETTINGS}
    _keep(net, {"settings": settings, "examples": _digest(data)})


def keep_end(net: mbbp.Network, path: Path) -> None:
    """Write the last checkpoint once more, with the word that the training has ended: perhaps before its last epoch."""
    _keep(net, json.loads(net.metadata[ENTRY]) | {"has_ended": True})
    mbbp.save(net, path)


def drop_settings(net: mbbp.Network) -> None:
    """Take the entry away: a network that is saved for use says nothing of files, and its last layer may be scaled."""
    net.metadata = {name: text for name, text in net.metadata.items() if name != ENTRY}


def _keep(net: mbbp.Network, entry: dict[str, Any]) -> None:
    net.metadata = net.metadata | {ENTRY: json.dumps(entry)}


def _digest(data: Dataset) -> str:
    """Return the SHA-256 of the examples."""
    found = hashlib.sha256()
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        if array is not None:
            found.update(f"{array.shape} {array.dtype.str}\n".encode())
            # as rows, in which the examples lie in memory
            found.update(np.ascontiguousarray(array.T).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
