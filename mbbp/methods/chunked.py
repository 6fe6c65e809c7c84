"""Mini-batches of data that are read chunk by chunk."""

from __future__ import annotations

import copy
import time

import numpy as np

from mbbp.chunking.pools import Pools, Streamed
from mbbp.engine import Engine
from mbbp.kernels.updates import Step
from mbbp.methods.method import Trained
from mbbp.methods.mini_batches import MiniBatches
from mbbp.parameters import Array
from mbbp.planning import Plan


class ChunkedMiniBatches(MiniBatches):
    """Gradient descent by mini-batches, pool after pool.

    All numbers are drawn in this thread, in a fixed order: first the order of the chunks, then that of each pool. The
    reading goes on into the next epoch. Its order of chunks is drawn from a copy of the generator then, and read again
    if a callback has used the generator in between.
    """

    def __init__(self, engine: Engine, trained: Trained, plan: Plan) -> None:
        super().__init__(engine, trained, plan)
        assert plan.streamed is not None
        self.n_chunks = len(plan.streamed.survey.counts)
        self.pools = Pools(plan.streamed, plan.examples)
        # validation reads between two epochs; what it reads may be open only once
        self.reads_ahead = not (
            isinstance(plan.validation, Streamed) and plan.validation.survey.data is plan.streamed.survey.data
        )

    def close(self) -> None:
        """End the reading."""
        assert self.plan.streamed is not None
        try:
            self.pools.close()
        finally:
            self.plan.streamed.survey.close()

    def go_through(self, number: int, ordinary: Step, measured: Step) -> tuple[float, bool]:
        """Take a step for each mini-batch; return the seconds, and whether the cost stayed finite."""
        plan, left = self.plan, self.plan.n
        self.loop.prepare(np.empty(0, np.int64), ordinary)  # this compiles, so it comes before the clock starts
        self.loop.reset()
        is_finite, is_last_epoch = True, number - self.first + 1 >= plan.epochs
        began = time.perf_counter()
        for pool in self.pools.of(self._order_of_chunks(self.trained.rng)):
            left -= pool.n
            order = self.trained.rng.permutation(pool.n) if plan.shuffle else np.arange(pool.n)
            order += pool.first
            if left:
                is_finite = self.run_all(order, ordinary)
            else:
                if self.reads_ahead and not is_last_epoch:
                    self.pools.read_ahead(self._order_of_chunks(copy.deepcopy(self.trained.rng)))
                is_finite = self.run_mini_batches(order, ordinary, measured)
            if not is_finite:
                break
        return time.perf_counter() - began, is_finite

    def _order_of_chunks(self, rng: np.random.Generator) -> Array:
        return rng.permutation(self.n_chunks) if self.plan.shuffle else np.arange(self.n_chunks)
