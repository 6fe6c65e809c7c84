"""Many networks, trained in the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import math
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
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
SECONDS_BETWEEN_QUESTIONS = 1.0  # of each thread of each worker to the one scheduler


class Trained(NamedTuple):
    """What a worker returns for a group of networks.

    Attributes
    ----------
    ended : list of (int, Network, DivergedError or None)
        The networks whose training has ended, with their numbers in the group.
    failure : BaseException or None
        The error that has ended the others.
    """

    ended: list[tuple[int, Network, DivergedError | None]]
    failure: BaseException | None = None


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
        groups, end = {}, f"mbbp-end-{uuid.uuid4().hex}"
        for first in range(n_groups):
            group = order[first::n_groups]
            future = self._client.submit(
                _train_group,
                self._sent,
                [nets[number] for number in group],
                [own[number] for number in group],
                [company.name_of(number) for number in group],
                end,
                pure=False,
            )
            groups[future] = group
        event, is_set, left = self._distributed.Event(end, client=self._client), False, set(groups)
        try:
            while left and not _is_urgent(company):
                if company.is_ending and not is_set:
                    event.set()  # the workers end after their epoch, and what they have is still taken
                    is_set = True
                try:
                    done = self._distributed.wait(left, SECONDS_BETWEEN_LOOKS, return_when="FIRST_COMPLETED").done
                except TimeoutError:
                    continue
                for future in done:
                    left.discard(future)
                    _take(future, groups[future], nets, plans, errors, company)
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone, and another error is on its way
                if left:
                    event.set()  # and stays so: there may be workers that have not seen it
                elif is_set:
                    event.clear()
            self._client.cancel(list(groups))
        company.raise_failure()
        return errors


def _is_urgent(company: Company) -> bool:
    """Whether not to wait for the workers: after a second Ctrl-C, or after one while they end because of an error."""
    return company.interrupts.asked_twice or (company.interrupts.asked and company.failure is not None)


def parted(settings: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the arguments that are the same object for all networks, and the other ones of each."""
    first = settings[0]
    common = {
        name: value for name, value in first.items() if all(name in one and one[name] is value for one in settings)
    }
    return common, [{name: value for name, value in one.items() if name not in common} for one in settings]


def _train_group(
    sent: tuple[Any, Any, Mapping[str, Any]],
    nets: list[Network],
    own: list[dict[str, Any]],
    names: Sequence[str],
    end: str,
) -> Trained:
    """Train some networks, in a worker, until they have ended or the event of this name is set."""
    look = _look_at(end)
    if look():  # this group was still waiting for a worker
        return Trained([])
    X, y, common = sent
    company = Company(False, len(nets), 0, look)
    ended: list[tuple[int, Network, DivergedError | None]] = []
    failure = None

    def on_end(number: int, error: DivergedError | None) -> None:
        if error is not None or nets[number].history.has_ended:
            ended.append((number, nets[number], error))

    with at_most(1):  # the other cores are for the other threads of the worker
        plans = make_plans(nets, X, y, [{**common, **one} for one in own], names=names)
        company.begin(names, "", on_end)
        try:
            with company:
                train_all(nets, plans, company)
        except BaseException as error:  # Dask would take a KeyboardInterrupt for the end of the worker
            failure = _portable(error)
    return Trained(ended, failure)


def _look_at(end: str) -> Callable[[], bool]:
    """Return a function that tells whether the event of this name is set; it asks the scheduler once in a second."""
    event, next_time, is_set = load_extra("client", "distributed").Event(end), -math.inf, False

    def look() -> bool:
        nonlocal next_time, is_set
        if not is_set and time.monotonic() >= next_time:
            with contextlib.suppress(Exception):  # a scheduler that does not answer says nothing
                is_set = bool(event.is_set())
            next_time = time.monotonic() + SECONDS_BETWEEN_QUESTIONS
        return is_set

    return look


def _portable(error: BaseException) -> BaseException:
    """Return an error that can be sent to another process, with a note of where it came from."""
    import distributed.protocol

    pickle: Any = distributed.protocol.pickle
    where = "".join(traceback.format_exception(error))
    found: BaseException = error
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the class of the error does there
        found = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", []):
            found.add_note(note)
    found.add_note(f"It was raised in a worker:\n{where}")
    return found


def _take(
    future: Any,
    group: Sequence[int],
    nets: Sequence[Network],
    plans: Sequence[Plan],
    errors: list[DivergedError | None],
    company: Company,
) -> None:
    """Take over what a worker has trained, or the error that has ended it."""
    try:
        trained: Trained = future.result()
    except Exception as error:
        company.fail(error)
        return
    for place, net, diverged in trained.ended:
        number = group[place]
        with nets[number].engine.writer.fitting():
            nets[number]._become(net)
        errors[number] = diverged
        company.end_network(number, diverged, plans[number].epochs * plans[number].chosen.size)
    if trained.failure is not None:
        company.fail(trained.failure)
