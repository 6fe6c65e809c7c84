"""`fit_many`: many networks, each with its own settings, trained on the same data at the same time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from mbbp.history import History
from mbbp.many.company import Company
from mbbp.many.trainings import defaults, make_plans, train_all
from mbbp.many.workers import Workers, parted
from mbbp.methods.method import DivergedError
from mbbp.network import Network
from mbbp.validation import as_flag, refuse_unknown, shown


@dataclass(frozen=True)
class ManyFits:
    """What `fit_many` returns.

    Attributes
    ----------
    histories : tuple of History
        The history of each network.
    errors : tuple of DivergedError or None
        For each network whose training has diverged, why; it has the parameters from before that epoch.
    was_interrupted : bool
        Whether Ctrl-C has ended the trainings.
    """

    histories: tuple[History, ...]
    errors: tuple[DivergedError | None, ...]
    was_interrupted: bool

    @property
    def diverged(self) -> tuple[int, ...]:
        """The numbers of the networks that have diverged."""
        return tuple(number for number, error in enumerate(self.errors) if error is not None)

    def __repr__(self) -> str:
        ended = f", {len(self.diverged)} diverged" if self.diverged else ""
        return f"ManyFits: {len(self.histories)} networks{ended}{', interrupted' if self.was_interrupted else ''}"


def fit_many(
    networks: Sequence[Network],
    X: ArrayLike,
    y: ArrayLike,
    *,
    each: Sequence[Mapping[str, Any]] | None = None,
    progress: bool | None = None,
    client: Any = None,
    **common: Any,
) -> ManyFits:
    """Train many networks on the same data at the same time, each on one core.

    Each network gets the same parameters, to the bit, as if it had been trained alone with `Network.fit`. The data are
    checked once for all networks that read them in the same way, and are not copied for each. The networks may differ
    in everything: sizes, activations, cost, optimizer, schedule, seed, the examples that they use.

    Ctrl-C ends all trainings after their running epoch. A second Ctrl-C ends them at once, with a KeyboardInterrupt.
    Every network keeps the parameters of its last complete epoch; for the workers of a cluster see `client`.

    Parameters
    ----------
    networks : sequence of Network
        K different networks, each with a generator of its own.
    X : array_like of shape (n_in, n)
        Inputs, one example per column.
    y : array_like of shape (n,) or (n_L, n)
        Labels, or desired outputs.
    each : sequence of K mappings, optional
        For each network, those arguments of `Network.fit` that are its own, such as ``{"learning_rate": 0.1}``. They
        come before those in `common`.
    progress : bool, optional
        Whether to show one progress bar for all; by default only on a terminal and in a notebook.
    client : distributed.Client, optional
        Train in the workers of a Dask cluster. The data are sent to each worker once. The networks of a worker that
        dies are trained again by another. Callbacks then run in the workers, with copies of the networks. After Ctrl-C
        or an error the workers end after their running epoch, within a second or so. The networks whose training has
        ended are kept, and the others are as before the call. By default the threads of this process are used, as many
        as `get_threads()`.
    **common
        Arguments of `Network.fit` for all networks. Callbacks are called in several threads at the same time.

    Returns
    -------
    ManyFits
        The histories. A network that diverges does not stop the others: its error is there, and a warning names it.

    Raises
    ------
    ValueError
        If two networks are the same or share a generator, an argument is out of range, unknown, or of a wrong shape, or
        two networks write checkpoints to the same file. No network is changed then.
    TypeError
        If an argument is of the wrong type. No network is changed then.
    RuntimeError
        If a `fit` of one of the networks is running.
    ImportError
        If `client` is given, and distributed is not installed.

    Notes
    -----
    An error in a callback or in a schedule ends all trainings after their running epoch, and is raised then. It names
    the network.

    Examples
    --------
    >>> import mbbp
    >>> data = mbbp.datasets.load_digits()
    >>> nets = [mbbp.Network([64, n, 10], cost="cross_entropy", scaling=data.scaling, rng=n) for n in (10, 20, 30)]
    >>> fits = mbbp.fit_many(nets, data.x_train, data.y_train, epochs=3, each=[{"learning_rate": r} for r in (1, 2, 3)])
    >>> fits
    ManyFits: 3 networks
    >>> min(net.accuracy(data.x_test, data.y_test) for net in nets) > 0.8
    True
    """
    nets = check_networks(networks)
    return fit_each(nets, X, y, settings_of_each(len(nets), each, common), progress, client)


def fit_each(
    nets: Sequence[Network],
    X: ArrayLike,
    y: ArrayLike,
    settings: Sequence[Mapping[str, Any]],
    progress: bool | None,
    client: Any,
) -> ManyFits:
    """Train networks, each with its own settings, for a public function that the user has called; see `fit_many`."""
    shown_bar = None if progress is None else as_flag("progress", progress)
    plans = make_plans(nets, X, y, settings)
    company = Company(shown_bar, len(nets), sum(plan.epochs * plan.n for plan in plans))
    if client is None:
        with company:
            errors = train_all(nets, plans, company)
    else:
        shared, own = parted(settings)
        workers = Workers(client)
        workers.send(X, y, shared)
        with company:
            errors = workers.train_all(nets, plans, own, company)
    fits = ManyFits(tuple(net.history for net in nets), tuple(errors), company.interrupts.asked)
    if fits.diverged:
        which = ", ".join(map(str, fits.diverged[:10])) + (", ..." if len(fits.diverged) > 10 else "")
        warnings.warn(f"{len(fits.diverged)} of {len(nets)} networks diverged: {which}", stacklevel=3)
    return fits


def check_networks(networks: Any) -> list[Network]:
    """Return different networks, each with a generator of its own, as a list.

    Raises
    ------
    ValueError
        If there is none, or two are the same or share a generator.
    TypeError
        If one is no network.
    """
    if isinstance(networks, Network) or not isinstance(networks, Sequence):
        raise TypeError(f"networks: expected a sequence of networks, got {shown(networks)}")
    if not networks:
        raise ValueError("networks: expected at least one network, got none")
    owner_of: dict[int, int] = {}
    for number, net in enumerate(networks):
        if not isinstance(net, Network):
            raise TypeError(f"networks[{number}]: expected an mbbp.Network, got {shown(net)}")
        for part, what in ((net, "the same network"), (net.rng.bit_generator, "a generator")):
            other = owner_of.setdefault(id(part), number)
            if other != number:
                verb = "is" if part is net else "shares"
                raise ValueError(
                    f"networks[{number}]: expected a network with a generator of its own, got one that {verb} {what} "
                    f"{'as' if part is net else 'with'} networks[{other}]"
                )
    return list(networks)


def settings_of_each(n: int, each: Any, common: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of `fit` for each network, all names checked."""
    _check_names("fit_many", common)
    if each is None:
        return [dict(common) for _ in range(n)]
    if isinstance(each, Mapping) or not isinstance(each, Sequence):
        raise TypeError(f"each: expected a sequence with a mapping for each network, got {shown(each)}")
    if len(each) != n:
        raise ValueError(f"each: expected {n} mappings, one for each network, got {len(each)}")
    for number, own in enumerate(each):
        if not isinstance(own, Mapping):
            raise TypeError(f"each[{number}]: expected a mapping, got {shown(own)}")
        _check_names(f"each[{number}]", own)
    return [{**common, **own} for own in each]


def _check_names(argument: str, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in defaults():
            refuse_unknown(argument, name, defaults())
