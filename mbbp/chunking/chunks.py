"""`mbbp.chunks`: training data that need not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mbbp.arrays import as_numeric_array
from mbbp.chunking.parts import ArrayRows, Part, Rows, check_same_number, parts_of_rows
from mbbp.files import as_path
from mbbp.fixed import Fixed
from mbbp.parameters import Array
from mbbp.validation import as_count, shown

MEMORY = 1 << 28  # bytes
CHUNKS_IN_MEMORY = 64  # so many chunks, if the source leaves their size open, mix well in two pools
KINDS = {".npy": ".npy", ".npz": ".npz", ".parquet": ".parquet", ".pq": ".parquet"}


class Chunks(Fixed):
    """Training data that are read chunk by chunk; `mbbp.chunks` makes them.

    Iterating over them yields pairs (X, y) in their order: X of shape (n_in, k), and y of shape (k,) or (n_L, k). So
    ``for X, y in data: net.feedforward(X)`` predicts in bounded memory.

    Attributes
    ----------
    n : int
        The number of examples. If only reading tells it, the first use reads all.
    n_features : int
        The number of inputs of an example.
    n_chunks : int
        The number of chunks whose order a training shuffles.
    memory : int
        How many bytes of examples a training holds at the same time.
    chunk_bytes : int
        The bytes of a chunk, where they can be chosen.
    cache : Path or None
        The folder for decoded examples.
    """

    def __init__(
        self, parts: Sequence[Part], memory: int, chunk_bytes: int | None = None, cache: Path | None = None
    ) -> None:
        self._parts, self.memory = tuple(parts), memory
        self.chunk_bytes = max(1, memory // CHUNKS_IN_MEMORY) if chunk_bytes is None else chunk_bytes
        self.cache = cache
        self._counted: list[int] = []

    @property
    def parts(self) -> tuple[Part, ...]:
        """The chunks."""
        return self._parts

    @property
    def n(self) -> int:
        """The number of examples. If only reading tells it, the first use reads all."""
        if not self._counted:
            known = [part.n if part.n is not None else sum(len(b.X) for b in part.blocks()) for part in self._parts]
            self._counted.append(sum(known))
        return self._counted[0]

    @property
    def n_features(self) -> int:
        """The number of inputs of an example."""
        for X, _ in self:
            return int(X.shape[0])
        raise ValueError("source: expected at least one example, got none")

    @property
    def n_chunks(self) -> int:
        """The number of chunks whose order a training shuffles."""
        return len(self._parts)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        for part in self._parts:
            for block in part.blocks():
                if len(block.X):
                    yield block.X.T, block.y.T

    def __repr__(self) -> str:
        return f"Chunks({self.n_chunks} chunks, memory={self.memory})"


def chunks(
    source: Any,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    weights: Any = None,
    memory: int = MEMORY,
    chunk_bytes: int | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Chunks:
    """Return training data that need not fit into memory, for `Network.fit`.

    In every source an example is a **row**, as in tables: X has the shape (n, n_in), and y the shape (n,) for labels or
    (n, n_L) for desired outputs.

    A training shuffles in two levels. Each epoch takes the chunks in a new random order. As many examples as fit into
    half of `memory` are a pool; they are shuffled as a whole, and trained on while a thread reads the next pool. A pool
    has a whole number of mini-batches, so only the last mini-batch of an epoch may be smaller; a chunk that does not
    fit into the rest of a pool goes on in the next one. Data that are sorted, for example by class, should therefore
    have chunks that are much smaller than a pool. The same seed gives the same numbers, to the bit. If all examples
    fit into half of `memory`, they are read once, and the numbers are those of a training with arrays, to the bit.

    Before a training changes anything, it reads all data once: it checks every number, counts the classes, and learns
    the scaling. Later passes check labels again, and that each chunk has as many rows as before.

    Parameters
    ----------
    source : path, paths, array, Dask array or frame, or pairs
        A file that ends in .npy, .npz or .parquet (this needs pyarrow), or a folder, or a sequence of paths: all files
        of one kind, those of a folder by their names. The arrays of an .npz file are X (or x) and `target`. If they are
        compressed, the file is a single chunk. The chunks of a Parquet file are its row groups; its columns are
        numbers, or lists of numbers of a fixed size. Or an array, such as a memory map or a data set of h5py. Or a Dask
        array or frame, whose chunks are its own. Or pairs (X, y), or triples (X, y, weights), that a sequence has (each
        is a chunk), or that a function returns or an iterable gives. A training goes through these again in every
        epoch, in the order in which they come: only pools are shuffled. They are made in another thread.
    y : path, paths or array, optional
        The targets of .npy files (in as many files), or of an array.
    target : str or sequence of str, optional
        The columns of the targets of a table. A name gives y of shape (n,); a sequence of names (n, n_L). In .npz
        files the name of the array; by default "y".
    weights : str, path, paths or array, optional
        A factor for the cost of each example: a column, the name of an array, or given as y is.
    memory : int
        How many bytes of examples are held at the same time, apart from one or two chunks or parts of them that are
        being read. A mini-batch must fit into half of it.
    chunk_bytes : int, optional
        The bytes of a chunk of .npy, uncompressed .npz, arrays and a cache. By default a 64th of `memory`.
    cache : path, optional
        A folder in which a training keeps the examples as the first pass has decoded them, until it ends: as many bytes
        as they would have in memory. This makes up for slow decoding, as of Parquet with many columns, of compressed
        files, and of a function that computes. All chunks are then those of the cache, so the two levels of the shuffle
        are there for each source.

    Returns
    -------
    Chunks

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If a file has another format, an array or a column is missing, or shapes do not fit together.
    TypeError
        If an argument is of the wrong type.
    ImportError
        If a Parquet file is given, and pyarrow is not installed.

    Examples
    --------
    >>> import numpy as np, mbbp, tempfile, pathlib
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((5000, 4)).astype("float32")  # one example per row
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> np.save(folder / "x.npy", X), np.save(folder / "y.npy", y)
    (None, None)
    >>> data = mbbp.chunks(folder / "x.npy", folder / "y.npy", memory=2**16)  # 64 KiB, for data of 120,000 bytes
    >>> net = mbbp.Network([4, 8, 2], scaling="standardize", cost="log_likelihood", activation="tanh", rng=0)
    >>> history = net.fit(data, epochs=5)
    >>> history[-1].training_accuracy > 0.95
    True
    """
    memory = as_count("memory", memory)
    size = max(1, memory // CHUNKS_IN_MEMORY) if chunk_bytes is None else as_count("chunk_bytes", chunk_bytes)
    folder = None if cache is None else as_path("cache", cache)
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ValueError(f"cache: expected a folder that can be written to, got {str(folder)!r}")
    return Chunks(_parts(source, y, target, weights, size), memory, size, folder)


def _parts(source: Any, y: Any, target: Any, weights: Any, size: int) -> list[Part]:
    if isinstance(source, str | os.PathLike) or _are_paths(source):
        return _parts_of_files(_files("source", source), y, target, weights, size)
    library = type(source).__module__.partition(".")[0]
    if library in ("dask", "dask_expr") and hasattr(source, "npartitions") and hasattr(source, "columns"):
        from mbbp.chunking.tables import frame_parts

        _refuse("y", y, "a frame as the source; name its column with target")
        if weights is not None and not isinstance(weights, str):
            raise TypeError(f"weights: expected the name of a column, got {shown(weights)}")
        return frame_parts(source, target, weights)
    _refuse("target", target, "a source that has no columns")
    if library == "dask" or (hasattr(source, "shape") and hasattr(source, "dtype")):
        X, targets, factors = (
            one if argument == "source" or one is None else _array_of(argument, one)
            for argument, one in (("source", source), ("y", y), ("weights", weights))
        )
        if targets is None:
            raise TypeError("y: expected the targets of an array, got None")
        if library == "dask":
            from mbbp.chunking.iterables import dask_array_parts

            return dask_array_parts(X, targets, factors, size)
        rows = (
            ArrayRows("X (source)", X),
            _as_rows("y", targets),
            None if factors is None else _as_rows("weights", factors),
        )
        return parts_of_rows(*rows, size)
    from mbbp.chunking.iterables import parts_of_pairs

    for argument, given in (("y", y), ("weights", weights)):
        _refuse(argument, given, "a source of pairs, which have them")
    return parts_of_pairs(source)


def _are_paths(source: Any) -> bool:
    return isinstance(source, list | tuple) and bool(source) and all(isinstance(p, str | os.PathLike) for p in source)


def _refuse(argument: str, given: Any, why: str) -> None:
    if given is not None:
        raise TypeError(f"{argument}: expected None with {why}, got {shown(given)}")


def _array_of(argument: str, given: Any) -> Any:
    """Return targets or weights that were given with an array: an array that can be sliced, or rows of a file."""
    if isinstance(given, str | os.PathLike):
        return _npy("source", argument, [as_path(argument, given)])[0]
    return given if hasattr(given, "shape") and hasattr(given, "dtype") else as_numeric_array(argument, given)


def _as_rows(argument: str, given: Any) -> Rows:
    return given if hasattr(given, "row_bytes") else ArrayRows(argument, given)


def _files(argument: str, given: Any) -> list[Path]:
    """Return the files that a path, a folder or several paths stand for."""
    if _are_paths(given):
        return [path for one in given for path in _files(argument, one)]
    path = as_path(argument, given, "a path or paths")
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix in KINDS and not one.name.startswith((".", "_")))
    if not found:
        raise ValueError(f"{argument}: expected files that end in {', '.join(KINDS)} in {str(path)!r}, got none")
    return found


def _parts_of_files(files: list[Path], y: Any, target: Any, weights: Any, chunk_bytes: int) -> list[Part]:
    kinds = {KINDS.get(path.suffix) for path in files}
    if len(kinds) > 1 or None in kinds:
        got = ", ".join(sorted({path.suffix or repr(path.name) for path in files}))
        raise ValueError(f"source: expected files of one kind, of {', '.join(KINDS)}, got {got}")
    (kind,) = kinds
    if kind == ".npy":
        _refuse("target", target, "a source of .npy files, which have no names; pass y")
        X = _npy("source", "X", files)
        targets = _beside("y", y, len(files))
        factors: list[Any] = [None] * len(files) if weights is None else _beside("weights", weights, len(files))
        return [part for trio in zip(X, targets, factors, strict=True) for part in parts_of_rows(*trio, chunk_bytes)]
    _refuse("y", y, f"a source of {kind} files; name what holds it with target")
    if weights is not None and not isinstance(weights, str):
        raise TypeError(f"weights: expected a name, got {shown(weights)}")
    if kind == ".npz":
        from mbbp.chunking.numpy_files import npz_parts

        name = "y" if target is None else target
        if not isinstance(name, str):
            raise TypeError(f"target: expected the name of an array, got {shown(target)}")
        return [part for path in files for part in npz_parts(path, name, weights, chunk_bytes)]
    if target is not None and not isinstance(target, str | list | tuple):
        raise TypeError(f"target: expected the names of columns, got {shown(target)}")
    from mbbp.chunking.tables import parquet_parts

    found = [part for path in files for part in parquet_parts(path, target, weights, chunk_bytes)]
    if not found:
        raise ValueError("source: expected at least one row, got none")
    return found


def _npy(argument: str, name: str, files: list[Path]) -> list[Rows]:
    from mbbp.chunking.numpy_files import npy_rows

    for path in files:
        if path.suffix != ".npy":
            raise ValueError(f"{name}: expected a .npy file as {argument} is one, got {str(path)!r}")
    return [npy_rows(name, path) for path in files]


def _beside(argument: str, given: Any, n: int) -> list[Rows]:
    """Return the rows that belong to each of n .npy files."""
    if given is None:
        raise TypeError(f"{argument}: expected a .npy file or an array with the targets, got None")
    if isinstance(given, str | os.PathLike) or _are_paths(given):
        found = _files(argument, given)
        check_same_number(argument, found, n)
        return _npy("source", argument, found)
    check_same_number(argument, [given], n)
    return [_as_rows(argument, _array_of(argument, given))]
