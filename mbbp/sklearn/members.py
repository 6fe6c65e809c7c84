"""Several networks in one estimator: trained at the same time, and the mean of their outputs is used."""

from __future__ import annotations

import copy
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from sklearn.base import clone

from mbbp.interrupts import Interrupts
from mbbp.parameters import Array
from mbbp.sklearn.warning import warn_caller
from mbbp.threads import at_most, get_threads, run_together

OF_CLASSES = ("classes_", "_label_binarizer")  # what the first call of `partial_fit` sets


def fit_members(mlp: Any, X: Any, y: Any, sample_weight: Any, eval_set: Any, incremental: bool) -> None:
    """Train an estimator's own network, and those of its further members, in as many threads as there are."""
    given = (X, y, sample_weight, eval_set, incremental)
    if mlp.n_members == 1:
        mlp._fit_one(*given)
        mlp.__dict__.pop("members_", None)
        return
    members = list(getattr(mlp, "members_", ())) if incremental or mlp.warm_start else []
    if len(members) != mlp.n_members - 1:
        members = _new_members(mlp)

    def fit_member(member: Any) -> None:
        if incremental:
            member.__dict__.update({name: mlp.__dict__[name] for name in OF_CLASSES if name in mlp.__dict__})
        member._fit_one(*given)

    with at_most(mlp.n_threads):
        _train_all(mlp, members, lambda: mlp._fit_one(*given), fit_member)


def _train_all(mlp: Any, members: list[Any], fit_own: Callable[[], None], fit_member: Callable[[Any], None]) -> None:
    queue: SimpleQueue[Any] = SimpleQueue()
    for member in members:
        queue.put(member)
    n_threads = min(get_threads(), mlp.n_members)
    threads_of_each = get_threads() // n_threads
    interrupts = Interrupts()
    failed: list[bool] = []

    def stops() -> bool:
        return interrupts.asked or bool(failed)

    def work(first: Callable[[], Any] | None = None) -> None:
        with at_most(threads_of_each):
            if first is not None:
                first()
            while not stops():
                try:
                    member = queue.get_nowait()
                except Empty:
                    return
                fit_member(member)

    for one in (mlp, *members):
        one._stops = stops
    try:
        with interrupts:
            run_together([lambda: work(fit_own), *[work] * (n_threads - 1)], lambda: failed.append(True))
    finally:
        for one in (mlp, *members):
            del one._stops
    mlp.members_ = [member for member in members if hasattr(member, "coefs_")]
    if interrupts.asked_twice:
        raise KeyboardInterrupt
    if interrupts.asked:
        warn_caller("Training interrupted by user.")


def _new_members(mlp: Any) -> list[Any]:
    """Return estimators like this one, each for one network, with seeds of their own."""
    members = []
    for seed in _seeds(mlp.random_state, mlp.n_members - 1):
        member = clone(mlp).set_params(
            n_members=1, random_state=seed, callbacks=None, progress_bar=False, verbose=False, n_threads=None
        )
        members.append(member)
    return members


def _seeds(random_state: Any, n: int) -> list[int | None]:
    """Return the seeds of the further members; those of more members begin with the same ones."""
    if random_state is None:
        return [None] * n
    if isinstance(random_state, np.random.RandomState):
        generator = copy.deepcopy(random_state)  # the first member draws what it would draw alone
        return [int(generator.randint(2**31)) for _ in range(n)]
    sequence = np.random.SeedSequence(int(random_state))
    return [int(child.generate_state(1)[0]) for child in sequence.spawn(n)]


def mean_of_outputs(mlp: Any, own: Array, X: Any) -> Array:
    """Return the mean of the outputs (n, n_outputs) of all members; `own` are those of the first."""
    members = mlp.__dict__.get("members_")
    if not members:
        return own
    total = own.astype(np.float64)
    for member in members:
        total += member._own_outputs(X)
    return (total / (1 + len(members))).astype(own.dtype)
