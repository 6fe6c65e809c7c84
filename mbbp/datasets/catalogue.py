"""Load a data set by its name or by the path of its file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mbbp.datasets.csvfile import load_csv
from mbbp.datasets.dataset import Dataset
from mbbp.datasets.digits import load_digits
from mbbp.datasets.mnist import load_mnist
from mbbp.datasets.npzfile import load_npz

_BY_NAME: dict[str, Callable[..., Dataset]] = {"digits": load_digits, "mnist": load_mnist}
_BY_SUFFIX: dict[str, Callable[..., Dataset]] = {".csv": load_csv, ".npz": load_npz}


def load(name_or_path: str | os.PathLike[str], **kwargs: Any) -> Dataset:
    """Load a data set by its name or by the path of its file.

    Parameters
    ----------
    name_or_path : str or path-like
        "digits", "mnist", or a path that ends in ``.csv`` or ``.npz``.
    **kwargs
        Passed on to `load_digits`, `load_mnist`, `load_csv` or `load_npz`.

    Returns
    -------
    Dataset
        One example per column.

    Raises
    ------
    ValueError
        If `name_or_path` is neither a known name nor a path with a known ending. The loader can raise more errors.

    Examples
    --------
    >>> load("digits", dtype="float64")
    Dataset('digits', x_train (64, 1437), x_test (64, 360), float64, 10 classes)
    """
    name = os.fspath(name_or_path)
    if name in _BY_NAME:
        return _BY_NAME[name](**kwargs)
    suffix = Path(name).suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix](name, **kwargs)
    known, endings = ", ".join(map(repr, _BY_NAME)), " or ".join(_BY_SUFFIX)
    raise ValueError(f"name_or_path: expected {known} or a path that ends in {endings}, got {name!r}")
