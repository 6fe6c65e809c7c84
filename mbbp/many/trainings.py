"""Trainings that run at the same time: their plans, and the threads that carry them out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from mbbp import training
from mbbp.many.company import Company, Member
from mbbp.methods.method import DivergedError
from mbbp.network import Network
from mbbp.parameters import backprop_flops
from mbbp.planning import Plan
from mbbp.preparing import Preparation
from mbbp.threads import at_most, get_threads

# arguments of `fit` that are the same for all networks, or that share one network out
NOT_OF_ONE = ("self", "X", "y", "progress", "comm", "average_every")


@functools.cache
def defaults() -> dict[str, Any]:
    """Return the arguments of `Network.fit` that a network may have for itself, with their defaults."""
    parameters = inspect.signature(Network.fit).parameters
    return {name: one.default for name, one in parameters.items() if name not in NOT_OF_ONE}


def make_plans(
    nets: Sequence[Network],
    X: Any,
    y: Any,
    settings: Sequence[Mapping[str, Any]],
    preparation: Preparation | None = None,
    names: Sequence[str] | None = None,
) -> list[Plan]:
    """Check the arguments of all trainings, before any network is changed.

    With the `preparation` of an earlier call, the same data are not looked at again. An error calls the networks by
    their `names`.
    """
    preparation = preparation or Preparation()
    plans = []
    for number, (net, given) in enumerate(zip(nets, settings, strict=True)):
        try:
            with net.engine.writer.fitting():
                plans.append(net._plan(X, y, preparation=preparation, **{**defaults(), **given}))
        except (TypeError, ValueError, RuntimeError) as error:
            error.add_note(f"This is an error of {f'networks[{number}]' if names is None else names[number]}.")
            raise
    paths = [plan.checkpoint.path.resolve() for plan in plans if plan.checkpoint is not None]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(f"checkpoint: expected a different file for each network, got {str(twice)!r} twice")
    return plans


def train_all(nets: Sequence[Network], plans: Sequence[Plan], company: Company) -> list[DivergedError | None]:
    """Train the networks as planned in as many threads as there are, and return the errors of those that diverge.

    The company has begun: this is called in its ``with`` block, once or for several rounds.
    """
    errors: list[DivergedError | None] = [None] * len(nets)
    queue: SimpleQueue[int] = SimpleQueue()
    for number in longest_first(nets, plans):
        queue.put(number)
    n_threads = min(get_threads(), len(nets))
    threads_of_each = get_threads() // n_threads

    def work() -> None:
        with at_most(threads_of_each):
            while not company.is_ending:
                try:
                    number = queue.get_nowait()
                except Empty:
                    return
                errors[number] = _train_one(number, nets[number], plans[number], company)

    company.run(work, n_threads)
    company.raise_failure()
    return errors


def longest_first(nets: Sequence[Network], plans: Sequence[Plan]) -> list[int]:
    """Return the numbers of the networks, the one with the most work first, so that none is left alone at the end."""
    work = [-plan.epochs * backprop_flops(net.sizes, plan.n) for net, plan in zip(nets, plans, strict=True)]
    return sorted(range(len(plans)), key=work.__getitem__)


def _train_one(number: int, net: Network, plan: Plan, company: Company) -> DivergedError | None:
    member, diverged = Member(company), None
    try:
        with net.engine.writer.fitting():
            training.train(net.engine, net, plan, member, member)
    except DivergedError as error:
        diverged = error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and company.interrupts.asked_twice:
            return None  # `train_all` raises it when all have ended
        error.add_note(f"This is an error of {company.name_of(number)}.")
        company.fail(error)
        return None
    company.end_network(number, diverged, plan.epochs * plan.n - member.done)
    return diverged
