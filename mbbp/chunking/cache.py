"""A cache of decoded examples on the disk: what is slow to decode is decoded once in a training."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np

from mbbp.chunking.chunks import Chunks
from mbbp.chunking.numpy_files import FileRows
from mbbp.chunking.parts import parts_of_rows
from mbbp.kernels.examples import Examples
from mbbp.parameters import Array

KINDS = ("X", "y", "weights")


class Cache:
    """Files in a new folder, which go with this object.

    Parameters
    ----------
    folder : path
        Where the new folder is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mbbp-", dir=folder))
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._like: list[Array | None] = []
        self._n = 0

    def add(self, examples: Examples) -> None:
        """Write checked examples behind those before.

        Raises
        ------
        ValueError
            If their inputs are of another dtype.
        OSError
            If they cannot be written.
        """
        inputs, targets, labels, weights = examples[:4]
        arrays = (inputs, targets if len(targets) else labels, weights if len(weights) else None)
        if not self._like:
            self._like = [None if one is None else one[:0] for one in arrays]
        assert self._like[0] is not None
        if inputs.dtype != self._like[0].dtype:
            raise ValueError(f"cache: expected inputs of one dtype, got {self._like[0].dtype} and {inputs.dtype}")
        for kind, one in zip(KINDS, arrays, strict=True):
            if one is not None:
                with (self._folder / kind).open("ab") as file:
                    file.write(np.ascontiguousarray(one).reshape(-1).view(np.uint8).data)
        self._n += examples.n

    def chunks(self, memory: int, chunk_bytes: int) -> Chunks:
        """Return the examples that were written, in chunks of about so many bytes."""
        X, y, weights = (
            None
            if like is None
            else FileRows(f"{kind} (cache)", self._folder / kind, (self._n, *like.shape[1:]), like.dtype, 0)
            for kind, like in zip(KINDS, self._like, strict=True)
        )
        assert X is not None
        assert y is not None
        return Chunks(parts_of_rows(X, y, weights, chunk_bytes), memory)

    def close(self) -> None:
        """Remove the files."""
        self._remove()
