"""The first pass over chunks: every number is checked, and what a training needs to know of all examples is learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mbbp.chunking.cache import Cache
from mbbp.chunking.checks import Checker
from mbbp.chunking.chunks import Chunks
from mbbp.engine import Engine
from mbbp.kernels.examples import INPUT_DTYPES, Examples
from mbbp.parameters import Array
from mbbp.scaling import Scaling

BYTES_OF_ORDER = 16  # of an example: its number in the order of a pool, and in the one before it


class Moments:
    """The means and the variances of inputs that come block by block, and which features are constant."""

    def __init__(self, n_in: int) -> None:
        self.n = 0
        self.mean, self._squares = np.zeros(n_in), np.zeros(n_in)
        self._first, self._is_constant = np.zeros(n_in), np.ones(n_in, bool)

    def add(self, rows: Array) -> None:
        """Add inputs (k, n_in). The differences to the mean of the block are squared, so that none is cancelled."""
        if not self.n:
            self._first = rows[0].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            self._is_constant &= (rows == self._first).all(axis=0)
            wide, k = rows.astype(np.float64), len(rows)
            mean = wide.mean(axis=0)
            wide -= mean
            difference, total = mean - self.mean, self.n + k
            self._squares += np.square(wide, out=wide).sum(axis=0) + difference**2 * (self.n * k / total)
            self.mean += difference * (k / total)
        self.n = total

    def scaling(self) -> Scaling | None:
        """Return the scaling to mean 0 and variance 1, or None if it overflows; a constant feature becomes 0."""
        mean, variance = np.where(self._is_constant, self._first, self.mean), self._squares / self.n
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            return None
        is_constant = self._is_constant | (variance == 0)
        return Scaling(mean, 1 / np.where(is_constant, 1, np.sqrt(variance)))


@dataclass(frozen=True)
class Survey:
    """What the first pass has found.

    Attributes
    ----------
    data : Chunks
        The data.
    engine : Engine
        The network that they are for.
    counts : tuple of int
        The examples of each part.
    dtype : dtype
        That of the inputs in a pool.
    counts_of_classes : ndarray, or None if the targets name no classes
        How many examples each class has.
    weights_of_classes : ndarray, or None if the targets name no classes
        The sum of the weights of each class; without weights, each is 1.
    is_weighted : bool
        Whether the data have weights.
    scaling : Scaling or None
        What was learnt, if it was to be.
    loaded : Examples or None
        All examples, if they fit into half the memory.
    cache : Cache or None
        What holds the data, if they are cached.
    """

    data: Chunks
    engine: Engine
    counts: tuple[int, ...]
    dtype: np.dtype[Any]
    counts_of_classes: Array | None
    weights_of_classes: Array | None
    is_weighted: bool
    scaling: Scaling | None
    loaded: Examples | None
    cache: Cache | None = None

    @property
    def n(self) -> int:
        """The number of examples."""
        return sum(self.counts)

    def close(self) -> None:
        """Remove the files of the cache."""
        if self.cache is not None:
            self.cache.close()

    def arrays(self) -> tuple[Array, Array, Array | None]:
        """Return all examples as `Network.fit` takes them: X, y, and the weights."""
        assert self.loaded is not None
        inputs, targets, labels, weights = self.loaded[:4]
        return inputs.T, targets.T if len(targets) else labels, weights if self.is_weighted else None


def look_through(engine: Engine, data: Chunks, scaling: Scaling | None = None, *, learns: bool) -> Survey:
    """Read all data once.

    Parameters
    ----------
    engine : Engine
        The network that they are for.
    data : Chunks
        The data.
    scaling : Scaling, optional
        How inputs are scaled, for the check that they stay finite.
    learns : bool
        Whether the scaling is to be learnt.

    Raises
    ------
    ValueError
        If a number is NaN, inf or out of range, a shape is wrong, parts do not agree in what they hold, or no part has
        an example.
    TypeError
        If something does not hold real numbers.
    """
    checker, n_out = Checker(engine, scaling), engine.sizes[-1]
    moments = Moments(engine.sizes[0]) if learns else None
    kept: list[Examples] | None = []
    cache: Cache | None = None
    found: list[int] = []
    dtype, size, any_weight = None, 0, False
    first: Examples | None = None
    all_classes = True
    counts_of_classes = np.zeros(max(n_out, 2), np.int64)
    weights_of_classes = np.zeros(counts_of_classes.size)
    try:
        for part in data.parts:
            n = 0
            for examples in checker.examples(part):
                if first is None:
                    first, dtype = examples._replace(inputs=None), examples.inputs.dtype
                _check_agrees(part.names.y, part.names.weights or "weights", first, examples)
                dtype = np.result_type(dtype, examples.inputs.dtype)
                all_classes = all_classes and examples.labels.size > 0
                if all_classes:
                    counts_of_classes += np.bincount(examples.labels, minlength=counts_of_classes.size)
                    if examples.weights.size:
                        weights_of_classes += np.bincount(examples.labels, examples.weights, counts_of_classes.size)
                any_weight = any_weight or bool(examples.weights.any())
                if moments is not None:
                    moments.add(examples.inputs)
                n += examples.n
                size += sum(one.nbytes for one in examples[:4])
                if kept is not None:
                    kept.append(examples)
                    if size > data.memory // 2:
                        if data.cache is not None:
                            cache = Cache(data.cache)
                            for one in kept:
                                cache.add(one)
                        kept = None
                elif cache is not None:
                    cache.add(examples)
            found.append(n)
        if first is None or dtype is None:
            raise ValueError("source: expected at least one example, got none")
        is_weighted = first.weights.size > 0
        if is_weighted and not any_weight:
            raise ValueError("weights: expected numbers above 0, got zeros alone")
        if cache is not None:
            data = cache.chunks(data.memory, data.chunk_bytes)
            found = [part.n for part in data.parts if part.n is not None]
        return Survey(
            data=data,
            engine=engine,
            counts=tuple(found),
            dtype=dtype if dtype.str in INPUT_DTYPES else np.dtype(np.float64),
            counts_of_classes=counts_of_classes if all_classes else None,
            weights_of_classes=None if not all_classes else weights_of_classes if is_weighted else counts_of_classes,
            is_weighted=is_weighted,
            scaling=None if moments is None or kept is not None else moments.scaling(),
            loaded=None if kept is None else _joined(kept),
            cache=cache,
        )
    except BaseException:  # the error may be kept for long, and with it the cache
        if cache is not None:
            cache.close()
        raise


def _check_agrees(y_name: str, weights_name: str, first: Examples, examples: Examples) -> None:
    if (len(first.targets) > 0) != (len(examples.targets) > 0):
        kinds = ("labels", "desired outputs")
        expected, got = kinds[len(first.targets) > 0], kinds[len(examples.targets) > 0]
        raise ValueError(f"{y_name}: expected {expected}, as the first chunk has, got {got}")
    if (len(first.weights) > 0) != (len(examples.weights) > 0):
        raise ValueError(f"{weights_name}: expected weights in all chunks or in none, got some")


def _joined(kept: list[Examples]) -> Examples:
    """Return all examples in one; of each array the pieces are forgotten as soon as they are joined."""
    columns: list[list[Array] | None] = [list(one) for one in zip(*(examples[:4] for examples in kept), strict=True)]
    kept.clear()
    joined = list[Array]()
    for index, pieces in enumerate(columns):
        assert pieces is not None
        if index == 2 and any(not len(piece) for piece in pieces):  # not all desired outputs are unit vectors
            joined.append(pieces[0][:0])
        else:
            joined.append(np.concatenate(pieces))
        columns[index] = None
    inputs, targets, labels, weights = joined
    return Examples(inputs, targets, labels, weights)
