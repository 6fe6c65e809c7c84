"""The compiled training loop over some examples, with its memory and its threads."""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mbbp.engine import Engine
from mbbp.fixed import Fixed
from mbbp.kernels import descent, epoch, updates
from mbbp.kernels.examples import Examples
from mbbp.kernels.lowlevel.kernel import Bound
from mbbp.kernels.lowlevel.records import array_of
from mbbp.kernels.objective import squared_norm_of_weights, sum_of_example_weights
from mbbp.kernels.team import give_up, make_team
from mbbp.parameters import Array, backprop_flops
from mbbp.threads import run_together, worthwhile_threads

LEAST_EXAMPLES = 32  # the least examples of a mini-batch for each thread: fewer would not fill the tiles


def threads_for_step(sizes: Sequence[int], batch_size: int) -> int:
    """Return the number of threads with which a step of training is fastest, at most `get_threads()`."""
    return max(1, min(worthwhile_threads(backprop_flops(sizes, batch_size)), batch_size // LEAST_EXAMPLES))


class Objective(NamedTuple):
    """What a step of training reduces, beyond the mean cost of its mini-batch.

    Attributes
    ----------
    l2 : float
        l2 / (2 d) ||W||^2 is added to the cost of each mini-batch, where d is the divisor of its mean. The optimizer
        must be one that stores the gradient.
    divides_by_weights : bool
        Whether the divisor is the sum of the example weights of the mini-batch, and not the number of its examples.
    goes_on : bool
        Whether steps are taken also where the cost is not finite.
    """

    l2: float = 0.0
    divides_by_weights: bool = False
    goes_on: bool = False


MEAN_COST = Objective()


class Loop(Fixed):
    """The compiled training loop, with its memory and its threads.

    Parameters
    ----------
    engine : Engine
        The network; its `theta` is changed.
    examples : Examples
        The training set.
    batch_size : int
        The size of a mini-batch.
    objective : Objective
        What is reduced.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        Memory for a gradient, for the optimizers that need one.
    totals : record
        cost, correct, gradient_norm, last_cost and penalty since the last `reset`; see `mbbp.kernels.epoch.Totals`.
    """

    def __init__(self, engine: Engine, examples: Examples, batch_size: int, objective: Objective = MEAN_COST) -> None:
        self.theta, self.gradient, self.batch_size = engine.theta, np.empty_like(engine.theta), batch_size
        self.threads = threads_for_step(engine.sizes, batch_size)
        totals = epoch.Totals(cost=0.0, correct=0, gradient_norm=0.0, last_cost=0.0, penalty=0.0)
        self._totals = array_of([totals])
        self._team = make_team(self.threads)
        model = engine.model(
            engine.layout(batch_size, self.threads, backward=True, dropout=True),
            with_cost=True,
            backward=True,
            is_weighted=examples.weights.size > 0,
        )
        self._fixed: dict[str, Any] = {
            "model": model,
            "source": engine.source(examples),
            "batch_size": batch_size,
            "l2": objective.l2,
            "squared_norm": squared_norm_of_weights.address(engine.dtype) if objective.l2 > 0 else 0,
            "divisor": sum_of_example_weights.address(engine.dtype) if objective.divides_by_weights else 0,
            "goes_on": int(objective.goes_on),
            "norm": updates.norm.address(engine.dtype),
            "totals": self._totals,
        }
        self._calls: list[Bound] = []

    @property
    def totals(self) -> Any:
        """The totals since the last `reset`."""
        return self._totals[0]

    @property
    def model(self) -> Any:
        """The network, with the workspace of this loop."""
        return self._fixed["model"]

    @property
    def last_cost(self) -> ctypes.c_double:
        """The sum of the costs in the last mini-batch. Its `value` changes with every step."""
        return ctypes.c_double.from_buffer(self._totals, self._totals.dtype.fields["last_cost"][1])

    def reset(self) -> None:
        """Set the totals to zero."""
        self._totals[...] = 0

    def prepare(self, order: Array, step: updates.Step) -> None:
        """Set the work of `run_again`: a step for every mini-batch of the examples in `order`.

        The numbers in `order` must be from 0 to n - 1. A check would take a part of the time of the steps.
        """
        if self._fixed["l2"] > 0 and not step.is_gradient:
            raise ValueError("step: expected one that stores the gradient, for the L2 term of the objective")
        needs_whole_gradient = step.measures_norm or step.clip_norm < math.inf
        in_slabs = step.is_gradient and not needs_whole_gradient
        descend = descent.descend.address(self.theta.dtype) if in_slabs else 0
        changing = {"order": order, "n": order.size, "step": step, "descend": descend}
        if self._calls:
            for call in self._calls:
                call.set(**changing)
            return
        fixed = {**changing, **self._fixed}
        self._calls = [  # the records of the threads differ only in the place in the team
            epoch.train.bind(epoch.Training(team=place, **fixed), self.theta.dtype) for place in self._team
        ]

    def setter(self, path: str) -> Callable[[Any], None]:
        """Return what sets a field of the work of `run_again`, such as "step.alpha". It keeps no array alive."""
        setters = [call.setter(path) for call in self._calls]
        if len(setters) == 1:
            return setters[0]

        def set_all(value: Any) -> None:
            for one in setters:
                one(value)

        return set_all

    def run(self, order: Array, step: updates.Step) -> bool:
        """Take a step for every mini-batch of the examples in `order`.

        Returns
        -------
        bool
            Whether the cost stayed finite. If a cost is not finite, the loop ends without the step of its mini-batch.
        """
        self.prepare(order, step)
        return self.run_again()

    def run_again(self) -> bool:
        """Do the work that `prepare` or `run` has set last."""
        if self.threads == 1:
            return bool(self._calls[0].run())
        self._team[0].arrivals[:] = 0  # an interrupt may have left them unequal
        return all(run_together(self._calls, lambda: give_up(self._team[0])))
