"""Several networks in one estimator: trained at the same time, and the mean of their outputs is used."""

from __future__ import annotations

import copy
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
    with mlp._training():
        if mlp.n_members == 1:
            mlp._fit_one(*given)
            mlp.__dict__.pop("members_", None)
        else:
            with at_most(mlp.n_threads):
                _fit_several(mlp, given, goes_on=incremental or mlp.warm_start)


def _fit_several(mlp: Any, given: tuple[Any, ...], *, goes_on: bool) -> None:
    # callbacks see the first network alone: the others may be in training in other threads
    old, model = mlp.__dict__.pop("members_", None), mlp.__dict__.get("_model")
    members = _members(mlp, old if goes_on and old else [])
    interrupts = Interrupts()
    try:
        _train_all(mlp, members, given, interrupts)
    finally:
        if goes_on or mlp.__dict__.get("_model") is not model:
            mlp.members_ = [member for member in members if hasattr(member, "coefs_")]
        elif old is not None:  # the samples were refused
            mlp.members_ = old
    if interrupts.asked_twice:
        raise KeyboardInterrupt
    if interrupts.asked:
        warn_caller("Training interrupted by user.")


def _train_all(mlp: Any, members: list[Any], given: tuple[Any, ...], interrupts: Interrupts) -> None:
    queue: SimpleQueue[Any] = SimpleQueue()
    for member in members:
        queue.put(member)
    n_threads = min(get_threads(), mlp.n_members)
    threads_of_each = get_threads() // n_threads
    failed: list[bool] = []
    *_, incremental = given

    def stops() -> bool:
        return interrupts.asked or bool(failed)

    def work(is_first: bool = False) -> None:
        with at_most(threads_of_each):
            if is_first:
                mlp._fit_one(*given, stops)
            while not stops():
                try:
                    member = queue.get_nowait()
                except Empty:
                    return
                if incremental:
                    own = mlp.__dict__
                    member.__dict__.update({name: own[name] for name in OF_CLASSES if name in own})
                with member._training():
                    member._fit_one(*given, stops)

    with interrupts:
        run_together([lambda: work(is_first=True), *[work] * (n_threads - 1)], lambda: failed.append(True))


def _members(mlp: Any, old: list[Any]) -> list[Any]:
    """Return the further members: those there are, with the present parameters, and new ones for those that miss."""
    new = _new_members(mlp)
    kept = old[: len(new)]
    for member, fresh in zip(kept, new, strict=False):
        seed = member.random_state  # a member goes on with its own random numbers
        member.set_params(**fresh.get_params(deep=False) | {"random_state": seed})
    return kept + new[len(kept) :]


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
