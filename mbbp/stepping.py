"""The compiled training loop, with all the memory that it works on and the threads that share its steps."""

from itertools import pairwise
from threading import Thread

import numpy as np

from mbbp.kernels import epoch
from mbbp.kernels.propagation import Examples, Model, workspace_size
from mbbp.kernels.team import Team, give_up, make_team
from mbbp.kernels.updates import Optimizer
from mbbp.parameters import Array
from mbbp.threads import worthwhile_threads

LEAST_EXAMPLES = 32  # of a mini-batch for each thread: it has whole tiles then


def threads_for_step(sizes: list[int], batch_size: int) -> int:
    """Return how many of the threads that may be used make a step of training faster."""
    products = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    operations = 2 * batch_size * (3 * sum(products) - products[0])
    return max(1, min(worthwhile_threads(operations), batch_size // LEAST_EXAMPLES))


class Stepper:
    """Takes steps of training.

    Parameters
    ----------
    model : Model
        The network; its `theta` is changed.
    examples : Examples
        What to train on.
    batch_size : int
        The size of a mini-batch.
    """

    def __init__(self, model: Model, examples: Examples, batch_size: int) -> None:
        sizes = [int(n) for n in model.sizes]
        self.threads = threads_for_step(sizes, batch_size)
        self._model, self._examples, self._batch_size = model, examples, batch_size
        self._work = np.empty(workspace_size(sizes, batch_size, self.threads), model.theta.dtype)
        self._gradient = np.empty_like(model.theta)

    def run(self, order: Array, optimizer: Optimizer, totals: Array, *, measure_norm: bool = False) -> bool:
        """Take a step for every mini-batch of the columns in `order`; see `kernels.epoch.train`."""
        shared = (self._model, self._examples, order, self._batch_size, optimizer, self._work, self._gradient)
        team = make_team(self.threads)
        errors: list[BaseException] = []

        def work(member: Team) -> bool:
            try:
                stayed_finite: bool = epoch.train(*shared, totals, measure_norm, member)
            except BaseException as error:
                give_up(member)
                errors.append(error)
                return False
            return stayed_finite

        others = [Thread(target=work, args=(member,)) for member in team[1:]]
        try:
            for thread in others:
                thread.start()
            stayed_finite = work(team[0])
        except BaseException:
            give_up(team[0])
            raise
        finally:
            for thread in others:
                if thread.ident is not None:
                    thread.join()
        if errors:
            raise errors[0]
        return stayed_finite
