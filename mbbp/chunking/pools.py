"""Two pools of examples: a thread reads the next one while the network is trained on this one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Semaphore, Thread
from typing import NamedTuple

import numpy as np

from mbbp.chunking.checks import Checker
from mbbp.chunking.parts import Room
from mbbp.chunking.survey import BYTES_OF_ORDER, Survey
from mbbp.engine import Engine, Score
from mbbp.kernels.examples import Examples
from mbbp.parameters import Array
from mbbp.scaling import Scaling

SECONDS_TO_END = 10.0  # that a thread has to end: it may wait for a caller's own code, or for a disk
MOST_FOR_A_SCORE = 1 << 25  # bytes of the pools of a score: its order does not matter, so larger ones gain nothing


class Pool(NamedTuple):
    """Where a pool lies among the examples."""

    first: int
    n: int


@dataclass(frozen=True)
class Streamed:
    """Examples that are read again in every epoch.

    Attributes
    ----------
    survey : Survey
        What the first pass has found.
    scaling : Scaling or None
        How inputs are scaled.
    factors : ndarray of shape (n_classes,), or None
        A factor for each class, which multiplies the example weights.
    """

    survey: Survey
    scaling: Scaling | None
    factors: Array | None = None

    @property
    def is_weighted(self) -> bool:
        """Whether examples have weights."""
        return self.survey.is_weighted or self.factors is not None

    @property
    def row_bytes(self) -> int:
        """How many bytes of a pool an example takes."""
        arrays = self.buffers(1)[:4]
        return BYTES_OF_ORDER + sum(one.itemsize * math.prod(one.shape[1:]) for one in arrays if len(one))

    def check_fits(self, batch_size: int) -> None:
        """Check that a mini-batch fits into a pool.

        Raises
        ------
        ValueError
            If it does not.
        """
        half = self.survey.data.memory // 2
        if batch_size * self.row_bytes > half:
            raise ValueError(
                f"batch_size: expected a mini-batch that fits into half of memory, {half} bytes or "
                f"{half // self.row_bytes} examples, got {batch_size}; pass a larger memory to mbbp.chunks"
            )

    def size(self, batch_size: int, memory: int | None = None) -> int:
        """Return how many examples a pool has: whole mini-batches, at least one, and all pools about as many."""
        n, most = self.survey.n, self.survey.data.memory if memory is None else memory
        largest = max(1, most // 2 // self.row_bytes // batch_size) * batch_size
        pools = math.ceil(n / largest)
        return min(largest, math.ceil(n / pools / batch_size) * batch_size)

    def buffers(self, size: int) -> Examples:
        """Return memory for two pools of a size, one after the other."""
        survey = self.survey
        n_out, dtype, n = survey.engine.sizes[-1], survey.engine.dtype, 2 * size
        is_classification = survey.counts_of_classes is not None
        labels = np.zeros(n if is_classification else 0, np.uint8 if n_out <= 256 else np.int64)
        return Examples(
            inputs=np.empty((n, survey.engine.sizes[0]), survey.dtype),
            targets=np.zeros((0 if is_classification else n, n_out), dtype),
            labels=labels,
            weights=np.zeros(n if self.is_weighted else 0, dtype),
            scaling=self.scaling,
        )

    def score(self, engine: Engine) -> Score:
        """Return the mean cost and the accuracy of all examples."""
        size = self.size(1, min(MOST_FOR_A_SCORE, self.survey.data.memory))
        examples = self.buffers(size)
        pools = Pools(self, examples)
        cost, correct = 0.0, 0.0
        try:
            for pool in pools.of(np.arange(len(self.survey.counts))):
                score = engine.score(examples, np.arange(pool.first, pool.first + pool.n))
                cost += score.cost * pool.n
                correct += (score.accuracy or 0.0) * pool.n
        finally:
            pools.close()
        n, has_classes = self.survey.n, self.survey.counts_of_classes is not None
        return Score(cost / n, round(correct) / n if has_classes else None)


class _StoppedError(Exception):
    """Nobody waits for what is read."""


class _Job:
    """The reading of one epoch."""

    def __init__(self, order: Array) -> None:
        self.order = order
        self.ready: SimpleQueue[Pool | BaseException | None] = SimpleQueue()  # None at the end
        self.is_stopped = Event()
        self.thread: Thread | None = None


class Pools:
    """Reads parts in a given order into two pools by turns.

    A thread reads; what it writes where depends on the order of the parts alone, so it cannot change a result.

    Parameters
    ----------
    streamed : Streamed
        What is read.
    examples : Examples
        Memory for two pools.
    """

    def __init__(self, streamed: Streamed, examples: Examples) -> None:
        self._streamed, self._examples, self._size = streamed, examples, examples.n // 2
        self._checker = Checker(streamed.survey.engine, streamed.scaling, finite=False)
        self._free = Semaphore(2)
        self._half = 0  # the one that is read next
        self._jobs: list[_Job] = []  # of the running epoch and of the next one

    def of(self, order: Array) -> Iterator[Pool]:
        """Yield the pools of an epoch that takes the parts in this order. A pool is lost when the next one is taken.

        Raises
        ------
        Exception
            What the reading raised.
        """
        if not self._jobs or not np.array_equal(self._jobs[0].order, order):
            self.close(math.inf)
            self._begin(order)
        job = self._jobs[0]
        while (found := job.ready.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
            self._free.release()
        self._jobs.remove(job)

    def read_ahead(self, order: Array) -> None:
        """Begin the next epoch, while the last pool of this one is in use."""
        self._begin(order)

    def close(self, seconds: float = SECONDS_TO_END) -> None:
        """End the reading; wait so many seconds for it at most."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.is_stopped.set()
            self._free.release()  # it may wait for a pool
        for job in jobs:
            if job.thread is not None:
                job.thread.join(None if seconds == math.inf else seconds)
        self._free, self._half = Semaphore(2), 0

    def _begin(self, order: Array) -> None:
        job, before = _Job(order), self._jobs[-1].thread if self._jobs else None
        given = job, before, self._free, self._half
        job.thread = Thread(target=self._read, args=given, name="mbbp reader", daemon=True)
        n_pools = math.ceil(self._streamed.survey.n / self._size)
        self._half = (self._half + n_pools) % 2
        self._jobs.append(job)
        job.thread.start()

    def _read(self, job: _Job, before: Thread | None, free: Semaphore, half: int) -> None:
        if before is not None:
            before.join()  # its last pool may be full before the source has ended, which may be open only once
        if job.is_stopped.is_set():
            return
        try:
            first, filled, size = half * self._size, 0, self._size
            is_mine = False  # whether the pool that is filled is free

            def room(n: int) -> Array:
                nonlocal is_mine
                if not is_mine:
                    free.acquire()
                    is_mine = True
                if job.is_stopped.is_set():
                    raise _StoppedError
                return self._examples.inputs[first + filled : first + min(filled + n, size)]

            for number in job.order:
                for examples in self._examples_of(int(number), room):
                    taken = 0
                    while taken < examples.n:
                        k = len(room(examples.n - taken))
                        self._copy(examples, taken, first + filled, k)
                        taken, filled = taken + k, filled + k
                        if filled == size:
                            job.ready.put(Pool(first, filled))
                            first, filled, is_mine = size - first, 0, False
            if filled:
                job.ready.put(Pool(first, filled))
            job.ready.put(None)
        except _StoppedError:
            return
        except BaseException as error:
            job.ready.put(error)

    def _examples_of(self, number: int, room: Room) -> Iterator[Examples]:
        """Yield the examples of a part, if it is what it was in the first pass.

        Raises
        ------
        ValueError
            If it is not.
        """
        survey = self._streamed.survey
        part, expected, n = survey.data.parts[number], survey.counts[number], 0
        for examples in self._checker.examples(part, room):
            n += examples.n
            if n > expected:
                break
            fits = (
                np.can_cast(examples.inputs.dtype, survey.dtype)
                and (survey.counts_of_classes is None or examples.labels.size > 0)
                and (survey.counts_of_classes is not None or len(examples.targets) > 0)
                and (examples.weights.size > 0) == survey.is_weighted
            )
            if not fits:
                raise ValueError(f"{part.names.X}: expected the kinds of numbers of the first pass, got others")
            yield examples
        if n != expected:
            got = "more" if n > expected else str(n)
            raise ValueError(f"{part.names.X}: expected {expected} rows, as in the first pass, got {got}")

    def _copy(self, examples: Examples, start: int, first: int, k: int) -> None:
        """Copy k examples from `start` on into the pools, where `first` is the place of the first one."""
        pools, factors = self._examples, self._streamed.factors
        chosen, place = slice(start, start + k), slice(first, first + k)
        inputs = pools.inputs[place]
        if inputs.ctypes.data != examples.inputs[chosen].ctypes.data:  # else they were read straight to their place
            inputs[...] = examples.inputs[chosen]
        if len(pools.labels):
            pools.labels[place] = examples.labels[chosen]
        else:
            pools.targets[place] = examples.targets[chosen]
        if len(pools.weights):
            weights = examples.weights[chosen] if len(examples.weights) else 1.0
            pools.weights[place] = weights if factors is None else factors[examples.labels[chosen]] * weights
