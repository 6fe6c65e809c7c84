"""Lists of pairs (x, y), the book's form of data, and the matrices that the compiled code takes."""

from __future__ import annotations

import operator
import random
import reprlib
from collections.abc import Callable, Iterable, Sized
from functools import cached_property
from typing import Any, NoReturn, TypeAlias

import numpy as np

from mbbp.arrays import NUMERIC_KINDS, are_finite, as_numeric_array
from mbbp.nielsen import shuffling
from mbbp.nielsen.protocol import HasParameters
from mbbp.parameters import Array

Pair: TypeAlias = tuple[Any, Any]

BLOCK = 128  # examples that are copied and then checked together, while they are in the cache


class Pairs:
    """Pairs (x, y), and matrices with the same contents. Each matrix is made when it is first read, and kept.

    Parameters
    ----------
    argument : str
        The name of the argument, for error messages.
    data : iterable of pairs
        A list is kept as it is. From anything else a list is made.
    net : HasParameters
        The network that takes the pairs: its first and its last weights give the lengths of an x and a y.

    Attributes
    ----------
    list : list of pairs
        The pairs.

    Raises
    ------
    TypeError
        If the data are not iterable.
    """

    _may_be_float32 = False

    def __init__(self, argument: str, data: Iterable[Pair], net: HasParameters) -> None:
        self.argument, self._net = argument, net
        self._vectors: Array | None = None
        try:
            self.list: list[Pair] = data if isinstance(data, list) else list(data)
        except TypeError:
            raise TypeError(f"{argument}: expected a list of pairs (x, y), got {reprlib.repr(data)}") from None

    @classmethod
    def of(cls, argument: str, data: Iterable[Pair] | Pairs, net: HasParameters) -> Pairs:
        """Return the data unchanged if they are `Pairs`, and otherwise make `Pairs` from them."""
        return data if isinstance(data, Pairs) else cls(argument, data, net)

    def __len__(self) -> int:
        return len(self.list)

    def as_list(self) -> list[Pair]:
        """Return the list, for custom code."""
        return self.list

    def check_not_empty(self) -> None:
        """Raise a ValueError if there is no pair."""
        if not self.list:
            raise ValueError(f"{self.argument}: expected at least one pair (x, y), got none")

    def check(self, *matrices: str) -> None:
        """Make these matrices now, so that errors in the pairs are raised now."""
        for name in matrices:
            getattr(self, name)

    @cached_property
    def _columns(self) -> tuple[list[Any], list[Any]]:
        self.check_not_empty()
        try:
            return [x for x, _ in self.list], [y for _, y in self.list]
        except (TypeError, ValueError):
            i = next(i for i, pair in enumerate(self.list) if not _is_pair(pair))
            got = reprlib.repr(self.list[i])
            raise ValueError(f"{self.argument}[{i}]: expected a pair (x, y), got {got}") from None

    @cached_property
    def inputs(self) -> Array:
        """The x of each pair, (n, n_in) in C order and read-only.

        Raises
        ------
        ValueError
            If there is no pair, or an x is not a column (n_in, 1) of finite numbers.
        TypeError
            If an x does not hold real numbers.
        """
        n_in = np.shape(self._net.weights[0])[1]
        return _as_rows(
            self.argument, "x", self._columns[0], n_in, self._net.dtype, may_be_float32=self._may_be_float32
        )

    @cached_property
    def targets(self) -> Array:
        """The y of each pair as a desired output, (n, n_L) in C order and read-only.

        Raises
        ------
        ValueError
            If there is no pair, or a y is not a column (n_L, 1) of finite numbers.
        TypeError
            If a y does not hold real numbers.
        """
        return _as_rows(self.argument, "y", self._columns[1], np.shape(self._net.weights[-1])[0], self._net.dtype)

    @cached_property
    def labels(self) -> Array:
        """The y of each pair as a label, (n,).

        Raises
        ------
        ValueError
            If there is no pair, or a y is not one finite number.
        TypeError
            If a y is not a real number.
        """
        labels = as_numeric_array(self.argument, self._columns[1])
        if labels.size != len(self):
            raise ValueError(f"{self.argument}: expected a label as the y of each pair, got shape {labels.shape[1:]}")
        if not np.isfinite(labels).all():
            raise ValueError(f"{self.argument}: expected finite labels, got NaN or inf")
        return labels.reshape(-1)

    def unit_vectors(self, vectorized: Callable[[Any], Array]) -> Array:
        """Return the column that a function makes from the label of each pair, in the form of `targets`.

        The result is kept, so the function is called once for each pair.

        Raises
        ------
        ValueError
            If there is no pair, the function refuses a label, or its result is not a column (n_L, 1) of finite numbers.
        TypeError
            If its result does not hold real numbers.
        """
        if self._vectors is None:
            columns = []
            for i, label in enumerate(self._columns[1]):
                try:
                    columns.append(vectorized(label))
                except (IndexError, TypeError, ValueError) as error:
                    raise ValueError(
                        f"{self.argument}[{i}]: expected a label as y, got {reprlib.repr(label)} ({error})"
                    ) from error
            n_out = np.shape(self._net.weights[-1])[0]
            self._vectors = _as_rows(self.argument, "y", columns, n_out, self._net.dtype)
        return self._vectors


def _is_pair(value: Any) -> bool:
    try:
        _, _ = value
    except (TypeError, ValueError):
        return False
    return True


def as_evaluation(argument: str, data: Iterable[Pair] | None, net: HasParameters) -> Pairs | None:
    """Return pairs for an evaluation, or None if there are no data. As in the book, an empty list counts as no data.

    Raises
    ------
    TypeError
        If the data are not iterable.
    ValueError
        If an iterator yields no pair, for example a `zip` that was used before.
    """
    if data is None:
        return None
    pairs = Pairs(argument, data, net)
    if isinstance(data, Sized) and not len(pairs):
        return None
    pairs.check_not_empty()
    return pairs


def _as_rows(
    argument: str, part: str, columns: list[Any], n: int, dtype: np.dtype[Any], *, may_be_float32: bool = False
) -> Array:
    """Return columns (n, 1) as the rows of one matrix, which is checked for NaN and inf while it is made."""
    shape_and_dtype = operator.attrgetter("shape", "dtype")
    try:
        found = set(map(shape_and_dtype, columns))
    except AttributeError:
        columns = [as_numeric_array(f"{argument}[{i}]", column) for i, column in enumerate(columns)]
        found = set(map(shape_and_dtype, columns))
    allowed = {(n, 1)} | ({(), (1,)} if n == 1 else set())
    for one in found:
        shape, given = one
        if shape not in allowed or given.kind not in NUMERIC_KINDS:
            i = next(i for i, column in enumerate(columns) if shape_and_dtype(column) == one)
            _refuse_column(f"{argument}[{i}]", part, n, shape, given)
    if n == 1:
        columns = [np.reshape(column, (1, 1)) for column in columns]
    if may_be_float32 and all(np.can_cast(given, np.float32) for _, given in found):
        dtype = np.dtype(np.float32)

    rows = np.empty((len(columns), n), dtype)
    flat = rows.reshape(-1, 1)
    read_only = rows.view()
    read_only.flags.writeable = False
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(columns), BLOCK):
            stop = min(start + BLOCK, len(columns))
            np.concatenate(columns[start:stop], out=flat[start * n : stop * n])
            if not are_finite(read_only[start:stop]):
                _refuse_not_finite(argument, part, columns, start, rows[start:stop])
    return read_only


def _refuse_column(argument: str, part: str, n: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NoReturn:
    if dtype.kind not in NUMERIC_KINDS:
        raise TypeError(f"{argument}: expected real numbers in {part}, got dtype {dtype}")
    hint = ""
    if shape == (n,):
        hint = f"; pass {part}.reshape(-1, 1)"
    elif part == "y" and shape == ():
        hint = "; vectorized_result makes such a column from a label"
    raise ValueError(f"{argument}: expected {part} of shape ({n}, 1), got {shape}{hint}")


def _refuse_not_finite(argument: str, part: str, columns: list[Any], start: int, rows: Array) -> NoReturn:
    i, j = (int(k) for k in np.argwhere(~np.isfinite(rows))[0])
    value = columns[start + i][j, 0]
    where, got = f"{argument}[{start + i}]", f"got {value} in row {j} of {part}"
    if np.isfinite(value):
        raise ValueError(
            f"{where}: expected numbers that {rows.dtype} can hold, {got}; "
            "scale them, or build the network with dtype='float64'"
        )
    raise ValueError(f"{where}: expected finite numbers, {got}")


class TrainingPairs(Pairs):
    """Pairs to train on, which may be shuffled again for every epoch.

    A shuffle changes `order`, which the compiled code takes, and not the list. The list itself is put in that order
    before custom code runs, which may look at it, and at the end of training.

    Inputs are kept in float32 if float32 holds them exactly, as it holds the book's data, even for a float64 network.
    The compiled code converts them as it reads them, so that it reads half as many bytes.

    Attributes
    ----------
    order : int64 (n,)
        The indices of the pairs, which are rows of `inputs` and `targets`, in the order of training.
    """

    _may_be_float32 = True

    def __init__(self, argument: str, data: Iterable[Pair], net: HasParameters) -> None:
        super().__init__(argument, data, net)
        self._read_list()

    def _read_list(self) -> None:
        self._read = self.list.copy()
        self.order = np.arange(len(self))
        self._may_have_changed = False
        for made in ("_columns", "inputs", "targets", "labels"):
            self.__dict__.pop(made, None)

    def _in_order(self) -> list[Pair]:
        return [self._read[i] for i in self.order.tolist()]

    def apply_order(self) -> None:
        """Put the list in the order of training. Custom code may see the list then, and may change it."""
        self.list[:] = self._in_order()
        self._may_have_changed = True

    def as_list(self) -> list[Pair]:
        """Return the list in the order of training, for custom code."""
        self.apply_order()
        return self.list

    def _reread_if_changed(self) -> None:
        if len(self) != len(self._read) or not all(map(operator.is_, self.list, self._in_order())):
            self._read_list()
        self._may_have_changed = False

    def shuffle(self) -> None:
        """Shuffle as `random.shuffle` does, or call what has replaced it."""
        if self._may_have_changed:
            self._reread_if_changed()
        if shuffling.is_standard_shuffle():
            shuffling.shuffle(self.order)
            return
        self.apply_order()
        random.shuffle(self.list)
        self._reread_if_changed()
