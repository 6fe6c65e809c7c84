"""`search`: find good settings, by random search or by successive halving."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.chunking.chunks import Chunks
from mbbp.history import History
from mbbp.many.company import Company
from mbbp.many.workers import Workers
from mbbp.structure import Rng
from mbbp.tuning.candidates import Make, Space
from mbbp.tuning.describing import describe, describe_data, describe_space
from mbbp.tuning.folder import Folder
from mbbp.tuning.results import SearchResult
from mbbp.tuning.running import Run
from mbbp.tuning.standings import make_rungs
from mbbp.validation import as_count, as_flag, as_name, refuse_unknown, shown

METHODS = ("random", "halving")
OF_TIME = ("seconds", "examples_per_second")  # columns of the history that differ in every run


def search(
    space: Mapping[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_candidates: int = 20,
    method: str = "random",
    epochs: int = 30,
    eta: int = 3,
    monitor: str = "validation_cost",
    make: Make | None = None,
    file: str | Path | None = None,
    rng: Rng = None,
    progress: bool | None = None,
    client: Any = None,
    **common: Any,
) -> SearchResult:
    """Train networks with settings that are drawn at random, many at the same time, and return the best.

    Each candidate is a network with its own settings. It gets the same parameters, to the bit, as if it had been
    trained alone; with "halving" and `early_stopping`, as if with a call of `fit` for each rung, since the patience is
    counted in each rung afresh. It depends on the seed of the search and on its own number: the first 100 candidates of
    200 are those of a search with 100. The held-out examples are the same for all.

    The method "random" trains each candidate for `epochs` epochs. The method "halving" (successive halving; Jamieson
    and Talwalkar 2016) trains all of them for a few epochs, then the best ones further, in several rungs: in each rung
    the best 1/eta of the candidates goes on, for eta times as many epochs in all.

    Ctrl-C ends the search after the running epochs, and the candidates that have finished are returned. A second Ctrl-C
    ends it at once, with a KeyboardInterrupt.

    Parameters
    ----------
    space : mapping
        For the name of an argument of `Network` or `Network.fit` a distribution of `mbbp.tuning`, or a value. The name
        "hidden" stands for the sizes of the hidden layers, or the size of one: the sizes of the first and the last
        layer then follow from X and y. Labels y need as many outputs as the largest label plus one, and at least two.
    X : array_like of shape (n_in, n)
        Inputs, one example per column.
    y : array_like of shape (n,) or (n_L, n)
        Labels, or desired outputs.
    n_candidates : int
        How many candidates to draw.
    method : {"random", "halving"}
        How they are trained.
    epochs : int
        How many epochs a candidate is trained that nothing ends before.
    eta : int
        Of "halving": how many candidates there are for each one that goes on, 2 or more. There are as many rungs as the
        candidates and the epochs allow: with fewer than eta of one of them, a single one.
    monitor : str
        The column of the history that is the score. An accuracy and `examples_per_second` are better when they are
        larger, every other column when it is smaller. The costs of different cost functions cannot be compared: if
        `cost` is drawn, take "validation_accuracy".
    make : function (settings) -> Network, optional
        Returns a new network, for what the arguments of `Network` cannot say. It gets the drawn settings as a dict, and
        the seed of the network as its "rng". The names in the space may then be any, and those of arguments of
        `Network.fit` are also given to `fit`.
    file : path, optional
        A folder that keeps the search. If the process is killed at any moment, a call with the same arguments goes on,
        with the same result, to the bit. A random search may go on with more candidates. The folder holds one line for
        each candidate in each rung, and those networks that are still needed; at the end the best one. Other arguments
        and other data are refused. Of functions and callbacks only the names are compared; of an object of a class of
        your own its `repr`, or its attributes if it has none of its own or is a dataclass. The monitors `seconds` and
        `examples_per_second`, which no search can repeat, and `mbbp.chunks` are refused with a file.
    rng : int or numpy.random.Generator, optional
        The seed of the search. A search that goes on without one takes that of its folder.
    progress : bool, optional
        Whether to show one progress bar for all; by default only on a terminal and in a notebook.
    client : distributed.Client, optional
        Train in the workers of a Dask cluster; see `fit_many`. The data are sent to each worker once.
    **common
        Arguments of `Network` and `Network.fit` for all candidates, such as ``validation_split=0.2``. With
        `early_stopping`, a candidate that has ended goes on to the next rung as it is; the patience is counted in each
        rung afresh.

    Returns
    -------
    SearchResult
        The candidates, the best first, and the best network. A candidate that diverges is the last one, and does not
        stop the others; a warning names it.

    Raises
    ------
    ValueError
        If an argument is out of range, unknown or given twice, for any candidate; if the space has no distribution; if
        the monitor is not measured; or if the folder is that of another search, whose differences are then named, is
        damaged, or another process is using it. Nothing is trained or written then.
    TypeError
        If an argument is of the wrong type. Nothing is trained or written then.
    OSError
        If the folder cannot be written.
    ImportError
        If `client` is given, and distributed is not installed.
    ConnectionError
        If the cluster has no worker.

    Notes
    -----
    An error in a callback or in a schedule ends the search after the running epochs, and is raised then. It names the
    candidate.

    Examples
    --------
    >>> import mbbp
    >>> from mbbp.tuning import choice, layers, log_integers, log_uniform
    >>> data = mbbp.datasets.load_digits()
    >>> space = {
    ...     "hidden": layers(1, 2, log_integers(8, 64)),
    ...     "activation": choice("sigmoid", "tanh", "relu"),
    ...     "learning_rate": log_uniform(0.01, 1.0),
    ... }
    >>> found = mbbp.search(
    ...     space, data.x_train, data.y_train, n_candidates=9, method="halving", epochs=9, cost="log_likelihood",
    ...     scaling=data.scaling, validation_split=0.2, monitor="validation_accuracy", rng=0,
    ... )
    >>> found.rungs, [one.epochs for one in found.candidates]
    ((1, 3, 9), [9, 3, 3, 1, 1, 1, 1, 1, 1])
    >>> found.best_network.accuracy(data.x_test, data.y_test) > 0.8
    True
    """
    if as_name("method", method) not in METHODS:
        refuse_unknown("method", method, METHODS)
    n, total = as_count("n_candidates", n_candidates), as_count("epochs", epochs)
    factor = as_count("eta", eta, least=2)
    History.check_column("monitor", as_name("monitor", monitor))
    with_bar = None if progress is None else as_flag("progress", progress)
    if file is not None:
        _check_repeatable(monitor, {**common, **space} if isinstance(space, Mapping) else common)
    folder = None if file is None else Folder(file)
    entropy = _entropy(rng, folder)
    described = Space(space, common, make, entropy)
    workers = None if client is None else Workers(client)
    run = Run(described, n, make_rungs(method, n, total, factor), monitor, (X, y), folder, workers)
    if folder is None:
        run.prepare()
        return _run(run, with_bar)
    asked = {
        **{"method": method, "n_candidates": n, "epochs": total, "monitor": monitor, "rng": str(entropy)},
        **({"eta": factor} if method == "halving" else {}),
        **{"make": None if make is None else describe(make), "X": describe_data(X), "y": describe_data(y)},
        **{"space": describe_space(described.given), "argument": describe_space(common)},
    }
    with folder:
        is_new = folder.asked is None
        if is_new:
            run.prepare()  # before the lock, which makes the folder
        folder.lock()
        folder.check_asked(asked, may_grow=method == "random")
        if not is_new or folder.asked is not None:  # perhaps another process has begun this search just now
            run.take(folder.records())
            run.prepare()
        folder.begin(asked)
        folder.keep(run.standings.needed)
        return _run(run, with_bar)


def _check_repeatable(monitor: str, given: Mapping[str, Any]) -> None:
    """Check that a search in a folder can go on to the bit, and that its data can be compared."""
    if monitor in OF_TIME:
        raise ValueError(f"monitor: expected one that is the same in every run, with file, got {monitor!r}")
    for name, value in given.items():
        if isinstance(value, Chunks):
            raise ValueError(f"{name}: expected arrays with file, whose data are compared, got {shown(value)}")


def _entropy(rng: Any, folder: Folder | None) -> int:
    """Return the seed of a search: that of the folder, if none is given."""
    if rng is None:
        if folder is not None and folder.asked is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError):  # the comparison will tell
                return int(folder.asked["rng"])
        drawn: Any = np.random.SeedSequence().entropy
        return int(drawn)
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    return as_count("rng", rng, least=0, most=math.inf)


def _run(run: Run, with_bar: bool | None) -> SearchResult:
    company = Company(with_bar, 0, run.examples_left)
    with company:
        run.run(company)
        best = run.best_network(company)
    # the network of the best candidate may have to be trained again after the last rung
    is_whole = run.standings.is_over and (best is not None or run.standings.leader() is None)
    result = run.result(best, company.interrupts.asked and not is_whole)
    if result.diverged:
        which = ", ".join(map(str, result.diverged[:10])) + (", ..." if len(result.diverged) > 10 else "")
        n = len(result.candidates)
        warnings.warn(f"{len(result.diverged)} of {n} candidates diverged: {which}", stacklevel=3)
    return result
