"""Many networks, trained in the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mbbp.extras import load_extra
from mbbp.many.company import SECONDS_BETWEEN_LOOKS, Company
from mbbp.many.trainings import longest_first, make_plans, train_all
from mbbp.methods.method import DivergedError
from mbbp.network import Network
from mbbp.planning import Plan
from mbbp.threads import at_most
from mbbp.validation import shown

GROUPS_FOR_EACH_THREAD = 4  # so that no worker waits long for the others at the end


class Trained(NamedTuple):
    """What a worker returns for a group of networks."""

    networks: list[Network]
    errors: list[DivergedError | None]


def train_on_workers(
    client: Any,
    nets: Sequence[Network],
    plans: Sequence[Plan],
    data: tuple[Any, Any],
    settings: Sequence[Mapping[str, Any]],
    company: Company,
) -> list[DivergedError | None]:
    """Train the networks in the workers of a cluster, and return the errors of those that diverge.

    The data, and the arguments that several networks share, are sent to each worker once.

    Raises
    ------
    TypeError
        If `client` is no client of Dask.
    ImportError
        If distributed is not installed.
    ConnectionError
        If the cluster has no worker.
    """
    distributed = load_extra("client", "distributed")
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client: expected a distributed.Client, got {shown(client)}")
    n_threads = sum(client.nthreads().values())
    if n_threads == 0:
        raise ConnectionError("client: expected a cluster with workers, got one with none")
    order, n_groups = longest_first(nets, plans), min(len(nets), GROUPS_FOR_EACH_THREAD * n_threads)
    common, own = _parted(settings)
    errors: list[DivergedError | None] = [None] * len(nets)
    (sent,) = client.scatter([(*data, common)], broadcast=True, hash=False)
    groups = {}
    for first in range(n_groups):
        group = order[first::n_groups]
        future = client.submit(
            _train_group, sent, [nets[number] for number in group], [own[number] for number in group], pure=False
        )
        groups[future] = group
    try:
        with company:
            left = set(groups)
            while left and not company.is_ending:
                try:
                    done = distributed.wait(left, SECONDS_BETWEEN_LOOKS, return_when="FIRST_COMPLETED").done
                except TimeoutError:
                    continue
                for future in done:
                    _take(future.result(), groups[future], nets, plans, errors, company)
                left -= done
    finally:
        client.cancel(list(groups))
    if company.interrupts.asked_twice:
        raise KeyboardInterrupt
    return errors


def _parted(settings: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the arguments that are the same object for all networks, and the other ones of each."""
    first = settings[0]
    common = {
        name: value for name, value in first.items() if all(name in one and one[name] is value for one in settings)
    }
    return common, [{name: value for name, value in one.items() if name not in common} for one in settings]


def _train_group(sent: tuple[Any, Any, Mapping[str, Any]], nets: list[Network], own: list[dict[str, Any]]) -> Trained:
    """Train some networks, in a worker."""
    X, y, common = sent
    with at_most(1):  # the other cores are for the other threads of the worker
        plans = make_plans(nets, X, y, [{**common, **one} for one in own])
        return Trained(nets, train_all(nets, plans, Company(False, len(nets), 0)))


def _take(
    trained: Trained,
    group: Sequence[int],
    nets: Sequence[Network],
    plans: Sequence[Plan],
    errors: list[DivergedError | None],
    company: Company,
) -> None:
    for number, net, error in zip(group, *trained, strict=True):
        with nets[number].engine.writer.fitting():
            nets[number]._become(net)
        errors[number] = error
        company.end_network(diverged=error is not None, examples_left=plans[number].epochs * plans[number].chosen.size)
