"""``mbbp train`` in several processes, which ``mpiexec`` has started."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mbbp.cli.text import complain
from mbbp.datasets import Dataset
from mbbp.extras import load_extra
from mbbp.parameters import Array
from mbbp.ranks import RankError, Ranks

LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
"""The variables in which a launcher says how many processes it has started: that of MPICH, and that of Open MPI."""

Examples = tuple[Array, Array]


class Together:
    """The processes of one command.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        All of them.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self._ranks = comm, Ranks(comm)
        self.is_first, self.size = self._ranks.rank == 0, self._ranks.size

    def run(self, command: Callable[[], int]) -> int:
        """Run the command on this rank. Rank 0 prints for all, also the error of another one."""
        with contextlib.nullcontext() if self.is_first else _silence():
            try:
                with self._ranks.guard(ends_all=False):
                    return command()
            except RankError as error:
                complain(f"mbbp train: error: {error}")
                return 2
            except Exception:
                if self.is_first:
                    raise
                return 2  # rank 0 knows the reason, and prints it

    def begin(self) -> None:
        """Wait until all ranks have come to the training, which tells them of errors by itself."""
        self._ranks.begin()

    def part(self, X: Array, y: Array) -> Examples:
        """Return the examples of this rank: the columns rank, rank + size and so on.

        Raises
        ------
        ValueError
            If there are fewer examples than ranks.
        """
        if X.shape[1] < self.size:
            raise ValueError(f"--data: expected an example for each of {self.size} ranks, got {X.shape[1]}")
        mine = slice(self._ranks.rank, None, self.size)
        return X[:, mine], y[..., mine]


class ArgumentsOfFit(NamedTuple):
    """What `Network.fit` gets on this rank: the examples, the validation data, and what only several ranks need."""

    examples: Examples
    tested: Examples | None
    more: dict[str, Any]


def arguments_of_fit(
    together: Together | None, data: Dataset, tested: Examples | None, every: int | None
) -> ArgumentsOfFit:
    """Return what `Network.fit` gets on this rank, when all ranks have come to it.

    Raises
    ------
    ValueError
        If there are too few examples, or `every` is given for one process.
    """
    if together is None:
        if every is not None:
            raise ValueError("--average-every: expected several processes, as mpiexec -n 4 starts them, got one")
        return ArgumentsOfFit((data.x_train, data.y_train), tested, {})
    examples = together.part(data.x_train, data.y_train)
    mine = None if tested is None else together.part(*tested)
    together.begin()
    return ArgumentsOfFit(examples, mine, {"comm": together.comm, "average_every": every})


def run_on_ranks(run: Callable[[argparse.Namespace, Together | None], int], options: argparse.Namespace) -> int:
    """Run a command in this process, together with others if a launcher has started several."""
    if not any(os.environ.get(name, "").isdecimal() and int(os.environ[name]) > 1 for name in LAUNCHERS):
        return run(options, None)
    together = Together(load_extra("mpiexec", "mpi4py.MPI").COMM_WORLD)
    return together.run(lambda: run(options, together))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Print nothing: rank 0 prints. What the guard of a training prints goes to the first stderr all the same."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield
