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
    *("epochs", "learning_rate", "optimizer", "l2", "clip_norm", "validation", "early_stopping", "every"),
    "average_every",
)
"""The options that a checkpoint keeps. Those that name files to write are not among them: they are given again."""


NAMES, FLAGS = ("target", "drop", "categorical"), ("regression", "header")
NUMBERS = (
    *("test_fraction", "batch_size", "seed", "dropout", "epochs", "learning_rate", "l2", "clip_norm"),
    *("validation", "early_stopping", "every", "average_every"),
)
"""The settings that are no texts; `sizes` are numbers, and `scaling` is either."""


class Resumed(NamedTuple):
    """A training that goes on."""

    net: mbbp.Network
    examples: str  # the digest of its examples
    has_ended: bool  # and no more epochs are asked for

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
        stored = {"average_every": None} | kept["settings"]  # older checkpoints have none
        settings = {name: _checked(name, stored[name]) for name in SETTINGS}
        examples = str(kept["examples"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"--resume: expected a checkpoint of mbbp train, got {str(path)!r}, which is none ({error!s:.200})"
        ) from None
    for name, value in settings.items():
        is_given = any(f"--{name}".startswith(word) for word in given)
        if not (is_given and name in ("epochs", "every")):
            setattr(options, name, value)
    if options.checkpoint is None:
        options.checkpoint = path
    return Resumed(net, examples, net.history.has_ended and options.epochs <= settings["epochs"])


def _checked(name: str, value: Any) -> Any:
    """Return a setting that the command line could have given: what is in a file need not be one."""
    kinds: tuple[type, ...] = (str,)
    if name in FLAGS:
        kinds = (bool,)
    elif name in NUMBERS:
        kinds = (int, float)
    elif name in NAMES or name == "sizes":
        kinds = (list,)
        parts = int if name == "sizes" else str
        if isinstance(value, list) and not all(type(one) is parts for one in value):
            raise ValueError(f"{name}: expected a list of {parts.__name__}, got {value!r:.100}")
    elif name == "scaling":
        kinds = (str, int, float)
    if value is not None and type(value) not in kinds:
        raise ValueError(f"{name}: expected {' or '.join(kind.__name__ for kind in kinds)}, got {value!r:.100}")
    return value


def keep_settings(net: mbbp.Network, options: argparse.Namespace, data: Dataset) -> None:
    """Set the entry of the network's metadata from which its training can go on."""
    settings = {name: getattr(options, name) for name in SETTINGS}
    entry = {"settings": settings, "examples": _digest(data)}
    net.metadata = {**net.metadata, ENTRY: json.dumps(entry)}


def drop_settings(net: mbbp.Network) -> None:
    """Take the entry away: a network that is saved for use says nothing of files, and its last layer may be scaled."""
    net.metadata = {name: text for name, text in net.metadata.items() if name != ENTRY}


def _digest(data: Dataset) -> str:
    """Return the SHA-256 of the examples, with the names of their columns and classes."""
    found = hashlib.sha256(json.dumps(data.schema.to_dict()).encode())
    for array in (data.x_train, data.y_train, data.x_test, data.y_test):
        if array is not None:
            found.update(f"{array.shape} {array.dtype.str}\n".encode())
            # as rows, in which the examples lie in memory
            found.update(np.ascontiguousarray(array.T).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
