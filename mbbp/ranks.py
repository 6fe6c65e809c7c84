"""Several processes that train one network together: what they tell each other, by MPI.

A process is called a rank, as in MPI; rank 0 is the one that prints and writes files. Nothing here imports mpi4py:
whoever gives a communicator has imported it.

An error on one rank must reach the others, which would else wait for it for ever. So all that ranks tell each other
before and between the steps of a training goes through `Ranks.exchange`: a rank that fails takes part in one exchange
more, with its error instead of a value, and all other ranks raise.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from mbbp.parameters import Array
from mbbp.threads import at_most, available_cores
from mbbp.validation import as_count

T = TypeVar("T")

# Every rank gets the vectors of all others and adds them itself, if they have up to so many bytes together. Two ranks
# send no more bytes in this way: on one machine it took 0.8 times as long for 10,000 to 30,000 floats, and 1.1 times as
# long for 300,000. More ranks send more bytes than in the other way, but in half as many messages one after the other;
# so many bytes take about as long as the messages that are saved, 3 to 4 of 2 microseconds, at 10 gigabytes per second.
MOST_GATHERED, MOST_MORE = 1 << 20, 1 << 16


class RankError(RuntimeError):
    """Another rank failed, or the ranks differ in what must be equal on all."""


class Ranks:
    """The processes of a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The communicator. Messages go over a copy of it, so they cannot mix with the caller's own.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    average_every : int or None
        After how many steps the parameters are averaged; None if gradients are summed in every step.
    """

    average_every: int | None = None

    def __init__(self, comm: Any) -> None:
        self._comm = comm.Dup()
        self.rank, self.size = int(comm.rank), int(comm.size)
        self._is_told, self._has_begun = False, False

    def exchange(self, value: T) -> list[T]:
        """Return the values of all ranks, in their order.

        Raises
        ------
        RankError
            If another rank failed. It names the first that did.
        """
        return self._meet(None, value)

    def _meet(self, error: str | None, value: Any) -> list[Any]:
        found = self._comm.allgather((error, value))
        failed = next((rank for rank, (text, _) in enumerate(found) if text is not None), None)
        if failed is not None:
            self._is_told = True
            if error is None:
                raise RankError(f"rank {failed}: {found[failed][0]}")
        return [one for _, one in found]

    def all_of(self, compute: Callable[[], T]) -> list[T]:
        """Return what a function returns on each rank; if it fails on one, all ranks raise.

        Raises
        ------
        RankError
            If it failed on another rank, but not here.
        """
        try:
            value = compute()
        except BaseException as error:
            self._tell(error)
            raise
        return self.exchange(value)

    def _tell(self, error: BaseException) -> None:
        self._meet(" ".join(str(error).split()) or type(error).__name__, None)

    def begin(self) -> None:
        """Wait until all ranks have come so far. An error after this ends the processes of all ranks."""
        self.exchange(None)
        self._has_begun = True

    def check_equal(self, settings: Mapping[str, str]) -> None:
        """Check that all ranks have the same settings.

        Raises
        ------
        ValueError
            If one differs, on all ranks alike. It names the first one.
        """
        found = self.exchange(dict(settings))
        for rank, other in enumerate(found):
            for name, value in found[0].items():
                if other.get(name) != value:
                    self.all_raise()
                    raise ValueError(
                        f"{name}: expected the same on all ranks, got {value:.200} on rank 0 and "
                        f"{other.get(name, ''):.200} on rank {rank}"
                    )

    def all_raise(self) -> None:
        """Say that all ranks are about to raise an error, so that none must be told."""
        self._is_told = True

    @contextlib.contextmanager
    def guard(self, *alike: type[BaseException], ends_all: bool = True) -> Iterator[None]:
        """Tell the other ranks of an error in what follows; once they have begun, end all processes.

        Parameters
        ----------
        *alike : type
            Errors that all ranks raise together.
        ends_all : bool
            Whether an error after they have begun ends all processes; if not, it is only raised.
        """
        try:
            with at_most(self._cores_for_each()):
                yield
        except BaseException as error:
            if not self._is_told and not isinstance(error, alike):
                if not self._has_begun:
                    self._tell(error)
                elif ends_all:
                    self.abort()
            self.free()
            raise
        self.free()

    def free(self) -> None:
        """Give the copy of the communicator back: MPI has about 2,000 in all."""
        self._comm.Free()

    def abort(self) -> None:
        """Print the error that is being handled, and end the processes of all ranks."""
        text = traceback.format_exc()
        print("".join(f"rank {self.rank}: {line}\n" for line in text.splitlines()), file=sys.__stderr__, flush=True)
        self._comm.Abort(1)

    def _cores_for_each(self) -> int:
        """Return how many cores there are for each of the ranks on this machine. Threads that share a core wait."""
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(available_cores())]
        found = self.exchange((os.uname().nodename if hasattr(os, "uname") else "", mine))
        here = [cores for node, cores in found if node == found[self.rank][0]]
        return max(1, len(set().union(*here)) // len(here))

    def total(self, values: Any) -> Any:
        """Return the sum of an array over all ranks, or of a number, in its dtype; the same bits on all ranks."""
        return sum(self.exchange(np.asarray(values)))

    def first(self, value: T) -> T:
        """Return the value that rank 0 has."""
        return self.exchange(value if self.rank == 0 else None)[0]  # type: ignore[return-value]

    def spread(self, array: Array) -> None:
        """Set an array to that of rank 0. It has the same shape on all ranks."""
        self._comm.Bcast(array, 0)

    def vector(self, n: int, dtype: np.dtype[Any]) -> SharedVector:
        """Return a vector that is summed over the ranks again and again."""
        return SharedVector(self._comm, n, dtype)


class SharedVector:
    """A vector whose sum over all ranks has the same bits on all of them.

    MPI's Allreduce may add in another order on each rank, and then the sums differ in their last bits. Here a number is
    added on one rank alone and sent from there, or the numbers of all ranks are sent to all, which add them in the
    order of the ranks. The first way takes two exchanges of messages, and sends no more bytes than Allreduce; the
    second one takes one, and is faster for few numbers.

    Attributes
    ----------
    values : ndarray of shape (n,)
        The numbers of this rank; after a call of `add_up`, their sums.
    """

    def __init__(self, comm: Any, n: int, dtype: np.dtype[Any]) -> None:
        size = comm.size
        of_one = n * dtype.itemsize
        more = (size - 1) * of_one - 2 * (size - 1) / size * of_one  # bytes that each rank gets
        self._is_gathered = size * of_one <= MOST_GATHERED and more <= MOST_MORE
        width = n if self._is_gathered else -(-n // size)
        padded = np.zeros(n if self._is_gathered else size * width, dtype)
        self.values = padded[:n]
        kind = sys.modules["mpi4py.MPI"].FLOAT if dtype == np.float32 else sys.modules["mpi4py.MPI"].DOUBLE
        self._whole = [padded, kind]
        if self._is_gathered:
            self._all = np.empty((size, n), dtype)
            self._parts, self._gather = [self._all, kind], comm.Allgather
        else:
            self._part, self._scatter, self._gather = (
                [np.empty(width, dtype), kind],
                comm.Reduce_scatter_block,
                comm.Allgather,
            )

    def add_up(self) -> None:
        """Set the vector to the sum of those of all ranks."""
        if self._is_gathered:
            self._gather(self._whole, self._parts)
            np.add.reduce(self._all, 0, out=self.values)  # row after row
        else:
            self._scatter(self._whole, self._part)
            self._gather(self._part, self._whole)


def as_ranks(comm: Any, average_every: int | None) -> Ranks | None:
    """Return the ranks of a communicator, or None for a single process.

    Raises
    ------
    TypeError
        If it is no communicator of mpi4py, or `average_every` is no whole number.
    ValueError
        If `average_every` is below 1, or given without a communicator.
    """

    def count() -> int | None:
        return None if average_every is None else as_count("average_every", average_every)

    if comm is None:
        if count() is not None:
            raise ValueError(f"average_every: expected None without comm, got {average_every!r}")
        return None
    # whoever has a communicator has imported mpi4py; to import it here would start MPI
    module = sys.modules.get("mpi4py.MPI")
    if module is None or not isinstance(comm, module.Intracomm):
        raise TypeError(f"comm: expected a communicator of mpi4py, such as MPI.COMM_WORLD, got {comm!r:.100}")
    if comm.size == 1:
        count()
        return None
    ranks = Ranks(comm)
    try:
        ranks.average_every = ranks.all_of(count)[ranks.rank]
    except BaseException:
        ranks.free()
        raise
    return ranks
