"""Chunks from tables: Parquet files, which pyarrow reads row group by row group, and Dask frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbbp.arrays import as_numeric_array
from mbbp.chunking.parts import BLOCK_BYTES, Block, Names, Part, Room
from mbbp.extras import load_extra
from mbbp.npz import listed
from mbbp.parameters import Array
from mbbp.targets import TEXT_HINT
from mbbp.validation import shown

MOST_BYTES = 1 << 23  # of a block: each costs some microseconds for every column, so many columns want large blocks
Target = str | Sequence[str]


class Columns(NamedTuple):
    """Which columns of a table are inputs, targets and weights."""

    X: tuple[str, ...]
    y: tuple[str, ...]
    weights: tuple[str, ...]
    is_vector: bool  # whether the target was given as one name, so that y is a vector

    @classmethod
    def of(cls, where: str, names: Sequence[Any], target: Target | None, weights: str | None) -> Columns:
        """Return the columns of a table with these names: what is neither target nor weight is an input.

        Raises
        ------
        ValueError
            If a name is missing, or no input is left.
        TypeError
            If `target` or `weights` is no name.
        """
        is_vector = isinstance(target, str)
        y = (target,) if isinstance(target, str) else tuple(target or ())
        wanted = (*(("target", name) for name in y), *(() if weights is None else (("weights", weights),)))
        for argument, name in wanted:
            if not isinstance(name, str):
                raise TypeError(f"{argument}: expected names of columns, got {shown(name)}")
            if name not in names:
                known = listed(tuple(map(str, names)))
                raise ValueError(f"{argument}: expected a column of {where}, which has {known}, got {name!r}")
        if not y:
            raise ValueError(f"target: expected the name of a column of {where}, got {shown(target)}")
        of_weights = () if weights is None else (weights,)
        X = tuple(name for name in names if name not in (*y, *of_weights))
        if not X:
            raise ValueError(f"target: expected a column of {where} to be left for the inputs, got all")
        return cls(X, y, of_weights, is_vector)

    @property
    def all(self) -> list[str]:
        """All columns."""
        return [*self.X, *self.y, *self.weights]

    def names(self, where: str) -> Names:
        """Return what messages call the arrays."""
        return Names(f"X ({where})", f"y ({where}, {', '.join(self.y[:3])})", f"weights ({where})")


def parquet_parts(path: Path, target: Target | None, weights: str | None, chunk_bytes: int) -> list[Part]:
    """Return a part for each row group of a Parquet file.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is no Parquet file, or lacks a column.
    TypeError
        If a column holds no real numbers.
    """
    parquet, arrow = load_extra("source", "pyarrow.parquet"), load_extra("source", "pyarrow")
    with path.open("rb"):  # a missing file has Python's own error
        pass
    try:
        with parquet.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata  # kept: reading it takes long with many columns
            sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"source: expected a Parquet file, got {str(path)!r}; {error}"[:400]) from None
    columns = Columns.of(path.name, schema.names, target, weights)
    widths = 0
    for name in columns.all:
        kind = schema.field(name).type
        is_list = arrow.types.is_fixed_size_list(kind)
        value = kind.value_type if is_list else kind
        types = arrow.types
        if not (types.is_integer(value) or types.is_floating(value) or types.is_boolean(value)):
            hint = TEXT_HINT if name in columns.y else ""
            raise TypeError(f"source ({path.name}): expected columns of numbers, got {name!r} of {kind}{hint}")
        widths += kind.list_size if is_list else 1
    step = max(1, min(MOST_BYTES, max(BLOCK_BYTES, 4 * chunk_bytes)) // (4 * widths))
    first = 0
    parts: list[Part] = []
    for number, n in enumerate(sizes):
        if n:
            parts.append(_RowGroup((path, metadata), columns, number, first, n, step))
        first += n
    return parts


class _RowGroup(Part):
    """A row group of a Parquet file."""

    def __init__(self, file: tuple[Path, Any], columns: Columns, number: int, first: int, n: int, step: int) -> None:
        self._file, self._columns, self._number, self._step = file, columns, number, step
        self.first, self.n, self.names = first, n, columns.names(file[0].name)

    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples."""
        parquet, arrow = load_extra("source", "pyarrow.parquet"), load_extra("source", "pyarrow")
        columns, X_name = self._columns, self.names.X
        try:
            path, metadata = self._file
            with parquet.ParquetFile(path, metadata=metadata, pre_buffer=False) as file:
                batches = file.iter_batches(
                    self._step, row_groups=[self._number], columns=columns.all, use_threads=False
                )
                for batch in batches:
                    y = _matrix(batch, columns.y)
                    yield Block(
                        as_numeric_array(X_name, _matrix(batch, columns.X)),
                        y[:, 0] if columns.is_vector and y.shape[1] == 1 else y,
                        _matrix(batch, columns.weights)[:, 0] if columns.weights else None,
                    )
        except arrow.ArrowException as error:
            raise ValueError(f"{X_name}: expected a Parquet file that can be read; {error}"[:400]) from None


def _matrix(batch: Any, names: Sequence[str]) -> Array:
    """Return columns of a batch as a matrix in C order."""
    chosen = batch.select(list(names))
    if len(names) > 1 and all(str(one.type) in _PLAIN for one in chosen.columns):
        return chosen.to_tensor(null_to_nan=True, row_major=True).to_numpy()
    matrices = [_column(one) for one in chosen.columns]
    return matrices[0] if len(matrices) == 1 else np.hstack(matrices)


# what pyarrow itself makes a matrix of, without Python's lock
_PLAIN = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double"}


def _column(column: Any) -> Array:
    """Return a column of numbers as a matrix (k, 1), or one of lists of equal length as (k, length)."""
    size = getattr(column.type, "list_size", 0)
    if not size:
        return column.to_numpy(zero_copy_only=False).reshape(-1, 1)
    if column.null_count:
        return np.full((len(column), size), np.nan)
    return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)


def frame_parts(frame: Any, target: Target | None, weights: str | None) -> list[Part]:
    """Return a part for each partition of a Dask frame.

    Raises
    ------
    ValueError
        If it lacks a column.
    TypeError
        If `target` or `weights` is no name.
    """
    columns = Columns.of("the frame", list(frame.columns), target, weights)
    return [_Partition(frame, columns, number) for number in range(frame.npartitions)]


class _Partition(Part):
    """A partition of a Dask frame; only computing it tells how many rows it has."""

    def __init__(self, frame: Any, columns: Columns, number: int) -> None:
        self._frame, self._columns, self._number = frame, columns, number
        self.names = columns.names(f"partition {number}")

    def blocks(self, room: Room | None = None) -> Iterator[Block]:
        """Yield the examples."""
        columns, names = self._columns, self.names
        table = self._frame.partitions[self._number].compute()
        if len(table):
            y = as_numeric_array(names.y, table[columns.y[0] if columns.is_vector else list(columns.y)], TEXT_HINT)
            weights = as_numeric_array(names.weights, table[columns.weights[0]]) if columns.weights else None
            yield Block(as_numeric_array(names.X, table[list(columns.X)]), y, weights)
