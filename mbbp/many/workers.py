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


class Workers:
    """The workers of a cluster, which have the data.

    The data, and the arguments that all networks share, are sent to each worker once.

    Parameters
    ----------
    client : distributed.Client
        The client of the cluster.

    Raises
    ------
    TypeError
        If `client` is no client of Dask.
    ImportError
        If distributed is not installed.
    ConnectionError
        If the cluster has no worker.
    """

    def __init__(self, client: Any) -> None:
        self._distributed = load_extra("client", "distributed")
        if not isinstance(client, self._distributed.Client):
            raise TypeError(f"client: expected a distributed.Client, got {shown(client)}")
        self._client, self._sent = client, None
        self._n_threads()

    def _n_threads(self) -> int:
        n: int = sum(self._client.nthreads().values())
        if n == 0:
            raise ConnectionError("client: expected a cluster with workers, got one with none")
        return n

    def send(self, X: Any, y: Any, common: Mapping[str, Any]) -> None:
        """Send the data and the arguments of `Network.fit` that all networks share to each worker."""
        (self._sent,) = self._client.scatter([(X, y, common)], broadcast=True, hash=False)

    def train_all(
        self, nets: Sequence[Network], plans: Sequence[Plan], own: Sequence[Mapping[str, Any]], company: Company
    ) -> list[DivergedError | None]:
        """Train networks as planned, and return the errors of those that diverge.

        The company has begun: this is called in its ``with`` block, once or for several rounds. `own` are those
        arguments of each network that `send` has not sent.
        """
        order, n_groups = longest_first(nets, plans), min(len(nets), GROUPS_FOR_EACH_THREAD * self._n_threads())
        errors: list[DivergedError | None] = [None] * len(nets)
        groups = {}
        for first in range(n_groups):
            group = order[first::n_groups]
            future = self._client.submit(
                _train_group,
                self._sent,
                [nets[number] for number in group],
                [own[number] for number in group],
                pure=False,
            )
            groups[future] = group
        try:
            left = set(groups)
            while left and not company.is_ending:
                try:
                    done = self._distributed.wait(left, SECONDS_BETWEEN_LOOKS, return_when="FIRST_COMPLETED").done
                except TimeoutError:
                    continue
                for future in done:
                    _take(future.result(), groups[future], nets, plans, errors, company)
                left -= done
        finally:
            self._client.cancel(list(groups))
        company.raise_failure()
        return errors


def parted(settings: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
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
        with Company(False, len(nets), 0) as company:
            return Trained(nets, train_all(nets, plans, company))


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
        company.end_network(number, error, plans[number].epochs * plans[number].chosen.size)
