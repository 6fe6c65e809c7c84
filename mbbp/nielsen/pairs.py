"""Lists of pairs (x, y), as the book has its data, and the matrices that the engine takes."""

import operator
import random
import reprlib
from collections.abc import Callable, Iterable, Sized
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from mbbp.kernels.elementwise import all_finite
from mbbp.nielsen import shuffling
from mbbp.parameters import Array
from mbbp.validation import NUMERIC_KINDS, as_numeric_array, labels_of

if TYPE_CHECKING:
    from mbbp.nielsen.book import Book

Pair: TypeAlias = tuple[Any, Any]

BLOCK = 128  # examples that are copied and looked through together, while they are in the cache


class Pairs:
    """Pairs (x, y), and as matrices what is in them; each of these is made when it is first asked for, and kept.

    Parameters
    ----------
    argument : str
        What they came as, for errors.
    data : iterable of pairs
        A list is kept as it is, of anything else a list is made.
    net : Book
        The network that they are for: its first and its last weights say how long an x and a y are.

    Attributes
    ----------
    list : list of pairs
        The pairs.

    Raises
    ------
    TypeError
        If the data cannot be gone through.
    """

    _may_be_narrow = False

    def __init__(self, argument: str, data: Iterable[Pair], net: "Book") -> None:
        self.argument, self._net = argument, net
        self._vectors: Array | None = None
        try:
            self.list: list[Pair] = data if isinstance(data, list) else list(data)
        except TypeError:
            raise TypeError(f"{argument}: a list of pairs (x, y) is wanted, got {reprlib.repr(data)}") from None

    @classmethod
    def of(cls, argument: str, data: "Iterable[Pair] | Pairs", net: "Book") -> "Pairs":
        """Return pairs as they are, and of anything else make some."""
        return data if isinstance(data, Pairs) else cls(argument, data, net)

    def __len__(self) -> int:
        return len(self.list)

    def plain(self) -> list[Pair]:
        """Return the list, for the reader's own code."""
        return self.list

    def refuse_none(self) -> None:
        """Raise a ValueError if there is no pair."""
        if not self.list:
            raise ValueError(f"{self.argument}: at least one pair (x, y) is wanted, got none")

    def check(self, *matrices: str) -> None:
        """Make these matrices now, so that what is wrong with the pairs is said now."""
        for name in matrices:
            getattr(self, name)

    @cached_property
    def _columns(self) -> tuple[list[Any], list[Any]]:
        self.refuse_none()
        try:
            return [x for x, _ in self.list], [y for _, y in self.list]
        except (TypeError, ValueError):
            i = next(i for i, pair in enumerate(self.list) if not _is_pair(pair))
            got = reprlib.repr(self.list[i])
            raise ValueError(f"{self.argument}[{i}]: a pair (x, y) is wanted, got {got}") from None

    @cached_property
    def inputs(self) -> Array:
        """The x of each pair, (n, n_in) in C order and read-only.

        Raises
        ------
        ValueError, TypeError
            If there is no pair, or an x is no column (n_in, 1) of finite real numbers.
        """
        n_in = np.shape(self._net.weights[0])[1]
        return _as_rows(self.argument, "x", self._columns[0], n_in, self._net.dtype, may_be_narrow=self._may_be_narrow)

    @cached_property
    def targets(self) -> Array:
        """The y of each pair as a desired output, (n, n_L) in C order and read-only.

        Raises
        ------
        ValueError, TypeError
            If there is no pair, or a y is no column (n_L, 1) of finite real numbers.
        """
        return _as_rows(self.argument, "y", self._columns[1], np.shape(self._net.weights[-1])[0], self._net.dtype)

    @cached_property
    def answers(self) -> Array:
        """Which entry of each target is the largest, (n,), as the engine wants it."""
        return labels_of(self.targets.T)

    @cached_property
    def labels(self) -> Array:
        """The y of each pair as a label, (n,).

        Raises
        ------
        ValueError, TypeError
            If there is no pair, or a y is no finite real number.
        """
        labels = as_numeric_array(self.argument, self._columns[1])
        if labels.size != len(self):
            raise ValueError(f"{self.argument}: a label is wanted as y of each pair, got shape {labels.shape[1:]}")
        if not np.isfinite(labels).all():
            raise ValueError(f"{self.argument}: finite labels are wanted, got NaN or inf")
        return labels.reshape(-1)

    def unit_vectors(self, vectorized: Callable[[Any], Array]) -> Array:
        """Return what a function makes of the label of each pair, as `targets` are; it is asked once.

        Raises
        ------
        ValueError, TypeError
            If there is no pair, the function cannot take a label, or it makes no column (n_L, 1) of it.
        """
        if self._vectors is None:
            columns = []
            for i, label in enumerate(self._columns[1]):
                try:
                    columns.append(vectorized(label))
                except (IndexError, TypeError, ValueError) as error:
                    raise ValueError(
                        f"{self.argument}[{i}]: a label is wanted as y, got {reprlib.repr(label)} ({error})"
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


def as_evaluation(argument: str, data: Iterable[Pair] | None, net: "Book") -> Pairs | None:
    """Return pairs to evaluate a network on, or None for None and for an empty list, as in the book.

    Raises
    ------
    TypeError
        If the data cannot be gone through.
    ValueError
        If nothing comes out of them, as of a `zip` that was gone through before.
    """
    if data is None or (isinstance(data, Sized) and not len(data)):
        return None
    pairs = Pairs(argument, data, net)
    pairs.refuse_none()
    return pairs


def _as_rows(
    argument: str, part: str, columns: list[Any], n: int, dtype: np.dtype[Any], *, may_be_narrow: bool = False
) -> Array:
    """Return columns (n, 1) as the rows of one matrix, looked through for NaN and inf while it is made."""
    look = operator.attrgetter("shape", "dtype")
    try:
        kinds = set(map(look, columns))
    except AttributeError:
        columns = [as_numeric_array(f"{argument}[{i}]", column) for i, column in enumerate(columns)]
        kinds = set(map(look, columns))
    wanted = {(n, 1)} | ({(), (1,)} if n == 1 else set())
    for shape, kind in kinds:
        if shape not in wanted or kind.kind not in NUMERIC_KINDS:
            i = next(i for i, column in enumerate(columns) if look(column) == (shape, kind))
            _refuse_column(f"{argument}[{i}]", part, n, shape, kind)
    if n == 1:
        columns = [np.reshape(column, (1, 1)) for column in columns]
    if may_be_narrow and all(np.can_cast(kind, np.float32) for _, kind in kinds):
        dtype = np.dtype(np.float32)

    rows = np.empty((len(columns), n), dtype)
    flat = rows.reshape(-1, 1)
    read_only = rows.view()
    read_only.flags.writeable = False
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(columns), BLOCK):
            stop = min(start + BLOCK, len(columns))
            np.concatenate(columns[start:stop], out=flat[start * n : stop * n])
            if not all_finite(read_only[start:stop].reshape(-1)):
                _refuse_not_finite(argument, part, columns, start, rows[start:stop])
    return read_only


def _refuse_column(argument: str, part: str, n: int, shape: tuple[int, ...], kind: np.dtype[Any]) -> NoReturn:
    if kind.kind not in NUMERIC_KINDS:
        raise TypeError(f"{argument}: real numbers are wanted in {part}, got dtype {kind}")
    hint = ""
    if shape == (n,):
        hint = f"; make it {part}.reshape(-1, 1)"
    elif part == "y" and shape == ():
        hint = "; vectorized_result makes such a column of a label"
    raise ValueError(f"{argument}: {part} of shape ({n}, 1) is wanted, got {shape}{hint}")


def _refuse_not_finite(argument: str, part: str, columns: list[Any], start: int, rows: Array) -> NoReturn:
    i, j = (int(k) for k in np.argwhere(~np.isfinite(rows))[0])
    value = columns[start + i][j, 0]
    where = f"{argument}[{start + i}]"
    if np.isfinite(value):
        raise ValueError(
            f"{where}: row {j} of {part} is {value}, more than {rows.dtype} holds; "
            "scale it, or build the network with dtype='float64'"
        )
    raise ValueError(f"{where}: finite numbers are wanted, got {value} in row {j} of {part}")


class TrainingPairs(Pairs):
    """Pairs to train on, which may be shuffled anew for every epoch.

    The engine is given the order, not the pairs; so the list itself is put into it only where somebody may look, and at
    the end. The inputs are kept in float32 where that holds them all, as it holds the book's data, even for a float64
    network: the engine widens what it reads, and half as much memory is read.

    Attributes
    ----------
    order : int64 (n,)
        Which row of `inputs` and `targets` comes where.
    """

    _may_be_narrow = True

    def __init__(self, argument: str, data: Iterable[Pair], net: "Book") -> None:
        super().__init__(argument, data, net)
        self._take()

    def _take(self) -> None:
        self._taken = self.list.copy()
        self.order = np.arange(len(self))
        self._may_differ = False
        for made in ("_columns", "inputs", "targets", "answers", "labels"):
            self.__dict__.pop(made, None)

    def _in_order(self) -> list[Pair]:
        return [self._taken[i] for i in self.order.tolist()]

    def settle(self) -> None:
        """Put the list into the order, for others to see, and maybe to change."""
        self.list[:] = self._in_order()
        self._may_differ = True

    def plain(self) -> list[Pair]:
        """Return the list in the order."""
        self.settle()
        return self.list

    def _look_again(self) -> None:
        if len(self) != len(self._taken) or not all(map(operator.is_, self.list, self._in_order())):
            self._take()
        self._may_differ = False

    def shuffle(self) -> None:
        """Shuffle as `random.shuffle` does, or by whatever somebody has put in its place."""
        if self._may_differ:
            self._look_again()
        if shuffling.is_pythons_own():
            shuffling.shuffle(self.order)
            return
        self.settle()
        random.shuffle(self.list)
        self._look_again()
